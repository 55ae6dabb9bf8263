//! `skua doctor`: looks at a cluster from outside and says what is wrong and what to do.
//!
//! [`gather`] collects [`facts`]; [`rules`] judge them and know neither sockets nor clocks.

mod facts;
mod gather;
mod rules;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde::Serialize;

use crate::client::split_addresses;
use rules::{Bounds, Finding, Level};

/// Look at a cluster from outside: what is wrong, and what to do.
///
/// Exit status: 0 nothing to do (notes may be printed), 1 something is wrong, 2 wrong usage.
#[derive(Debug, Parser)]
pub struct Args {
    /// Name servers, `host:port` separated by `;`: all of them, so that they can be compared.
    #[arg(
        short = 'n',
        long = "namesrvAddr",
        alias = "namesrv",
        env = "NAMESRV_ADDR",
        default_value = "127.0.0.1:9876"
    )]
    namesrv: String,
    /// A broker.conf to check as well, as the broker would at its start; may be given again.
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Print findings as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Longest wait for one answer, in seconds.
    #[arg(long, default_value = "3", value_parser = crate::mqadmin::defaults::seconds_or_why)]
    timeout: Duration,
    /// Messages that a subscription group may have before it.
    #[arg(long, value_name = "MESSAGES", default_value_t = Bounds::default().lag_messages)]
    lag_max: i64,
    /// How far, in milliseconds, a broker's clock may be from this machine's.
    #[arg(long, value_name = "MS", default_value_t = Bounds::default().clock_ms)]
    clock_max: i64,
    /// Only look at the files of -c, ask no server.
    #[arg(long, requires = "config")]
    offline: bool,
}

/// What is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    healthy: bool,
    name_servers: usize,
    brokers: usize,
    findings: &'a [Finding],
}

pub fn run(args: &Args) -> ExitCode {
    let asked = match args.offline {
        true => Vec::new(),
        false => split_addresses(&args.namesrv),
    };
    if asked.is_empty() && !args.offline {
        return crate::fail("doctor", "no name server address: give -n HOST:PORT", 2);
    }
    let collected = crate::block_on(async {
        Ok::<_, crate::failure::Failure>(gather::facts(asked, &args.config, args.timeout).await)
    });
    let facts = match collected {
        Ok(facts) => facts,
        Err(failure) => return crate::fail("doctor", &failure.to_string(), 1),
    };
    let bounds = Bounds { lag_messages: args.lag_max, clock_ms: args.clock_max };
    let findings = rules::examine(&facts, &bounds);
    let healthy = findings.iter().all(|finding| finding.level == Level::Note);
    let report = Report {
        healthy,
        name_servers: facts.name_servers.len(),
        brokers: facts.brokers.len(),
        findings: &findings,
    };
    let text = match args.json {
        true => serde_json::to_string(&report).map(|text| text + "\n"),
        false => Ok(text(&report)),
    };
    match text {
        Ok(text) => {
            crate::say(&text);
            ExitCode::from(u8::from(!healthy))
        }
        Err(cause) => crate::fail("doctor", &format!("cannot write the answer: {cause}"), 1),
    }
}

fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    for finding in report.findings {
        let Finding { level, code, of, what, advice } = finding;
        text.push_str(&format!("{level:<8} {code}  {of}: {what}\n         → {advice}\n"));
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (servers, brokers) = (report.name_servers, report.brokers);
    let looked = format!(
        "{servers} name server{} and {brokers} broker{} looked at",
        plural(servers),
        plural(brokers)
    );
    let count = report.findings.iter().filter(|finding| finding.level != Level::Note).count();
    text.push_str(&match count {
        0 => format!("{looked}: nothing to do.\n"),
        count => format!("{looked}: {count} thing{} to look after.\n", plural(count)),
    });
    text
}
