//! Moments as people write them, in the machine's time zone.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use skua_protocol::Millis;

/// The wall clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn local(at: Millis) -> Option<jiff::ZonedDateTime> {
    Some(Timestamp::from_millisecond(at.0).ok()?.to_zoned_datetime(TimeZone::system()))
}

/// The first midnight of the month, in local time.
pub fn month_start(now: Millis) -> Millis {
    let first = local(now).and_then(|now| now.first_of_month().ok()?.start_of_day().ok());
    first.map_or(Millis(0), |start| Millis(start.timestamp().as_millisecond()))
}

/// `2026-11-23 20:30:27,123`
pub fn with_millis(at: Millis) -> String {
    local(at).map_or_else(
        || at.to_string(),
        |at| format!("{},{:03}", at.strftime("%Y-%m-%d %H:%M:%S"), at.millisecond()),
    )
}

/// `2026-11-23 20:30:27`
pub fn to_second(at: Millis) -> String {
    local(at).map_or_else(|| at.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `20261123203027123`
pub fn digits(at: Millis) -> String {
    let text = with_millis(at);
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Reads `now`, milliseconds since 1970, Java's `yyyy-MM-dd#HH:mm:ss:SSS`, `YYYY-MM-DD HH:MM:SS`
/// (or `T` between), or a date alone; without a zone it is local time.
pub fn parse(text: &str, now: Millis) -> Option<Millis> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Some(now);
    }
    if let Ok(millis) = text.parse() {
        return Some(Millis(millis));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(Millis(timestamp.as_millisecond()));
    }
    let civil: DateTime = match text.split_once('#') {
        Some((date, time)) => {
            let (seconds, millis) = match time.match_indices(':').nth(2) {
                Some((at, _)) => (&time[..at], time[at + 1..].parse::<u16>().ok()?),
                None => (time, 0),
            };
            format!("{date}T{seconds}.{millis:03}").parse().ok()?
        }
        None => text.replace(',', ".").parse().ok()?,
    };
    let zoned = TimeZone::system().to_zoned_datetime(civil).ok()?;
    Some(Millis(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_moment_is_read() {
        let now = Millis(1_700_000_000_123);
        assert_eq!(parse("now", now), Some(now));
        assert_eq!(parse("1577836800000", now), Some(Millis(1_577_836_800_000)));
        assert_eq!(parse("2020-01-01T00:00:00Z", now), Some(Millis(1_577_836_800_000)));
        let local = parse("2020-01-01 00:00:00", now).expect("a date and time");
        assert_eq!(parse("2020-01-01#00:00:00:000", now), Some(local));
        assert_eq!(parse("2020-01-01", now), Some(local));
        assert_eq!(parse("2020-01-01#00:00:00:007", now), Some(local.plus(7)));
        assert_eq!(parse("yesterday", now), None);
        assert_eq!(parse("2020-13-01", now), None);
    }

    #[test]
    fn a_moment_is_written_and_read_back() {
        let at = Millis(1_600_000_000_042);
        assert_eq!(parse(&with_millis(at), Millis(0)), Some(at));
        assert_eq!(parse(&to_second(at), Millis(0)), Some(Millis(1_600_000_000_000)));
    }
}
