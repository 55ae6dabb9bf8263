//! `skua bench consume --pop`: each place pops messages, acknowledges every one of them, and pops
//! again.

use std::time::Duration;

use bytes::BytesMut;
use skua_protocol::Command;
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::command::HeaderCodec;
use skua_protocol::frame;
use skua_protocol::header::ToFields;
use skua_protocol::record::{Peek, Record, next};
use skua_protocol::request::{AckMessage, PopMessage};

use super::frames::{self, Answer, OPAQUE_BASE, Template};
use super::jobs::{self, Jobs, Share, Step};
use super::line::Line;
use super::moment;
use super::report::Report;
use super::target::Target;
use super::{BenchError, Pace};

/// Replaced by the moment of the pop.
const BORN_MARK: &str = "1699999999999";
/// For so long nobody else gets a message that was popped.
const INVISIBLE: Duration = Duration::from_secs(60);
/// Pops in a row that bring nothing, after which a place gives up: queues may be locked by other
/// pops.
const PATIENCE: u32 = 20;

#[derive(Clone, Debug)]
pub struct Plan {
    pub in_flight: usize,
    pub connections: usize,
    /// Most messages asked for at once.
    pub batch: i32,
    pub codec: HeaderCodec,
    pub pace: Pace,
    /// Longest wait for any answer.
    pub timeout: Duration,
}

pub async fn run(target: &Target, plan: &Plan) -> Result<Report, BenchError> {
    // A group of its own, so that it begins with the first message.
    let group = format!("skua_bench_pop_{}_{}", std::process::id(), moment::now() % 1_000_000_007);
    let mut shares = Vec::new();
    for index in 0..plan.connections {
        let addr = &target.brokers[index % target.brokers.len()];
        let places = plan.in_flight / plan.connections
            + usize::from(index < plan.in_flight % plan.connections);
        let name = target.queues.iter().find(|queue| &queue.addr == addr);
        let jobs = Pops {
            template: template(&target.topic, &group, plan)?,
            group: group.clone(),
            // Brokers only pass it on.
            broker_name: name.map_or("", |queue| &queue.broker_name).to_owned(),
            codec: plan.codec,
            going: (0..places).map(|_| Going::default()).collect(),
        };
        shares.push(Share { line: Line::connect(addr, plan.timeout).await?, jobs, places });
    }
    jobs::run(shares, &plan.pace, "pop", target.topic.clone()).await
}

fn template(topic: &str, group: &str, plan: &Plan) -> Result<Template, BenchError> {
    let header = PopMessage {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id: -1,
        max_msg_nums: plan.batch,
        invisible_time: INVISIBLE.as_millis() as i64,
        poll_time: 0,
        init_mode: 0,
        exp_type: Some("TAG".into()),
        exp: Some("*".into()),
        order: Some(false),
        ..Default::default()
    };
    let mut fields = header.to_fields();
    fields.set("bornTime", BORN_MARK);
    let mut request = Command::raw_request(RequestCode::PopMessage, fields);
    request.codec = plan.codec;
    Ok(Template::new(request, &[BORN_MARK])?)
}

/// A place's popped messages.
#[derive(Clone, Debug, Default)]
struct Going {
    messages: u64,
    bytes: u64,
    unacknowledged: u64,
    misses: u32,
}

struct Pops {
    template: Template,
    group: String,
    broker_name: String,
    codec: HeaderCodec,
    going: Vec<Going>,
}

impl Jobs for Pops {
    fn begin(&mut self, place: u32, out: &mut Vec<u8>) {
        let mut born = [0; BORN_MARK.len()];
        frames::digits((moment::now() / 1_000_000) as u64, &mut born);
        self.template.write(place, &[&born], out);
    }

    fn answered(&mut self, place: u32, answer: &Answer<'_>, out: &mut Vec<u8>) -> Step {
        let success = answer.code == ResponseCode::Success as i32;
        let Some(going) = self.going.get_mut(place as usize) else { return Step::Going };
        if going.unacknowledged > 0 {
            going.unacknowledged -= 1;
            going.messages -= u64::from(!success);
            return match going.unacknowledged {
                0 => Step::Done { messages: going.messages, bytes: going.bytes },
                _ => Step::Going,
            };
        }
        match ResponseCode::from_i32(answer.code) {
            Some(ResponseCode::Success) => {}
            Some(ResponseCode::PullNotFound | ResponseCode::PollingTimeout) => {
                going.misses += 1;
                if going.misses >= PATIENCE {
                    return Step::Nothing;
                }
                self.begin(place, out);
                return Step::Going;
            }
            _ => return Step::Refused { messages: 1 },
        }
        *going = Going::default();
        let Some(popped) = Popped::of(answer) else { return Step::Refused { messages: 1 } };
        let mut body = answer.body;
        while let Ok(Peek::Message { size }) = next(body) {
            let Some((message, rest)) = body.split_at_checked(size) else { break };
            body = rest;
            let Ok(record) = Record::parse(message) else { continue };
            going.messages += 1;
            going.bytes += size as u64;
            let header = AckMessage {
                consumer_group: self.group.as_str().into(),
                topic: record.topic().into(),
                queue_id: record.queue_id(),
                extra_info: popped.handle(&record, &self.broker_name).into(),
                offset: record.queue_offset(),
                ..Default::default()
            };
            let mut request = Command::raw_request(RequestCode::AckMessage, header.to_fields());
            request.codec = self.codec;
            request.opaque = OPAQUE_BASE + place as i32;
            let mut encoded = BytesMut::new();
            frame::encode(&request, &mut encoded);
            out.extend_from_slice(&encoded);
        }
        going.unacknowledged = going.messages;
        match going.messages {
            0 => Step::Refused { messages: 1 },
            _ => Step::Going,
        }
    }
}

/// What a pop's answer says of its messages.
struct Popped {
    pop_time: i64,
    invisible_time: i64,
    revive_queue: i64,
    /// Whether of a retry topic (`0`: no), queue, and the first offset popped of it.
    starts: Vec<(String, i32, i64)>,
}

impl Popped {
    fn of(answer: &Answer<'_>) -> Option<Self> {
        let item = |item: &str| {
            let mut parts = item.split(' ');
            let retry = parts.next()?.to_owned();
            Some((retry, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        Some(Self {
            pop_time: answer.number("popTime")?,
            invisible_time: answer.number("invisibleTime")?,
            revive_queue: answer.number("reviveQid")?,
            starts: answer.text("startOffsetInfo")?.split(';').filter_map(item).collect(),
        })
    }

    /// What acknowledges this message (Java: `ExtraInfoUtil.buildExtraInfo`).
    fn handle(&self, record: &Record<'_>, broker_name: &str) -> String {
        let retried = record.topic().starts_with("%RETRY%");
        let of_queue = |(retry, queue, _): &&(String, i32, i64)| {
            *queue == record.queue_id() && (retry != "0") == retried
        };
        let (retry, start) = self
            .starts
            .iter()
            .find(of_queue)
            .map_or(("0", record.queue_offset()), |(retry, _, start)| (retry, *start));
        let Self { pop_time, invisible_time, revive_queue, .. } = self;
        let (queue, offset) = (record.queue_id(), record.queue_offset());
        format!(
            "{start} {pop_time} {invisible_time} {revive_queue} {retry} {broker_name} {queue} {offset}"
        )
    }
}
