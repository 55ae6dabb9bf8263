//! The wall clock, read here and in `remoting` only; everything below is handed the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use skua_protocol::Millis;

pub fn now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Hour of the day in this machine's time zone.
pub fn local_hour(at: Millis) -> u8 {
    let zone = jiff::tz::TimeZone::system();
    // No time that a clock shows is out of range; if it is, it is midnight.
    jiff::Timestamp::from_millisecond(at.0).map_or(0, |at| at.to_zoned_datetime(zone).hour() as u8)
}

/// `2026-11-23#20:30:27:123` in this machine's time zone.
pub fn local_text(at: Millis) -> String {
    let zone = jiff::tz::TimeZone::system();
    let Ok(moment) = jiff::Timestamp::from_millisecond(at.0) else { return at.to_string() };
    let local = moment.to_zoned_datetime(zone);
    format!("{}:{:03}", local.strftime("%Y-%m-%d#%H:%M:%S"), local.millisecond())
}

/// How long to sleep until `deadline`.
pub fn until(deadline: Millis) -> Duration {
    Duration::from_millis(u64::try_from(deadline.since(now())).unwrap_or(0))
}
