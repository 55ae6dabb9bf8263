//! Waking a thread that may be asleep, at the price of one load while it is awake.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::disk::lock;

/// One sleeper, any number of wakers.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    asleep: AtomicBool,
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Ends the sleep, if there is one.
    ///
    /// What the sleeper shall find must have been stored before with `SeqCst`.
    pub(crate) fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            *lock(&self.woken) = true;
            self.changed.notify_one();
        }
    }

    /// Sleeps until woken or `limit` is over, unless `ready` says there is work already.
    pub(crate) fn sleep(&self, limit: Duration, ready: impl FnOnce() -> bool) {
        let mut woken = lock(&self.woken);
        *woken = false;
        self.asleep.store(true, Ordering::SeqCst);
        if !ready() && !limit.is_zero() {
            let waited = self.changed.wait_timeout_while(woken, limit, |woken| !*woken);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn no_wake_up_is_lost_between_the_check_and_the_sleep() {
        let signal = Arc::new(Signal::default());
        let count = Arc::new(AtomicU64::new(0));
        let sleeper = {
            let (signal, count) = (Arc::clone(&signal), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut seen = 0;
                while seen < 20_000 {
                    signal.sleep(Duration::from_secs(3600), || count.load(Ordering::SeqCst) > seen);
                    seen = count.load(Ordering::SeqCst);
                }
            })
        };
        for _ in 0..20_000 {
            count.fetch_add(1, Ordering::SeqCst);
            signal.wake();
        }
        sleeper.join().expect("the sleeper saw every count");
    }
}
