//! `skua bench produce`: a fixed number of sends in flight; each place is taken again as soon as
//! its send is answered.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use skua_protocol::Command;
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::command::HeaderCodec;
use skua_protocol::header::Fields;

use super::frames::{self, Answer, Template};
use super::line::{Line, LineError, WRITE_LEN};
use super::moment;
use super::report::{Report, Setting, Tally, Watch};
use super::schedule::{Schedule, or_due};
use super::target::Target;
use super::{BenchError, Pace};
use crate::client::route::Queue;

/// Replaced by the moment of sending.
const BORN_MARK: &str = "1699999999999";
/// Replaced by moment and number; what stands before it in a unique id stays.
const UNIQUE_MARK: &str = "FEDCBA987654";
/// The same in the messages of a batch, ended by the message's number in four hex digits.
const INNER_MARK: &str = "FEDCBA98";

#[derive(Clone, Debug)]
pub struct Plan {
    pub in_flight: usize,
    pub connections: usize,
    /// Bytes of a message's body.
    pub size: usize,
    pub codec: HeaderCodec,
    pub tag: Option<String>,
    /// Properties for each message, names and values.
    pub properties: Vec<(String, String)>,
    /// Of so many messages of a queue one has tag and properties, the others have none.
    pub one_in: u32,
    /// Messages of a request.
    pub batch: usize,
    /// Requests a second of all connections, if they are sent by the clock.
    pub rate: Option<u32>,
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

pub async fn run(targets: &[Target], plan: &Plan) -> Result<Report, BenchError> {
    let mut senders = Vec::with_capacity(plan.connections);
    let body = payload(plan.size);
    let brokers: BTreeSet<&String> = targets.iter().flat_map(|target| &target.brokers).collect();
    let brokers: Vec<&String> = brokers.into_iter().collect();
    for index in 0..plan.connections {
        let addr = brokers[index % brokers.len()];
        let places = plan.in_flight / plan.connections
            + usize::from(index < plan.in_flight % plan.connections);
        let templates = targets
            .iter()
            .flat_map(|target| target.queues.iter().map(|queue| (&target.topic, queue)))
            .filter(|(_, queue)| &queue.addr == addr)
            .map(|(topic, queue)| {
                Ok(Templates {
                    marked: template(topic, queue, plan, &body, true)?,
                    plain: (plan.one_in > 1)
                        .then(|| template(topic, queue, plan, &body, false))
                        .transpose()?,
                })
            })
            .collect::<Result<Vec<_>, BenchError>>()?;
        senders.push((Line::connect(addr, plan.timeout).await?, templates, places, index));
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
    let mut tasks = Vec::with_capacity(plan.connections);
    for (line, templates, places, index) in senders {
        let schedule = plan
            .rate
            .map(|rate| Schedule::new(start, rate, index, plan.connections))
            .transpose()
            .map_err(BenchError::Timer)?;
        let sender = Sender {
            line,
            templates,
            next_queue: index,
            one_in: plan.one_in as usize,
            sent_at: vec![start; places],
            free: (0..places as u32).rev().collect(),
            schedule,
            messages: plan.batch as u64,
            size: plan.size as u64,
            tally: Tally::new(),
            clock: Rc::clone(&clock),
            count: (index as u64) << 12,
        };
        tasks.push(tokio::task::spawn_local(sender.drive()));
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
    let until = clock.measure_until.unwrap_or_else(|| clock.last_answer.get());
    let setting = Setting {
        what: "produce",
        topic: match targets {
            [only] => only.topic.clone(),
            several => format!("{} topics", several.len()),
        },
        brokers: brokers.into_iter().cloned().collect(),
        in_flight: plan.in_flight,
        connections: plan.connections,
        watch,
        last: clock.last_answer.get(),
    };
    Ok(Report::new(setting, &tally, until.saturating_duration_since(measure_from), unanswered))
}

/// A send of `body` to `queue`, with holes for birth, unique ids and the moment in each body.
fn template(
    topic: &str,
    queue: &Queue,
    plan: &Plan,
    body: &[u8],
    marked: bool,
) -> Result<Template, BenchError> {
    let properties = |unique_end: &str| {
        let unique =
            format!("7F000001{:04X}{:08X}{unique_end}", std::process::id() as u16, 0x5B0A_u32);
        let mut properties = format!("UNIQ_KEY\u{1}{unique}\u{2}WAIT\u{1}true\u{2}");
        if let Some(tag) = plan.tag.as_ref().filter(|_| marked) {
            properties.push_str(&format!("TAGS\u{1}{tag}\u{2}"));
        }
        for (name, value) in plan.properties.iter().filter(|_| marked) {
            properties.push_str(&format!("{name}\u{1}{value}\u{2}"));
        }
        properties
    };
    let queue_id = queue.id.to_string();
    let several = plan.batch > 1;
    let outer = if several { String::new() } else { properties(UNIQUE_MARK) };
    let fields: Fields = [
        ("a", "skua_bench"),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "8"),
        ("e", &queue_id),
        ("f", "0"),
        ("g", BORN_MARK),
        ("h", "0"),
        ("i", &outer),
        ("j", "0"),
        ("k", "false"),
        ("m", if several { "true" } else { "false" }),
        ("n", &queue.broker_name),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .collect();
    let mut marks = vec![BORN_MARK.to_owned()];
    let (code, body) = if several {
        let mut encoded = Vec::new();
        for number in 0..plan.batch {
            let unique_end = format!("{INNER_MARK}{number:04X}");
            // RocketMQ's MessageDecoder: length, magic, CRC, flag, body, properties.
            let properties = properties(&unique_end);
            marks.push(unique_end);
            let len = 4 * 5 + body.len() + 2 + properties.len();
            encoded.extend_from_slice(&(len as u32).to_be_bytes());
            encoded.extend_from_slice(&[0; 12]);
            encoded.extend_from_slice(&(body.len() as u32).to_be_bytes());
            encoded.extend_from_slice(body);
            encoded.extend_from_slice(&(properties.len() as u16).to_be_bytes());
            encoded.extend_from_slice(properties.as_bytes());
        }
        (RequestCode::SendBatchMessage, encoded)
    } else {
        marks.push(UNIQUE_MARK.to_owned());
        if body.starts_with(moment::MARK.as_bytes()) {
            marks.push(moment::MARK.to_owned());
        }
        (RequestCode::SendMessageV2, body.to_vec())
    };
    let mut request = Command::raw_request(code, fields);
    request.codec = plan.codec;
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    Ok(Template::new(request.with_body(body), &marks)?)
}

/// Printable bytes that do not repeat early; larger ones begin with the place of a moment.
pub fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut body: Vec<u8> = (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b' ' + (state % 95) as u8
        })
        .collect();
    if let Some(start) = body.get_mut(..moment::MARK.len()) {
        start.copy_from_slice(moment::MARK.as_bytes());
    }
    body
}

/// The requests for one queue.
struct Templates {
    marked: Template,
    /// Without tag and properties, where not all messages have them.
    plain: Option<Template>,
}

struct Sender {
    line: Line,
    templates: Vec<Templates>,
    next_queue: usize,
    one_in: usize,
    /// By place in flight: when its request was handed over.
    sent_at: Vec<Instant>,
    free: Vec<u32>,
    schedule: Option<Schedule>,
    /// Messages of a request, and bytes of each.
    messages: u64,
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
                Ok(false) if self.free.len() == self.sent_at.len() => break,
                Ok(_) => self.receive().await,
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

    /// Takes every free place, as far as requests are due; false if the time is over.
    fn fill(&mut self) -> Result<bool, LineError> {
        let now = Instant::now();
        let clock = &self.clock;
        if clock.broken.get() || clock.measure_until.is_some_and(|until| now >= until) {
            return Ok(false);
        }
        let wall = moment::now();
        let millis = (wall / 1_000_000) as u64;
        let mut born = [0; BORN_MARK.len()];
        frames::digits(millis, &mut born);
        let mut moment = [0; moment::MARK.len()];
        let warming = now < clock.measure_from;
        let mut unique = [0; UNIQUE_MARK.len()];
        let mut inner = vec![[0; UNIQUE_MARK.len()]; self.messages as usize];
        while !self.free.is_empty() && self.line.output.len() < WRITE_LEN {
            if !warming {
                if clock.left.get() == 0 {
                    return self.line.flush().map(|()| false);
                }
                clock.left.set(clock.left.get().saturating_sub(self.messages));
            }
            let due = match &mut self.schedule {
                None => now,
                Some(schedule) => match schedule.take(now) {
                    Some(due) => due,
                    None => break,
                },
            };
            let Some(place) = self.free.pop() else { break };
            let queues = self.templates.len();
            let templates = &self.templates[self.next_queue % queues];
            let round = self.next_queue / queues;
            let template = match &templates.plain {
                Some(plain) if !round.is_multiple_of(self.one_in) => plain,
                _ => &templates.marked,
            };
            self.next_queue += 1;
            // Milliseconds within the month and a counter, as in Java's unique ids.
            let mut next_unique = || {
                self.count += 1;
                (millis % 2_678_400_000) << 16 | self.count & 0xffff
            };
            if self.messages == 1 {
                frames::hex(next_unique(), &mut unique);
                moment::write(wall - now.duration_since(due).as_nanos() as i128, &mut moment);
                template.write(place, &[&born, &unique, &moment], &mut self.line.output);
            } else {
                for text in &mut inner {
                    frames::hex(next_unique(), text);
                }
                let fill: Vec<&[u8]> =
                    [&born[..]].into_iter().chain(inner.iter().map(|text| &text[..])).collect();
                template.write(place, &fill, &mut self.line.output);
            }
            self.sent_at[place as usize] = due;
        }
        self.line.flush().map(|()| true)
    }

    async fn receive(&mut self) -> Result<(), LineError> {
        let Self { line, tally, sent_at, free, clock, size, messages, schedule, .. } = self;
        let over = clock.broken.get() || clock.measure_until.is_some_and(|at| Instant::now() >= at);
        // Without a free place, or after the end, only answers are waited for.
        let schedule = schedule.as_ref().filter(|_| !free.is_empty() && !over);
        let answers = line.answers(|answer, arrived| {
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
                tally.messages += *messages;
                tally.bytes += *size * *messages;
                let micros = arrived.duration_since(sent).as_micros().max(1) as u64;
                tally.latency.saturating_record(micros);
            } else {
                tally.error(answer.code, *messages, || remark(answer));
            }
        });
        or_due(answers, schedule).await
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
