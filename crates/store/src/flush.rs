//! Making durable what is written, and telling those who wait for it.
//!
//! One sync answers everyone whose bytes it covers: that is the group commit. Whoever waits does
//! so on a plain future, without a runtime.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skua_protocol::{Millis, PhysicalOffset};

use crate::disk::lock;
use crate::error::FlushError;
use crate::options::FlushRules;
use crate::signal::Signal;

/// Pages as the flush rules count them.
const PAGE: u64 = 4096;

/// The `flushed` mark and its waiters.
#[derive(Debug, Default)]
pub(crate) struct FlushMark {
    flushed: AtomicU64,
    waiters: Mutex<Waiters>,
    /// Wakes the flush thread: somebody waits.
    pub(crate) wanted: Signal,
}

#[derive(Debug, Default)]
struct Waiters {
    /// By the end waited for, and a number that makes it unique.
    waiting: BTreeMap<(u64, u64), Waker>,
    next_number: u64,
    /// Nothing will be flushed any more.
    over: Option<FlushError>,
}

impl FlushMark {
    pub(crate) fn get(&self) -> u64 {
        self.flushed.load(Ordering::SeqCst)
    }

    /// Everything before `end` is durable.
    pub(crate) fn advance(&self, end: u64) {
        let mut waiters = lock(&self.waiters);
        self.flushed.fetch_max(end, Ordering::SeqCst);
        let later = waiters.waiting.split_off(&(end + 1, 0));
        let served = std::mem::replace(&mut waiters.waiting, later);
        drop(waiters);
        for waker in served.into_values() {
            waker.wake();
        }
    }

    /// What was before `end` alone counts: the rest is gone from the log.
    pub(crate) fn retract(&self, end: u64) {
        let _waiters = lock(&self.waiters);
        self.flushed.fetch_min(end, Ordering::SeqCst);
    }

    /// Nothing more will be flushed: everyone who still waits hears why.
    pub(crate) fn end(&self, why: FlushError) {
        let mut waiters = lock(&self.waiters);
        waiters.over.get_or_insert(why);
        let all = std::mem::take(&mut waiters.waiting);
        drop(waiters);
        for waker in all.into_values() {
            waker.wake();
        }
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        !lock(&self.waiters).waiting.is_empty()
    }

    pub(crate) fn wait(mark: &Arc<Self>, end: PhysicalOffset) -> Flushed {
        Flushed { mark: Arc::clone(mark), end: end.0, number: None }
    }
}

/// Ready when everything before its end is durable, or never will be. See
/// [`Store::flushed`](crate::Store::flushed).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Flushed {
    mark: Arc<FlushMark>,
    end: u64,
    /// The waiter's number once it waits.
    number: Option<u64>,
}

impl Future for Flushed {
    type Output = Result<(), FlushError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mark = Arc::clone(&this.mark);
        if mark.get() >= this.end {
            return Poll::Ready(Ok(()));
        }
        let mut waiters = lock(&mark.waiters);
        // Again under the lock that `advance` takes to move the mark.
        if mark.get() >= this.end {
            return Poll::Ready(Ok(()));
        }
        if let Some(why) = &waiters.over {
            return Poll::Ready(Err(why.clone()));
        }
        let number = match this.number {
            Some(number) => number,
            None => {
                let number = waiters.next_number;
                waiters.next_number += 1;
                this.number = Some(number);
                number
            }
        };
        waiters.waiting.insert((this.end, number), context.waker().clone());
        drop(waiters);
        mark.wanted.wake();
        Poll::Pending
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            lock(&self.mark.waiters).waiting.remove(&(self.end, number));
        }
    }
}

/// What the flush thread should do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlushWork {
    pub log: bool,
    /// Queues with at least that many dirty pages.
    pub queues: Option<u64>,
    /// All queues, and the checkpoint.
    pub checkpoint: bool,
}

/// How far the marks are; all physical offsets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushState {
    pub appended: u64,
    pub flushed: u64,
    pub dispatched: u64,
    pub is_waited_for: bool,
    /// Queues with entries that are not durable.
    pub dirty_queues: usize,
}

/// Decides when to flush (Java: `FlushRealTimeService`, `GroupCommitService`,
/// `FlushConsumeQueueService`).
#[derive(Debug)]
pub(crate) struct FlushClock {
    rules: FlushRules,
    log_looked: Millis,
    log_thorough: Millis,
    queues_looked: Millis,
    queues_thorough: Millis,
    checkpointed: u64,
}

impl FlushClock {
    pub(crate) fn new(rules: FlushRules, now: Millis, checkpointed: u64) -> Self {
        Self {
            rules,
            log_looked: now,
            log_thorough: now,
            queues_looked: now,
            queues_thorough: now,
            checkpointed,
        }
    }

    /// What is due at `now`. What it says counts as done.
    pub(crate) fn due(&mut self, now: Millis, state: FlushState) -> FlushWork {
        let mut work = FlushWork { log: state.is_waited_for, ..FlushWork::default() };
        if is_over(self.log_looked, self.rules.log_interval_ms, now) {
            self.log_looked = now;
            let thorough = is_over(self.log_thorough, self.rules.log_thorough_ms, now);
            work.log |= state.appended > state.flushed && thorough;
            work.log |= self.rules.log_is_due(state.appended, state.flushed);
        } else if self.rules.log_on_append {
            work.log |= self.rules.log_is_due(state.appended, state.flushed);
        }
        if work.log {
            self.log_thorough = now;
        }
        let behind = state.dispatched.saturating_sub(self.checkpointed);
        if is_over(self.queues_looked, self.rules.queue_interval_ms, now) {
            self.queues_looked = now;
            let thorough = is_over(self.queues_thorough, self.rules.queue_thorough_ms, now);
            let most = match state.dirty_queues <= self.rules.few_queues {
                true => self.rules.checkpoint_few_bytes,
                false => self.rules.checkpoint_bytes,
            };
            if behind > most || (thorough && behind > 0) {
                work.checkpoint = true;
                self.queues_thorough = now;
                self.checkpointed = state.dispatched;
            } else {
                work.queues = Some(self.rules.queue_least_pages);
                if thorough {
                    self.queues_thorough = now;
                }
            }
        }
        work
    }

    /// When to look again, if nobody waits.
    pub(crate) fn next(&self) -> Millis {
        let log = self.log_looked.plus(clamp(self.rules.log_interval_ms));
        let queues = self.queues_looked.plus(clamp(self.rules.queue_interval_ms));
        log.min(queues)
    }
}

impl FlushRules {
    /// Whether the log has enough dirty pages.
    pub(crate) fn log_is_due(&self, appended: u64, flushed: u64) -> bool {
        appended > flushed && appended / PAGE - flushed / PAGE >= self.log_least_pages
    }
}

/// A clock that went back counts as time over, or nothing would be flushed for long.
fn is_over(since: Millis, interval_ms: u64, now: Millis) -> bool {
    let passed = now.since(since);
    passed < 0 || passed >= clamp(interval_ms)
}

fn clamp(interval_ms: u64) -> i64 {
    i64::try_from(interval_ms).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(flushed: &mut Flushed, count: &Arc<Count>) -> Poll<Result<(), FlushError>> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(flushed).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn one_flush_answers_everyone_before_it_and_nobody_behind() {
        let (mark, count) = (Arc::new(FlushMark::default()), Arc::new(Count::default()));
        let mut waiting: Vec<_> =
            [10, 20, 30].map(|end| FlushMark::wait(&mark, PhysicalOffset(end))).into();
        for flushed in &mut waiting {
            assert!(poll(flushed, &count).is_pending());
        }
        mark.advance(20);
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        let ready: Vec<_> = waiting.iter_mut().map(|flushed| poll(flushed, &count)).collect();
        assert!(matches!(ready[..], [Poll::Ready(Ok(())), Poll::Ready(Ok(())), Poll::Pending]));
        assert!(mark.is_waited_for());
        waiting.clear();
        assert!(!mark.is_waited_for(), "who gives up waits no longer");
    }

    #[test]
    fn when_flushing_is_over_waiters_hear_why_but_what_is_durable_stays_so() {
        let (mark, count) = (Arc::new(FlushMark::default()), Arc::new(Count::default()));
        mark.advance(10);
        let mut waiting = FlushMark::wait(&mark, PhysicalOffset(11));
        assert!(poll(&mut waiting, &count).is_pending());
        mark.end(FlushError::Closed);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(matches!(poll(&mut waiting, &count), Poll::Ready(Err(FlushError::Closed))));
        let mut before = FlushMark::wait(&mark, PhysicalOffset(10));
        assert!(matches!(poll(&mut before, &count), Poll::Ready(Ok(()))));
    }

    fn state(appended: u64, flushed: u64) -> FlushState {
        let dirty_queues = 1000;
        FlushState { appended, flushed, dispatched: appended, is_waited_for: false, dirty_queues }
    }

    #[test]
    fn the_log_waits_for_enough_pages_until_the_thorough_interval() {
        let mut clock = FlushClock::new(FlushRules::default(), Millis(0), 0);
        assert!(!clock.due(Millis(499), state(1 << 20, 0)).log);
        assert!(!clock.due(Millis(500), state(4 * 4096 - 1, 0)).log);
        assert!(clock.due(Millis(1000), state(4 * 4096, 0)).log);
        assert!(!clock.due(Millis(9000), state(100, 99)).log);
        assert!(clock.due(Millis(11_000), state(100, 99)).log);
        assert!(!clock.due(Millis(30_000), state(100, 100)).log, "nothing is dirty");
    }

    #[test]
    fn whoever_waits_is_flushed_for_at_once() {
        let mut clock = FlushClock::new(FlushRules::default(), Millis(0), 0);
        let waited_for = FlushState { is_waited_for: true, ..state(100, 99) };
        assert!(clock.due(Millis(1), waited_for).log);
    }

    #[test]
    fn if_appends_wake_the_flush_it_does_not_wait_for_its_interval() {
        let rules = FlushRules { log_on_append: true, ..FlushRules::default() };
        let mut clock = FlushClock::new(rules, Millis(0), 0);
        assert!(!clock.due(Millis(1), state(3 * 4096, 0)).log, "too few pages");
        assert!(clock.due(Millis(2), state(4 * 4096, 0)).log);
        let mut clock = FlushClock::new(FlushRules { log_least_pages: 0, ..rules }, Millis(0), 0);
        assert!(clock.due(Millis(3), state(100, 99)).log);
        assert!(!clock.due(Millis(4), state(100, 100)).log, "nothing is dirty");
    }

    #[test]
    fn the_checkpoint_follows_time_or_bytes() {
        let mut clock = FlushClock::new(FlushRules::default(), Millis(0), 0);
        let work = clock.due(Millis(1000), state(100, 0));
        assert_eq!((work.queues, work.checkpoint), (Some(2), false));
        assert!(clock.due(Millis(2000), state(1 << 30, 0)).checkpoint);
        assert!(!clock.due(Millis(61_000), state(1 << 30, 0)).checkpoint, "nothing is new");
        assert!(clock.due(Millis(122_000), state((1 << 30) + 1, 0)).checkpoint);
    }

    #[test]
    fn with_few_queues_to_flush_the_checkpoint_comes_sooner() {
        let mut clock = FlushClock::new(FlushRules::default(), Millis(0), 0);
        let many = state(100 << 20, 0);
        assert!(!clock.due(Millis(1000), many).checkpoint);
        let few = FlushState { dirty_queues: 8, ..many };
        assert!(!clock.due(Millis(1500), few).checkpoint, "queues are looked at once a second");
        assert!(clock.due(Millis(2000), few).checkpoint);
        let few = FlushState { dispatched: 110 << 20, ..few };
        assert!(!clock.due(Millis(3000), few).checkpoint, "too little is new");
    }
}
