//! Which groups pop and which pull, by topic (Java: `MessageRequestModeManager`), kept in
//! `messageRequestMode.json`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use skua_protocol::body::{MessageRequestModeConfig, MessageRequestModes};
use skua_protocol::json;

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::swap_map::lock;

/// Name of the file under `config/`.
pub const FILE: &str = "messageRequestMode.json";

pub struct Modes {
    modes: Mutex<MessageRequestModes>,
    changes: AtomicU64,
    file: ConfigFile,
}

impl Modes {
    pub fn open(file: ConfigFile) -> Result<Self, LoadError> {
        let modes = file.load(json::from_slice::<MessageRequestModes>)?.unwrap_or_default();
        Ok(Self { modes: Mutex::new(modes), changes: AtomicU64::new(0), file })
    }

    pub fn get(&self, topic: &str, group: &str) -> Option<MessageRequestModeConfig> {
        lock(&self.modes).message_request_mode_map.get(topic)?.get(group).cloned()
    }

    /// Sets a group's mode and writes the file.
    pub fn set(&self, mode: MessageRequestModeConfig) -> Result<(), SaveError> {
        {
            let mut modes = lock(&self.modes);
            let groups = modes.message_request_mode_map.entry(mode.topic.clone()).or_default();
            groups.insert(mode.consumer_group.clone(), mode);
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.file.save(|| self.encode())
    }

    /// A number that changes whenever a mode is set.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Becomes the same as another broker's table.
    pub fn take_masters(&self, modes: MessageRequestModes) -> Result<(), SaveError> {
        {
            let mut own = lock(&self.modes);
            if *own == modes {
                return Ok(());
            }
            *own = modes;
        }
        self.file.save(|| self.encode())
    }

    /// The content of the file, and of request 402.
    pub fn encode(&self) -> Vec<u8> {
        json::to_vec(&*lock(&self.modes))
    }
}
