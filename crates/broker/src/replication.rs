//! Copies on other brokers: when a send is safe, and what this broker is within its group.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::{Either, join, select};
use skua_config::{BrokerRole, FlushDiskType, Settings};
use skua_ha::{Copies, ReplicaView, Versions};
use skua_protocol::body::{
    ConsumerOffsets, DataVersion, MessageRequestModes, SubscriptionGroupTable, TimerMetrics,
    TopicConfigSerializeWrapper,
};
use skua_protocol::request::UpdateConsumerOffset;
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, PhysicalOffset, ResponseCode, json};
use skua_store::TimerCheckpoint;

use crate::broker::Broker;
use crate::consumer_offsets::LocalCommit;
use crate::delay::TakeError;
use crate::files::SaveError;
use crate::request::error::RequestError;
use crate::swap_map::lock;
use crate::tables::AT;

/// Copies of a SYNC_MASTER that is told no number: its own and one more. RocketMQ 5 is content
/// with its own, which is not what the name says.
const SYNC_COPIES: usize = 2;

/// What an answer with a leader's table says of the group's log, for who takes it over.
pub fn copied_at(answer: &Command) -> Option<u64> {
    answer.fields.get(AT)?.parse().ok()
}

/// A field of request 15, from a slave of ours: the offset is not to go back. Java passes over it.
pub const ONLY_FORWARD: &str = "onlyForward";

/// What a send waits for beside the own disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Slaves(Copies),
    /// There are not enough slaves to wait for.
    NotAvailable,
}

impl Broker {
    /// Whether the master of this slave is there, as far as is known.
    pub(crate) fn sees_master(&self) -> bool {
        self.slave_state.sees_master.load(Ordering::Relaxed)
    }

    /// Whether this is a slave that knows no master that lives.
    pub fn lacks_master(&self) -> bool {
        self.is_slave() && !self.sees_master()
    }

    /// Whether there are timer messages.
    pub fn has_timer(&self) -> bool {
        self.store.has_timer()
    }

    /// Takes over how far a master's timer is, and what it counts: what it has delivered is not
    /// delivered here, should this broker become master.
    pub fn take_timer(
        &self,
        checkpoint: &[u8],
        metrics: &[u8],
        now: Millis,
    ) -> Result<(), RequestError> {
        let metrics = json::from_slice::<TimerMetrics>(metrics)?;
        self.store.follow_timer(TimerCheckpoint::decode(checkpoint), now)?;
        self.store.follow_timer_metrics(metrics);
        Ok(())
    }

    /// Numbers that change whenever a table does that slaves copy.
    pub fn table_versions(&self) -> Versions {
        let number = |version: DataVersion| {
            (version.counter as u64)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(version.timestamp as u64)
        };
        Versions {
            topics: number(self.topics.version()),
            groups: number(self.groups.version()),
            // A group has them in its log.
            offsets: if self.store.has_gate() { 0 } else { self.offsets.changes() },
            delays: self.delay.changes(),
            others: self.pop.modes.changes().wrapping_add(match self.store.has_gate() {
                true => 0,
                false => self.pop.orders.changes().wrapping_add(self.locks.changes()),
            }),
        }
    }

    /// Refuses a message that could not get as many copies as it must have.
    pub(crate) fn check_copies(&self, settings: &Settings) -> Result<(), RequestError> {
        let store = &settings.store;
        if store.broker_role != BrokerRole::SyncMaster
            || !settings.is_given("minInSyncReplicas")
            || self.store.has_gate()
        {
            return Ok(());
        }
        let least = store.min_in_sync_replicas;
        let there = 1 + self.replicas.in_sync(self.store.appended().0) as i32;
        if there < least {
            return Err(RequestError::TooFewCopies { there, least });
        }
        Ok(())
    }

    fn wanted(&self, settings: &Settings, end: PhysicalOffset) -> Wanted {
        let store = &settings.store;
        if store.broker_role != BrokerRole::SyncMaster || self.store.has_gate() {
            return Wanted::Nothing;
        }
        let given = settings.is_given("inSyncReplicas");
        let count = |key: i32| usize::try_from(key).unwrap_or(1);
        let in_sync = self.replicas.in_sync(end.0);
        let mut copies = if given { count(store.in_sync_replicas) } else { SYNC_COPIES };
        if store.enable_auto_in_sync_replicas {
            copies = copies.min(in_sync + 1).max(count(store.min_in_sync_replicas));
        }
        let slaves = copies.saturating_sub(1);
        if store.all_ack_in_sync_state_set {
            return Wanted::Slaves(Copies::EverySynced(slaves));
        }
        match slaves {
            0 => Wanted::Nothing,
            // RocketMQ 4: who is not there is not waited for. RocketMQ 5, told a number, waits.
            // The old master has just become a slave: it is on its way.
            _ if self.time_told() < self.slave_state.grace() => {
                Wanted::Slaves(Copies::AtLeast(slaves))
            }
            _ if !given && in_sync < slaves => Wanted::NotAvailable,
            _ => Wanted::Slaves(Copies::AtLeast(slaves)),
        }
    }

    /// Gives `answer` when everything before `end` is as safe as the configuration promises. The
    /// message is kept in any case: the codes of delay say that it is stored and not yet safe.
    pub(crate) fn when_safe(
        self: &Arc<Self>,
        settings: &Settings,
        mut answer: Command,
        end: PhysicalOffset,
        now: Millis,
    ) -> Outcome {
        let wanted = self.wanted(settings, end);
        // What a group agrees on is as durable at most of its members as it is to be here.
        let flushes =
            settings.store.flush_disk_type == FlushDiskType::SyncFlush && !self.store.has_gate();
        if let (Wanted::Nothing | Wanted::NotAvailable, false) = (wanted, flushes) {
            if wanted == Wanted::NotAvailable {
                answer.code = ResponseCode::SlaveNotAvailable as i32;
            }
            return Outcome::Reply(answer);
        }
        let flushed = flushes.then(|| {
            let limit = now.plus(i64::from(settings.store.sync_flush_timeout));
            (Box::pin(self.store.flushed(end)), self.sleep_until(limit))
        });
        let copied = match wanted {
            Wanted::Slaves(copies) => {
                let limit = now.plus(i64::from(settings.store.slave_timeout));
                Some((self.replicas.wait(end.0, copies), self.sleep_until(limit)))
            }
            Wanted::Nothing | Wanted::NotAvailable => None,
        };
        let tenure = self.tenure();
        Outcome::Later(Box::pin(async move {
            let flushed = async {
                match flushed {
                    Some((flushed, limit)) => match select(flushed, limit).await {
                        Either::Left((flushed, _)) => flushed.map_err(Some),
                        Either::Right(_) => Err(None),
                    },
                    None => Ok(()),
                }
            };
            let copied = async {
                match copied {
                    Some((copied, limit)) => matches!(select(copied, limit).await, Either::Left(_)),
                    None => true,
                }
            };
            let (flushed, mut copied) = join(Box::pin(flushed), Box::pin(copied)).await;
            // Whoever is master now need not have the message.
            copied &= !tenure.is_over();
            // Java: of two failures that of the copies is told.
            if wanted == Wanted::NotAvailable {
                answer.code = ResponseCode::SlaveNotAvailable as i32;
            } else if !copied {
                answer.code = ResponseCode::FlushSlaveTimeout as i32;
            } else if let Err(cause) = flushed {
                answer.code = ResponseCode::FlushDiskTimeout as i32;
                // The disk failed: to wait longer would not have helped.
                answer.remark = cause.map(|cause| cause.to_string().into());
            }
            answer
        }))
    }
}

/// What a slave knows of its link to the master.
#[derive(Default)]
pub(crate) struct SlaveState {
    sees_master: AtomicBool,
    /// Until then slaves of a new master are waited for, though there are none.
    grace_until: AtomicI64,
    view: Mutex<SlaveView>,
}

impl SlaveState {
    fn grace(&self) -> Millis {
        Millis(self.grace_until.load(Ordering::Relaxed))
    }
}

/// A slave's link as operators see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlaveView {
    /// The master's replication address, once it is known.
    pub master_ha: Option<String>,
    pub connected: bool,
    pub heard: Millis,
    pub told: Millis,
    pub bytes_per_second: u64,
    /// Why there is no connection, or the last one ended.
    pub trouble: Option<String>,
    /// The trouble is that the logs differ: an operator has to mend that.
    pub diverged: bool,
}

impl Broker {
    /// The link to the master has changed, or its numbers have.
    pub fn set_slave_view(&self, view: SlaveView) {
        self.slave_state.sees_master.store(view.connected, Ordering::Relaxed);
        *lock(&self.slave_state.view) = view;
    }

    /// The master's place was taken over: its slaves are going to come.
    pub fn await_slaves(&self, until: Millis) {
        self.slave_state.grace_until.store(until.0, Ordering::Relaxed);
    }

    pub(crate) fn slave_view(&self) -> SlaveView {
        lock(&self.slave_state.view).clone()
    }

    /// Takes over the topics of the master, the body of its answer to request 21; `at` is what the
    /// answer says of itself ([`copied_at`]).
    pub fn take_topics(
        &self,
        table: TopicConfigSerializeWrapper,
        at: Option<u64>,
    ) -> Result<(), SaveError> {
        self.take_copy(at, || {
            if self.topics.take_masters(table)? {
                self.tell_topics();
                drop(self.topics_changed());
            }
            Ok(())
        })
    }

    /// Takes over the groups of the master, the body of its answer to request 201.
    pub fn take_groups(
        &self,
        table: SubscriptionGroupTable,
        at: Option<u64>,
    ) -> Result<(), SaveError> {
        self.take_copy(at, || self.groups.take_masters(table))
    }

    /// Takes over the offsets of the master, the body of its answer to request 43. What was
    /// committed here and is further stays, to be sent to the master.
    pub fn take_offsets(&self, table: ConsumerOffsets, at: Option<u64>, now: Millis) {
        let Ok(()) = self.take_copy(at, || {
            self.offsets.take_masters(table, self.store.has_gate());
            Ok::<_, Infallible>(())
        });
        self.wake_to_save_offsets(now);
    }

    /// Takes over how far the master has delivered delayed messages, its answer to request 45.
    pub fn take_delays(&self, content: &[u8]) -> Result<(), TakeError> {
        self.delay.take_masters(content)
    }

    /// Takes over who pops and who pulls, the body of the master's answer to request 402.
    pub fn take_modes(&self, modes: MessageRequestModes) -> Result<(), SaveError> {
        self.pop.modes.take_masters(modes)
    }

    /// The slaves of this master, and those turned away because their log is another.
    pub fn slaves(&self) -> (Vec<ReplicaView>, Vec<(IpAddr, String)>) {
        (self.replicas.views(self.store.appended().0), self.replicas.diverged())
    }

    /// The link to the master, if this is a slave.
    pub fn link_to_master(&self) -> Option<SlaveView> {
        self.is_slave().then(|| self.slave_view())
    }

    /// Offsets committed at this slave that its master does not know.
    pub fn local_commits(&self) -> Vec<LocalCommit> {
        self.offsets.local_commits()
    }

    pub fn commit_is_known(&self, commit: &LocalCommit) {
        self.offsets.commit_is_known(commit);
    }

    /// The request that tells the master of it.
    pub fn hand_on(&self, commit: &LocalCommit) -> Command {
        let mut request = Command::request(&UpdateConsumerOffset {
            consumer_group: commit.group.as_str().into(),
            topic: commit.topic.as_str().into(),
            queue_id: commit.queue,
            commit_offset: commit.offset,
        });
        request.fields.push(ONLY_FORWARD, "true");
        if self.store.has_gate() {
            request.fields.push(AT, self.tables_read().to_string());
        }
        request
    }

    /// The master has answered it. If it could not do it now, it is asked again.
    pub fn handed_on(&self, commit: &LocalCommit, answer: &Command) {
        use ResponseCode as C;
        let is_for_later = |code| {
            matches!(code, C::SystemError | C::SystemBusy | C::ServiceNotAvailable | C::GoAway)
        };
        match ResponseCode::from_i32(answer.code) {
            Some(code) if is_for_later(code) => {}
            Some(C::Success) => self.commit_is_known(commit),
            // Its topic or group is gone there: it will be here, too.
            _ => {
                let remark = answer.remark.as_deref().unwrap_or("");
                tracing::warn!(?commit, remark, "the master does not take an offset");
                self.commit_is_known(commit);
            }
        }
    }

    /// A broker that is no name server says where the master is.
    pub fn master_is_at(&self, ha: &str, address: Option<&str>) {
        self.outside().master_is_at(ha, address);
        self.role.tell();
    }

    /// The settings as they are now.
    pub fn current_settings(&self) -> Arc<Settings> {
        self.settings().clone()
    }
}

#[cfg(test)]
mod tests;
