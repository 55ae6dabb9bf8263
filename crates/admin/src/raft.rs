//! `skua raft`: a group that elects its master, as it stands, and changes of it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use skua_protocol::Command;
use skua_protocol::request::RaftControl;

use crate::client::route::any_addr;
use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::failure::{Failure, Role};

/// A new member is filled before it votes.
const ADD: Duration = Duration::from_secs(620);

#[derive(Debug, Subcommand)]
pub enum What {
    /// Terms, leader, and how far each member is
    Status(Place),
    /// Another member leads from now on; no send fails
    Transfer {
        #[command(flatten)]
        place: Place,
        /// The member, as n1
        #[arg(value_parser = number)]
        member: i64,
    },
    /// A new member: it is filled first, then votes
    Add {
        #[command(flatten)]
        place: Place,
        /// The member, as n3
        #[arg(value_parser = number)]
        member: i64,
        /// host:port of its peer port
        address: String,
    },
    /// A member leaves the group for good
    Remove {
        #[command(flatten)]
        place: Place,
        /// The member, as n2
        #[arg(value_parser = number)]
        member: i64,
    },
}

#[derive(Debug, clap::Args)]
pub struct Place {
    /// Name servers, `host:port` separated by `;`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    namesrv: String,
    /// Name of the brokers.
    #[arg(short, long)]
    broker: Option<String>,
    /// Address of one of them, in place of its name.
    #[arg(short, long)]
    address_of_broker: Option<String>,
    /// Print what the broker answers as JSON.
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('n').unwrap_or(text);
    digits.parse().map_err(|_| "not a member as n1".to_owned())
}

pub fn run(what: &What) -> ExitCode {
    let place = match what {
        What::Status(place)
        | What::Transfer { place, .. }
        | What::Add { place, .. }
        | What::Remove { place, .. } => place,
    };
    match crate::block_on(ask(what, place)) {
        Ok(status) if place.json => {
            println!("{status}");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            print!("{}", text(&status));
            ExitCode::SUCCESS
        }
        Err(failure) => crate::fail("raft", &failure.to_string(), failure.exit_status()),
    }
}

async fn ask(what: &What, place: &Place) -> Result<Value, Failure> {
    let cluster = Cluster::new(split_addresses(&place.namesrv), CALL_TIMEOUT);
    let addr = match (&place.address_of_broker, &place.broker) {
        (Some(addr), _) => addr.clone(),
        (None, Some(name)) => {
            let info = cluster.info().await?;
            let data = info.broker_addr_table.get(name.as_str());
            let addr = data.and_then(any_addr).map(str::to_owned);
            addr.ok_or_else(|| Failure::other(format!("broker {name} is not registered")))?
        }
        (None, None) => return Err(Failure::other("which broker? give -b NAME or -a HOST:PORT")),
    };
    let (action, id, address, limit) = match what {
        What::Status(_) => ("status", None, None, CALL_TIMEOUT),
        What::Transfer { member, .. } => ("transfer", Some(*member), None, CALL_TIMEOUT * 3),
        What::Add { member, address, .. } => ("add", Some(*member), Some(address), ADD),
        What::Remove { member, .. } => ("remove", Some(*member), None, CALL_TIMEOUT * 3),
    };
    let header = RaftControl {
        action: action.into(),
        id,
        address: address.map(|address| address.as_str().into()),
    };
    let answer = cluster.call_within(&addr, Command::request(&header), limit).await?;
    answer.accepted(Role::Broker)?.json()
}

fn text(status: &Value) -> String {
    let of = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let mut out = format!(
        "group {}  term {}  leader {}  confirmed offset {}  (as {} sees it, {})\n",
        of(&status["group"]),
        of(&status["term"]),
        of(&status["leader"]),
        of(&status["confirmedOffset"]),
        of(&status["id"]),
        of(&status["role"]),
    );
    out.push_str(&format!(
        "{:<8} {:<24} {:>6} {:>12} {:>12}  trouble\n",
        "member", "address", "votes", "heard ms", "lag bytes"
    ));
    for member in status["members"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "{:<8} {:<24} {:>6} {:>12} {:>12}  {}\n",
            of(&member["id"]),
            of(&member["address"]),
            of(&member["votes"]),
            of(&member["heardMillis"]),
            of(&member["lagBytes"]),
            of(&member["trouble"]),
        ));
    }
    if let Some(warning) = status["warning"].as_str() {
        out.push_str(&format!("warning: {warning}\n"));
    }
    out
}
