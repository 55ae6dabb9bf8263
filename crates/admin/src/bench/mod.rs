//! `skua bench`: how many messages a second, and how long each takes.
//!
//! The load comes from one thread, since it often shares a machine with the server: requests are
//! encoded once ([`frames`]), gathered into large writes ([`line`]), and answers are read no
//! further than their numbers.

mod consume;
mod echo;
mod frames;
mod line;
mod moment;
mod produce;
mod report;
mod schedule;
mod target;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use skua_protocol::command::HeaderCodec;

use crate::client::{Cluster, route, split_addresses};
use crate::failure::Failure;
use line::LineError;
use report::Report;
use target::Target;

/// Measure how fast a server takes or gives messages.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Send messages, a fixed number of them in flight.
    Produce(Produce),
    /// Fetch messages, from the beginning of each queue.
    Consume(Consume),
    /// Answer every request at once and do nothing else: the floor that servers are measured by.
    Echo(Echo),
}

#[derive(Debug, clap::Args)]
pub struct Echo {
    /// Where to listen; port 0 takes a free one. The address is printed.
    #[arg(short, long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Threads that answer.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
}

#[derive(Debug, clap::Args)]
pub struct Common {
    /// Name servers, `host:port` separated by `;`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    namesrv: String,
    /// A broker's address, to go without name servers.
    #[arg(short, long)]
    broker: Option<String>,
    /// The topic; made if it does not exist.
    #[arg(short, long, default_value = "SkuaBench")]
    topic: String,
    /// Queues of a topic that is made (with --broker also those that are used).
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=65535))]
    queues: i32,
    /// Requests under way at any time.
    #[arg(short = 'i', long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    /// Connections they are spread over [default: one for each 64 in flight].
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Option<u32>,
    /// Seconds measured, after the warm-up.
    #[arg(short, long, default_value_t = 10.0, value_parser = seconds)]
    duration: f64,
    /// Messages measured, in place of a duration.
    #[arg(long)]
    count: Option<u64>,
    /// Seconds before the measuring begins.
    #[arg(short, long, default_value_t = 2.0, value_parser = seconds)]
    warm_up: f64,
    /// Encoding of request headers.
    #[arg(long, value_enum, default_value_t = Header::Json)]
    header: Header,
    /// Seconds to wait for an answer before giving up.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    timeout: f64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Produce {
    #[command(flatten)]
    common: Common,
    /// Bytes of each message.
    #[arg(short, long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=4 * 1024 * 1024))]
    size: u32,
    /// A tag for each message.
    #[arg(long)]
    tag: Option<String>,
    /// Messages of each request; more than one are sent as a batch.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Topics to send to in turn: the topic's name and a number.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    topics: u32,
    /// Requests a second, sent by the clock whether or not earlier ones are answered; times are
    /// counted from when a request was due. Without it the next leaves when one is answered.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub struct Consume {
    #[command(flatten)]
    common: Common,
    /// Most messages asked for at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(i32).range(1..=1024))]
    batch: i32,
    /// Start at the end of each queue and wait for new messages.
    #[arg(short, long)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Header {
    Json,
    Binary,
}

impl From<Header> for HeaderCodec {
    fn from(header: Header) -> Self {
        match header {
            Header::Json => Self::Json,
            Header::Binary => Self::Binary,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds from 0 to 86400".to_owned()),
    }
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug)]
struct Pace {
    warm_up: Duration,
    /// Absent when a number of messages ends the run.
    duration: Option<Duration>,
    count: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Template(#[from] frames::TemplateError),
    #[error("no timer: {0}")]
    Timer(std::io::Error),
    #[error("a connection's task ended early: {0}")]
    Task(String),
}

impl Common {
    fn pace(&self) -> Pace {
        Pace {
            warm_up: Duration::from_secs_f64(self.warm_up),
            duration: self.count.is_none().then(|| Duration::from_secs_f64(self.duration)),
            count: self.count,
        }
    }

    fn connections(&self) -> usize {
        let wanted = self.connections.unwrap_or(self.in_flight.div_ceil(64));
        wanted.min(self.in_flight) as usize
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    fn cluster(&self) -> Cluster {
        Cluster::new(split_addresses(&self.namesrv), self.timeout())
    }

    /// One topic, or as many as asked for with numbers at the end of their names.
    async fn targets(&self, topics: u32) -> Result<Vec<Target>, Failure> {
        let mut targets = Vec::with_capacity(topics as usize);
        for number in 0..topics {
            let topic = match topics {
                1 => self.topic.clone(),
                _ => format!("{}{number}", self.topic),
            };
            let broker = self.broker.as_deref();
            let cluster = self.cluster();
            targets
                .push(Target::find(&cluster, &topic, broker, self.queues, route::writable).await?);
        }
        Ok(targets)
    }

    async fn target(&self, choose: route::Choose) -> Result<Target, Failure> {
        Target::find(&self.cluster(), &self.topic, self.broker.as_deref(), self.queues, choose)
            .await
    }
}

/// Runs the benchmark and prints its report.
pub fn run(args: &Args) -> ExitCode {
    let (json, result) = match &args.what {
        What::Produce(produce) => (produce.common.json, here(measure_produce(produce))),
        What::Consume(consume) => (consume.common.json, here(measure_consume(consume))),
        What::Echo(echo) => {
            let Err(cause) = echo::run(&echo.listen, echo.threads as usize);
            return crate::fail("bench", &format!("{}: {cause}", echo.listen), 1);
        }
    };
    match result {
        Ok(report) => {
            if json {
                match serde_json::to_string(&report) {
                    Ok(text) => println!("{text}"),
                    Err(cause) => return crate::fail("bench", &cause.to_string(), 1),
                }
            } else {
                print!("{report}");
            }
            ExitCode::from(u8::from(report.messages == 0))
        }
        Err(BenchError::Failure(failure)) => {
            crate::fail("bench", &failure.to_string(), failure.exit_status())
        }
        Err(cause) => crate::fail("bench", &cause.to_string(), 1),
    }
}

/// On this thread alone.
fn here(work: impl Future<Output = Result<Report, BenchError>>) -> Result<Report, BenchError> {
    crate::block_on(tokio::task::LocalSet::new().run_until(work))
}

async fn measure_produce(args: &Produce) -> Result<Report, BenchError> {
    let Produce { common, size, tag, batch, topics, rate } = args;
    let targets = common.targets(*topics).await?;
    let plan = produce::Plan {
        in_flight: common.in_flight as usize,
        connections: common.connections(),
        size: *size as usize,
        codec: common.header.into(),
        tag: tag.clone(),
        batch: *batch as usize,
        rate: *rate,
        pace: common.pace(),
        timeout: common.timeout(),
    };
    produce::run(&targets, &plan).await
}

async fn measure_consume(args: &Consume) -> Result<Report, BenchError> {
    let Consume { common, batch, follow } = args;
    let target = common.target(route::readable).await?;
    let plan = consume::Plan {
        in_flight: (common.in_flight as usize).min(target.queues.len()),
        connections: common.connections().min(target.queues.len()),
        batch: *batch,
        follow: *follow,
        codec: common.header.into(),
        pace: common.pace(),
        timeout: common.timeout(),
    };
    consume::run(&common.cluster(), &target, &plan).await
}
