//! Lite topics: many small queues below a parent topic, each the light queue
//! `%LMQ%$parent$lite`. Clients say which of them they subscribe to ([`board`]); a message for one
//! is an event for a client of each group, whose next pop goes through its events
//! (`request/lite/`). Pops are ordered: until what a group popped of a lite topic is acknowledged
//! or visible again, the lite topic gives it nothing more.

pub mod board;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use skua_protocol::body::SubscriptionGroupConfig;
use skua_protocol::request::NotifyUnsubscribeLite;
use skua_protocol::{Command, Millis, QueueId};

use crate::broker::Broker;
use crate::earlier;
use crate::pop::Waiter;
use crate::pop::order::Orders;
use crate::pop::polls::{ANY_QUEUE, Polls};
use crate::swap_map::lock;
use crate::topic_table::Topic;
use crate::topic_table::attributes::{
    LITE_BIND_TOPIC, LITE_EVENTS_MAX, LITE_EXPIRATION, LITE_RESET_EXCLUSIVE,
    LITE_RESET_UNSUBSCRIBE, LITE_SUB_EXCLUSIVE, LITE_SUB_MODEL, LITE_WILDCARD, MESSAGE_TYPE,
    MESSAGE_TYPE_LITE,
};
use board::{Board, Effect, GroupFacts, Moment, Outlook, Rules};

/// Light queues of lite topics begin so (Java: `LiteUtil`).
const PREFIX: &str = "%LMQ%$";
const SEPARATOR: char = '$';
/// The one queue of a light queue.
pub const QUEUE: i32 = 0;
const QUEUE_ID: QueueId = QueueId(0);
/// The revive queue that receipts of lite topics name.
pub const REVIVE_QUEUE: i32 = 999;

/// The light queue of a lite topic; `None` if either name is empty.
pub fn queue_name(parent: &str, lite: &str) -> Option<String> {
    (!parent.is_empty() && !lite.is_empty()).then(|| format!("{PREFIX}{parent}{SEPARATOR}{lite}"))
}

/// Parent and lite topic of a light queue.
fn split(queue: &str) -> Option<(&str, &str)> {
    let (parent, lite) = queue.strip_prefix(PREFIX)?.split_once(SEPARATOR)?;
    (!parent.is_empty() && !lite.is_empty() && !lite.contains(SEPARATOR)).then_some((parent, lite))
}

pub fn parent_of(queue: &str) -> Option<&str> {
    split(queue).map(|(parent, _)| parent)
}

pub fn lite_of(queue: &str) -> Option<&str> {
    split(queue).map(|(_, lite)| lite)
}

pub fn is_queue(topic: &str) -> bool {
    topic.starts_with(PREFIX)
}

pub fn is_parent(topic: &Topic) -> bool {
    topic.config.attributes.get(MESSAGE_TYPE).is_some_and(|kind| kind == MESSAGE_TYPE_LITE)
}

/// Minutes that a lite topic of `topic` lives after its last message; `-1`: for ever.
pub fn expiration(topic: &Topic) -> i32 {
    let minutes = topic.config.attributes.get(LITE_EXPIRATION);
    minutes.and_then(|minutes| minutes.parse().ok()).unwrap_or(-1)
}

pub fn bound_topic(group: &SubscriptionGroupConfig) -> Option<&str> {
    group.attributes.get(LITE_BIND_TOPIC).map(String::as_str)
}

pub fn is_wildcard(group: &SubscriptionGroupConfig) -> bool {
    group.attributes.contains_key(LITE_WILDCARD)
}

/// All that a broker keeps for lite topics; nothing of it outlives the process but offsets.
pub struct Lite {
    board: Mutex<Board>,
    /// Somebody subscribes.
    in_use: AtomicBool,
    pub orders: Orders,
    pub polls: Polls<Waiter>,
    expiry_due: AtomicI64,
}

impl Lite {
    pub fn new(now: Millis) -> Self {
        Self {
            board: Mutex::default(),
            in_use: AtomicBool::new(false),
            orders: Orders::in_memory(),
            polls: Polls::default(),
            expiry_due: AtomicI64::new(now.0),
        }
    }

    /// What is known of clients, to be looked at only.
    pub fn look<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        look(&lock(&self.board))
    }
}

impl Outlook for Broker {
    fn group(&self, group: &str) -> GroupFacts {
        let settings = self.settings();
        let most = usize::try_from(settings.broker.max_client_event_count).unwrap_or(0).max(1);
        let Some(config) = self.groups.get(group) else {
            return GroupFacts { events_max: most, ..GroupFacts::default() };
        };
        let is = |name: &str, value: &str| {
            config.attributes.get(name).is_some_and(|given| given.eq_ignore_ascii_case(value))
        };
        let own = config.attributes.get(LITE_EVENTS_MAX).and_then(|max| max.parse().ok());
        GroupFacts {
            bound: bound_topic(&config).map(Into::into),
            wildcard: is_wildcard(&config),
            exclusive: is(LITE_SUB_MODEL, LITE_SUB_EXCLUSIVE),
            reset_when_excluded: is(LITE_RESET_EXCLUSIVE, "true"),
            reset_on_leave: is(LITE_RESET_UNSUBSCRIBE, "true"),
            events_max: own.filter(|&own: &usize| own > 0).unwrap_or(most),
        }
    }

    fn max_offset(&self, queue: &str) -> i64 {
        self.store.max_offset(queue, QUEUE_ID).map_or(0, |max| max.0 as i64)
    }

    fn committed(&self, group: &str, queue: &str) -> i64 {
        self.offsets.committed(group, queue, QUEUE).unwrap_or(-1)
    }

    fn queues_of(&self, parent: &str) -> Vec<String> {
        let queues = self.store.queue_list().unwrap_or_else(|error| {
            tracing::warn!(%error, parent, "lite topics cannot be listed");
            Vec::new()
        });
        let names = queues.into_iter().map(|(name, _)| name);
        names.filter(|name| parent_of(name) == Some(parent)).collect()
    }
}

impl Broker {
    fn lite_rules(&self) -> Rules {
        let settings = &self.settings().broker;
        Rules {
            by_events: settings.enable_lite_event_mode,
            subscriptions_max: usize::try_from(settings.max_lite_subscription_count).unwrap_or(0),
            scan_every_ms: settings.lite_event_check_interval,
            again_after_ms: settings.lite_event_full_dispatch_delay_time,
            wildcard_again_after_ms: settings
                .lite_event_full_dispatch_delay_time_for_wildcard_group,
            subscriptions_checked_every_ms: settings.lite_subscription_check_interval,
            subscription_lives_ms: settings.lite_subscription_check_timeout_mills,
        }
    }

    /// Changes what is known of clients and does what follows from it.
    pub(crate) fn with_lite<T>(
        &self,
        now: Millis,
        change: impl FnOnce(&mut Board, &mut Moment<'_>) -> T,
    ) -> T {
        let rules = self.lite_rules();
        let mut at = Moment { outlook: self, rules: &rules, effects: Vec::new(), now };
        let (out, due) = {
            let mut board = lock(&self.lite.board);
            let out = change(&mut board, &mut at);
            self.lite.in_use.store(board.subscriptions() > 0, Ordering::Relaxed);
            (out, board.due())
        };
        for effect in at.effects {
            self.do_lite(effect, now);
        }
        if let Some(due) = due {
            self.wake_at(due);
        }
        out
    }

    fn do_lite(&self, effect: Effect, now: Millis) {
        match effect {
            Effect::Wake { client, group } => self.lite.polls.more(&client, &group, ANY_QUEUE),
            Effect::Reset { group, queue, offset } => {
                self.offsets.reset(&group, &queue, QUEUE, offset);
                self.lite.orders.clear(&queue, &group, QUEUE);
                self.wake_to_save_offsets(now);
            }
            Effect::Tell { peer, client, group, queue } => {
                let Some(lite) = lite_of(&queue) else { return };
                let header = NotifyUnsubscribeLite {
                    lite_topic: lite.into(),
                    consumer_group: (&*group).into(),
                    client_id: (&*client).into(),
                };
                let request = Command::request(&header);
                if !peer.notify(request) {
                    tracing::debug!(%client, %queue, "not told that another has its lite topic");
                }
            }
        }
    }

    /// A message of a lite topic can be read.
    pub(crate) fn lite_arrived(&self, queue: &str, now: Millis) {
        if self.lite.in_use.load(Ordering::Relaxed) {
            self.with_lite(now, |board, at| board.dispatch(None, queue, None, at));
        }
    }

    /// A group may have more of a lite topic.
    pub(crate) fn lite_is_free(&self, queue: &str, group: &str, now: Millis) {
        self.with_lite(now, |board, at| board.dispatch(Some(group), queue, None, at));
    }

    pub(crate) fn run_lite(&self, now: Millis) -> Option<Millis> {
        let (free, release) = self.lite.orders.run_due(now);
        for (queue, group, _) in free {
            self.lite_is_free(&queue, &group, now);
        }
        let due = self.with_lite(now, |board, at| {
            board.run_due(at);
            board.due()
        });
        let next = earlier(self.lite.polls.run_due(now), release);
        earlier(earlier(next, due), self.lite_expiry(now))
    }

    /// Deletes lite topics whose time is over (Java: `LiteLifecycleManager`).
    fn lite_expiry(&self, now: Millis) -> Option<Millis> {
        let settings = self.settings();
        let lives = settings.broker.min_lite_ttl;
        if !settings.store.enable_lmq || self.is_slave() {
            return None;
        }
        let due = self.lite.expiry_due.load(Ordering::Relaxed).max(self.started().plus(lives).0);
        if due > now.0 {
            return Some(Millis(due));
        }
        self.lite.orders.forget(now);
        let parents = self.topics.snapshot().topic_config_table.into_keys();
        for parent in parents.filter_map(|name| self.topics.get(&name)).filter(|t| is_parent(t)) {
            let minutes = i64::from(expiration(&parent));
            if minutes <= 0 {
                continue;
            }
            for queue in self.queues_of(&parent.config.topic_name) {
                let last = self.max_offset(&queue) - 1;
                let silent = |at: Millis| now.since(at) > lives.max(minutes * 60_000);
                if self.lite_store_time(&queue, last).is_some_and(silent) {
                    self.delete_lite(&queue, now);
                }
            }
        }
        let next = now.plus(settings.broker.lite_ttl_check_interval.max(1_000));
        self.lite.expiry_due.store(next.0, Ordering::Relaxed);
        Some(next)
    }

    /// When the message at `offset` was stored.
    pub(crate) fn lite_store_time(&self, queue: &str, offset: i64) -> Option<Millis> {
        let offset = u64::try_from(offset).ok()?;
        self.store.store_time(queue, QUEUE_ID, skua_protocol::QueueOffset(offset))
    }

    /// Deletes a parent's lite topics.
    pub(crate) fn delete_lites_of(&self, parent: &str, now: Millis) {
        for queue in self.queues_of(parent) {
            self.delete_lite(&queue, now);
        }
    }

    fn delete_lite(&self, queue: &str, now: Millis) {
        if let Err(error) = self.store.delete_topic(queue) {
            tracing::warn!(%error, queue, "a lite topic is not deleted");
            return;
        }
        tracing::info!(queue, "lite topic deleted");
        for group in self.offsets.groups_of(queue) {
            self.lite.orders.clear(queue, &group, QUEUE);
        }
        self.offsets.remove_topic(queue);
        self.with_lite(now, |board, _| board.forget(queue));
        self.wake_to_save_offsets(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_queue_names_parent_and_lite_topic() {
        assert_eq!(queue_name("P", "a").as_deref(), Some("%LMQ%$P$a"));
        assert_eq!(queue_name("P", ""), None);
        assert_eq!(split("%LMQ%$P$a"), Some(("P", "a")));
        for other in ["%LMQ%P$a", "%LMQ%$P$", "%LMQ%$$a", "%LMQ%$P", "%LMQ%$P$a$b", "P"] {
            assert_eq!(split(other), None, "{other}");
        }
    }
}
