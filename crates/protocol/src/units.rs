//! Types for the numbers that must not be mixed up.

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

unit! {
    /// Byte position in the commit log, counted from the first byte ever written.
    PhysicalOffset(u64)
}
unit! {
    /// Index of a message within its queue; a consumer offset is the next one a group wants.
    QueueOffset(u64)
}
unit! {
    /// One ordered lane of a topic on one broker.
    QueueId(u32)
}
unit! {
    /// Milliseconds since the Unix epoch, as clients and files carry them.
    Millis(i64)
}

impl PhysicalOffset {
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl QueueOffset {
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl Millis {
    /// This moment plus `ms` milliseconds; saturates at the ends of the range.
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative if the clock went back.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
