//! The version that tables carry.

use serde::{Deserialize, Serialize};

use crate::units::Millis;

/// Java: `DataVersion`; two tables with equal versions are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    pub counter: i64,
    pub state_version: i64,
    pub timestamp: i64,
}

impl DataVersion {
    /// The version of a table that starts empty.
    pub fn new(now: Millis) -> Self {
        Self { counter: 0, state_version: 0, timestamp: now.0 }
    }

    /// After a change of the table.
    pub fn bump(&mut self, now: Millis) {
        self.counter = self.counter.wrapping_add(1);
        self.timestamp = now.0;
    }
}
