//! How long requests took, in RocketMQ's steps (Java: `StoreStatsService`).

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper ends in milliseconds, each with Java's name of the step below it.
const STEPS: [(u64, &str); 13] = [
    (0, "[<=0ms]"),
    (10, "[0~10ms]"),
    (50, "[10~50ms]"),
    (100, "[50~100ms]"),
    (200, "[100~200ms]"),
    (500, "[200~500ms]"),
    (1_000, "[500ms~1s]"),
    (2_000, "[1~2s]"),
    (3_000, "[2~3s]"),
    (4_000, "[3~4s]"),
    (5_000, "[4~5s]"),
    (10_000, "[5~10s]"),
    (u64::MAX, "[10s~]"),
];

#[derive(Default)]
pub struct Latencies {
    counts: [AtomicU64; STEPS.len()],
    max_ms: AtomicU64,
}

impl Latencies {
    pub fn add(&self, ms: u64) {
        let step = STEPS.iter().position(|(end, _)| ms <= *end).unwrap_or(STEPS.len() - 1);
        self.counts[step].fetch_add(1, Ordering::Relaxed);
        self.max_ms.fetch_max(ms, Ordering::Relaxed);
    }

    pub fn max_ms(&self) -> u64 {
        self.max_ms.load(Ordering::Relaxed)
    }

    /// `[<=0ms]:5 [0~10ms]:0 …`
    pub fn distribution(&self) -> String {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let steps = STEPS.iter().zip(counts).map(|((_, name), count)| format!("{name}:{count}"));
        steps.collect::<Vec<_>>().join(" ")
    }

    /// Milliseconds within which this share of the requests was done, as far as the steps tell.
    pub fn within(&self, share: f64) -> f64 {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let wanted = (counts.iter().sum::<u64>() as f64 * share).ceil();
        let mut done = 0;
        for ((end, _), count) in STEPS.iter().zip(counts) {
            done += count;
            if done as f64 >= wanted {
                return (*end).min(self.max_ms()) as f64;
            }
        }
        self.max_ms() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_javas_steps() {
        let latencies = Latencies::default();
        assert_eq!((latencies.max_ms(), latencies.within(0.99)), (0, 0.0));
        for ms in [0, 0, 0, 7, 10, 11, 12_000] {
            latencies.add(ms);
        }
        let text = latencies.distribution();
        assert!(text.starts_with("[<=0ms]:3 [0~10ms]:2 [10~50ms]:1 "), "{text}");
        assert!(text.ends_with(" [10s~]:1"), "{text}");
        assert_eq!((latencies.within(0.5), latencies.within(0.99)), (10.0, 12_000.0));
        assert_eq!(latencies.max_ms(), 12_000);
    }
}
