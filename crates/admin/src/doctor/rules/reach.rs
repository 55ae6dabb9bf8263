//! Whether clients get to brokers, whether brokers say they can work, and what time they have.

use std::net::{IpAddr, SocketAddr};

use super::{Bounds, Finding, Level, Tell};
use crate::doctor::facts::{Answer, Facts};

/// Beyond this a clock is wrong, not merely unsynchronised.
const CLOCK_BROKEN_MS: i64 = 60_000;

pub(super) fn examine(facts: &Facts, bounds: &Bounds, out: &mut Vec<Finding>) {
    let asked_from_afar = facts.name_servers.iter().any(|server| !is_loopback(&server.addr));
    for broker in &facts.brokers {
        let (key, addr) = (&broker.key, &broker.addr);
        if asked_from_afar && is_loopback(addr) {
            let what = format!("clients are sent to {addr}, which is only that machine itself");
            let advice = "set brokerIP1 to an address that clients can reach";
            out.tell(Level::Critical, "address-loopback", key, what, advice);
        }
        let answer = match &broker.answer {
            Ok(answer) => answer,
            Err(cause) => {
                let what = format!("clients are sent to {addr}, where nothing answers: {cause}");
                let advice = "if it runs, its advertised address is wrong for clients (brokerIP1, a firewall, a container's network); if it died, it leaves the name server within two minutes";
                out.tell(Level::Critical, "broker-unreachable", key, what, advice);
                continue;
            }
        };
        for reason in &answer.not_ready {
            let advice = "see docs/operations.md; the broker's log has the first occurrence";
            out.tell(Level::Critical, "not-ready", key, reason, advice);
        }
        if let Some(perm) = answer.setting("brokerPermission").filter(|perm| *perm != "6") {
            let advice =
                "mqadmin updateBrokerConfig -k brokerPermission -v 6, unless it is being drained";
            let what = format!("brokerPermission={perm} keeps clients from writing or reading");
            out.tell(Level::Note, "permission", key, what, advice);
        }
        if let Some(apart) = clock_apart(answer)
            && apart.abs() > bounds.clock_ms
        {
            let level =
                if apart.abs() > CLOCK_BROKEN_MS { Level::Critical } else { Level::Warning };
            let way = if apart > 0 { "ahead of" } else { "behind" };
            let seconds = apart.abs() as f64 / 1000.0;
            let what = format!("its clock is {seconds:.0} s {way} this machine's");
            let advice = "let NTP set the clocks: delayed messages, retention and searches by time depend on them";
            out.tell(level, "clock-apart", key, what, advice);
        }
    }
    masterless(facts, out);
}

/// Broker names of which only slaves are registered: nobody can send to them.
fn masterless(facts: &Facts, out: &mut Vec<Finding>) {
    for broker in &facts.brokers {
        let same = |other: &&crate::doctor::facts::Broker| {
            (&other.key.cluster, &other.key.name) == (&broker.key.cluster, &broker.key.name)
        };
        let mut members = facts.brokers.iter().filter(same);
        if members.all(|member| !member.is_master()) {
            let what = "no master is registered, only slaves: its queues take no messages";
            let advice = "start the master (brokerId=0), or make a slave the master";
            out.tell(Level::Critical, "no-master", &broker.key.name, what, advice);
        }
    }
}

/// Milliseconds by which the broker's clock is ahead. It tells when it started and for how long it
/// has run; the second is cut to whole seconds, hence the half added.
fn clock_apart(answer: &Answer) -> Option<i64> {
    let boot: i64 = answer.runtime.get("bootTimestamp")?.parse().ok()?;
    let running = running_ms(answer.runtime.get("runtime")?)?;
    Some(boot + running + 500 - answer.asked_at.0)
}

/// `[ 0 days, 0 hours, 2 minutes, 54 seconds ]`
fn running_ms(text: &str) -> Option<i64> {
    let numbers: Vec<i64> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [days, hours, minutes, seconds] = numbers[..] else { return None };
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}

fn is_loopback(addr: &str) -> bool {
    match addr.parse::<SocketAddr>() {
        Ok(addr) => addr.ip().is_loopback(),
        Err(_) => addr.rsplit_once(':').is_some_and(|(host, _)| {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }),
    }
}
