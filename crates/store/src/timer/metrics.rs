//! Waiting messages by topic, in `config/timermetrics`, and how fast they come and go.

use std::collections::HashMap;

use skua_protocol::body::{DataVersion, TimerMetric, TimerMetrics};
use skua_protocol::{Millis, json};

use crate::config_files::ConfigFiles;
use crate::disk::DiskResult;

/// The file under `config/`.
const FILE: &str = "timermetrics";

#[derive(Debug, Default)]
pub(super) struct Metrics {
    topics: HashMap<String, TimerMetric>,
    version: DataVersion,
    is_changed: bool,
    pub enqueued: Rate,
    pub dequeued: Rate,
}

impl Metrics {
    /// Counts are no promise: what cannot be read begins at zero.
    pub fn load(files: &ConfigFiles) -> DiskResult<Self> {
        let read = |content: Option<Vec<u8>>| {
            content.and_then(|content| json::from_slice::<TimerMetrics>(&content).ok())
        };
        let stored = match read(files.read(FILE)?) {
            Some(stored) => stored,
            None => read(files.read_backup(FILE)?).unwrap_or_default(),
        };
        let mut metrics = Self::default();
        metrics.replace(stored);
        metrics.is_changed = false;
        Ok(metrics)
    }

    /// Takes over what a master tells.
    pub fn replace(&mut self, told: TimerMetrics) {
        self.version = told.data_version;
        self.topics = told.timing_count.into_iter().collect();
        self.is_changed = true;
    }

    pub fn add(&mut self, topic: &str, change: i64, now: Millis) {
        if change == 0 {
            return;
        }
        let metric = match self.topics.get_mut(topic) {
            Some(metric) => metric,
            None => self.topics.entry(topic.to_owned()).or_default(),
        };
        metric.count += change;
        metric.time_stamp = now.0;
        self.version.bump(now);
        self.is_changed = true;
    }

    pub fn forget(&mut self, topic: &str) {
        self.is_changed |= self.topics.remove(topic).is_some();
    }

    pub fn table(&self) -> TimerMetrics {
        TimerMetrics {
            data_version: self.version,
            timing_count: self.topics.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }

    /// The file's content, if it changed since this was last asked.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.is_changed).then(|| json::to_vec(&self.table()))
    }
}

pub(super) fn save(files: &ConfigFiles, content: &[u8]) -> DiskResult<()> {
    files.write(FILE, content)
}

/// Events of the last full second.
#[derive(Debug, Default)]
pub(super) struct Rate {
    second: i64,
    count: u64,
    before: u64,
}

impl Rate {
    pub fn add(&mut self, count: u64, now: Millis) {
        self.turn(now);
        self.count += count;
    }

    pub fn per_second(&mut self, now: Millis) -> u64 {
        self.turn(now);
        self.before
    }

    fn turn(&mut self, now: Millis) {
        let second = now.0.div_euclid(1000);
        if second != self.second {
            self.before = if second == self.second + 1 { self.count } else { 0 };
            (self.second, self.count) = (second, 0);
        }
    }
}
