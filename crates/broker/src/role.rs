//! What the broker is within its group: master, slave, or neither for now. It may change while the
//! broker runs; whatever is done by masters only, or by slaves, asks here.
//!
//! A master gives its place up in steps: [`Broker::stop_taking`], [`Broker::close_log`], so that
//! its end stands still; then [`Broker::follow`]. Whoever takes the place calls [`Broker::lead`] when
//! it has everything. The name servers are told at once, before anything that may block.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skua_config::{BrokerRole, ConfigError, Settings};
use skua_protocol::service::BoxFuture;
use skua_protocol::{Millis, PhysicalOffset};

use crate::broker::Broker;
use crate::files::SaveError;
use crate::swap_map::lock;

/// Broker id of masters.
pub const MASTER_ID: i64 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes messages.
    Master,
    /// Copies the master's log; has this id.
    Slave(i64),
    /// Takes no messages and copies nobody: its log stands still, or is somebody else's business.
    Neither(i64),
}

impl Role {
    /// The id that name servers are told.
    pub fn id(self) -> i64 {
        match self {
            Self::Master => MASTER_ID,
            Self::Slave(id) | Self::Neither(id) => id,
        }
    }
}

/// Bits of a packed role that say its kind.
const KIND_BITS: u32 = 2;

fn pack(role: Role) -> u64 {
    let kind = match role {
        Role::Master => 0,
        Role::Slave(_) => 1,
        Role::Neither(_) => 2,
    };
    (role.id() as u64) << KIND_BITS | kind
}

fn unpack(packed: u64) -> Role {
    let id = (packed >> KIND_BITS) as i64;
    match packed & ((1 << KIND_BITS) - 1) {
        0 => Role::Master,
        1 => Role::Slave(id),
        _ => Role::Neither(id),
    }
}

/// Why a broker did not become master.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    #[error("{appended} bytes are in the log, but only {dispatched} in the queues")]
    Behind { appended: u64, dispatched: u64 },
    #[error(transparent)]
    Save(#[from] SaveError),
}

/// Why a role was not noted for the next start.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the configuration file cannot be written: {0}")]
    Save(#[from] std::io::Error),
}

pub(crate) struct RoleState {
    packed: AtomicU64,
    /// Counts the times that a master lost its place without having handed everything over.
    losses: AtomicU64,
    /// What belongs to the master is sent on to it.
    sends_on: AtomicBool,
    /// When a request was sent on last, in milliseconds; 0: never.
    sent_on: AtomicI64,
    /// Changes of any kind, and who waits for the next.
    changes: Mutex<Changes>,
    /// One change at a time.
    changing: Mutex<()>,
    /// Requests being served as the master's, spread so that threads do not meet.
    passing: [Passers; SHARDS],
}

const SHARDS: usize = 16;

/// A counter with a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Passers(AtomicUsize);

thread_local! {
    static SHARD: usize = NEXT_SHARD.fetch_add(1, Ordering::Relaxed) % SHARDS;
}
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Changes {
    number: u64,
    waiting: BTreeMap<u64, Waker>,
    next_waiter: u64,
}

impl RoleState {
    pub fn new(role: Role) -> Self {
        Self {
            packed: AtomicU64::new(pack(role)),
            losses: AtomicU64::new(0),
            sends_on: AtomicBool::new(false),
            sent_on: AtomicI64::new(0),
            changes: Mutex::default(),
            changing: Mutex::default(),
            passing: Default::default(),
        }
    }

    /// Lets a request pass that only a master can serve; `None` if the broker is not. A master
    /// that gives its place up waits for who has passed.
    pub fn enter(&self) -> Option<Passing<'_>> {
        let shard = SHARD.with(|shard| *shard);
        // Before the look at the role: who changes it looks at the counters afterwards.
        self.passing[shard].0.fetch_add(1, Ordering::SeqCst);
        let passing = Passing { state: self, shard };
        (self.get() == Role::Master).then_some(passing)
    }

    fn is_passed(&self) -> bool {
        self.passing.iter().all(|passers| passers.0.load(Ordering::SeqCst) == 0)
    }

    pub fn get(&self) -> Role {
        unpack(self.packed.load(Ordering::SeqCst))
    }

    fn set(&self, role: Role) {
        self.packed.store(pack(role), Ordering::SeqCst);
        self.tell();
    }

    /// Wakes who waits for a change, of the role or of where the master is.
    pub fn tell(&self) {
        let waiting = {
            let mut changes = lock(&self.changes);
            changes.number += 1;
            std::mem::take(&mut changes.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Ends with the next change.
    pub fn changed(self: &Arc<Self>) -> Changed {
        let mut changes = lock(&self.changes);
        let waiter = changes.next_waiter;
        changes.next_waiter += 1;
        Changed { state: self.clone(), from: changes.number, waiter }
    }
}

/// A request on its way through; see [`RoleState::enter`].
pub(crate) struct Passing<'a> {
    state: &'a RoleState,
    shard: usize,
}

impl Passing<'_> {
    /// For a way that goes on elsewhere.
    pub fn keep(self, state: &Arc<RoleState>) -> KeptPassing {
        let shard = self.shard;
        std::mem::forget(self);
        KeptPassing { state: state.clone(), shard }
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.state.passing[self.shard].0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct KeptPassing {
    state: Arc<RoleState>,
    shard: usize,
}

impl Drop for KeptPassing {
    fn drop(&mut self) {
        self.state.passing[self.shard].0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// See [`RoleState::changed`].
#[must_use = "futures do nothing unless polled"]
pub struct Changed {
    state: Arc<RoleState>,
    from: u64,
    waiter: u64,
}

impl Future for Changed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut changes = lock(&self.state.changes);
        if changes.number != self.from {
            return Poll::Ready(());
        }
        changes.waiting.insert(self.waiter, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        lock(&self.state.changes).waiting.remove(&self.waiter);
    }
}

/// The time that a master keeps its place: what it promises holds within it only.
pub(crate) struct Tenure {
    state: Arc<RoleState>,
    losses: u64,
}

impl Tenure {
    pub fn is_over(&self) -> bool {
        self.state.losses.load(Ordering::SeqCst) != self.losses
    }
}

impl Broker {
    pub fn role(&self) -> Role {
        self.role.get()
    }

    /// Whether this broker takes messages.
    pub fn is_master(&self) -> bool {
        self.role.get() == Role::Master
    }

    /// Whether this broker takes no messages of its own.
    pub(crate) fn is_slave(&self) -> bool {
        !self.is_master()
    }

    /// Ends when the role has changed, or where the master is.
    pub fn role_changed(&self) -> Changed {
        self.role.changed()
    }

    /// Whether requests that only a master can serve are sent on to it.
    pub(crate) fn sends_on(&self) -> bool {
        self.role.sends_on.load(Ordering::SeqCst)
    }

    /// From now on requests that only a master can serve are sent on to it while this broker is
    /// not: clients may not know yet who it is. Consumers are served, too.
    pub fn send_on_to_master(&self) {
        self.role.sends_on.store(true, Ordering::SeqCst);
    }

    pub(crate) fn sends_one_on(&self, now: Millis) {
        self.role.sent_on.store(now.0, Ordering::Relaxed);
    }

    /// When a client with an old route last brought something that was the master's.
    pub fn sent_on_at(&self) -> Millis {
        Millis(self.role.sent_on.load(Ordering::Relaxed))
    }

    /// The master is elsewhere, or is known now.
    pub fn master_has_moved(&self) {
        self.role.tell();
    }

    pub(crate) fn tenure(&self) -> Tenure {
        let losses = self.role.losses.load(Ordering::SeqCst);
        Tenure { state: self.role.clone(), losses }
    }

    /// Takes no request more that is a master's: they wait, or are refused. What is being served
    /// goes on. For the name servers it is what it was.
    pub fn stop_taking(&self) {
        let _changing = lock(&self.role.changing);
        self.role.set(Role::Neither(self.role.get().id()));
    }

    /// Whether everything that was being served when the broker stopped taking requests is done.
    pub fn is_idle(&self) -> bool {
        self.role.is_passed()
    }

    /// Closes the log of a broker that has stopped taking requests, with what is known but not
    /// written yet; returns its end, behind which nothing follows. Writes to the disk.
    pub fn close_log(&self, now: Millis) -> PhysicalOffset {
        let _changing = lock(&self.role.changing);
        // What timed work has done is noted when it ends.
        let _running = lock(&self.running);
        self.store.set_timer_delivers(false);
        self.transactions.shutdown(self, now);
        self.log_tables(now);
        self.store.become_copy()
    }

    /// As [`stop_taking`](Self::stop_taking), by a master whose place is lost: nobody who waits is
    /// told that a message is safe, and the name servers are told at once.
    pub fn lose_place(&self, id: i64) -> PhysicalOffset {
        let _changing = lock(&self.role.changing);
        let end = self.store.become_copy();
        if self.is_master() {
            self.role.losses.fetch_add(1, Ordering::SeqCst);
        }
        self.role.set(Role::Neither(id));
        self.yield_tables();
        drop(self.everything_changed());
        self.store.set_timer_delivers(false);
        end
    }

    /// The broker that stopped taking messages takes them again: nobody else has begun to.
    pub fn take_again(&self, now: Millis) {
        let _changing = lock(&self.role.changing);
        self.begin_to_take(now);
    }

    /// Becomes master: the log is its own, delayed messages, timers, transactions and pops go on
    /// where the old master stood as far as was copied. `epoch` is the least version of the
    /// group's state, which makes older masters out of date for the name servers. Reads the disk.
    ///
    /// The name servers are being told when this returns; the future ends when they have been.
    pub fn lead(&self, epoch: i64, now: Millis) -> Result<BoxFuture<()>, LeadError> {
        let _changing = lock(&self.role.changing);
        if self.is_master() {
            return Ok(Box::pin(std::future::ready(())));
        }
        let (appended, dispatched) = (self.store.appended().0, self.store.dispatched().0);
        if dispatched < appended {
            return Err(LeadError::Behind { appended, dispatched });
        }
        self.lead_tables();
        self.locks.lead(now);
        self.topics.begin_state(epoch, now)?;
        self.offsets.become_masters();
        self.delay.look_anew();
        // Consumer offsets may be older than what was popped.
        self.recover_pops(true, now);
        self.begin_to_take(now);
        let told = self.everything_changed();
        tracing::info!(end = appended, "this broker is the master now");
        Ok(told)
    }

    fn begin_to_take(&self, now: Millis) {
        self.transactions.look_anew();
        self.store.become_own();
        self.role.set(Role::Master);
        self.store.set_timer_delivers(true);
        self.outside().wake(now);
    }

    /// Becomes a slave with this id. What was committed here stays if the master has less.
    pub fn follow(&self, id: i64, now: Millis) {
        let _changing = lock(&self.role.changing);
        let was = self.role.get();
        self.store.become_copy();
        if was == Role::Master {
            self.role.losses.fetch_add(1, Ordering::SeqCst);
        }
        self.store.set_timer_delivers(false);
        self.offsets.become_slaves();
        self.role.set(Role::Slave(id));
        self.yield_tables();
        drop(self.everything_changed());
        self.outside().wake(now);
        tracing::info!(id, ?was, "this broker is a slave now");
    }

    /// Notes the role for the next start, in the configuration file if there is one.
    pub fn note_role(&self, role: BrokerRole, id: i64) -> Result<(), NoteError> {
        let settings = self.settings().with_role(role, id)?;
        self.outside().save_settings(&settings)?;
        self.set_settings(settings);
        Ok(())
    }
}

/// What a configuration says that the broker is at its start.
pub(crate) fn role_at_start(settings: &Settings) -> Role {
    match settings.store.broker_role {
        // The group decides.
        _ if settings.store.enable_dleger_commit_log => Role::Neither(settings.broker.broker_id),
        BrokerRole::Slave => Role::Slave(settings.broker.broker_id),
        BrokerRole::AsyncMaster | BrokerRole::SyncMaster => Role::Master,
    }
}

#[cfg(test)]
mod tests;
