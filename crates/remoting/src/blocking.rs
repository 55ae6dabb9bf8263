//! The bounded pool for handlers that may wait for the disk.
//!
//! Jobs run to their end whether or not their connection still wants the result, so no connection
//! can hold a thread by not being polled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct BlockingPool {
    threads_max: usize,
    waiting_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
}

/// The pool's queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overloaded {
    pub waiting: usize,
    pub limit: usize,
}

impl BlockingPool {
    pub fn new(threads_max: usize, waiting_max: usize) -> Arc<Self> {
        Arc::new(Self { threads_max: threads_max.max(1), waiting_max, state: Mutex::default() })
    }

    /// Runs `job` on a pool thread, now or when one is free. `job` must not panic.
    pub fn submit(self: &Arc<Self>, job: Job) -> Result<(), Overloaded> {
        let mut state = self.lock();
        if state.running == self.threads_max {
            if state.waiting.len() >= self.waiting_max {
                return Err(Overloaded { waiting: state.waiting.len(), limit: self.waiting_max });
            }
            state.waiting.push_back(job);
            return Ok(());
        }
        state.running += 1;
        drop(state);
        let pool = Arc::clone(self);
        tokio::task::spawn_blocking(move || pool.work(job));
        Ok(())
    }

    fn work(&self, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            job();
            let mut state = self.lock();
            next = state.waiting.pop_front();
            if next.is_none() {
                state.running -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
