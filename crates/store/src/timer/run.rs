//! The timer as a thread of the store and requests see it.

use std::time::Duration;

use skua_protocol::Millis;
use skua_protocol::body::TimerMetrics;

use super::{Step, Timer, TimerCheckpoint, TimerState};
use crate::disk::DiskResult;
use crate::store::Store;

/// Longest sleep while messages wait: a clock that is set costs no more.
const SLEEP_MAX: Duration = Duration::from_secs(1);
const LONG_SLEEP: Duration = Duration::from_secs(3600);
/// How long the timer waits when the disk is full.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

impl Store {
    /// Delivers timer messages until [`close`](Self::close); for a thread of its own. `clock`
    /// tells the time.
    pub fn run_timer(&self, clock: impl Fn() -> Millis) {
        let Some(timer) = &self.timer else { return };
        while !self.is_closing() {
            if self.failure().is_some() {
                timer.wanted.sleep(LONG_SLEEP, || self.is_closing());
                continue;
            }
            let until = |at: Millis| {
                let left = at.since(clock()).max(0) as u64;
                Duration::from_millis(left).min(SLEEP_MAX)
            };
            let step = timer.step(self, clock());
            self.dispatch_here();
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Idle(at)) => {
                    let ready = || self.is_closing() || timer.has_more(self);
                    timer.wanted.sleep(at.map_or(LONG_SLEEP, until), ready);
                }
                Ok(Step::Refused(at)) => timer.wanted.sleep(until(at), || self.is_closing()),
                Err(cause) if cause.is_full() => {
                    tracing::warn!(%cause, "timer messages wait for space");
                    timer.wanted.sleep(FULL_DISK_PAUSE, || self.is_closing());
                }
                Err(cause) => self.fail(cause),
            }
        }
    }

    /// Does what the timer has to do at `now`; returns when to come again, if nothing comes in
    /// before.
    pub fn timer_due(&self, now: Millis) -> Option<Millis> {
        let timer = self.timer.as_ref()?;
        loop {
            if self.failure().is_some() {
                return None;
            }
            let step = timer.step(self, now);
            self.dispatch_here();
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Idle(at)) => return at,
                Ok(Step::Refused(at)) => return Some(at),
                Err(cause) => {
                    if !cause.is_full() {
                        self.fail(cause);
                    }
                    return None;
                }
            }
        }
    }

    /// Whether there is a timer (`timerWheelEnable`).
    pub fn has_timer(&self) -> bool {
        self.timer.is_some()
    }

    /// Milliseconds of the timer's slots (`timerPrecisionMs` at the start).
    pub fn timer_precision_ms(&self) -> i64 {
        self.timer.as_ref().map_or(1000, Timer::precision_ms)
    }

    /// How the timer stands; `None` if there is none. May wait for the disk.
    pub fn timer_state(&self, now: Millis) -> DiskResult<Option<TimerState>> {
        self.timer.as_ref().map(|timer| timer.state(self, now)).transpose()
    }

    /// Messages that wait for the moment `time` comes to lie in.
    pub fn timer_waiting_at(&self, time: i64) -> DiskResult<i32> {
        self.timer.as_ref().map_or(Ok(0), |timer| timer.waiting_at(time))
    }

    /// How far the timer is, for slaves; `None` if there is no timer. May wait for the disk.
    pub fn timer_checkpoint(&self, now: Millis) -> DiskResult<Option<TimerCheckpoint>> {
        self.timer.as_ref().map(|timer| timer.checkpoint(self, now)).transpose()
    }

    /// Waiting messages by topic; `None` if there is no timer.
    pub fn timer_metrics(&self) -> Option<TimerMetrics> {
        self.timer.as_ref().map(Timer::metrics)
    }

    /// Forgets how many messages of a deleted topic wait.
    pub fn forget_timer_metrics(&self, topic: &str) {
        if let Some(timer) = &self.timer {
            timer.forget_metrics(topic);
        }
    }

    /// Begins or ends to deliver timer messages: the broker became master, or slave. Before the
    /// end the slot under way is finished, if messages can still be stored.
    pub fn set_timer_delivers(&self, delivers: bool) {
        let Some(timer) = &self.timer else { return };
        if !delivers && timer.delivers() {
            self.finish_timer();
        }
        timer.set_delivers(delivers);
    }

    /// Takes over how far the master's timer is: what it has delivered is not delivered by this
    /// broker, should it become master.
    pub fn follow_timer(&self, master: TimerCheckpoint, now: Millis) -> DiskResult<()> {
        self.timer.as_ref().map_or(Ok(()), |timer| timer.follow(master, now))
    }

    /// Takes over what the master's timer counts.
    pub fn follow_timer_metrics(&self, told: TimerMetrics) {
        if let Some(timer) = &self.timer {
            timer.follow_metrics(told);
        }
    }

    /// Ends the slot under way while messages can still be stored.
    pub(crate) fn finish_timer(&self) {
        let Some(timer) = &self.timer else { return };
        if self.failure().is_none() {
            match timer.finish_slot(self, self.dispatched_time()) {
                Ok(true) => {}
                Ok(false) => tracing::warn!("some timer messages will be delivered once more"),
                Err(cause) => tracing::warn!(%cause, "timer messages will be delivered once more"),
            }
        }
    }

    /// Saves the timer's state at the end.
    pub(crate) fn close_timer(&self) -> DiskResult<()> {
        let Some(timer) = &self.timer else { return Ok(()) };
        // No clock here; nothing is delivered any more.
        timer.close(self, self.dispatched_time())
    }
}
