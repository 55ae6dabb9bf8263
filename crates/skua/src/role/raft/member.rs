//! A group's member at work: calls the core, and does what its effects say.
//!
//! Whoever brings something works it in: the connection that appended a message, the task that read
//! a frame. So a send passes from thread to thread only where it passes from process to process.
//! The thread is for time, and for what may wait for the disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skua_raft::{
    Change, ChangeError, Effect, Group, GroupError, PeerId, Reader, Role, Status, Syncer,
    is_append_or_heartbeat,
};
use skua_store::Store;
use tokio::sync::{oneshot, watch};

use super::net::{Heard, Net};
use super::shared::Shared;
use crate::clock;

/// Events that wait for the thread.
const EVENTS_MAX: usize = 8192;
/// Frames that wait; more are dropped.
const FRAMES_MAX: usize = 8192;
/// Ticks between two looks at how the group stands.
const STATUS_TICKS: u64 = 4;

/// Reads that wait; more than the group has under way.
const READS_MAX: usize = 64;

enum Event {
    Synced(u64),
    Read(u64),
    Transfer(PeerId, oneshot::Sender<Result<(), ChangeError>>),
    Change(Change, oneshot::Sender<Result<(), ChangeError>>),
    /// There is more to do than one connection should do for others.
    Help,
    Stop,
}

/// What one at a time works on.
struct Core {
    group: Group,
    syncs: SyncSender<u64>,
    /// Numbers, offsets and lengths.
    reads: SyncSender<(u64, u64, u64)>,
    roles: watch::Sender<Role>,
    is_closed: bool,
}

struct Inner {
    core: Shared<Core>,
    store: Arc<Store>,
    net: Arc<Net>,
    events: SyncSender<Event>,
    frames: Mutex<VecDeque<Heard>>,
    has_grown: AtomicBool,
    is_dispatch_due: AtomicBool,
    /// As of the last turn.
    term: AtomicU64,
    status: Mutex<Status>,
}

/// How others speak to the member.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// The log has grown. Does not wait.
    pub fn grew(&self) {
        self.0.has_grown.store(true, Ordering::SeqCst);
        self.work();
        // Only a group of one agrees by itself; others hear of it with a frame.
        self.dispatch();
    }

    /// Takes what came from a peer. What is agreed on by it is to be dispatched soon
    /// ([`dispatch`](Self::dispatch)), after the answers that wait for it.
    pub fn hear(&self, heard: Heard) {
        let is_quick = match &heard {
            Heard::Frame(incoming) => {
                is_append_or_heartbeat(&incoming.frame, self.0.term.load(Ordering::Relaxed))
            }
            Heard::End(_) => true,
        };
        {
            let mut frames = lock(&self.0.frames);
            if frames.len() >= FRAMES_MAX {
                return;
            }
            frames.push_back(heard);
        }
        if is_quick {
            self.work();
        } else {
            tokio::task::block_in_place(|| self.0.core.work_waiting(|core| self.0.turn(core)));
        }
    }

    fn work(&self) {
        if !self.0.core.work(|core| self.0.turn(core)) {
            // Should there be no room, the next tick does it.
            let _ = self.0.events.try_send(Event::Help);
        }
    }

    /// Dispatches what is agreed on since this was done last.
    pub fn dispatch(&self) {
        if self.is_dispatch_due() && self.0.is_dispatch_due.swap(false, Ordering::SeqCst) {
            self.0.store.dispatch_here();
        }
    }

    pub fn is_dispatch_due(&self) -> bool {
        self.0.is_dispatch_due.load(Ordering::SeqCst)
    }

    /// As of some milliseconds ago.
    pub fn status(&self) -> Status {
        lock(&self.0.status).clone()
    }

    pub async fn transfer(&self, to: PeerId) -> Result<(), String> {
        self.ask(|done| Event::Transfer(to, done)).await
    }

    pub async fn change(&self, change: Change) -> Result<(), String> {
        self.ask(|done| Event::Change(change, done)).await
    }

    async fn ask(
        &self,
        event: impl FnOnce(oneshot::Sender<Result<(), ChangeError>>) -> Event,
    ) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        self.0
            .events
            .try_send(event(done))
            .map_err(|_| "the group's thread is busy or has ended")?;
        let answer = answer.await.map_err(|_| "the group's thread has ended")?;
        answer.map_err(|error| error.to_string())
    }

    pub fn stop(&self) {
        let _ = self.0.events.send(Event::Stop);
    }
}

/// The member's thread.
pub struct Member {
    handle: Handle,
    events: Receiver<Event>,
    tick: Duration,
}

impl Member {
    pub fn new(
        group: Group,
        store: Arc<Store>,
        net: Arc<Net>,
        roles: watch::Sender<Role>,
        tick: Duration,
    ) -> std::io::Result<Self> {
        let (sender, events) = sync_channel(EVENTS_MAX);
        let (syncs, numbers) = sync_channel(1024);
        let (syncer, sending) = (group.syncer(), sender.clone());
        std::thread::Builder::new()
            .name("raft-sync".into())
            .spawn(move || sync_all(&syncer, &numbers, &sending))?;
        let (reads, wanted) = sync_channel(READS_MAX);
        let (reader, sending) = (group.reader(), sender.clone());
        std::thread::Builder::new()
            .name("raft-read".into())
            .spawn(move || read_all(&reader, &wanted, &sending))?;
        let inner = Inner {
            store,
            net,
            events: sender,
            frames: Mutex::default(),
            has_grown: AtomicBool::default(),
            is_dispatch_due: AtomicBool::default(),
            term: AtomicU64::new(group.term()),
            status: Mutex::new(group.status()),
            core: Shared::new(Core { group, syncs, reads, roles, is_closed: false }),
        };
        Ok(Self { handle: Handle(Arc::new(inner)), events, tick })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until stopped.
    pub fn run(self) {
        let inner = &self.handle.0;
        let mut next_tick = Instant::now() + self.tick;
        let mut ticks = 0_u64;
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            let event = match self.events.recv_timeout(wait) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
            };
            let mut given = event.into_iter().collect::<Vec<_>>();
            let mut is_stopped = false;
            given.extend(self.events.try_iter().take(EVENTS_MAX).take_while(|event| {
                is_stopped = matches!(event, Event::Stop);
                !is_stopped
            }));
            let mut is_tick = Instant::now() >= next_tick;
            if is_tick {
                // A process that stood still does not make up for what it missed.
                next_tick = Instant::now() + self.tick;
                ticks += 1;
            }
            inner.core.work_waiting(|core| {
                for event in given.drain(..) {
                    inner.obey(core, event).unwrap_or_else(|error| give_up(&error));
                }
                inner.turn(core);
                if std::mem::take(&mut is_tick) {
                    core.group.tick(clock::now()).unwrap_or_else(|error| give_up(&error));
                    inner.apply(core);
                    if ticks % STATUS_TICKS == 1 {
                        inner.look(core);
                    }
                }
            });
            self.handle.dispatch();
            if is_stopped {
                break;
            }
        }
        inner.core.work_waiting(|core| {
            if !std::mem::replace(&mut core.is_closed, true)
                && let Err(error) = core.group.close()
            {
                tracing::error!(%error, "the group's files were not closed in order");
            }
        });
    }
}

impl Inner {
    /// Takes what waits. What is final ends the process: a member that went on might forget what it
    /// has promised.
    fn turn(&self, core: &mut Core) {
        if core.is_closed {
            return;
        }
        let frames = std::mem::take(&mut *lock(&self.frames));
        let has_grown = self.has_grown.swap(false, Ordering::SeqCst);
        let take = || {
            for heard in frames {
                match heard {
                    Heard::Frame(incoming) => {
                        core.group.receive(incoming.from, &incoming.frame, clock::now())?;
                    }
                    Heard::End(from) => core.group.lost(from),
                }
            }
            if has_grown { core.group.log_grew() } else { Ok(()) }
        };
        take().unwrap_or_else(|error| give_up(&error));
        self.apply(core);
    }

    fn obey(&self, core: &mut Core, event: Event) -> Result<(), GroupError> {
        match event {
            Event::Synced(number) => core.group.synced(number)?,
            Event::Read(number) => core.group.read_done(number)?,
            Event::Transfer(to, done) => {
                let given = core.group.transfer(to);
                // Whoever hears of it looks at the state next.
                self.look(core);
                let _ = done.send(given);
            }
            Event::Change(change, done) => {
                let _ = done.send(core.group.propose_change(&change));
            }
            Event::Help | Event::Stop => {}
        }
        Ok(())
    }

    fn apply(&self, core: &mut Core) {
        for effect in core.group.effects() {
            match effect {
                Effect::Send { to, frame } => self.net.send(to, frame),
                Effect::Sync { number } => {
                    let _ = core.syncs.send(number);
                }
                Effect::Read { number, at, len } => {
                    // There are never as many as would have to wait.
                    let _ = core.reads.send((number, at, len));
                }
                Effect::Role(role) => {
                    self.look(core);
                    core.roles.send_replace(role);
                }
                Effect::Committed(_) => self.is_dispatch_due.store(true, Ordering::SeqCst),
            }
        }
        self.term.store(core.group.term(), Ordering::Relaxed);
    }

    fn look(&self, core: &Core) {
        let status = core.group.status();
        let peers: BTreeMap<PeerId, String> =
            status.peers.iter().map(|peer| (peer.id, peer.address.clone())).collect();
        self.net.set_peers(&peers);
        *lock(&self.status) = status;
    }
}

fn sync_all(syncer: &Syncer, numbers: &Receiver<u64>, events: &SyncSender<Event>) {
    while let Ok(mut number) = numbers.recv() {
        while let Ok(later) = numbers.try_recv() {
            number = later;
        }
        if let Err(error) = syncer.sync() {
            give_up(&GroupError::Disk(error));
        }
        if events.send(Event::Synced(number)).is_err() {
            return;
        }
    }
}

fn read_all(reader: &Reader, wanted: &Receiver<(u64, u64, u64)>, events: &SyncSender<Event>) {
    while let Ok((number, at, len)) = wanted.recv() {
        reader.read(at, len);
        if events.send(Event::Read(number)).is_err() {
            return;
        }
    }
}

fn give_up(cause: &GroupError) -> ! {
    tracing::error!(%cause, "this member cannot go on, the process ends");
    std::process::exit(1)
}
