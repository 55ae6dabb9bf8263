//! Something that one thread at a time works on. Who comes meanwhile does not wait, but leaves what
//! it has brought to that one, who looks again before it goes (flat combining: Hendler, Incze, Shavit,
//! Tzafrir, SPAA 2010).

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Turns that one caller takes on behalf of others.
const TURNS_MAX: usize = 16;

#[derive(Debug)]
pub struct Shared<T> {
    value: Mutex<T>,
    /// Somebody has brought something since the last turn began.
    is_wanted: AtomicBool,
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), is_wanted: AtomicBool::new(false) }
    }

    /// Takes a turn after this call began, on this thread or on another that is at it now. False if
    /// there was so much that somebody else has to come ([`work_waiting`](Self::work_waiting)).
    pub fn work(&self, mut turn: impl FnMut(&mut T)) -> bool {
        self.want();
        for _ in 0..TURNS_MAX {
            let mut value = match self.value.try_lock() {
                Ok(value) => value,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return true,
            };
            if self.is_wanted.swap(false, Ordering::SeqCst) {
                turn(&mut value);
            }
            drop(value);
            if !self.is_still_wanted() {
                return true;
            }
        }
        false
    }

    /// As [`work`](Self::work), but waits for who is at it, and ends only when nothing is left.
    pub fn work_waiting(&self, mut turn: impl FnMut(&mut T)) {
        loop {
            let mut value = self.lock();
            self.is_wanted.store(false, Ordering::SeqCst);
            turn(&mut value);
            drop(value);
            if !self.is_still_wanted() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The fences: who finds the value taken has said so before its holder looks, or finds it free.

    fn want(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    fn is_still_wanted(&self) -> bool {
        fence(Ordering::SeqCst);
        self.is_wanted.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_that_was_brought_is_left_lying() {
        const EACH: u64 = 100_000;
        let brought = AtomicU64::new(0);
        let shared = Shared::new(0);
        let turn = |taken: &mut u64| *taken += brought.swap(0, Ordering::SeqCst);
        thread::scope(|scope| {
            for nth in 0..4 {
                let (brought, shared) = (&brought, &shared);
                scope.spawn(move || {
                    for _ in 0..EACH {
                        brought.fetch_add(1, Ordering::SeqCst);
                        if nth == 0 || !shared.work(turn) {
                            shared.work_waiting(turn);
                        }
                    }
                });
            }
        });
        assert_eq!((*shared.lock(), brought.load(Ordering::SeqCst)), (4 * EACH, 0));
    }

    #[test]
    fn who_finds_it_taken_does_not_wait() {
        let shared = Shared::new(0);
        let mut turns = 0;
        let done = shared.work(|_| {
            turns += 1;
            // From within, as an effect of the work may.
            if turns < 3 {
                assert!(shared.work(|_| unreachable!("it is taken")));
            }
        });
        assert_eq!((done, turns), (true, 3));
    }

    #[test]
    fn one_caller_does_not_work_for_others_without_end() {
        let shared = Shared::new(0);
        let done = shared.work(|_| shared.want());
        assert!(!done);
    }
}
