//! `skua bench produce --transaction`: each place sends a half message, commits it, and sends the
//! next.

use std::time::Duration;

use skua_protocol::Command;
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::header::{Fields, ToFields};
use skua_protocol::message_id::parse_offset_id;
use skua_protocol::request::{EndTransaction, TRANSACTION_COMMIT};

use super::BenchError;
use super::frames::{self, Answer, Template};
use super::jobs::{self, Jobs, Share, Step};
use super::line::Line;
use super::moment;
use super::produce::{Plan, payload};
use super::report::Report;
use super::target::Target;
use crate::client::route::Queue;

const GROUP: &str = "skua_bench";
const BORN_MARK: &str = "1699999999999";
const UNIQUE_MARK: &str = "FEDCBA987654";
/// Replaced by the half message's queue offset and physical offset.
const QUEUE_OFFSET_MARK: &str = "7777777777777777777";
const LOG_OFFSET_MARK: &str = "6666666666666666666";
/// `MessageSysFlag.TRANSACTION_PREPARED_TYPE`.
const PREPARED: &str = "4";

pub async fn run(targets: &[Target], plan: &Plan) -> Result<Report, BenchError> {
    let mut brokers: Vec<&String> = targets.iter().flat_map(|target| &target.brokers).collect();
    brokers.sort();
    brokers.dedup();
    let body = payload(plan.size);
    let mut shares = Vec::new();
    for index in 0..plan.connections {
        let addr = brokers[index % brokers.len()];
        let places = plan.in_flight / plan.connections
            + usize::from(index < plan.in_flight % plan.connections);
        let halves = targets
            .iter()
            .flat_map(|target| target.queues.iter().map(|queue| (&target.topic, queue)))
            .filter(|(_, queue)| &queue.addr == addr)
            .map(|(topic, queue)| half(topic, queue, plan, &body))
            .collect::<Result<Vec<_>, _>>()?;
        let jobs = Transactions {
            halves,
            commit: commit(plan)?,
            turn: index,
            count: (index as u64) << 12,
            committing: vec![false; places],
            size: plan.size as u64,
        };
        let line = Line::connect(addr, Duration::max(plan.timeout, Duration::from_secs(1))).await?;
        shares.push(Share { line, jobs, places });
    }
    let topic = targets.first().map_or_else(String::new, |target| target.topic.clone());
    jobs::run(shares, &plan.pace, "transact", topic).await
}

fn half(topic: &str, queue: &Queue, plan: &Plan, body: &[u8]) -> Result<Template, BenchError> {
    let unique =
        format!("7F000001{:04X}{:08X}{UNIQUE_MARK}", std::process::id() as u16, 0x5B0A_u32);
    let properties = format!(
        "UNIQ_KEY\u{1}{unique}\u{2}WAIT\u{1}true\u{2}TRAN_MSG\u{1}true\u{2}PGROUP\u{1}{GROUP}\u{2}"
    );
    let queue_id = queue.id.to_string();
    let fields: Fields = [
        ("a", GROUP),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "8"),
        ("e", &queue_id),
        ("f", PREPARED),
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

fn commit(plan: &Plan) -> Result<Template, BenchError> {
    let header = EndTransaction {
        producer_group: GROUP.into(),
        commit_or_rollback: TRANSACTION_COMMIT,
        from_transaction_check: Some(false),
        msg_id: Some("skua".into()),
        transaction_id: Some("skua".into()),
        ..Default::default()
    };
    let mut fields = header.to_fields();
    fields.set("tranStateTableOffset", QUEUE_OFFSET_MARK);
    fields.set("commitLogOffset", LOG_OFFSET_MARK);
    let mut request = Command::raw_request(RequestCode::EndTransaction, fields);
    request.codec = plan.codec;
    Ok(Template::new(request, &[QUEUE_OFFSET_MARK, LOG_OFFSET_MARK])?)
}

struct Transactions {
    halves: Vec<Template>,
    commit: Template,
    turn: usize,
    count: u64,
    /// By place: whether its half message is stored.
    committing: Vec<bool>,
    size: u64,
}

impl Jobs for Transactions {
    fn begin(&mut self, place: u32, out: &mut Vec<u8>) {
        let millis = (moment::now() / 1_000_000) as u64;
        let mut born = [0; BORN_MARK.len()];
        frames::digits(millis, &mut born);
        let mut unique = [0; UNIQUE_MARK.len()];
        self.count += 1;
        frames::hex((millis % 2_678_400_000) << 16 | self.count & 0xffff, &mut unique);
        let half = &self.halves[self.turn % self.halves.len()];
        self.turn += 1;
        half.write(place, &[&born, &unique], out);
    }

    fn answered(&mut self, place: u32, answer: &Answer<'_>, out: &mut Vec<u8>) -> Step {
        let Some(committing) = self.committing.get_mut(place as usize) else { return Step::Going };
        if answer.code != ResponseCode::Success as i32 {
            *committing = false;
            return Step::Refused { messages: 1 };
        }
        if *committing {
            *committing = false;
            return Step::Done { messages: 1, bytes: self.size };
        }
        let id = answer.text("msgId").and_then(|id| parse_offset_id(id).ok());
        let offset = answer.number("queueOffset").and_then(|offset| u64::try_from(offset).ok());
        let (Some((_, in_log)), Some(in_queue)) = (id, offset) else {
            return Step::Refused { messages: 1 };
        };
        let mut texts = [[0; QUEUE_OFFSET_MARK.len()]; 2];
        frames::digits(in_queue, &mut texts[0]);
        frames::digits(in_log.0, &mut texts[1]);
        self.commit.write(place, &[&texts[0], &texts[1]], out);
        *committing = true;
        Step::Going
    }
}
