//! How much one connection, topic or group may ask for, where that is limited at all: so that one
//! of them does not take what the others need. None of this is RocketMQ's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use skua_protocol::service::ConnectionId;
use skua_protocol::{Millis, RequestCode};

use crate::swap_map::{SwapMap, lock};

/// Counts what happens within each second.
#[derive(Debug, Default)]
pub struct Gate {
    /// The second's number in the upper half, the count in the lower.
    second: AtomicU64,
}

impl Gate {
    /// What has gone through in this second.
    fn count(&self, now: Millis) -> u32 {
        let before = self.second.load(Ordering::Relaxed);
        let this = now.0.div_euclid(1000) as u64;
        if before >> 32 == this & 0xffff_ffff { before as u32 } else { 0 }
    }

    /// Lets `amount` through if the second has room for it, else tells what has gone through.
    /// More at once than a whole second may have goes through when nothing else has.
    pub fn pass(&self, amount: u32, most: u32, now: Millis) -> Result<(), u32> {
        let this = (now.0.div_euclid(1000) as u64) << 32;
        let mut before = self.second.load(Ordering::Relaxed);
        loop {
            let count = if before >> 32 == this >> 32 { before as u32 } else { 0 };
            if count > 0 && count.saturating_add(amount) > most {
                return Err(count);
            }
            let next = this | u64::from(count.saturating_add(amount));
            let order = Ordering::Relaxed;
            match self.second.compare_exchange_weak(before, next, order, order) {
                Ok(_) => return Ok(()),
                Err(other) => before = other,
            }
        }
    }
}

/// A limit that was met: its key in the configuration, its value, and what it stood at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}={value} of {of}, stood at {stood_at}")]
pub struct Exceeded {
    pub key: &'static str,
    pub value: i32,
    pub of: String,
    pub stood_at: u64,
}

pub const PER_CONNECTION: &str = "maxRequestsPerSecondOfConnection";
pub const PER_TOPIC: &str = "maxMessagesPerSecondOfTopic";
pub const PER_GROUP: &str = "maxMessagesPerSecondOfGroup";
pub const WAITING_OF_GROUP: &str = "maxWaitingPullsOfGroup";

/// A group's share.
#[derive(Debug, Default)]
pub struct GroupShare {
    messages: Gate,
    waiting: AtomicU64,
}

/// One of a group's places among the waiting; free again when dropped.
pub struct WaitingPlace(Arc<GroupShare>);

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holds nothing while nothing is limited.
#[derive(Default)]
pub struct Limits {
    connections: Mutex<HashMap<ConnectionId, Arc<Gate>>>,
    topics: SwapMap<Gate>,
    groups: SwapMap<GroupShare>,
}

/// 0 and less: no limit.
fn limit(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|most| *most > 0)
}

impl Limits {
    /// A request of a connection. What keeps a client alive or gives something back is let
    /// through always.
    pub fn request(
        &self,
        connection: ConnectionId,
        code: RequestCode,
        value: i32,
        now: Millis,
    ) -> Result<(), Exceeded> {
        let Some(most) = limit(value) else { return Ok(()) };
        if is_never_limited(code) {
            return Ok(());
        }
        let gate = lock(&self.connections).entry(connection).or_default().clone();
        gate.pass(1, most, now).map_err(|count| Exceeded {
            key: PER_CONNECTION,
            value,
            of: "this connection".to_owned(),
            stood_at: u64::from(count),
        })
    }

    pub fn closed(&self, connection: ConnectionId) {
        lock(&self.connections).remove(&connection);
    }

    /// Messages sent to a topic, which is there.
    pub fn send(
        &self,
        topic: &str,
        messages: u32,
        value: i32,
        now: Millis,
    ) -> Result<(), Exceeded> {
        let Some(most) = limit(value) else { return Ok(()) };
        let gate = self.topics.get_or_insert_with(topic, Gate::default).0;
        gate.pass(messages, most, now).map_err(|count| Exceeded {
            key: PER_TOPIC,
            value,
            of: format!("topic {topic}"),
            stood_at: u64::from(count),
        })
    }

    /// Whether a group, which is there, may be handed messages now.
    pub fn may_get(&self, group: &str, value: i32, now: Millis) -> Result<(), Exceeded> {
        let Some(most) = limit(value) else { return Ok(()) };
        let count = self.groups.get(group).map_or(0, |share| share.messages.count(now));
        if count < most {
            return Ok(());
        }
        let (of, stood_at) = (format!("group {group}"), u64::from(count));
        Err(Exceeded { key: PER_GROUP, value, of, stood_at })
    }

    /// Messages were handed to a group, which is there.
    pub fn got(&self, group: &str, messages: u32, value: i32, now: Millis) {
        if limit(value).is_some() {
            let share = self.groups.get_or_insert_with(group, GroupShare::default).0;
            // They are on their way: what is too much counts against the rest of the second.
            let _ = share.messages.pass(messages, u32::MAX, now);
        }
    }

    /// A place for a pull of a group, which is there, to wait at; `None` if that is not limited.
    pub fn wait(&self, group: &str, value: i32) -> Result<Option<WaitingPlace>, Exceeded> {
        let Some(most) = limit(value) else { return Ok(None) };
        let share = self.groups.get_or_insert_with(group, GroupShare::default).0;
        let waiting = share.waiting.fetch_add(1, Ordering::Relaxed);
        let place = WaitingPlace(share);
        if waiting >= u64::from(most) {
            return Err(Exceeded {
                key: WAITING_OF_GROUP,
                value,
                of: format!("group {group}"),
                stood_at: waiting,
            });
        }
        Ok(Some(place))
    }

    pub fn forget_topic(&self, topic: &str) {
        self.topics.remove(topic);
    }

    pub fn forget_group(&self, group: &str) {
        self.groups.remove(group);
    }
}

fn is_never_limited(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::HeartBeat
            | C::UnregisterClient
            | C::GetConsumerListByGroup
            | C::UpdateConsumerOffset
            | C::LockBatchMq
            | C::UnlockBatchMq
            | C::EndTransaction
            | C::AckMessage
            | C::BatchAckMessage
            | C::ChangeMessageInvisibleTime
            | C::UpdateBrokerConfig
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_much_and_the_next_has_again() {
        let gate = Gate::default();
        for _ in 0..3 {
            assert_eq!(gate.pass(1, 3, Millis(5_000)), Ok(()));
        }
        assert_eq!(gate.pass(1, 3, Millis(5_999)), Err(3));
        assert_eq!(gate.pass(3, 3, Millis(6_000)), Ok(()));
        assert_eq!(gate.pass(1, 3, Millis(6_001)), Err(3));
    }

    #[test]
    fn what_is_larger_than_a_second_goes_through_alone() {
        let gate = Gate::default();
        assert_eq!(gate.pass(10, 3, Millis(0)), Ok(()));
        assert_eq!(gate.pass(1, 3, Millis(1)), Err(10));
        assert_eq!(gate.pass(1, 3, Millis(1_000)), Ok(()));
        assert_eq!(gate.pass(10, 3, Millis(1_001)), Err(1));
    }

    #[test]
    fn waiting_places_are_given_back() {
        let limits = Limits::default();
        let first = limits.wait("g", 1).expect("room").expect("limited");
        let full = limits.wait("g", 1).err().expect("full");
        assert_eq!(full.to_string(), "maxWaitingPullsOfGroup=1 of group g, stood at 1");
        assert!(limits.wait("h", 1).is_ok(), "others have their own");
        drop(first);
        assert!(limits.wait("g", 1).is_ok());
        assert!(limits.wait("g", 0).expect("no limit").is_none());
    }

    #[test]
    fn what_gives_back_is_let_through() {
        let limits = Limits::default();
        let connection = ConnectionId(1);
        let ask = |code| limits.request(connection, code, 1, Millis(0));
        assert!(ask(RequestCode::PullMessage).is_ok());
        assert!(ask(RequestCode::PullMessage).is_err());
        assert!(ask(RequestCode::HeartBeat).is_ok());
        limits.closed(connection);
        assert!(ask(RequestCode::PullMessage).is_ok());
    }
}
