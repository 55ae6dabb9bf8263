//! Subscription groups that do not keep up, or that nobody serves.

use std::collections::BTreeMap;

use super::{Bounds, Finding, Level, Tell};
use crate::doctor::facts::Facts;

pub(super) fn examine(facts: &Facts, bounds: &Bounds, out: &mut Vec<Finding>) {
    // A group's lag is spread over the masters; its consumers connect to each of them.
    let mut groups: BTreeMap<&str, (i64, Option<usize>)> = BTreeMap::new();
    for broker in facts.brokers.iter().filter(|broker| broker.is_master()) {
        let Ok(answer) = &broker.answer else { continue };
        for group in &answer.groups {
            let (lag, consumers) = groups.entry(&group.name).or_default();
            *lag += group.lag;
            *consumers = (*consumers).max(group.consumers);
        }
    }
    for (name, (lag, consumers)) in groups {
        if lag <= 0 {
            continue;
        }
        match consumers {
            Some(0) => {
                let what = format!("{lag} messages wait and no consumer is connected");
                let advice = format!(
                    "start its consumers; if the group is not used any more: mqadmin deleteSubGroup -g {name} -r true"
                );
                out.tell(Level::Warning, "group-without-consumer", name, what, advice);
            }
            _ if lag > bounds.lag_messages => {
                let of = consumers.map_or(String::new(), |count| format!(" by {count} consumers"));
                let what = format!("{lag} messages are not consumed yet{of}");
                let advice = format!(
                    "add consumers up to the number of queues, or look for slow or failing handlers: mqadmin consumerProgress -g {name}"
                );
                out.tell(Level::Warning, "group-lags", name, what, advice);
            }
            _ => {}
        }
    }
}
