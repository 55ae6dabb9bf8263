//! `skua bench consume`: queues pulled side by side, at most a fixed number of pulls in flight.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use skua_protocol::Command;
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::command::HeaderCodec;
use skua_protocol::header::{Fields, ToFields};
use skua_protocol::record::{Peek, Record, next};
use skua_protocol::request::{PULL_SUBSCRIPTION, PULL_SUSPEND, PullMessage};

use super::frames::{self, Answer, Template};
use super::line::{Line, LineError};
use super::moment;
use super::produce::remark;
use super::report::{Report, Setting, Tally, Watch};
use super::schedule::{Schedule, or_due};
use super::target::Target;
use super::{BenchError, Pace};
use crate::client::Cluster;
use crate::client::consumer::{Consumer, From, TOOLS_GROUP};
use crate::client::route::Queue;

/// Replaced by the offset to pull from.
const OFFSET_MARK: &str = "7777777777777777777";
/// How long brokers may hold a pull of a run that follows.
const HOLD: Duration = Duration::from_secs(1);
/// Ends of queues asked for side by side.
const AT_ONCE: usize = 64;
/// Said on the error output by a run that follows once it misses nothing more.
const FOLLOWING: &str = "following";

#[derive(Clone, Debug)]
pub struct Plan {
    pub in_flight: usize,
    pub connections: usize,
    /// Most messages asked for at once.
    pub batch: i32,
    /// Start at the end and wait for new messages.
    pub follow: bool,
    /// Of the server: which messages come.
    pub filter: Filter,
    /// Pulls a second of all connections, if they leave by the clock.
    pub rate: Option<u32>,
    pub codec: HeaderCodec,
    pub pace: Pace,
    /// Longest wait for any answer.
    pub timeout: Duration,
}

/// A subscription that goes with each pull.
#[derive(Clone, Debug)]
pub struct Filter {
    /// `TAG` or `SQL92`.
    pub kind: &'static str,
    pub expression: String,
}

struct Clock {
    measure_from: Instant,
    measure_until: Option<Instant>,
    /// Messages still to be fetched.
    left: Cell<u64>,
    broken: Cell<bool>,
    last_answer: Cell<Instant>,
}

impl Clock {
    fn is_over(&self, now: Instant) -> bool {
        self.broken.get()
            || self.left.get() == 0
            || self.measure_until.is_some_and(|until| now >= until)
    }
}

/// One queue and how far it was read.
struct Reading {
    template: Template,
    offset: u64,
}

pub async fn run(cluster: &Cluster, target: &Target, plan: &Plan) -> Result<Report, BenchError> {
    let consumer = Consumer::new(cluster, &target.topic, "*");
    let from = if plan.follow { From::End } else { From::Beginning };
    let offsets = stream::iter(&target.queues).map(|queue| consumer.start(queue, from));
    let offsets: Vec<i64> = offsets.buffered(AT_ONCE).try_collect().await?;
    let mut by_broker: Vec<VecDeque<Reading>> =
        target.brokers.iter().map(|_| VecDeque::new()).collect();
    for (queue, offset) in target.queues.iter().zip(offsets) {
        let reading = Reading {
            template: template(&target.topic, queue, plan)?,
            offset: u64::try_from(offset).unwrap_or(0),
        };
        if let Some(at) = target.brokers.iter().position(|addr| addr == &queue.addr) {
            by_broker[at].push_back(reading);
        }
    }

    // Connections are spread over the brokers, and a broker's queues over its connections.
    let brokers = target.brokers.len();
    let connections = plan.connections.max(brokers);
    let mut shares: Vec<VecDeque<Reading>> = (0..connections).map(|_| VecDeque::new()).collect();
    for (broker, mut readings) in by_broker.into_iter().enumerate() {
        let own: Vec<usize> = (broker..connections).step_by(brokers).collect();
        for turn in 0..readings.len() {
            if let Some(reading) = readings.pop_front() {
                shares[own[turn % own.len()]].push_back(reading);
            }
        }
    }
    let mut lines = Vec::with_capacity(connections);
    for index in 0..connections {
        lines.push(Line::connect(&target.brokers[index % brokers], plan.timeout).await?);
    }

    if plan.follow {
        // For whoever waits with its sends until then.
        eprintln!("{FOLLOWING}");
    }
    let watch = Watch::start(&plan.pace.cpu_of);
    let start = Instant::now();
    let measure_from = start + plan.pace.warm_up;
    let clock = Rc::new(Clock {
        measure_from,
        measure_until: plan.pace.duration.map(|duration| measure_from + duration),
        left: Cell::new(plan.pace.count.unwrap_or(u64::MAX)),
        broken: Cell::new(false),
        last_answer: Cell::new(measure_from),
    });
    let mut tasks = Vec::with_capacity(connections);
    for (index, (line, idle)) in lines.into_iter().zip(shares).enumerate() {
        let places = plan.in_flight.div_ceil(connections).min(idle.len());
        let schedule = plan
            .rate
            .map(|rate| Schedule::new(start, rate, index, connections))
            .transpose()
            .map_err(BenchError::Timer)?;
        let fetcher = Fetcher {
            line,
            idle,
            busy: (0..places).map(|_| None).collect(),
            follow: plan.follow,
            schedule,
            clock: Rc::clone(&clock),
            tally: RefCell::new(Tally::new()),
        };
        tasks.push(tokio::task::spawn_local(fetcher.drive()));
    }

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
    // A run that read everything ends with its last answer, before the time is over.
    let last = clock.last_answer.get();
    let until = clock.measure_until.filter(|_| plan.follow).map_or(last, |until| until);
    let setting = Setting {
        what: "consume",
        topic: target.topic.clone(),
        brokers: target.brokers.clone(),
        in_flight: plan.in_flight,
        connections,
        watch,
        last,
    };
    Ok(Report::new(setting, &tally, until.saturating_duration_since(measure_from), unanswered))
}

fn template(topic: &str, queue: &Queue, plan: &Plan) -> Result<Template, BenchError> {
    let header = PullMessage {
        consumer_group: TOOLS_GROUP.into(),
        topic: topic.into(),
        queue_id: queue.id,
        max_msg_nums: plan.batch,
        sys_flag: PULL_SUBSCRIPTION | if plan.follow { PULL_SUSPEND } else { 0 },
        suspend_timeout_millis: HOLD.as_millis() as i64,
        subscription: Some(plan.filter.expression.as_str().into()),
        expression_type: Some(plan.filter.kind.into()),
        ..Default::default()
    };
    let mut fields: Fields = header.to_fields();
    fields.set("queueOffset", OFFSET_MARK);
    let mut request = Command::raw_request(RequestCode::PullMessage, fields);
    request.codec = plan.codec;
    Ok(Template::new(request, &[OFFSET_MARK])?)
}

struct Fetcher {
    line: Line,
    /// Queues that wait for their turn.
    idle: VecDeque<Reading>,
    /// By place in flight: the queue being pulled and since when.
    busy: Vec<Option<(Reading, Instant)>>,
    follow: bool,
    schedule: Option<Schedule>,
    clock: Rc<Clock>,
    tally: RefCell<Tally>,
}

struct Ended {
    tally: Tally,
    unanswered: u64,
    failed: Option<LineError>,
}

impl Fetcher {
    async fn drive(mut self) -> Ended {
        let mut failed = None;
        loop {
            let result = match self.fill() {
                Ok(false) if self.busy.iter().all(Option::is_none) => break,
                Ok(_) => self.receive().await,
                Err(cause) => Err(cause),
            };
            if let Err(cause) = result {
                self.clock.broken.set(true);
                failed = Some(cause);
                break;
            }
        }
        let unanswered = self.busy.iter().flatten().count() as u64;
        Ended { tally: self.tally.into_inner(), unanswered, failed }
    }

    /// Pulls as far as places are free and pulls are due; false if none will follow.
    fn fill(&mut self) -> Result<bool, LineError> {
        let now = Instant::now();
        if self.clock.is_over(now) {
            return Ok(false);
        }
        for (place, slot) in self.busy.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
            if self.idle.is_empty() {
                break;
            }
            let sent = match &mut self.schedule {
                None => now,
                Some(schedule) => match schedule.take(now) {
                    Some(due) => due,
                    None => break,
                },
            };
            let Some(reading) = self.idle.pop_front() else { break };
            let mut offset = [0; OFFSET_MARK.len()];
            frames::digits(reading.offset, &mut offset);
            reading.template.write(place as u32, &[&offset], &mut self.line.output);
            *slot = Some((reading, sent));
        }
        self.line.flush().map(|()| !self.idle.is_empty())
    }

    async fn receive(&mut self) -> Result<(), LineError> {
        let Self { line, idle, busy, follow, schedule, clock, tally } = self;
        let free = busy.iter().any(Option::is_none) && !idle.is_empty();
        let schedule = schedule.as_ref().filter(|_| free && !clock.is_over(Instant::now()));
        let answers = line.answers(|answer, arrived| {
            let Some((mut reading, sent)) = busy.get_mut(answer.slot()).and_then(Option::take)
            else {
                return;
            };
            let ended =
                take(answer, arrived, sent, &mut reading, clock, *follow, &mut tally.borrow_mut());
            if !ended {
                idle.push_back(reading);
            }
        });
        or_due(answers, schedule).await
    }
}

/// Counts what an answer brought; true if the queue has nothing more to give.
fn take(
    answer: &Answer<'_>,
    arrived: Instant,
    sent: Instant,
    reading: &mut Reading,
    clock: &Clock,
    follow: bool,
    tally: &mut Tally,
) -> bool {
    let moved = answer.number("nextBeginOffset").and_then(|offset| u64::try_from(offset).ok());
    let measured =
        arrived >= clock.measure_from && clock.measure_until.is_none_or(|until| arrived <= until);
    match ResponseCode::from_i32(answer.code) {
        Some(ResponseCode::Success) => {
            let now = if follow { moment::now() } else { 0 };
            let (messages, bytes) = walk(answer.body, |record| {
                if follow && measured {
                    let born = moment::read(record.body())
                        .unwrap_or_else(|| i128::from(record.born_timestamp().0) * 1_000_000);
                    let micros = (now - born) / 1000;
                    tally.end_to_end.saturating_record(u64::try_from(micros).unwrap_or(0).max(1));
                }
            });
            let next = moved.unwrap_or(reading.offset + messages);
            if measured {
                tally.gone_over += next.saturating_sub(reading.offset);
                tally.messages += messages;
                tally.bytes += bytes;
                let micros = arrived.duration_since(sent).as_micros().max(1) as u64;
                tally.latency.saturating_record(micros);
                clock.left.set(clock.left.get().saturating_sub(messages));
                clock.last_answer.set(arrived);
            }
            reading.offset = next;
            false
        }
        Some(ResponseCode::PullRetryImmediately | ResponseCode::PullOffsetMoved) => {
            let next = moved.unwrap_or(reading.offset);
            if measured {
                tally.gone_over += next.saturating_sub(reading.offset);
                clock.last_answer.set(arrived);
            }
            reading.offset = next;
            false
        }
        Some(ResponseCode::PullNotFound) => !follow,
        _ => {
            tally.error(answer.code, 1, || remark(answer));
            true
        }
    }
}

/// Messages and their bytes in a pull's body.
fn walk(mut body: &[u8], mut see: impl FnMut(&Record<'_>)) -> (u64, u64) {
    let (mut messages, mut bytes) = (0, 0);
    while let Ok(Peek::Message { size }) = next(body) {
        let Some((message, rest)) = body.split_at_checked(size) else { break };
        if let Ok(record) = Record::parse(message) {
            see(&record);
        }
        messages += 1;
        bytes += size as u64;
        body = rest;
    }
    (messages, bytes)
}
