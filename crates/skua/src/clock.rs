//! The wall clock, read here and in `remoting` only; everything below is handed the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use skua_protocol::Millis;

pub fn now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// How long to sleep until `deadline`.
pub fn until(deadline: Millis) -> Duration {
    Duration::from_millis(u64::try_from(deadline.since(now())).unwrap_or(0))
}
