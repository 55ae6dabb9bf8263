//! What the web console shows and does, as JSON: mqadmin's commands where there is one, and pages
//! and searches over them, so that ten thousand topics can be looked at.
//!
//! Everything blocks; the HTTP side calls it on threads that may wait.

mod messages;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use skua_protocol::body::SubscriptionGroupTable;
use skua_protocol::code::ResponseCode;
use skua_protocol::request::{GetAllSubscriptionGroupConfig, GetBrokerConfig};
use skua_remoting::ClientOptions;

use crate::client::{Cluster, route};
use crate::commands::topic::{DLQ_PREFIX, RETRY_PREFIX, all_topics};
use crate::failure::Failure;
use crate::mqadmin;

pub use messages::Wanted;

/// Rows of a page.
pub const PAGE: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(5);

/// One visitor's view of a cluster, called in the visitor's name.
pub struct Console {
    pub name_servers: Vec<String>,
    /// Signs as the visitor does; never as the process.
    pub options: ClientOptions,
}

/// Which topics a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    Retry,
    DeadLetters,
    All,
}

impl Kind {
    pub fn of(text: &str) -> Self {
        match text {
            "retry" => Self::Retry,
            "dlq" => Self::DeadLetters,
            "all" => Self::All,
            _ => Self::User,
        }
    }

    fn has(self, topic: &str) -> bool {
        let (retry, dlq) = (topic.starts_with(RETRY_PREFIX), topic.starts_with(DLQ_PREFIX));
        match self {
            Self::User => !retry && !dlq,
            Self::Retry => retry,
            Self::DeadLetters => dlq,
            Self::All => true,
        }
    }
}

impl Console {
    fn cluster(&self) -> Cluster {
        Cluster::with(self.options.clone(), self.name_servers.clone(), TIMEOUT)
    }

    fn command(&self, args: &[&str]) -> Result<Vec<Value>, Failure> {
        mqadmin::answer(args, self.cluster())
    }

    fn one(&self, args: &[&str]) -> Result<Value, Failure> {
        Ok(self.command(args)?.into_iter().next().unwrap_or(Value::Null))
    }

    /// Whether brokers know who is asking; name servers check nobody, so a broker decides.
    pub fn may_look(&self) -> Result<(), Failure> {
        crate::block_on(async {
            let cluster = self.cluster();
            let info = cluster.info().await?;
            let mut failed = Failure::other("no broker is registered that could be asked");
            for addr in info.broker_addr_table.values().filter_map(route::any_addr) {
                match cluster.broker(addr, &GetBrokerConfig {}).await {
                    Ok(_) => return Ok(()),
                    Err(refused @ Failure::Refused { .. }) => return Err(refused),
                    Err(failure) => failed = failure,
                }
            }
            Err(failed)
        })
    }

    pub fn clusters(&self) -> Result<Value, Failure> {
        self.one(&["clusterList"])
    }

    /// A visitor, or a page that made the visitor's browser ask, must not send this process to any
    /// address but a broker's.
    pub fn broker(&self, addr: &str) -> Result<Value, Failure> {
        let info = crate::block_on(async { self.cluster().info().await })?;
        route::broker_name_of(&info, addr)?;
        let status = self.one(&["brokerStatus", "-b", addr])?;
        let config = self.one(&["getBrokerConfig", "-b", addr])?;
        Ok(json!({ "status": status["table"], "config": config["properties"] }))
    }

    pub fn topics(&self, kind: Kind, search: &str, page: usize) -> Result<Value, Failure> {
        let mut topics = crate::block_on(async { all_topics(&self.cluster()).await })?;
        topics.retain(|topic| kind.has(topic) && found(topic, search));
        topics.sort();
        Ok(paged(&topics, page, |topic| json!(topic)))
    }

    pub fn topic(&self, name: &str) -> Result<Value, Failure> {
        let route = self.one(&["topicRoute", "-t", name])?;
        let status = self.one(&["topicStatus", "-t", name])?;
        Ok(json!({ "route": route, "status": status }))
    }

    /// Makes or changes a topic on every master of a cluster.
    pub fn make_topic(
        &self,
        name: &str,
        cluster: &str,
        queues: u32,
        perm: u32,
    ) -> Result<Value, Failure> {
        let (queues, perm) = (queues.to_string(), perm.to_string());
        let args =
            ["updateTopic", "-t", name, "-c", cluster, "-r", &queues, "-w", &queues, "-p", &perm];
        Ok(self.command(&args)?.into())
    }

    /// Groups that brokers have, each with its lag and its consumers.
    pub fn groups(&self, search: &str, page: usize) -> Result<Value, Failure> {
        let mut names: Vec<String> = self.group_names()?.into_iter().collect();
        names.retain(|name| found(name, search));
        Ok(paged(&names, page, |name| self.summary(name)))
    }

    fn group_names(&self) -> Result<BTreeSet<String>, Failure> {
        crate::block_on(async {
            let cluster = self.cluster();
            let mut names = BTreeSet::new();
            for broker in cluster.info().await?.broker_addr_table.values() {
                let Some(addr) = route::any_addr(broker) else { continue };
                let header = GetAllSubscriptionGroupConfig::default();
                let table: SubscriptionGroupTable = cluster.broker(addr, &header).await?.json()?;
                names.extend(table.subscription_group_table.into_keys());
            }
            Ok::<_, Failure>(names)
        })
    }

    /// A group that has never consumed has no progress, which is no failure.
    fn summary(&self, group: &str) -> Value {
        let progress = self.one(&["consumerProgress", "-g", group]).unwrap_or_default();
        let consumers = self.one(&["consumerConnection", "-g", group]).unwrap_or_default();
        json!({
            "group": group,
            "lag": progress["diffTotal"],
            "tps": progress["consumeTps"],
            "consumers": consumers["connectionSet"].as_array().map_or(0, Vec::len),
        })
    }

    pub fn group(&self, name: &str) -> Result<Value, Failure> {
        let progress = match self.one(&["consumerProgress", "-g", name]) {
            Err(failure) if failure.is_code(ResponseCode::TopicNotExist) => Value::Null,
            done => done?,
        };
        let consumers = self.one(&["consumerConnection", "-g", name]).unwrap_or_default();
        let config = self.command(&["getConsumerConfig", "-g", name])?;
        Ok(json!({ "progress": progress, "consumers": consumers, "config": config }))
    }

    /// Sets a group's offsets in a topic to a moment: `now`, milliseconds, or a date and time.
    pub fn reset_offset(&self, group: &str, topic: &str, time: &str) -> Result<Value, Failure> {
        let args = ["resetOffsetByTime", "-g", group, "-t", topic, "-s", time];
        Ok(self.command(&args)?.into())
    }

    pub fn messages(&self, topic: &str, wanted: &Wanted) -> Result<Value, Failure> {
        crate::block_on(async {
            Ok::<_, Failure>(messages::find(&self.cluster(), topic, wanted).await?.into())
        })
    }

    /// The last messages that a group gave up.
    pub fn dead_letters(&self, group: &str) -> Result<Value, Failure> {
        let topic = format!("{DLQ_PREFIX}{group}");
        crate::block_on(async {
            match messages::find(&self.cluster(), &topic, &Wanted::Latest).await {
                Err(failure) if failure.is_code(ResponseCode::TopicNotExist) => Ok(json!([])),
                found => Ok::<_, Failure>(found?.into()),
            }
        })
    }

    /// Gives a dead letter to its group once more; other groups of its topic do not see it.
    pub fn resend(
        &self,
        group: &str,
        broker: &str,
        queue: i32,
        offset: i64,
    ) -> Result<Value, Failure> {
        crate::block_on(messages::resend(&self.cluster(), group, broker, queue, offset))
    }
}

fn found(name: &str, search: &str) -> bool {
    search.split_whitespace().all(|word| name.to_lowercase().contains(&word.to_lowercase()))
}

/// The rows of one page, counted from 0, and how many there are in all.
fn paged(all: &[String], page: usize, row: impl Fn(&String) -> Value) -> Value {
    let first = page.saturating_mul(PAGE).min(all.len());
    let rows = &all[first..all.len().min(first + PAGE)];
    json!({
        "total": all.len(),
        "page": page,
        "pageSize": PAGE,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_their_rows_and_the_last_one_what_is_left() {
        let all: Vec<String> = (0..10_020).map(|number| format!("T{number}")).collect();
        let page = |number| paged(&all, number, |name| json!(name));
        assert_eq!(page(0)["rows"].as_array().map(Vec::len), Some(PAGE));
        assert_eq!(page(200)["rows"].as_array().map(Vec::len), Some(20));
        assert_eq!(page(201)["rows"].as_array().map(Vec::len), Some(0));
        assert_eq!((&page(3)["total"], &page(3)["rows"][0]), (&json!(10_020), &json!("T150")));
        assert_eq!(page(usize::MAX)["rows"], json!([]));
    }

    #[test]
    fn a_search_finds_all_its_words_in_either_case() {
        assert!(found("OrderPaid", "order") && found("OrderPaid", "paid ORDER"));
        assert!(!found("OrderPaid", "order refund") && found("x", ""));
    }

    #[test]
    fn kinds_are_told_by_the_prefix() {
        assert!(Kind::User.has("T") && !Kind::User.has("%DLQ%g") && !Kind::User.has("%RETRY%g"));
        assert!(Kind::DeadLetters.has("%DLQ%g") && Kind::Retry.has("%RETRY%g"));
        assert!(Kind::of("all").has("%RETRY%g") && Kind::of("") == Kind::User);
    }
}
