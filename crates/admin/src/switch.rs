//! `skua cluster switch`: moves a master's role to its slave while clients send.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde::Serialize;
use skua_protocol::Command;
use skua_protocol::request::{HandOver, HandOverResponse};

use crate::client::route::MASTER_ID;
use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::failure::{Failure, Role};

/// Beside the time for catching up: the longest that the two brokers may take.
const MOVE: Duration = Duration::from_secs(30);

/// Move a master's role to its slave; no send fails meanwhile.
#[derive(Debug, Parser)]
pub struct Args {
    /// Name servers, `host:port` separated by `;`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    namesrv: String,
    /// Name of the brokers.
    #[arg(short, long)]
    broker: String,
    /// Id of the slave that becomes master; needed if there are several.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    to: Option<i64>,
    /// Seconds that the slave may take to catch up before anything waits.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    catch_up: u16,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Moved {
    broker: String,
    from: String,
    to: String,
    /// The old master's broker id from now on.
    slave_id: i64,
    /// Where its log ended.
    offset: i64,
    /// How long requests waited.
    waited_millis: i64,
}

pub fn run(args: &Args) -> ExitCode {
    match crate::block_on(switch(args)) {
        Ok(moved) if args.json => match serde_json::to_string(&moved) {
            Ok(text) => {
                crate::say(&format!("{text}\n"));
                ExitCode::SUCCESS
            }
            Err(cause) => crate::fail("cluster switch", &cause.to_string(), 1),
        },
        Ok(Moved { broker, from, to, slave_id, waited_millis, .. }) => {
            crate::say(&format!(
                "{broker}: {to} is the master now, {from} its slave with broker id {slave_id}; \
                 requests waited {waited_millis} ms\n"
            ));
            ExitCode::SUCCESS
        }
        Err(failure) => crate::fail("cluster switch", &failure.to_string(), failure.exit_status()),
    }
}

async fn switch(args: &Args) -> Result<Moved, Failure> {
    let cluster = Cluster::new(split_addresses(&args.namesrv), CALL_TIMEOUT);
    let info = cluster.info().await?;
    let broker = &args.broker;
    let data = info.broker_addr_table.get(broker.as_str()).ok_or_else(|| {
        let known: Vec<&str> = info.broker_addr_table.keys().map(|name| &**name).collect();
        Failure::other(format!("broker {broker} is not registered (known: {})", known.join(", ")))
    })?;
    let mut slaves = data.broker_addrs.iter().filter(|(id, _)| **id != MASTER_ID);
    let slave = match args.to {
        Some(id) => slaves
            .find(|(known, _)| **known == id)
            .ok_or_else(|| Failure::other(format!("broker {broker} has no slave with id {id}")))?,
        None => match (slaves.next(), slaves.next()) {
            (Some(slave), None) => slave,
            (None, _) => return Err(Failure::other(format!("broker {broker} has no slave"))),
            (Some(_), Some(_)) => {
                let text = format!("broker {broker} has several slaves: say which with --to ID");
                return Err(Failure::other(text));
            }
        },
    };
    let master = data.broker_addrs.get(&MASTER_ID).ok_or_else(|| {
        Failure::other(format!(
            "broker {broker} has no master; a slave is made master by hand, by its configuration"
        ))
    })?;
    let catch_up = Duration::from_secs(args.catch_up.into());
    let request = Command::request(&HandOver {
        broker_id: *slave.0,
        slave_address: slave.1.as_str().into(),
        timeout_millis: i64::try_from(catch_up.as_millis()).ok(),
    });
    let answer = cluster.call_within(master, request, catch_up + MOVE).await?;
    let done: HandOverResponse = answer.accepted(Role::Broker)?.header()?;
    Ok(Moved {
        broker: broker.clone(),
        from: master.to_string(),
        to: done.master_address.to_string(),
        slave_id: *slave.0,
        offset: done.offset,
        waited_millis: done.waited_millis,
    })
}
