//! Jobs of several requests: a place in flight sends the next as soon as the one before is answered,
//! and begins another job at the end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::frames::Answer;
use super::line::{Line, LineError};
use super::produce::remark;
use super::report::{Report, Setting, Tally, Watch};
use super::{BenchError, Pace};

/// How far a job is after an answer.
pub enum Step {
    /// More answers are to come.
    Going,
    /// Done, with so many messages and bytes.
    Done { messages: u64, bytes: u64 },
    /// There was nothing to do; this place need not try again.
    Nothing,
    /// Refused, with so many messages.
    Refused { messages: u64 },
}

/// What one connection does.
pub trait Jobs {
    /// Writes a job's first request.
    fn begin(&mut self, place: u32, out: &mut Vec<u8>);

    /// Takes an answer and writes what follows.
    fn answered(&mut self, place: u32, answer: &Answer<'_>, out: &mut Vec<u8>) -> Step;
}

struct Clock {
    measure_from: Instant,
    measure_until: Option<Instant>,
    /// Messages still to be done.
    left: Cell<u64>,
    /// Set by the first connection that fails, so that the others end too.
    broken: Cell<bool>,
    last_done: Cell<Instant>,
    /// Places that have nothing more to do.
    idle: Cell<usize>,
}

/// A connection, what it does, and how much of that at once.
pub struct Share<J> {
    pub line: Line,
    pub jobs: J,
    pub places: usize,
}

/// Does jobs on all connections; the report's rate is of what they did.
pub async fn run<J: Jobs + 'static>(
    shares: Vec<Share<J>>,
    pace: &Pace,
    what: &'static str,
    topic: String,
) -> Result<Report, BenchError> {
    let (report, _) = run_and_keep(shares, pace, what, topic).await?;
    Ok(report)
}

/// As [`run`]; the connections are given back.
pub async fn run_and_keep<J: Jobs + 'static>(
    shares: Vec<Share<J>>,
    pace: &Pace,
    what: &'static str,
    topic: String,
) -> Result<(Report, Vec<Line>), BenchError> {
    let in_flight = shares.iter().map(|share| share.places).sum();
    let connections = shares.len();
    let mut brokers: Vec<String> = shares.iter().map(|share| share.line.addr.clone()).collect();
    brokers.sort();
    brokers.dedup();
    let watch = Watch::start(&pace.cpu_of);
    let measure_from = Instant::now() + pace.warm_up;
    let clock = Rc::new(Clock {
        measure_from,
        measure_until: pace.duration.map(|duration| measure_from + duration),
        left: Cell::new(pace.count.unwrap_or(u64::MAX)),
        broken: Cell::new(false),
        last_done: Cell::new(measure_from),
        idle: Cell::new(0),
    });
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| tokio::task::spawn_local(drive(share, Rc::clone(&clock))))
        .collect();
    let mut tally = Tally::new();
    let mut unanswered = 0;
    let mut failed = None;
    let mut lines = Vec::with_capacity(connections);
    for task in tasks {
        let ended = task.await.map_err(|cause| BenchError::Task(cause.to_string()))?;
        tally.add(&ended.tally);
        unanswered += ended.unanswered;
        failed = failed.or(ended.failed);
        lines.push(ended.line);
    }
    if let Some(cause) = failed
        && tally.messages == 0
    {
        return Err(cause.into());
    }
    // Where all was done before the time was over, the last answer is the end.
    let exhausted = clock.idle.get() == in_flight;
    let last = clock.last_done.get();
    let until = clock.measure_until.filter(|_| !exhausted).unwrap_or(last);
    let setting = Setting { what, topic, brokers, in_flight, connections, watch, last };
    let measured = until.saturating_duration_since(measure_from);
    Ok((Report::new(setting, &tally, measured, unanswered), lines))
}

struct Ended {
    line: Line,
    tally: Tally,
    unanswered: u64,
    failed: Option<LineError>,
}

async fn drive<J: Jobs>(share: Share<J>, clock: Rc<Clock>) -> Ended {
    let Share { mut line, mut jobs, places } = share;
    let mut tally = Tally::new();
    let mut since = vec![clock.measure_from; places];
    let mut free: Vec<u32> = (0..places as u32).rev().collect();
    let mut idle = 0;
    let mut failed = None;
    loop {
        let now = Instant::now();
        let over = clock.broken.get()
            || clock.left.get() == 0
            || clock.measure_until.is_some_and(|until| now >= until);
        while !over && let Some(place) = free.pop() {
            since[place as usize] = now;
            jobs.begin(place, &mut line.output);
        }
        if free.len() + idle == places {
            break;
        }
        let mut next = Vec::new();
        let answers = async {
            line.flush()?;
            line.answers(|answer, arrived| {
                let place = answer.slot();
                let Some(&began) = since.get(place) else { return };
                let measured = arrived >= clock.measure_from
                    && clock.measure_until.is_none_or(|until| arrived <= until);
                match jobs.answered(place as u32, answer, &mut next) {
                    Step::Going => return,
                    Step::Done { messages, bytes } if measured => {
                        clock.last_done.set(arrived);
                        clock.left.set(clock.left.get().saturating_sub(messages));
                        tally.messages += messages;
                        tally.bytes += bytes;
                        let micros = arrived.duration_since(began).as_micros().max(1) as u64;
                        tally.latency.saturating_record(micros);
                    }
                    Step::Refused { messages } if measured => {
                        tally.error(answer.code, messages, || remark(answer));
                    }
                    Step::Nothing => {
                        idle += 1;
                        clock.idle.set(clock.idle.get() + 1);
                        return;
                    }
                    Step::Done { .. } | Step::Refused { .. } => {}
                }
                free.push(place as u32);
            })
            .await
        };
        if let Err(cause) = answers.await {
            clock.broken.set(true);
            failed = Some(cause);
            break;
        }
        line.output.append(&mut next);
    }
    let unanswered = (places - free.len() - idle) as u64;
    Ended { line, tally, unanswered, failed }
}
