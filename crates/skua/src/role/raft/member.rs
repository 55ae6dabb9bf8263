//! The thread of a group's member: calls the core, and does what its effects say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skua_raft::{
    Change, ChangeError, Effect, Group, GroupError, PeerId, Reader, Role, Status, Syncer,
};
use skua_store::Store;
use tokio::sync::{oneshot, watch};

use super::net::{Heard, Net};
use crate::clock;

/// Events that wait; frames beyond are dropped.
const EVENTS_MAX: usize = 8192;
/// Events dealt with until the effects are looked at.
const DRAINED_MAX: usize = 4096;
/// Ticks between two looks at how the group stands.
const STATUS_TICKS: u64 = 4;

/// Reads that wait; more than the group has under way.
const READS_MAX: usize = 64;

/// Numbers, offsets and lengths of reads.
type Reads = SyncSender<(u64, u64, u64)>;

pub enum Event {
    Heard(Heard),
    Grew,
    Synced(u64),
    Read(u64),
    Transfer(PeerId, oneshot::Sender<Result<(), ChangeError>>),
    Change(Change, oneshot::Sender<Result<(), ChangeError>>),
    Stop,
}

/// How others speak to the thread.
#[derive(Clone)]
pub struct Handle {
    events: SyncSender<Event>,
    has_grown: Arc<AtomicBool>,
    status: Arc<Mutex<Status>>,
}

impl Handle {
    /// The log has grown. Must not wait.
    pub fn grew(&self) {
        if !self.has_grown.swap(true, Ordering::SeqCst)
            && self.events.try_send(Event::Grew).is_err()
        {
            self.has_grown.store(false, Ordering::SeqCst);
        }
    }

    /// False when the thread has ended.
    pub fn take(&self, heard: Heard) -> bool {
        use std::sync::mpsc::TrySendError;
        !matches!(self.events.try_send(Event::Heard(heard)), Err(TrySendError::Disconnected(_)))
    }

    /// As of some milliseconds ago.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        self.events.try_send(event(done)).map_err(|_| "the group's thread is busy or has ended")?;
        let answer = answer.await.map_err(|_| "the group's thread has ended")?;
        answer.map_err(|error| error.to_string())
    }

    pub fn stop(&self) {
        let _ = self.events.send(Event::Stop);
    }
}

pub struct Member {
    pub group: Group,
    pub store: Arc<Store>,
    pub net: Arc<Net>,
    pub roles: watch::Sender<Role>,
    pub tick: Duration,
    events: Receiver<Event>,
    handle: Handle,
}

impl Member {
    pub fn new(
        group: Group,
        store: Arc<Store>,
        net: Arc<Net>,
        roles: watch::Sender<Role>,
        tick: Duration,
    ) -> Self {
        let (sender, events) = sync_channel(EVENTS_MAX);
        let handle = Handle {
            events: sender,
            has_grown: Arc::default(),
            status: Arc::new(Mutex::new(group.status())),
        };
        Self { group, store, net, roles, tick, events, handle }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until stopped. What is final ends the process: a member that went on might forget what
    /// it has promised.
    pub fn run(mut self) {
        let (syncs, numbers) = sync_channel::<u64>(1024);
        let syncer = self.group.syncer();
        let events = self.handle.events.clone();
        let syncing = std::thread::Builder::new()
            .name("raft-sync".into())
            .spawn(move || sync_all(&syncer, &numbers, &events));
        let (reads, wanted) = sync_channel::<(u64, u64, u64)>(READS_MAX);
        let reader = self.group.reader();
        let events = self.handle.events.clone();
        let reading = std::thread::Builder::new()
            .name("raft-read".into())
            .spawn(move || read_all(&reader, &wanted, &events));
        if let Err(error) = syncing.and(reading) {
            give_up(&GroupError::Broken(error.to_string()));
        }
        if let Err(error) = self.serve(&syncs, &reads) {
            give_up(&error);
        }
        if let Err(error) = self.group.close() {
            tracing::error!(%error, "the group's files were not closed in order");
        }
    }

    fn serve(&mut self, syncs: &SyncSender<u64>, reads: &Reads) -> Result<(), GroupError> {
        let mut next_tick = Instant::now() + self.tick;
        let mut ticks = 0_u64;
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            let mut event = match self.events.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut drained = 0;
            while let Some(one) = event.take() {
                if self.obey(one)? {
                    return Ok(());
                }
                drained += 1;
                if drained < DRAINED_MAX {
                    event = self.events.try_recv().ok();
                }
            }
            if Instant::now() >= next_tick {
                // A process that stood still does not make up for what it missed.
                next_tick = Instant::now() + self.tick;
                self.group.tick(clock::now())?;
                ticks += 1;
                if ticks % STATUS_TICKS == 1 {
                    self.look();
                }
            }
            self.apply(syncs, reads);
        }
    }

    /// True if it is the end.
    fn obey(&mut self, event: Event) -> Result<bool, GroupError> {
        match event {
            Event::Heard(Heard::Frame(incoming)) => {
                self.group.receive(incoming.from, &incoming.frame, clock::now())?;
            }
            Event::Heard(Heard::End(from)) => self.group.lost(from),
            Event::Grew => {
                self.handle.has_grown.store(false, Ordering::SeqCst);
                self.group.log_grew()?;
            }
            Event::Synced(number) => self.group.synced(number)?,
            Event::Read(number) => self.group.read_done(number)?,
            Event::Transfer(to, done) => {
                let given = self.group.transfer(to);
                // Whoever hears of it looks at the state next.
                self.look();
                let _ = done.send(given);
            }
            Event::Change(change, done) => {
                let _ = done.send(self.group.propose_change(&change));
            }
            Event::Stop => return Ok(true),
        }
        Ok(false)
    }

    fn apply(&mut self, syncs: &SyncSender<u64>, reads: &Reads) {
        let mut dispatches = false;
        for effect in self.group.effects() {
            match effect {
                Effect::Send { to, frame } => self.net.send(to, frame),
                Effect::Sync { number } => {
                    let _ = syncs.send(number);
                }
                Effect::Read { number, at, len } => {
                    // There are never as many as would have to wait.
                    let _ = reads.send((number, at, len));
                }
                Effect::Role(role) => {
                    self.look();
                    self.roles.send_replace(role);
                }
                Effect::Committed(_) => dispatches = true,
            }
        }
        if dispatches {
            self.store.dispatch_here();
        }
    }

    fn look(&mut self) {
        let status = self.group.status();
        let peers: BTreeMap<PeerId, String> =
            status.peers.iter().map(|peer| (peer.id, peer.address.clone())).collect();
        self.net.set_peers(&peers);
        *self.handle.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
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
