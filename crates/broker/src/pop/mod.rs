//! Popping: a consumer takes messages for a time, without owning a queue, and acknowledges each.
//!
//! What is known of a popped message stands in the log before the consumer gets it: a check point
//! in the revive topic, and later its acknowledgement there ([`record`]). [`revive`] follows that
//! topic and says what is to be delivered again; [`follow`] does it. Ordered pops have no check
//! points but block their queue ([`order`]). Pops that find nothing wait in [`polls`].

mod follow;
pub mod modes;
pub mod order;
pub mod polls;
pub mod receipt;
pub mod record;
pub mod resume;
pub mod revive;
#[cfg(test)]
mod simulation;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use bytes::Bytes;
use skua_protocol::{Millis, PhysicalOffset, QueueId};

use crate::files::{ConfigFile, LoadError};
use crate::filter::Filter;
use crate::long_poll::{Wanted, Woken};
use crate::swap_map::lock;
use crate::waiting::Giver;

use modes::Modes;
use order::Orders;
use polls::Polls;
use revive::Revival;

/// Most check points that may be pending; pops are refused as busy then.
pub const PENDING_MAX: usize = 1_000_000;
/// Queue locks: two queues that share one take turns.
const STRIPES: usize = 1024;

/// What a waiting pop or notification wants.
pub struct Waiter {
    pub filter: Filter,
    pub giver: Giver<Woken>,
}

impl Wanted for Waiter {
    fn wants(&self, tags_code: i64, record: &dyn Fn() -> Option<Bytes>) -> bool {
        self.filter.wants(tags_code, record)
    }

    fn wake(self, why: Woken) {
        self.giver.give(why);
    }
}

/// All that a broker keeps for popping.
pub struct Pop {
    pub revive_topic: String,
    /// By revive queue id.
    revivals: Box<[Mutex<Revival>]>,
    /// Check points pending in all queues, as of the last round.
    pending: AtomicUsize,
    /// When the revive topic is read next; `i64::MAX`: nothing has come.
    read_at: AtomicI64,
    /// The log's end when check points were found due, and that time: acknowledgements before it
    /// count.
    barrier: Mutex<Option<(PhysicalOffset, Millis)>>,
    /// The next check point's revive queue.
    turn: AtomicU32,
    pub orders: Orders,
    pub modes: Modes,
    pub polls: Polls<Waiter>,
    pub notifications: Polls<Waiter>,
    stripes: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Pop {
    pub fn open(
        revive_topic: String,
        revive_queues: u32,
        order_file: ConfigFile,
        mode_file: ConfigFile,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            revive_topic,
            revivals: (0..revive_queues.max(1)).map(|_| Mutex::default()).collect(),
            pending: AtomicUsize::new(0),
            read_at: AtomicI64::new(i64::MAX),
            barrier: Mutex::new(None),
            turn: AtomicU32::new(0),
            orders: Orders::open(order_file)?,
            modes: Modes::open(mode_file)?,
            polls: Polls::default(),
            notifications: Polls::default(),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        })
    }

    /// The revive queue for a new check point, each in turn.
    pub fn next_revive_queue(&self, queues: i32) -> i32 {
        let queues = u32::try_from(queues).unwrap_or(1).clamp(1, self.revivals.len() as u32);
        (self.turn.fetch_add(1, Ordering::Relaxed) % queues) as i32
    }

    /// The revive queue that a receipt names, if there is such a one.
    pub fn revive_queue(&self, queue: i32) -> Option<QueueId> {
        let queue = u32::try_from(queue).ok()?;
        ((queue as usize) < self.revivals.len()).then_some(QueueId(queue))
    }

    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Messages of a queue that a group has popped and not acknowledged.
    pub fn in_flight(&self, topic: &str, group: &str, queue: i32) -> usize {
        self.revivals.iter().map(|revival| lock(revival).in_flight(topic, group, queue)).sum()
    }

    fn stripe_of(&self, topic: &str, group: &str, queue: i32) -> usize {
        self.hasher.hash_one((topic, group, queue)) as usize % STRIPES
    }

    fn stripe(&self, topic: &str, group: &str, queue: i32) -> &Mutex<()> {
        &self.stripes[self.stripe_of(topic, group, queue)]
    }

    /// Keeps others from popping from any of the queues; waits.
    pub fn lock_queues(
        &self,
        topic: &str,
        group: &str,
        queues: impl Iterator<Item = i32>,
    ) -> Vec<MutexGuard<'_, ()>> {
        // Each once and in one order, or two that lock several would wait for each other.
        let stripes: BTreeSet<usize> = queues.map(|q| self.stripe_of(topic, group, q)).collect();
        stripes.into_iter().map(|stripe| lock(&self.stripes[stripe])).collect()
    }

    /// Keeps others from popping from the queue; `None` if somebody does now.
    pub fn try_lock_queue(
        &self,
        topic: &str,
        group: &str,
        queue: i32,
    ) -> Option<MutexGuard<'_, ()>> {
        match self.stripe(topic, group, queue).try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// As [`try_lock_queue`](Self::try_lock_queue), but waits.
    pub fn lock_queue(&self, topic: &str, group: &str, queue: i32) -> MutexGuard<'_, ()> {
        lock(self.stripe(topic, group, queue))
    }
}
