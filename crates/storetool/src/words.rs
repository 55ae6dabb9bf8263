//! Sizes and moments as people read and write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use skua_protocol::Millis;

/// `12.3 MiB`
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `2026-11-23 20:30:27.123` in local time; `never` for 0.
pub fn moment(millis: i64) -> String {
    if millis <= 0 {
        return "never".to_owned();
    }
    let Ok(at) = Timestamp::from_millisecond(millis) else { return millis.to_string() };
    let at = at.to_zoned_datetime(TimeZone::system());
    format!("{}.{:03}", at.strftime("%Y-%m-%d %H:%M:%S"), at.millisecond())
}

/// Reads milliseconds since 1970, or a date and time: with a zone, or local.
pub fn parse_moment(text: &str) -> Result<Millis, String> {
    let text = text.trim();
    if let Ok(millis) = text.parse() {
        return Ok(Millis(millis));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(Millis(timestamp.as_millisecond()));
    }
    let civil: DateTime = text
        .parse()
        .map_err(|_| "not milliseconds since 1970, nor like 2026-11-23T20:30:27".to_owned())?;
    let zoned = civil.to_zoned_datetime(TimeZone::system()).map_err(|cause| cause.to_string())?;
    Ok(Millis(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_one_digit() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(1 << 30), "1.0 GiB");
    }

    #[test]
    fn moments_are_read_as_millis_with_a_zone_and_without() {
        assert_eq!(parse_moment("1700000000000"), Ok(Millis(1_700_000_000_000)));
        assert_eq!(parse_moment("2023-11-14T22:13:20Z"), Ok(Millis(1_700_000_000_000)));
        assert!(parse_moment("2023-11-14 22:13:20").is_ok());
        assert!(parse_moment("yesterday").is_err());
    }
}
