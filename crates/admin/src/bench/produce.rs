//! `skua bench produce`: a fixed number of sends in flight; each place is taken again as soon as
//! its send is answered.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use skua_protocol::Command;
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::command::HeaderCodec;
use skua_protocol::header::Fields;

use super::frames::{self, Answer, Template};
use super::line::{Line, LineError, WRITE_LEN};
use super::report::{Report, Setting, Tally};
use super::target::Target;
use super::{BenchError, Pace};
use crate::client::route::Queue;
use crate::time;

/// Replaced by the moment of sending.
const BORN_MARK: &str = "1699999999999";
/// Replaced by moment and number; what stands before it in a unique id stays.
const UNIQUE_MARK: &str = "FEDCBA987654";

#[derive(Clone, Debug)]
pub struct Plan {
    pub in_flight: usize,
    pub connections: usize,
    /// Bytes of a message's body.
    pub size: usize,
    pub codec: HeaderCodec,
    pub tag: Option<String>,
    pub pace: Pace,
    /// Longest wait for any answer.
    pub timeout: Duration,
}

/// What the connections of a run share; all of them live on one thread.
struct Clock {
    measure_from: Instant,
    measure_until: Option<Instant>,
    /// Messages still to be sent.
    left: Cell<u64>,
    /// Set by the first connection that fails, so that the others end too.
    broken: Cell<bool>,
    last_answer: Cell<Instant>,
}

pub async fn run(target: &Target, plan: &Plan) -> Result<Report, BenchError> {
    let mut senders = Vec::with_capacity(plan.connections);
    let body = payload(plan.size);
    for index in 0..plan.connections {
        let addr = &target.brokers[index % target.brokers.len()];
        let places = plan.in_flight / plan.connections
            + usize::from(index < plan.in_flight % plan.connections);
        let templates = target
            .queues
            .iter()
            .filter(|queue| &queue.addr == addr)
            .map(|queue| template(&target.topic, queue, plan, &body))
            .collect::<Result<Vec<_>, _>>()?;
        senders.push((Line::connect(addr, plan.timeout).await?, templates, places, index));
    }

    let start = Instant::now();
    let measure_from = start + plan.pace.warm_up;
    let clock = Rc::new(Clock {
        measure_from,
        measure_until: plan.pace.duration.map(|duration| measure_from + duration),
        left: Cell::new(plan.pace.count.unwrap_or(u64::MAX)),
        broken: Cell::new(false),
        last_answer: Cell::new(measure_from),
    });
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|(line, templates, places, index)| {
            let sender = Sender {
                line,
                templates,
                next_queue: index,
                sent_at: vec![start; places],
                free: (0..places as u32).rev().collect(),
                size: plan.size as u64,
                tally: Tally::new(),
                clock: Rc::clone(&clock),
                count: (index as u64) << 12,
            };
            tokio::task::spawn_local(sender.drive())
        })
        .collect();

    let mut tally = Tally::new();
    let mut unanswered = 0;
    let mut failed = None;
    for task in tasks {
        let ended = task.await.map_err(|cause| BenchError::Task(cause.to_string()))?;
        tally.add(&ended.tally);
        unanswered += ended.unanswered;
        failed = failed.or(ended.failed);
    }
    if let Some(cause) = failed
        && tally.messages == 0
    {
        return Err(cause.into());
    }
    let until = clock.measure_until.unwrap_or_else(|| clock.last_answer.get());
    let setting = Setting {
        what: "produce",
        topic: target.topic.clone(),
        brokers: target.brokers.clone(),
        in_flight: plan.in_flight,
        connections: plan.connections,
    };
    Ok(Report::new(setting, &tally, until.saturating_duration_since(measure_from), unanswered))
}

/// A send of `body` to `queue`, with holes for birth and unique id.
fn template(topic: &str, queue: &Queue, plan: &Plan, body: &[u8]) -> Result<Template, BenchError> {
    let unique =
        format!("7F000001{:04X}{:08X}{UNIQUE_MARK}", std::process::id() as u16, 0x5B0A_u32);
    let mut properties = format!("UNIQ_KEY\u{1}{unique}\u{2}WAIT\u{1}true\u{2}");
    if let Some(tag) = &plan.tag {
        properties.push_str(&format!("TAGS\u{1}{tag}\u{2}"));
    }
    let queue_id = queue.id.to_string();
    let fields: Fields = [
        ("a", "skua_bench"),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "8"),
        ("e", &queue_id),
        ("f", "0"),
        ("g", BORN_MARK),
        ("h", "0"),
        ("i", &properties),
        ("j", "0"),
        ("k", "false"),
        ("m", "false"),
        ("n", &queue.broker_name),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .collect();
    let mut request = Command::raw_request(RequestCode::SendMessageV2, fields);
    request.codec = plan.codec;
    Ok(Template::new(request.with_body(body.to_vec()), &[BORN_MARK, UNIQUE_MARK])?)
}

/// Printable bytes that do not repeat early.
fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b' ' + (state % 95) as u8
        })
        .collect()
}

struct Sender {
    line: Line,
    templates: Vec<Template>,
    next_queue: usize,
    /// By place in flight: when its request was handed over.
    sent_at: Vec<Instant>,
    free: Vec<u32>,
    size: u64,
    tally: Tally,
    clock: Rc<Clock>,
    count: u64,
}

struct Ended {
    tally: Tally,
    unanswered: u64,
    failed: Option<LineError>,
}

impl Sender {
    async fn drive(mut self) -> Ended {
        let mut failed = None;
        loop {
            let result = match self.fill() {
                Ok(()) if self.free.len() == self.sent_at.len() => break,
                Ok(()) => self.receive().await,
                Err(cause) => Err(cause),
            };
            if let Err(cause) = result {
                self.clock.broken.set(true);
                failed = Some(cause);
                break;
            }
        }
        let unanswered = (self.sent_at.len() - self.free.len()) as u64;
        Ended { tally: self.tally, unanswered, failed }
    }

    /// Takes every free place, unless the time is over.
    fn fill(&mut self) -> Result<(), LineError> {
        let now = Instant::now();
        let clock = &self.clock;
        if clock.broken.get() || clock.measure_until.is_some_and(|until| now >= until) {
            return Ok(());
        }
        let millis = time::now().0.unsigned_abs();
        let mut born = [0; BORN_MARK.len()];
        frames::digits(millis, &mut born);
        let warming = now < clock.measure_from;
        while !self.free.is_empty() && self.line.output.len() < WRITE_LEN {
            if !warming {
                match clock.left.get() {
                    0 => break,
                    left => clock.left.set(left - 1),
                }
            }
            let Some(place) = self.free.pop() else { break };
            self.count += 1;
            let mut unique = [0; UNIQUE_MARK.len()];
            // Milliseconds within the month and a counter, as in Java's unique ids.
            frames::hex((millis % 2_678_400_000) << 16 | self.count & 0xffff, &mut unique);
            let template = &self.templates[self.next_queue % self.templates.len()];
            self.next_queue += 1;
            template.write(place, &[&born, &unique], &mut self.line.output);
            self.sent_at[place as usize] = now;
        }
        self.line.flush()
    }

    async fn receive(&mut self) -> Result<(), LineError> {
        let Self { line, tally, sent_at, free, clock, size, .. } = self;
        line.answers(|answer, arrived| {
            let slot = answer.slot();
            let Some(&sent) = sent_at.get(slot) else { return };
            free.push(slot as u32);
            let late = clock.measure_until.is_some_and(|until| arrived > until);
            if arrived < clock.measure_from || late {
                return;
            }
            if clock.measure_until.is_none() && sent < clock.measure_from {
                return;
            }
            clock.last_answer.set(arrived);
            if stored(answer.code) {
                tally.messages += 1;
                tally.bytes += *size;
                let micros = arrived.duration_since(sent).as_micros().max(1) as u64;
                tally.latency.saturating_record(micros);
            } else {
                tally.error(answer.code, 1, || remark(answer));
            }
        })
        .await?;
        Ok(())
    }
}

/// Codes with which the message is in the log, whatever its flush or replica did.
fn stored(code: i32) -> bool {
    code == ResponseCode::Success as i32
        || code == ResponseCode::FlushDiskTimeout as i32
        || code == ResponseCode::SlaveNotAvailable as i32
        || code == ResponseCode::FlushSlaveTimeout as i32
}

/// The remark of an answer, by the thorough decoder.
pub fn remark(answer: &Answer<'_>) -> String {
    let mut frame = bytes::BytesMut::from(answer.frame);
    match skua_protocol::frame::decode(&mut frame) {
        Ok(Some(command)) => command.remark.map_or_else(String::new, |remark| {
            remark.lines().next().unwrap_or_default().to_owned()
        }),
        _ => String::new(),
    }
}
