//! The clients that are connected, by their groups (Java: `ConsumerManager`, `ProducerManager`).
//!
//! Heartbeats change the tables under one mutex; requests read groups without a lock. A client
//! leaves a group when it says so, when its connection ends, or when it has not been heard of for
//! two minutes.

mod brought;
mod consumers;
mod producers;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use skua_protocol::Millis;
use skua_protocol::body::Connection;
use skua_protocol::command::Language;
use skua_protocol::service::Peer;

pub use brought::Brought;
pub use consumers::{ConsumerBeat, ConsumerGroup, Consumers, Subscription};
pub use producers::{ProducerGroup, Producers};

/// How often the tables are looked through for clients that are gone.
pub const SCAN_EVERY_MS: i64 = 10_000;

/// One client's connection as a group knows it.
pub struct Member {
    pub peer: Arc<dyn Peer>,
    pub client_id: Box<str>,
    pub language: Language,
    pub version: i32,
    seen: AtomicI64,
}

impl Member {
    pub fn new(
        peer: Arc<dyn Peer>,
        client_id: &str,
        language: Language,
        version: i32,
        now: Millis,
    ) -> Self {
        let seen = AtomicI64::new(now.0);
        Self { peer, client_id: client_id.into(), language, version, seen }
    }

    pub fn last_seen(&self) -> Millis {
        Millis(self.seen.load(Ordering::Relaxed))
    }

    fn see(&self, now: Millis) {
        self.seen.store(now.0, Ordering::Relaxed);
    }

    /// The same client once more, for another group.
    pub fn again(&self) -> Self {
        Self::new(self.peer.clone(), &self.client_id, self.language, self.version, self.last_seen())
    }

    pub fn connection(&self) -> Connection {
        Connection {
            client_addr: self.peer.remote_addr().to_string(),
            client_id: self.client_id.to_string(),
            language: self.language.name().to_owned(),
            version: self.version,
        }
    }
}
