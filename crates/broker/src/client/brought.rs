//! Subscriptions that came with pulls and pops instead of heartbeats: asked for when a consumer that
//! sends no heartbeats is looked at (Java: `ConsumerManager.consumerCompensationTable`).

use std::collections::HashMap;
use std::sync::Mutex;

use skua_protocol::Millis;
use skua_protocol::body::{EXPRESSION_TAG, SubscriptionData};

use crate::swap_map::lock;

/// Groups whose subscriptions are kept, and topics of each.
const GROUPS_MAX: usize = 10_000;
const TOPICS_MAX: usize = 1_000;

struct Subscribed {
    expression: Box<str>,
    kind: Box<str>,
    /// The last request that said so.
    at: Millis,
}

type Topics = HashMap<Box<str>, Subscribed>;

/// Subscriptions by group and topic. What nobody has said for as long as
/// `subscriptionExpiredTimeout` does not count.
#[derive(Default)]
pub struct Brought {
    groups: Mutex<HashMap<Box<str>, Topics>>,
}

impl Brought {
    /// A request of the group says what it wants of the topic.
    pub fn note(
        &self,
        (group, topic): (&str, &str),
        (kind, expression): (&str, &str),
        expire_after_ms: i64,
        now: Millis,
    ) {
        let mut groups = lock(&self.groups);
        if let Some(known) = groups.get_mut(group).and_then(|topics| topics.get_mut(topic)) {
            if *known.expression != *expression || *known.kind != *kind {
                (known.expression, known.kind) = (expression.into(), kind.into());
            }
            known.at = now;
            return;
        }
        let full = |groups: &HashMap<Box<str>, Topics>| match groups.get(group) {
            Some(topics) => topics.len() >= TOPICS_MAX,
            None => groups.len() >= GROUPS_MAX,
        };
        if full(&groups) {
            groups.retain(|_, topics| {
                topics.retain(|_, known| now.since(known.at) <= expire_after_ms);
                !topics.is_empty()
            });
            // It is for showing only: better not shown than without bounds.
            if full(&groups) {
                return;
            }
        }
        let known = Subscribed { expression: expression.into(), kind: kind.into(), at: now };
        groups.entry(group.into()).or_default().insert(topic.into(), known);
    }

    pub fn find(
        &self,
        group: &str,
        topic: &str,
        expire_after_ms: i64,
        now: Millis,
    ) -> Option<SubscriptionData> {
        let groups = lock(&self.groups);
        let known = groups.get(group)?.get(topic)?;
        if now.since(known.at) > expire_after_ms {
            return None;
        }
        if known.kind.is_empty() || *known.kind == *EXPRESSION_TAG {
            return Some(SubscriptionData::by_tags(topic, &known.expression, known.at));
        }
        Some(SubscriptionData {
            topic: topic.to_owned(),
            sub_string: known.expression.to_string(),
            expression_type: known.kind.to_string(),
            sub_version: known.at.0,
            ..SubscriptionData::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: (&str, &str) = ("TAG", "a || b");

    #[test]
    fn what_was_said_last_counts_until_it_is_old() {
        let brought = Brought::default();
        brought.note(("g", "T"), ("TAG", "*"), 1000, Millis(1));
        brought.note(("g", "T"), TAG, 1000, Millis(5));
        let found = brought.find("g", "T", 1000, Millis(1005)).expect("not old yet");
        assert_eq!((found.sub_string.as_str(), found.sub_version), ("a || b", 5));
        assert_eq!(found.tags_set.len(), 2);
        assert_eq!(brought.find("g", "T", 1000, Millis(1006)), None);
        assert_eq!(brought.find("g", "U", 1000, Millis(5)), None);
        brought.note(("g", "T"), ("SQL92", "a > 1"), 1000, Millis(2000));
        let found = brought.find("g", "T", 1000, Millis(2000)).expect("it is new");
        assert_eq!((found.expression_type.as_str(), found.sub_string.as_str()), ("SQL92", "a > 1"));
    }

    #[test]
    fn there_is_room_for_as_many_as_the_limits_say_and_old_ones_make_room() {
        let brought = Brought::default();
        for number in 0..=TOPICS_MAX {
            brought.note(("g", &format!("T{number}")), TAG, 1000, Millis(number as i64 / 500));
        }
        let last = format!("T{TOPICS_MAX}");
        assert_eq!(brought.find("g", &last, 1000, Millis(2)), None);
        brought.note(("g", &last), TAG, 1000, Millis(1001));
        assert!(brought.find("g", &last, 1000, Millis(1001)).is_some());
        assert_eq!(brought.find("g", "T1", 1000, Millis(1001)), None);
    }
}
