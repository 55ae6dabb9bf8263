//! `skua raft`: a group that elects its master, as it stands, and changes of it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Subcommand;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use skua_protocol::Command;
use skua_protocol::request::RaftControl;

use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::failure::{Failure, Role};

/// A new member is filled before it votes.
const ADD: Duration = Duration::from_secs(620);
/// How long the leader may be behind the first member that answers.
const GRACE: Duration = Duration::from_secs(1);

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
            crate::say(&format!("{status}\n"));
            ExitCode::SUCCESS
        }
        Ok(status) => {
            crate::say(&text(&status));
            ExitCode::SUCCESS
        }
        Err(failure) => crate::fail("raft", &failure.to_string(), failure.exit_status()),
    }
}

async fn ask(what: &What, place: &Place) -> Result<Value, Failure> {
    let cluster = Cluster::new(split_addresses(&place.namesrv), CALL_TIMEOUT);
    let addrs: Vec<String> = match (&place.address_of_broker, &place.broker) {
        (Some(addr), _) => vec![addr.clone()],
        (None, Some(name)) => {
            let info = cluster.info().await?;
            let data = info.broker_addr_table.get(name.as_str());
            let addrs = data.map(|data| data.broker_addrs.values().map(|a| a.to_string()));
            addrs
                .ok_or_else(|| Failure::other(format!("broker {name} is not registered")))?
                .collect()
        }
        (None, None) => return Err(Failure::other("which broker? give -b NAME or -a HOST:PORT")),
    };
    let (action, id, address, limit) = match what {
        What::Status(_) => return Ok(look(&cluster, &addrs).await?.1),
        What::Transfer { member, .. } => ("transfer", Some(*member), None, CALL_TIMEOUT * 3),
        What::Add { member, address, .. } => ("add", Some(*member), Some(address), ADD),
        What::Remove { member, .. } => ("remove", Some(*member), None, CALL_TIMEOUT * 3),
    };
    let (addr, status) = look(&cluster, &addrs).await?;
    if !leads(&status) && place.address_of_broker.is_none() {
        let member = |id: &Value| id.as_str().unwrap_or("nobody").to_owned();
        return Err(Failure::other(format!(
            "no member that leads has answered: {} at {addr} says that {} leads; nothing was changed",
            member(&status["id"]),
            member(&status["leader"])
        )));
    }
    let address = address.map(|address| address.as_str().into());
    control(&cluster, &addr, RaftControl { action: action.into(), id, address }, limit).await
}

async fn control(
    cluster: &Cluster,
    addr: &str,
    header: RaftControl,
    limit: Duration,
) -> Result<Value, Failure> {
    let answer = cluster.call_within(addr, Command::request(&header), limit).await?;
    answer.accepted(Role::Broker)?.json()
}

fn leads(status: &Value) -> bool {
    status["role"] == "leader"
}

/// Which of `addrs` leads, and how the group stands as it sees it; another's view if the leader
/// does not answer. A member that is frozen takes connections and answers nothing.
async fn look(cluster: &Cluster, addrs: &[String]) -> Result<(String, Value), Failure> {
    let mut asked: FuturesUnordered<_> = addrs
        .iter()
        .map(|addr| async move {
            let header = RaftControl { action: "status".into(), id: None, address: None };
            (addr, control(cluster, addr, header, CALL_TIMEOUT).await)
        })
        .collect();
    let (mut best, mut failed) = (None::<(String, Value)>, None);
    let mut until = Instant::now() + CALL_TIMEOUT;
    // The calls have their own limit.
    while let Ok(Some((addr, answer))) = tokio::time::timeout_at(until.into(), asked.next()).await {
        match answer {
            Ok(status) => {
                let rank = |status: &Value| (status["term"].as_u64(), leads(status));
                if best.as_ref().is_none_or(|(_, known)| rank(known) < rank(&status)) {
                    best = Some((addr.clone(), status));
                }
                until = until.min(Instant::now() + GRACE);
            }
            Err(failure) => failed = Some(failure),
        }
        if best.as_ref().is_some_and(|(_, status)| leads(status)) {
            break;
        }
    }
    let nobody = || Failure::other(format!("no answer from {}", addrs.join(" or ")));
    best.ok_or_else(|| failed.unwrap_or_else(nobody))
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use serde_json::json;
    use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
    use skua_protocol::{Millis, RequestCode};
    use skua_remoting::{BindOptions, Listener, Server, ServerOptions};

    use super::*;

    /// A member that answers this to everything.
    struct Member(Value);

    impl Service for Member {
        fn serve(self: Arc<Self>, _: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
            assert_eq!(request.code, RequestCode::RaftControl as i32);
            Outcome::Reply(Command::success().with_body(self.0.to_string()))
        }

        fn closed(&self, _: ConnectionId, _: Millis) {}
    }

    fn member(status: Value) -> (Server, String) {
        let listener = Listener::bind("127.0.0.1", 0, &BindOptions::default()).expect("a port");
        let server = Server::start(listener, Arc::new(Member(status)), ServerOptions::default());
        let server = server.expect("a bound socket");
        let addr = server.local_addr().to_string();
        (server, addr)
    }

    #[tokio::test]
    async fn a_frozen_leader_is_not_waited_for_when_another_member_answers() {
        // The system takes the connection, and nobody reads from it.
        let frozen = TcpListener::bind("127.0.0.1:0").expect("a port");
        let frozen = (frozen.local_addr().expect("bound").to_string(), frozen);
        let (_old, old) = member(json!({"role": "follower", "term": 3, "id": "n2"}));
        let (_one, one) = member(json!({"role": "follower", "term": 4, "id": "n1"}));
        let cluster = Cluster::new(Vec::new(), CALL_TIMEOUT);
        let begun = Instant::now();
        let addrs = [frozen.0.clone(), old.clone(), one.clone()];
        let (addr, status) = look(&cluster, &addrs).await.expect("an answer");
        assert_eq!((addr, &status["id"]), (one.clone(), &json!("n1")), "the latest term counts");
        assert!(begun.elapsed() < CALL_TIMEOUT, "{:?}", begun.elapsed());

        let (_leader, leader) = member(json!({"role": "leader", "term": 4, "id": "n3"}));
        let addrs = [frozen.0.clone(), one, leader.clone()];
        assert_eq!(look(&cluster, &addrs).await.expect("an answer").0, leader);

        let failure = look(&cluster, &["127.0.0.1:1".to_owned()]).await.expect_err("nobody");
        assert!(failure.to_string().contains("cannot connect to 127.0.0.1:1"), "{failure}");
    }
}
