//! What a start does with the files it finds. Each of them alone may be torn.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use raft::{Config, RawNode};
use skua_protocol::{Millis, PhysicalOffset};
use skua_store::{Disk, Store};

use super::{Group, Role};
use crate::changes::Changes;
use crate::cold::ColdReads;
use crate::dirty::Dirty;
use crate::error::OpenError;
use crate::frame::NO_ORIGIN;
use crate::index::{Base, Index};
use crate::log::{GroupLog, SharedLog};
use crate::logger::logger;
use crate::members::Members;
use crate::options::{GroupOptions, hash};
use crate::slot::Kind;
use crate::state::{State, StateFile};

/// Bytes of the log's start that tell it from others.
const ORIGIN_BYTES: usize = 1 << 16;

/// What a store has to be told of its group before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHint {
    /// For `StoreOptions::confirmed`: how far the group is known to have agreed. All of it where no
    /// group has been yet.
    pub confirmed: u64,
    /// For `StoreOptions::void_from`: no entry of the group lies behind. A log that was being cut
    /// there when the machine ended may be in any state.
    pub void_from: Option<u64>,
}

/// What to open the store of these options with.
pub fn log_hint(disk: Arc<dyn Disk>, options: &GroupOptions) -> Result<LogHint, OpenError> {
    let root = &options.root;
    let Some((_, state)) = StateFile::read(&*disk, root)? else {
        return Ok(LogHint { confirmed: u64::MAX, void_from: None });
    };
    let confirmed = match state.clean || state.boot == options.boot {
        true => state.committed_end,
        // What was agreed on may be torn: first the index is asked, then it is shown.
        false => 0,
    };
    let index = Index::open(disk, root, Arc::default(), options.index_file_slots, state.base)?;
    Ok(LogHint { confirmed, void_from: Some(index.end().max(state.committed_end)) })
}

impl Group {
    /// Opens the member's files beside an opened store, or begins them: a store that holds
    /// something is then what the group's log begins with.
    ///
    /// The store must have been opened with [`log_hint`] on the same disk.
    pub fn open(
        options: GroupOptions,
        disk: Arc<dyn Disk>,
        store: Arc<Store>,
        now: Millis,
    ) -> Result<Self, OpenError> {
        options.check()?;
        if !store.has_gate() {
            return Err(OpenError::Options("the store was opened without a gate".to_owned()));
        }
        let root = options.root.clone();
        let found = StateFile::read(&*disk, &root)?;
        let is_new = found.is_none();
        let (state_file, mut state) = match found {
            Some((file, state)) => {
                check_owner(&options, &state)?;
                (file, state)
            }
            None => {
                let state = first_state(&options, &*disk, &store)?;
                let file = StateFile::create(&*disk, &root, &state)?;
                (file, state)
            }
        };
        let dirty = Arc::new(Dirty::default());
        let slots = options.index_file_slots;
        let index = Index::open(Arc::clone(&disk), &root, Arc::clone(&dirty), slots, state.base)?;
        let changes = Changes::open(Arc::clone(&disk), &root)?;
        let boot_is_same = state.boot == options.boot;
        let was_clean = state.clean;
        let lost_cache = !is_new && !boot_is_same && !was_clean;

        state.life += 1;
        state.boot = options.boot;
        state.clean = false;
        let hint = state.committed;
        let mut log = GroupLog {
            store: Arc::clone(&store),
            index,
            changes,
            state,
            state_file,
            applied: 0,
            cold: ColdReads::default(),
        };
        log.agree(&root)?;
        let last = log.index.last();
        let dispatched = log.index.last_with_bytes(store.confirmed().0)?;
        log.applied = hint.min(last).max(dispatched).max(log.index.base().index);
        if log.state.copying {
            // What is behind was not agreed on, as far as this member knows; the copy is.
            let applied = log.applied;
            log.index.truncate(applied + 1)?;
            if applied == 0 && store.confirmed() > store.min_physical_offset() {
                // It forgot its entries to begin behind them, and ended before the bytes were gone.
                let file = store.commit_log_file_size();
                let behind = (store.appended().0 / file + 1) * file;
                store.begin_anew(PhysicalOffset(behind), &[])?;
            }
        } else if last < hint {
            if options.sync {
                return Err(OpenError::Broken {
                    path: Index::dir(&root),
                    cause: format!("entries up to {hint} were agreed on, the index ends at {last}"),
                });
            }
            log.state.suspect = true;
        }
        // An entry cannot have come before a leader has; a log moved in is of term 1 itself.
        let first_term = u64::from(log.state.origin != 0);
        if lost_cache && !options.sync && log.state.term > first_term {
            log.state.suspect = true;
        }
        let (applied, end) = (log.applied, log.index.end_of(log.applied)?.unwrap_or(0));
        (log.state.committed, log.state.committed_end) = (applied, end);
        if !log.state.copying {
            store.confirm(PhysicalOffset(end));
        }
        log.save(true)?;
        if log.state.suspect {
            tracing::warn!(
                "this member may have forgotten what it acknowledged; it does not vote until it has it again"
            );
        }

        // From here on all that is there counts as durable.
        store.flush_now()?;
        dirty.sync()?;
        // What the checkpoint says is dispatched must be in a durable index.
        let before = Arc::clone(&dirty);
        store.on_checkpoint(Box::new(move || before.sync()));
        let log = SharedLog(Arc::new(Mutex::new(log)));
        let node = new_node(&options, &log)?;
        let mut group = Self {
            options,
            store,
            log,
            dirty,
            node,
            effects: VecDeque::new(),
            role: Role::Follower { leader: None },
            leading: None,
            writes: VecDeque::new(),
            next_sync: 1,
            done_sync: 0,
            pending: None,
            heard: BTreeMap::new(),
            troubles: BTreeMap::new(),
            copying: None,
            served: BTreeMap::new(),
            target: None,
            lost: None,
            lost_counts_at: 0,
            timeout: (u64::MAX, 0),
            opened: now,
            now,
            ticks: 0,
            leader_heard: now,
            put_out: None,
            failed: None,
            last_words: Arc::default(),
        };
        group.set_timeout();
        Ok(group)
    }

    /// Another node over what the files say, after they were changed behind the library's back.
    pub(super) fn rebuild(&mut self) -> Result<(), crate::GroupError> {
        self.writes.clear();
        self.pending = None;
        self.node = new_node(&self.options, &self.log)?;
        self.set_timeout();
        Ok(())
    }
}

fn new_node(options: &GroupOptions, log: &SharedLog) -> Result<RawNode<SharedLog>, raft::Error> {
    let applied = log.lock().applied;
    let config = Config {
        id: options.id.0,
        election_tick: options.election_ticks,
        heartbeat_tick: options.heartbeat_ticks,
        min_election_tick: options.election_ticks,
        max_election_tick: 2 * options.election_ticks,
        applied,
        max_size_per_msg: options.message_bytes as u64,
        max_inflight_msgs: options.window,
        check_quorum: true,
        pre_vote: true,
        max_committed_size_per_ready: 1 << 20,
        // The mark travels with the next entries, or with the next tick.
        skip_bcast_commit: true,
        ..Config::default()
    };
    RawNode::new(&config, log.clone(), &logger())
}

pub(crate) fn check_owner(options: &GroupOptions, state: &State) -> Result<(), OpenError> {
    let other = |found: String, expected: String| Err(OpenError::OtherOwner { found, expected });
    if state.group != options.group_hash() {
        return other("another group".to_owned(), format!("dLegerGroup {}", options.group));
    }
    if state.id != options.id.0 {
        let name = |id: u64| format!("dLegerSelfId n{}", id.wrapping_sub(1));
        return other(name(state.id), name(options.id.0));
    }
    Ok(())
}

/// The state of a member that has none.
fn first_state(options: &GroupOptions, disk: &dyn Disk, store: &Store) -> Result<State, OpenError> {
    let dir = Index::dir(&options.root);
    if !disk.list(&dir)?.is_empty() {
        let cause = "there is an index and no raft/state".to_owned();
        return Err(OpenError::Broken { path: dir, cause });
    }
    let (group, id) = (options.group_hash(), options.id.0);
    let mut state = State { group, id, boot: options.boot, ..State::default() };
    let (min, end) = (store.min_physical_offset(), store.appended());
    if min < end {
        // A broker's log becomes the group's.
        store.flush_now()?;
        let len = (end.0 - min.0).min(ORIGIN_BYTES as u64) as usize;
        let bytes = store.log_bytes(min, len)?;
        let ends = [min.0, end.0, id].map(u64::to_be_bytes).concat();
        state.origin = hash(&[&bytes, &ends]).clamp(1, NO_ORIGIN - 1);
        state.base = Base { index: 1, term: 1, end: end.0 };
        (state.term, state.committed, state.committed_end) = (1, 1, end.0);
        state.members = Members::of(&options.peers);
        state.first_members = state.members.clone();
        state.members_at = 1;
        tracing::info!(end = end.0, "the broker's log is what the group begins with");
    }
    Ok(state)
}

impl GroupLog {
    /// Makes commit log and index end at the same entry, the last that is whole in both.
    fn agree(&mut self, root: &Path) -> Result<(), OpenError> {
        let (from, log_end) = (self.store.recovered().from, self.store.appended().0);
        // Before that, log and index were durable together.
        let first = self.index.last_with_bytes(from)? + 1;
        let mut at = first;
        while let Some(slot) = self.index.slot(at)? {
            let is_whole = match slot.kind {
                Kind::Empty => true,
                Kind::Data => slot.end() <= log_end && self.has_bytes(&slot)?,
                Kind::Change => {
                    let change = self.changes.get(at, slot.term);
                    change.is_some_and(|change| crc32fast::hash(change) == slot.crc)
                }
            };
            if !is_whole {
                break;
            }
            at += 1;
        }
        let lost = (self.index.last() + 1).saturating_sub(at);
        if lost > 0 {
            tracing::warn!(entries = lost, from = at, "entries were torn and are forgotten");
            self.index.truncate(at)?;
        }
        // What the last run wrote may be in the page cache only, or nowhere if a sync failed.
        self.index.rewrite(first)?;
        let kept = self.index.first();
        self.changes.rewrite(kept)?;
        if self.state.copying {
            return Ok(());
        }
        let end = self.index.end();
        let confirmed = self.store.confirmed().0;
        if end < confirmed {
            return Err(OpenError::Broken {
                path: Index::dir(root),
                cause: format!(
                    "the commit log was agreed on up to {confirmed}, the index ends at {end}"
                ),
            });
        }
        if log_end > end {
            tracing::info!(bytes = log_end - end, "bytes that were never proposed are cut");
            self.store.truncate_to(PhysicalOffset(end))?;
        }
        Ok(())
    }

    fn has_bytes(&self, slot: &crate::slot::Slot) -> Result<bool, OpenError> {
        let bytes = self.store.log_bytes(PhysicalOffset(slot.at), slot.data_len())?;
        Ok(crc32fast::hash(&bytes) == slot.crc)
    }
}
