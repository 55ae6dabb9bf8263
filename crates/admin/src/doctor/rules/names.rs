//! Name servers: whether they answer and agree, and which topics a broker lacks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Level, Tell};
use crate::doctor::facts::{BrokerKey, Facts, Seen};

pub(super) fn examine(facts: &Facts, out: &mut Vec<Finding>) {
    dead(facts, out);
    disagreement(facts, out);
    missing_topics(facts, out);
}

fn dead(facts: &Facts, out: &mut Vec<Finding>) {
    let all = facts.name_servers.iter().all(|server| server.seen.is_err());
    for server in &facts.name_servers {
        if let Err(cause) = &server.seen {
            let level = if all { Level::Critical } else { Level::Warning };
            let advice = "start it, or take it out of the lists of clients and brokers";
            out.tell(level, "name-server-dead", &server.addr, cause, advice);
        }
    }
    let seen = facts.name_servers.iter().filter_map(|server| server.seen.as_ref().ok());
    if !all && seen.clone().all(|seen| seen.brokers.is_empty()) {
        let of = addresses(facts);
        let advice = "look whether brokers run and have these addresses in namesrvAddr";
        out.tell(Level::Critical, "no-broker", of, "no broker is registered", advice);
    }
}

fn addresses(facts: &Facts) -> String {
    let addrs: Vec<&str> = facts.name_servers.iter().map(|server| &*server.addr).collect();
    addrs.join(";")
}

/// Those that answered, compared with everything that any of them knows.
fn disagreement(facts: &Facts, out: &mut Vec<Finding>) {
    let seen: Vec<(&str, &Seen)> = facts
        .name_servers
        .iter()
        .filter_map(|server| Some((&*server.addr, server.seen.as_ref().ok()?)))
        .collect();
    let brokers: BTreeSet<&BrokerKey> =
        seen.iter().flat_map(|(_, seen)| seen.brokers.keys()).collect();
    for key in brokers {
        let told: BTreeMap<Option<&String>, Vec<&str>> =
            seen.iter().fold(BTreeMap::new(), |mut told, (addr, seen)| {
                told.entry(seen.brokers.get(key)).or_default().push(addr);
                told
            });
        if told.len() < 2 {
            continue;
        }
        let parts: Vec<String> = told
            .iter()
            .map(|(broker, servers)| match broker {
                Some(broker) => format!("{} say {broker}", servers.join(" and ")),
                None => format!("{} do not know it", servers.join(" and ")),
            })
            .collect();
        let advice = "namesrvAddr of every broker must list all name servers; clients are sent to different places meanwhile";
        out.tell(Level::Warning, "name-servers-disagree", key, parts.join("; "), advice);
    }
    let topics: BTreeSet<&String> = seen.iter().flat_map(|(_, seen)| &seen.topics).collect();
    for (addr, seen) in &seen {
        let lacking: Vec<&str> = topics
            .iter()
            .filter(|topic| !seen.topics.contains(**topic))
            .map(|topic| topic.as_str())
            .collect();
        if let Some(list) = first_few(&lacking) {
            let what = format!("it does not know topics that others know: {list}");
            let advice = "wait a registration period (30 s); if it stays, look at the log of the brokers for `not registered`";
            out.tell(Level::Warning, "name-servers-disagree", addr, what, advice);
        }
    }
}

/// Topics that some masters of a cluster have and others do not.
fn missing_topics(facts: &Facts, out: &mut Vec<Finding>) {
    let masters = facts.brokers.iter().filter(|broker| broker.is_master());
    let mut clusters: BTreeMap<&str, Vec<(&BrokerKey, &BTreeSet<String>)>> = BTreeMap::new();
    for broker in masters {
        if let Ok(answer) = &broker.answer {
            let members = clusters.entry(&broker.key.cluster).or_default();
            members.push((&broker.key, &answer.topics));
        }
    }
    for (cluster, members) in clusters {
        let all: BTreeSet<&String> = members.iter().flat_map(|(_, topics)| *topics).collect();
        for (key, topics) in &members {
            let lacking: Vec<&str> = all
                .iter()
                .filter(|topic| !topics.contains(**topic))
                .map(|topic| topic.as_str())
                .collect();
            if let Some(list) = first_few(&lacking) {
                let what = format!("it has no queues of topics that other masters have: {list}");
                let advice = format!(
                    "if they are to be everywhere: mqadmin updateTopic -c {cluster} -t TOPIC; else their load rests on the others"
                );
                out.tell(Level::Warning, "topic-missing", key, what, advice);
            }
        }
    }
}

/// At most five names and how many more there are.
fn first_few(names: &[&str]) -> Option<String> {
    let shown = names.get(..names.len().min(5)).filter(|shown| !shown.is_empty())?.join(", ");
    Some(match names.len() - names.len().min(5) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    })
}
