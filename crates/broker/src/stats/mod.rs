//! Counters, and the rates that statistics requests show: [`item`] has RocketMQ's windows over
//! what [`topic`] lists, the rest is what runtime information shows.

mod item;
mod latency;
mod topic;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use skua_protocol::Millis;

pub use item::{Item, TICK_MS};
pub use latency::Latencies;
pub use topic::{GroupStats, TopicStats};

/// Events a second over about the last `W` milliseconds. Keeps the counts of this window and the
/// one before: no timer, no samples, one atomic addition an event.
#[derive(Default)]
pub struct RateOver<const W: i64> {
    window: AtomicI64,
    current: AtomicU64,
    previous: AtomicU64,
}

impl<const W: i64> RateOver<W> {
    pub fn add(&self, events: u64, now: Millis) {
        self.roll(now);
        self.current.fetch_add(events, Ordering::Relaxed);
    }

    /// Begins a new window when it is time. Events counted by another thread in the midst of it
    /// may fall into the wrong window: a rate shown to people can bear that.
    fn roll(&self, now: Millis) {
        let window = now.0.div_euclid(W);
        let before = self.window.load(Ordering::Relaxed);
        if before == window {
            return;
        }
        let order = Ordering::Relaxed;
        if self.window.compare_exchange(before, window, order, order).is_ok() {
            let ended = self.current.swap(0, Ordering::Relaxed);
            let previous = if before + 1 == window { ended } else { 0 };
            self.previous.store(previous, Ordering::Relaxed);
        }
    }

    /// What is left of the last window counts by how much of it still lies within `W`.
    pub fn per_second(&self, now: Millis) -> f64 {
        self.roll(now);
        let left = (W - now.0.rem_euclid(W)) as f64 / W as f64;
        let previous = self.previous.load(Ordering::Relaxed) as f64;
        let current = self.current.load(Ordering::Relaxed) as f64;
        (previous * left + current) * 1000.0 / W as f64
    }
}

/// A total with its rates over ten seconds, a minute and ten minutes, as runtime information
/// shows them.
#[derive(Default)]
pub struct Counter {
    total: AtomicU64,
    ten_seconds: RateOver<10_000>,
    minute: RateOver<60_000>,
    ten_minutes: RateOver<600_000>,
}

impl Counter {
    pub fn add(&self, events: u64, now: Millis) {
        self.total.fetch_add(events, Ordering::Relaxed);
        self.ten_seconds.add(events, now);
        self.minute.add(events, now);
        self.ten_minutes.add(events, now);
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub fn rates(&self, now: Millis) -> [f64; 3] {
        [
            self.ten_seconds.per_second(now),
            self.minute.per_second(now),
            self.ten_minutes.per_second(now),
        ]
    }
}

/// What the broker counts of all its work.
#[derive(Default)]
pub struct Counters {
    /// Messages stored for clients.
    pub put: Counter,
    pub put_bytes: AtomicU64,
    pub put_failed: AtomicU64,
    /// Pulls that found messages, and those that found none.
    pub get_found: Counter,
    pub get_missed: Counter,
    /// Messages handed out.
    pub got: Counter,
    /// Under the cluster's name: messages of clients' topics, and those of all.
    pub broker_puts: Item,
    pub broker_gets: Item,
    pub user_puts: Item,
    pub user_gets: Item,
    pub put_latency: Latencies,
    pub get_latency: Latencies,
    /// Heartbeats of consumer and producer groups.
    pub consumer_beats: Item,
    pub producer_beats: Item,
    /// Midnights' totals of `user_puts` and `user_gets`, for the daily numbers of runtime
    /// information.
    pub put_days: Days,
    pub got_days: Days,
}

impl Counters {
    /// Messages were stored.
    pub fn put(&self, messages: u64, bytes: u64, now: Millis) {
        self.put.add(messages, now);
        self.put_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn items(&self) -> [&Item; 6] {
        [
            &self.broker_puts,
            &self.broker_gets,
            &self.user_puts,
            &self.user_gets,
            &self.consumer_beats,
            &self.producer_beats,
        ]
    }

    /// Called now and then, so that midnights are not missed.
    pub fn note_day(&self, now: Millis) {
        self.put_days.note(self.user_puts.value(), now);
        self.got_days.note(self.user_gets.value(), now);
    }

    /// A pull was answered with this many messages.
    pub fn get(&self, messages: u32, now: Millis) {
        if messages == 0 {
            self.get_missed.add(1, now);
        } else {
            self.get_found.add(1, now);
            self.got.add(u64::from(messages), now);
        }
    }
}

/// Totals at the last two midnights (UTC).
#[derive(Default)]
pub struct Days {
    day: AtomicI64,
    yesterday_morning: AtomicU64,
    today_morning: AtomicU64,
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Days {
    /// Notes the total if a new day has begun; called now and then.
    pub fn note(&self, total: u64, now: Millis) {
        let day = now.0.div_euclid(DAY_MS);
        if self.day.swap(day, Ordering::Relaxed) != day {
            let before = self.today_morning.swap(total, Ordering::Relaxed);
            self.yesterday_morning.store(before, Ordering::Relaxed);
        }
    }

    pub fn mornings(&self) -> (u64, u64) {
        let yesterday = self.yesterday_morning.load(Ordering::Relaxed);
        (yesterday, self.today_morning.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_shown_as_it_is() {
        let rate = RateOver::<60_000>::default();
        for second in 0..180 {
            rate.add(5, Millis(second * 1000));
        }
        let shown = rate.per_second(Millis(179_500));
        assert!((shown - 5.0).abs() < 0.1, "{shown}");
    }

    #[test]
    fn a_rate_falls_to_nothing_when_events_stop() {
        let rate = RateOver::<60_000>::default();
        rate.add(600, Millis(0));
        assert!(rate.per_second(Millis(59_999)) > 0.0);
        assert_eq!(rate.per_second(Millis(180_000)), 0.0);
    }

    #[test]
    fn days_keep_the_totals_of_two_mornings() {
        let days = Days::default();
        days.note(10, Millis(DAY_MS));
        days.note(15, Millis(DAY_MS + 5));
        days.note(30, Millis(2 * DAY_MS));
        assert_eq!(days.mornings(), (10, 30));
    }
}
