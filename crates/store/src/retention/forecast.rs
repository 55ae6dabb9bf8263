//! How long the disk lasts at the rate at which the log grows.

use skua_protocol::Millis;

/// Milliseconds over which the rate is smoothed.
const SMOOTHED_MS: f64 = 300_000.0;
/// Milliseconds between two samples, at least: less says nothing.
const SAMPLE_MS: i64 = 5000;

/// The log's growth, smoothed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forecast {
    last: Option<(Millis, u64)>,
    bytes_per_ms: Option<f64>,
}

impl Forecast {
    /// Takes note of the log's end.
    pub(crate) fn note(&mut self, now: Millis, end: u64) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, end));
            return;
        };
        let passed = now.since(then);
        if passed < 0 {
            // The clock was set back.
            self.last = Some((now, end));
        } else if passed >= SAMPLE_MS {
            let rate = end.saturating_sub(before) as f64 / passed as f64;
            let weight = (passed as f64 / SMOOTHED_MS).min(1.0);
            let known = self.bytes_per_ms.unwrap_or(rate);
            self.bytes_per_ms = Some(known + (rate - known) * weight);
            self.last = Some((now, end));
        }
    }

    pub(crate) fn bytes_per_second(&self) -> u64 {
        (self.bytes_per_ms.unwrap_or(0.0) * 1000.0) as u64
    }

    /// Seconds until so many more bytes are written; `None` if none are.
    pub(crate) fn seconds_for(&self, bytes: u64) -> Option<u64> {
        let rate = self.bytes_per_ms.filter(|rate| *rate > 0.0)?;
        Some((bytes as f64 / rate / 1000.0) as u64)
    }
}
