//! What the connections of one server or client share, and how they are brought to an end.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use skua_protocol::Millis;
use skua_protocol::service::{ConnectionId, Peer, Service};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::blocking::BlockingPool;
use crate::link::Link;
use crate::tls::ServerTls;
use crate::{AnswerCodec, Limits, Metrics};

/// What the connections of one server or client share.
pub(crate) struct Shared {
    pub service: Arc<dyn Service>,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub answer_codec: AnswerCodec,
    /// Whether connections come from clients: they may begin with a PROXY preamble and with TLS.
    pub is_server: bool,
    pub tls: Option<Arc<ServerTls>>,
    /// TLS handshakes under way.
    pub handshakes: AtomicUsize,
    pub blocking: Arc<BlockingPool>,
    stage: AtomicU8,
    links: Mutex<HashMap<ConnectionId, Arc<Link>>>,
    all_gone: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Stage {
    Running = 0,
    /// What is under way is answered, then connections end.
    Draining = 1,
    /// Connections end at once.
    Closing = 2,
}

impl Shared {
    pub fn new(
        service: Arc<dyn Service>,
        limits: Limits,
        answer_codec: AnswerCodec,
        is_server: bool,
        tls: Option<Arc<ServerTls>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            blocking: BlockingPool::new(limits.blocking_threads_max, limits.blocking_waiting_max),
            service,
            limits,
            metrics: Arc::default(),
            answer_codec,
            is_server,
            tls,
            handshakes: AtomicUsize::new(0),
            stage: AtomicU8::new(Stage::Running as u8),
            links: Mutex::default(),
            all_gone: Notify::new(),
        })
    }

    /// Lets connections finish what is under way for at most `drain`, then ends them. Returns how
    /// many had to be ended so.
    pub async fn stop(&self, drain: Duration) -> usize {
        self.enter(Stage::Draining);
        if timeout(drain, self.wait_all_gone()).await.is_ok() {
            return 0;
        }
        let forced = self.links().len();
        self.enter(Stage::Closing);
        self.wait_all_gone().await;
        forced
    }

    /// Ends all connections without waiting for them.
    pub fn close(&self) {
        self.enter(Stage::Closing);
    }

    fn enter(&self, stage: Stage) {
        // Under the lock a new connection sees either the stage at registration or this wake-up.
        let links = self.links();
        self.stage.fetch_max(stage as u8, Relaxed);
        links.values().for_each(|link| link.wake());
    }

    pub fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            0 => Stage::Running,
            1 => Stage::Draining,
            _ => Stage::Closing,
        }
    }

    async fn wait_all_gone(&self) {
        loop {
            let gone = self.all_gone.notified();
            if self.links().is_empty() {
                return;
            }
            gone.await;
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entry of a connection in the table of its server or client, for as long as its task lives.
pub(crate) struct Registration {
    pub shared: Arc<Shared>,
    pub link: Arc<Link>,
}

impl Registration {
    pub fn new(shared: &Arc<Shared>, link: &Arc<Link>) -> Self {
        Metrics::add(&shared.metrics.connections_now, 1);
        shared.links().insert(link.id(), Arc::clone(link));
        Self { shared: Arc::clone(shared), link: Arc::clone(link) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Already ended, unless the runtime was shut down around the task.
        self.link.end("this side is stopping".into());
        let closed = || self.shared.service.closed(self.link.id(), wall_clock());
        if catch_unwind(AssertUnwindSafe(closed)).is_err() {
            Metrics::add(&self.shared.metrics.panics, 1);
        }
        Metrics::shift(&self.shared.metrics.connections_now, 1, 0);
        let mut links = self.shared.links();
        links.remove(&self.link.id());
        if links.is_empty() {
            self.shared.all_gone.notify_waiters();
        }
    }
}

pub(crate) fn wall_clock() -> Millis {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Millis(since_epoch.map_or(0, |since| since.as_millis() as i64))
}
