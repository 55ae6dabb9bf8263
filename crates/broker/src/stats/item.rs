//! One counted thing with RocketMQ's windows (Java: `StatsItem`): what it came to in the last
//! minute, hour and day, as samples taken every ten seconds, ten minutes and hour tell.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use skua_protocol::body::{BrokerStats, BrokerStatsItem};

use crate::swap_map::lock;

/// Samples are taken at multiples of this from the broker's start on.
pub const TICK_MS: i64 = 10_000;

/// How often a window is sampled, and how many samples it reaches back.
#[derive(Clone, Copy)]
struct Span {
    ticks: u64,
    samples: u64,
}

const MINUTE: Span = Span { ticks: 1, samples: 6 };
const HOUR: Span = Span { ticks: 60, samples: 6 };
const DAY: Span = Span { ticks: 360, samples: 24 };

/// A sum of values, and how often something was added to it.
#[derive(Default)]
pub struct Item {
    value: AtomicU64,
    times: AtomicU64,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    minute: Window,
    hour: Window,
    day: Window,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    value: u64,
    times: u64,
}

/// The samples of one window. One that equals the one before is not kept, so that what is idle
/// costs nothing.
#[derive(Default)]
struct Window {
    /// When the first sample was taken; the one before it counts as zero.
    first: Option<u64>,
    last: u64,
    changes: VecDeque<(u64, Sums)>,
}

impl Item {
    pub fn add(&self, value: u64, times: u64) {
        self.value.fetch_add(value, Ordering::Relaxed);
        self.times.fetch_add(times, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Whether anything was ever added; Java makes an item by the first addition.
    pub fn is_there(&self) -> bool {
        self.sums() != Sums::default()
    }

    fn sums(&self) -> Sums {
        Sums { value: self.value(), times: self.times.load(Ordering::Relaxed) }
    }

    /// Takes the samples that are due at the `tick`th tick since the start; `before` is the one
    /// that was expected, and is less if ticks were missed.
    pub fn sample(&self, before: u64, tick: u64) {
        let sums = self.sums();
        if sums == Sums::default() {
            return;
        }
        let mut windows = lock(&self.windows);
        let Windows { minute, hour, day } = &mut *windows;
        for (window, span) in [(minute, MINUTE), (hour, HOUR), (day, DAY)] {
            if tick / span.ticks * span.ticks >= before {
                window.sample(tick / span.ticks, sums, span);
            }
        }
    }

    pub fn windows(&self) -> BrokerStats {
        let windows = lock(&self.windows);
        BrokerStats {
            stats_minute: windows.minute.shown(MINUTE),
            stats_hour: windows.hour.shown(HOUR),
            stats_day: windows.day.shown(DAY),
        }
    }

    /// Value a second in the last minute.
    pub fn per_second(&self) -> f64 {
        lock(&self.windows).minute.shown(MINUTE).tps
    }
}

impl Window {
    fn sample(&mut self, at: u64, sums: Sums, span: Span) {
        self.first.get_or_insert(at);
        self.last = at;
        if self.changes.back().is_none_or(|(_, before)| *before != sums) {
            self.changes.push_back((at, sums));
        }
        // Of those that are too old the newest tells the sums at the window's begin.
        while self.changes.get(1).is_some_and(|(at, _)| at + span.samples <= self.last) {
            self.changes.pop_front();
        }
    }

    fn shown(&self, span: Span) -> BrokerStatsItem {
        let Some(first) = self.first else { return BrokerStatsItem::default() };
        // The sample before the first counts as zero, also where there was no time for it.
        let begin = (first as i64 - 1).max(self.last as i64 - span.samples as i64);
        let at_begin = self.changes.iter().rev().find(|(at, _)| *at as i64 <= begin);
        let from = at_begin.map_or_else(Sums::default, |(_, sums)| *sums);
        let to = self.changes.back().map_or(from, |(_, sums)| *sums);
        let value = (to.value - from.value) as f64;
        let times = to.times - from.times;
        let ms = (self.last as i64 - begin) * span.ticks as i64 * TICK_MS;
        BrokerStatsItem {
            sum: value as i64,
            tps: value * 1000.0 / ms as f64,
            avgpt: if times > 0 { value / times as f64 } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_six_samples_and_the_first_counts_from_ten_seconds_before() {
        let item = Item::default();
        assert_eq!(item.windows(), BrokerStats::default());
        item.add(50, 5);
        assert_eq!(item.windows(), BrokerStats::default(), "nothing is sampled yet");
        item.sample(7, 7);
        let shown = item.windows().stats_minute;
        assert_eq!((shown.sum, shown.tps, shown.avgpt), (50, 5.0, 10.0));
        for tick in 8..=12 {
            item.sample(tick, tick);
        }
        let shown = item.windows().stats_minute;
        assert_eq!((shown.sum, shown.tps), (50, 50.0 / 60.0));
        item.add(60, 1);
        item.sample(13, 13);
        let shown = item.windows().stats_minute;
        assert_eq!((shown.sum, shown.tps, shown.avgpt), (60, 1.0, 60.0));
        for tick in 14..=20 {
            item.sample(tick, tick);
        }
        assert_eq!(item.windows().stats_minute, BrokerStatsItem::default());
        assert!(item.is_there());
        assert_eq!(lock(&item.windows).minute.changes.len(), 1, "idle costs nothing");
    }

    #[test]
    fn hours_and_days_begin_at_their_own_samples() {
        let item = Item::default();
        item.add(600, 1);
        item.sample(59, 59);
        assert_eq!(item.windows().stats_hour, BrokerStatsItem::default());
        // The sixtieth tick was missed.
        item.sample(60, 61);
        let shown = item.windows();
        assert_eq!((shown.stats_hour.sum, shown.stats_hour.tps), (600, 1.0));
        assert_eq!(shown.stats_day, BrokerStatsItem::default());
        item.sample(360, 360);
        assert_eq!(item.windows().stats_day.sum, 600);
        for tick in (420..=360 * 30).step_by(60) {
            item.sample(tick, tick);
        }
        let shown = item.windows();
        assert_eq!((shown.stats_hour.sum, shown.stats_day.sum), (0, 0));
    }
}
