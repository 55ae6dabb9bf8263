//! The slave's socket: follows the master, appends what comes, says how far it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use skua_broker::SlaveView;
use skua_config::{FlushDiskType, SlaveRefill};
use skua_ha::{RefillRule, SlaveAct, SlaveLink, SlaveRules, Span, Trouble, checksum};
use skua_protocol::{Millis, PhysicalOffset};
use skua_remoting::tls::Stream;
use skua_remoting::{DialError, dial};
use skua_store::{Flushed, ReplicateError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::master::Rate;
use super::{MasterNews, Place, Shared, write_or_flush};
use crate::clock;
use crate::role::refill;

/// Time for connecting.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for what is still to be written at the end of a connection.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pause before the next attempt; doubles up to the last (Java: always 5 s).
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a master is waited for to show itself a Skua broker; doubled if it was too late.
const KNOCK_MS: i64 = 500;
const KNOCK_MAX_MS: i64 = 10_000;
/// How often operators' numbers are brought up to date.
const VIEW_MS: i64 = 500;
/// A longer record is none: more than any message size set in earnest.
const RECORD_MAX: u64 = 256 << 20;
/// One part in so many of the log's length that is to be free besides, before a slave begins anew.
const REFILL_MORE: u64 = 8;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("not appended: {0}")]
    Append(#[from] ReplicateError),
    #[error("own log: {0}")]
    Own(#[from] skua_store::ReadError),
    #[error("not flushed: {0}")]
    Flush(#[from] skua_store::FlushError),
    #[error("cannot connect within {} s", CONNECT.as_secs())]
    Late,
    #[error("cannot find the address of {0}: {1}")]
    NoAddress(String, String),
    #[error("{0}; nor is the log set aside: {1}")]
    NoRefill(String, String),
    #[error("the master is elsewhere now")]
    Moved,
}

pub(super) async fn follow(
    shared: Arc<Shared>,
    mut place: watch::Receiver<Place>,
    news: Arc<watch::Sender<MasterNews>>,
) {
    let mut slave =
        Slave { shared, news, knock_ms: KNOCK_MS, view: SlaveView::default(), master: None };
    let mut pause = PAUSE_MIN;
    let mut said = String::new();
    loop {
        let Some(addr) = place.borrow_and_update().ha.clone() else {
            if place.changed().await.is_err() {
                return;
            }
            continue;
        };
        let (mut end, lasted) = slave.connection(&addr, &mut place).await;
        if matches!(end, End::Trouble(Trouble::LateHello)) {
            slave.knock_ms = (slave.knock_ms * 2).min(KNOCK_MAX_MS);
        }
        match slave.refill(&end) {
            Ok(false) => {}
            Ok(true) => {
                // The process ends and starts again.
                slave.shared.restart.notify_one();
                return std::future::pending().await;
            }
            Err(why) => end = End::NoRefill(end.to_string(), why),
        }
        slave.ended(&end);
        pause = if lasted || matches!(end, End::Moved) {
            PAUSE_MIN
        } else {
            (pause * 2).min(PAUSE_MAX)
        };
        // Once, not at each attempt.
        let text = end.to_string();
        if text != said {
            match &end {
                _ if slave.view.diverged => {
                    tracing::error!(master = addr, cause = text, "replication stands still");
                }
                _ => tracing::warn!(master = addr, cause = text, "no replication for now"),
            }
            said = text;
        }
        tokio::select! {
            () = sleep(pause) => {}
            changed = place.changed() => if changed.is_err() { return },
        }
    }
}

struct Slave {
    shared: Arc<Shared>,
    news: Arc<watch::Sender<MasterNews>>,
    knock_ms: i64,
    view: SlaveView,
    /// What the master of the last connection has said of its log.
    master: Option<Span>,
}

impl Slave {
    fn rules(&self) -> SlaveRules {
        let store = &self.shared.settings.store;
        let file_size = self.shared.store.commit_log_file_size();
        SlaveRules {
            heartbeat_ms: i64::from(store.ha_send_heartbeat_interval),
            housekeeping_ms: i64::from(store.ha_housekeeping_interval),
            knock_ms: self.knock_ms,
            group: self.shared.group,
            broker_id: self.shared.broker.role().id(),
            file_size,
            check_crc: store.check_crc_on_recover,
            record_max: file_size.min(RECORD_MAX) as usize,
        }
    }

    fn syncs(&self) -> bool {
        self.shared.settings.store.flush_disk_type == FlushDiskType::SyncFlush
    }

    /// Why it ended, and whether it had come to anything.
    async fn connection(&mut self, addr: &str, place: &mut watch::Receiver<Place>) -> (End, bool) {
        self.view.master_ha = Some(addr.to_owned());
        self.master = None;
        let before = self.shared.store.appended();
        let mut heard = false;
        let end = match self.run(addr, place, &mut heard).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        (end, heard && self.shared.store.appended() > before)
    }

    /// Whether the store is going to be set aside and filled anew, as the configuration allows; or
    /// why it cannot be.
    fn refill(&self, end: &End) -> Result<bool, String> {
        let End::Trouble(trouble) = end else { return Ok(false) };
        let rule = match self.shared.settings.store.slave_refill {
            SlaveRefill::Never => RefillRule::Never,
            SlaveRefill::Behind => RefillRule::Behind,
            SlaveRefill::Diverged => RefillRule::Diverged,
        };
        let Some(bytes) = rule.allows(trouble, self.master) else { return Ok(false) };
        let store = &self.shared.store;
        let space = store.space().map_err(|error| error.to_string())?;
        // With queues and index, which are less than the log.
        let needed = bytes.saturating_add(bytes / REFILL_MORE);
        if space.available < needed {
            let free = space.available;
            return Err(format!("{needed} bytes are needed to fill it anew, {free} are free"));
        }
        let root = &self.shared.settings.store.store_path_root_dir;
        refill::ask(Path::new(root), &trouble.to_string())
            .map_err(|error| format!("{root}: {error}"))?;
        tracing::warn!(
            cause = trouble.to_string(),
            bytes,
            "the store is set aside and filled anew: the process starts again"
        );
        Ok(true)
    }

    fn ended(&mut self, end: &End) {
        self.view.connected = false;
        self.view.bytes_per_second = 0;
        self.view.trouble = Some(end.to_string());
        self.view.diverged = matches!(end, End::NoRefill(..))
            || matches!(end, End::Trouble(trouble) if trouble.is_divergence() || matches!(trouble, Trouble::Refused(_)));
        self.shared.broker.set_slave_view(self.view.clone());
    }

    async fn run(
        &mut self,
        addr: &str,
        place: &mut watch::Receiver<Place>,
        heard: &mut bool,
    ) -> Result<std::convert::Infallible, End> {
        let shared = self.shared.clone();
        let store = &shared.store;
        if self.syncs() {
            // What is asked for counts as held: it must be as safe as this slave promises.
            store.flushed(store.appended()).await?;
        }
        let connected = dial(addr, CONNECT).await.map_err(|error| match error {
            DialError::Lookup(why) => End::NoAddress(addr.to_owned(), why.to_string()),
            DialError::Connect(error) => error.into(),
            DialError::Late => End::Late,
        })?;
        let stream = match &shared.tls.replication {
            Some(tls) => {
                timeout(CONNECT, tls.connect(connected, addr)).await.map_err(|_| End::Late)??
            }
            None => Stream::plain(connected),
        };
        let own = Span { min: store.min_physical_offset().0, end: store.appended().0 };
        let mut link = SlaveLink::new(self.rules(), own, clock::now());
        self.news.send_modify(|news| {
            *news = MasterNews { connection: news.connection + 1, versions: None };
        });
        self.view.connected = true;
        self.view.trouble = None;
        self.view.diverged = false;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut unflushed = false;
        let (mut input, mut pending) = (vec![0; 256 << 10], BytesMut::new());
        let mut rate = Rate::default();
        let mut viewed = Millis(0);
        let mut is_empty = own.end == 0;
        let mut flushing: Option<Flushed> = None;
        let mut said = false;
        loop {
            while let Some(piece) = link.take() {
                let offset = PhysicalOffset(piece.offset);
                if is_empty {
                    is_empty = false;
                    store.begin_at(offset)?;
                }
                store.append_copy(offset, &piece.bytes)?;
                rate.add(piece.bytes.len() as u64, clock::now());
            }
            let (appended, flushed) = (store.appended(), store.flushed_offset());
            let held = if self.syncs() { flushed } else { appended };
            if self.syncs() && flushed < appended && flushing.is_none() {
                flushing = Some(store.flushed(appended));
            }
            let now = clock::now();
            let until = loop {
                match link.act(held.0, now) {
                    SlaveAct::Write(bytes) => pending.extend_from_slice(&bytes),
                    SlaveAct::Tail { from } => {
                        let tail = tail(&shared, from, own.end).await?;
                        link.tail(from, tail);
                    }
                    SlaveAct::Wait(until) => break until,
                    SlaveAct::Close(trouble) => {
                        self.master = link.master_log();
                        // The last words tell the master who is turned away, and why.
                        let last = async {
                            writer.write_all(&pending).await?;
                            writer.flush().await
                        };
                        let _ = timeout(LAST_WORDS, last).await;
                        return Err(trouble.into());
                    }
                }
            };
            if let Some(versions) = link.take_versions() {
                self.news.send_modify(|news| news.versions = Some(versions));
            }
            if now >= viewed.plus(VIEW_MS) || now < viewed {
                viewed = now;
                (self.view.heard, self.view.told) = link.heard_and_told();
                self.view.bytes_per_second = rate.last(now);
                shared.broker.set_slave_view(self.view.clone());
            }
            if *heard && !said {
                said = true;
                tracing::info!(master = addr, from = own.end, skua = link.is_skua(), "following");
            }
            let flushed = async {
                match &mut flushing {
                    Some(flushing) => flushing.await,
                    None => std::future::pending().await,
                }
            };
            let writes = !pending.is_empty();
            tokio::select! {
                read = reader.read(&mut input) => match read? {
                    0 => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
                    len => {
                        *heard = true;
                        link.received(&input[..len], clock::now());
                    }
                },
                written = write_or_flush(&mut writer, &mut pending), if writes || unflushed => {
                    written?;
                    unflushed = writes;
                }
                flushed = flushed => {
                    flushed?;
                    flushing = None;
                }
                () = sleep(clock::until(until.min(viewed.plus(VIEW_MS)))) => {}
                changed = place.changed() => {
                    if changed.is_err() || place.borrow().ha.as_deref() != Some(addr) {
                        return Err(End::Moved);
                    }
                }
            }
        }
    }
}

/// The checksum of the own log's end.
async fn tail(shared: &Shared, from: u64, end: u64) -> Result<u32, End> {
    let (store, len) = (shared.store.clone(), (end - from) as usize);
    let read = tokio::task::spawn_blocking(move || store.log_bytes(PhysicalOffset(from), len));
    let bytes = read.await.map_err(std::io::Error::other)??;
    Ok(checksum(&bytes))
}
