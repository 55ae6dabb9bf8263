//! The moment a message was due, in its body: what consumers of a run count its way from, finer than
//! the milliseconds of its birth.

use std::time::{SystemTime, UNIX_EPOCH};

use super::frames;

/// Stands at the start of a body while a template is made; hex nanoseconds afterwards.
pub const MARK: &str = "@0F1E2D3C4B5A6978";

/// Nanoseconds since the epoch.
pub fn now() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128)
}

pub fn write(nanos: i128, out: &mut [u8; MARK.len()]) {
    out[0] = b'@';
    frames::hex(nanos as u64, &mut out[1..]);
}

/// The moment at the start of `body`, if a run of ours wrote one.
pub fn read(body: &[u8]) -> Option<i128> {
    let (mark, _) = body.split_first_chunk::<{ MARK.len() }>()?;
    let hex = mark.strip_prefix(b"@")?;
    u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok().map(i128::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_was_written() {
        let now = now();
        let mut text = [0; MARK.len()];
        write(now, &mut text);
        assert_eq!(read(&text), Some(now));
        assert_eq!(read(b"hello"), None);
    }
}
