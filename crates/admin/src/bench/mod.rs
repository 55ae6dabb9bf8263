//! `skua bench`: how many messages a second, and how long each takes.
//!
//! The load comes from one thread, since it often shares a machine with the server: requests are
//! encoded once ([`frames`]), gathered into large writes ([`line`]), and answers are read no
//! further than their numbers.

mod args;
mod connect;
mod consume;
mod echo;
mod frames;
mod jobs;
mod line;
mod moment;
mod namesrv;
mod pop;
mod produce;
mod report;
mod schedule;
mod target;
mod transact;

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::client::{Cluster, route, split_addresses};
use crate::failure::Failure;
pub use args::{Args, What};
use args::{Common, Connect, Consume, Namesrv, Produce};
use line::LineError;
use report::Report;
use target::Target;

/// How long a run goes on.
#[derive(Clone, Debug)]
struct Pace {
    warm_up: Duration,
    /// Absent when a number of messages ends the run.
    duration: Option<Duration>,
    count: Option<u64>,
    /// Processes whose CPU time is reported.
    cpu_of: Vec<u32>,
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
    #[error("input cannot be read: {0}")]
    Input(std::io::Error),
    #[error("the report cannot be written: {0}")]
    Report(#[from] serde_json::Error),
    #[error("a connection's task ended early: {0}")]
    Task(String),
}

impl Common {
    fn pace(&self) -> Pace {
        Pace {
            warm_up: Duration::from_secs_f64(self.warm_up),
            duration: self.count.is_none().then(|| Duration::from_secs_f64(self.duration)),
            count: self.count,
            cpu_of: self.cpu_of.clone(),
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
        let topics: Vec<String> = match topics {
            1 => vec![self.topic.clone()],
            _ => (0..topics).map(|number| format!("{}{number}", self.topic)).collect(),
        };
        let (cluster, broker) = (self.cluster(), self.broker.as_deref());
        Target::find_all(&cluster, &topics, broker, self.queues, route::writable).await
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
        What::Connect(connect) => return ended(here(hold_connections(connect))),
        What::Namesrv(namesrv) => return ended(here(measure_namesrv(namesrv))),
    };
    ended(result.and_then(|report| {
        if json {
            print_json(&report)?;
        } else {
            crate::say(&report.to_string());
        }
        Ok(ExitCode::from(u8::from(report.messages == 0)))
    }))
}

fn ended(result: Result<ExitCode, BenchError>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(BenchError::Failure(failure)) => {
            crate::fail("bench", &failure.to_string(), failure.exit_status())
        }
        Err(cause) => crate::fail("bench", &cause.to_string(), 1),
    }
}

fn print_json(report: &impl Serialize) -> Result<(), BenchError> {
    crate::say(&format!("{}\n", serde_json::to_string(report)?));
    Ok(())
}

/// On this thread alone.
fn here<T>(work: impl Future<Output = Result<T, BenchError>>) -> Result<T, BenchError> {
    crate::block_on(tokio::task::LocalSet::new().run_until(work))
}

/// Nothing else is to be done meanwhile, so the thread may stand still.
fn wait_for_end_of_input() -> Result<(), BenchError> {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map_err(BenchError::Input)?;
    Ok(())
}

async fn hold_connections(args: &Connect) -> Result<ExitCode, BenchError> {
    let plan = connect::Plan {
        broker: args.broker.clone(),
        count: args.count,
        groups: args.groups,
        topic: args.topic.clone(),
        timeout: Duration::from_secs_f64(args.timeout),
    };
    let (connected, _streams) = connect::run(&plan).await?;
    print_json(&connected)?;
    wait_for_end_of_input()?;
    Ok(ExitCode::from(u8::from(connected.refused > 0)))
}

async fn measure_namesrv(args: &Namesrv) -> Result<ExitCode, BenchError> {
    let plan = namesrv::Plan {
        namesrv: args.namesrv.clone(),
        brokers: args.brokers,
        topics: args.topics,
        in_flight: args.in_flight,
        pace: Pace {
            warm_up: Duration::from_secs_f64(args.warm_up),
            duration: Some(Duration::from_secs_f64(args.duration)),
            count: None,
            cpu_of: Vec::new(),
        },
        timeout: Duration::from_secs_f64(args.timeout),
    };
    let (registered, _lines) = namesrv::register(&plan).await?;
    print_json(&registered)?;
    print_json(&namesrv::routes(&plan).await?)?;
    wait_for_end_of_input()?;
    Ok(ExitCode::SUCCESS)
}

async fn measure_produce(args: &Produce) -> Result<Report, BenchError> {
    let Produce { common, size, tag, properties, one_in, batch, topics, rate, transaction } = args;
    let targets = common.targets(*topics).await?;
    let plan = produce::Plan {
        in_flight: common.in_flight as usize,
        connections: common.connections(),
        size: *size as usize,
        codec: common.header.into(),
        tag: tag.clone(),
        properties: properties.clone(),
        one_in: *one_in,
        batch: *batch as usize,
        rate: *rate,
        pace: common.pace(),
        timeout: common.timeout(),
    };
    if *transaction {
        return transact::run(&targets, &plan).await;
    }
    produce::run(&targets, &plan).await
}

async fn measure_consume(args: &Consume) -> Result<Report, BenchError> {
    let Consume { common, batch, follow, tag, sql, pop, rate } = args;
    let (kind, expression) = sql.as_ref().map_or(("TAG", tag), |sql| ("SQL92", sql));
    let target = common.target(route::readable).await?;
    if *pop {
        let plan = pop::Plan {
            in_flight: common.in_flight as usize,
            connections: common.connections(),
            batch: *batch,
            codec: common.header.into(),
            pace: common.pace(),
            timeout: common.timeout(),
        };
        return pop::run(&target, &plan).await;
    }
    let plan = consume::Plan {
        in_flight: (common.in_flight as usize).min(target.queues.len()),
        connections: common.connections().min(target.queues.len()),
        batch: *batch,
        follow: *follow,
        filter: consume::Filter { kind, expression: expression.clone() },
        rate: *rate,
        codec: common.header.into(),
        pace: common.pace(),
        timeout: common.timeout(),
    };
    consume::run(&common.cluster(), &target, &plan).await
}
