//! Copies: masters that promise two and have one, slaves that lag or hang in the air, Raft groups
//! that survive nothing.

use skua_protocol::body::HaRuntimeInfo;

use super::{Finding, Level, Tell, mebibytes};
use crate::doctor::facts::{Answer, Broker, Facts};

/// What a slave may lack in passing.
const LAG_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

pub(super) fn examine(facts: &Facts, out: &mut Vec<Finding>) {
    for broker in &facts.brokers {
        let Ok(answer) = &broker.answer else { continue };
        raft_peers(broker, answer, out);
        match &answer.ha {
            Some(ha) if broker.is_master() && ha.master => master(facts, broker, answer, ha, out),
            Some(ha) if !broker.is_master() && !ha.master => slave(broker, ha, out),
            _ => {}
        }
    }
}

fn is(answer: &Answer, key: &str, value: &str) -> bool {
    answer.setting(key).is_some_and(|given| given.eq_ignore_ascii_case(value))
}

fn master(
    facts: &Facts,
    broker: &Broker,
    answer: &Answer,
    ha: &HaRuntimeInfo,
    out: &mut Vec<Finding>,
) {
    let key = &broker.key;
    let in_sync = ha.ha_connection_info.iter().filter(|slave| slave.in_sync).count();
    if is(answer, "brokerRole", "SYNC_MASTER") && in_sync == 0 {
        let what = match ha.ha_connection_info.len() {
            0 => "brokerRole=SYNC_MASTER promises two copies, but no slave follows".to_owned(),
            some => format!(
                "brokerRole=SYNC_MASTER promises two copies, but of {some} slaves none is in sync"
            ),
        };
        let advice = "start a slave (same brokerName, brokerId above 0, brokerRole=SLAVE), or set brokerRole=ASYNC_MASTER knowingly; sends are answered SLAVE_NOT_AVAILABLE meanwhile (a Java broker answers SEND_OK with one copy)";
        out.tell(Level::Critical, "master-without-slave", key, what, advice);
    }
    let gap_max = answer.setting("haMaxGapNotInSync").and_then(|gap| gap.parse().ok());
    let gap_max: f64 = gap_max.unwrap_or(256.0 * 1024.0 * 1024.0);
    for slave in &ha.ha_connection_info {
        let behind = slave.diff as f64;
        if behind > gap_max {
            let what = format!(
                "slave {} lacks {}, more than haMaxGapNotInSync allows: it does not count as a copy",
                slave.addr,
                mebibytes(behind)
            );
            let advice =
                "look at the slave's disk and the link; it catches up by itself if they allow";
            out.tell(Level::Critical, "replication-lag", key, what, advice);
        } else if behind > LAG_BYTES {
            let what = format!("slave {} lacks {}", slave.addr, mebibytes(behind));
            let advice = "look at the slave's disk and the link if it does not shrink";
            out.tell(Level::Warning, "replication-lag", key, what, advice);
        }
    }
    let registered = facts
        .brokers
        .iter()
        .filter(|other| other.key.name == key.name && other.key.cluster == key.cluster)
        .filter(|other| !other.is_master())
        .count();
    if registered > ha.ha_connection_info.len() {
        let what = format!(
            "{registered} slaves are registered, {} follow the master",
            ha.ha_connection_info.len()
        );
        let advice = "look at the slaves' logs: wrong haMasterAddress, a closed haListenPort, or a log that is another";
        out.tell(Level::Warning, "slave-not-following", key, what, advice);
    }
}

fn slave(broker: &Broker, ha: &HaRuntimeInfo, out: &mut Vec<Finding>) {
    let slave = &ha.ha_client_runtime_info;
    if slave.master_addr.as_deref().unwrap_or_default().is_empty() {
        let what = "it knows no master to follow";
        let advice =
            "its master must be registered under the same brokerName, or haMasterAddress be set";
        out.tell(Level::Warning, "slave-not-following", &broker.key, what, advice);
    }
}

fn raft_peers(broker: &Broker, answer: &Answer, out: &mut Vec<Finding>) {
    let named = |enable, peers| {
        is(answer, enable, "true")
            .then(|| answer.setting(peers))
            .flatten()
            .map(|list| (peers, list))
    };
    let groups = [
        named("enableDLegerCommitLog", "dLegerPeers"),
        named("enableControllerMode", "controllerDLegerPeers"),
    ];
    for (peers, list) in groups.into_iter().flatten() {
        let count = list.split(';').filter(|peer| !peer.trim().is_empty()).count();
        if count == 2 || (count == 1 && peers == "dLegerPeers") {
            let what =
                format!("{peers} lists {count}: the group survives the loss of none of them");
            let advice = "list three peers; two must agree, so with two every loss stops writing";
            out.tell(Level::Critical, "raft-peers", &broker.key, what, advice);
        } else if count > 0 && count % 2 == 0 {
            let what =
                format!("{peers} lists {count}: no loss more is survived than with {}", count - 1);
            out.tell(Level::Note, "raft-peers", &broker.key, what, "use an odd number of peers");
        }
    }
}
