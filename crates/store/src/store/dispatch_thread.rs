//! The work of the dispatch thread, part of which connections do themselves: from the log into the
//! queues.

use std::sync::{MutexGuard, TryLockError};
use std::time::Duration;

use skua_protocol::Millis;

use super::{LONG_SLEEP, Store};
use crate::disk::{DiskError, DiskResult, lock};
use crate::dispatch::{Arrival, DispatchError, Dispatcher, Stop, Trust};
use crate::error::ReadError;
use crate::timer::TIMER_TOPIC;

/// How long dispatch waits when the disk is full.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);
/// Rounds of dispatch on a caller's thread until the dispatch thread has to go on.
const ROUNDS_HERE: usize = 4;

impl Store {
    /// Takes some of what was appended into the queues; returns how many records, 0 if there are
    /// none or the disk fails. That stops the store's writes, unless it is merely full.
    pub fn dispatch(&self) -> usize {
        self.dispatch_round(lock(&self.dispatcher)).unwrap_or(0)
    }

    /// Takes what was appended into the queues on the caller's thread, which saves waking the
    /// dispatch thread for a few records. Leaves it to that thread when it is at it already, or
    /// when there is much.
    pub fn dispatch_here(&self) {
        self.tell_round();
        self.wake_flush_for_append();
        for _ in 0..ROUNDS_HERE {
            if self.dispatched().0 >= self.dispatchable() {
                return;
            }
            let dispatcher = match self.dispatcher.try_lock() {
                Ok(dispatcher) => dispatcher,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Whoever holds it looks once more afterwards.
                Err(TryLockError::WouldBlock) => return,
            };
            if self.dispatch_round(dispatcher).is_err() {
                break;
            }
        }
        if self.dispatched().0 < self.dispatchable() {
            self.dispatch_wanted.wake();
        }
    }

    fn dispatch_round(&self, mut dispatcher: MutexGuard<'_, Dispatcher>) -> DiskResult<usize> {
        let end = self.dispatchable();
        if dispatcher.position >= end {
            return Ok(0);
        }
        let tell = |arrival: &Arrival<'_>| {
            if arrival.topic == TIMER_TOPIC
                && let Some(timer) = &self.timer
            {
                timer.wanted.wake();
            }
            if let Some(tell) = self.on_arrival.get() {
                tell(arrival);
            }
        };
        let round = dispatcher.round(&self.log, &self.queues, end, Trust::Own, &tell);
        let cause = match round {
            Ok((count, Stop::Done)) => {
                *lock(&self.dispatched) = (dispatcher.position, dispatcher.timestamp);
                self.queues.forget_deleted(dispatcher.position);
                if let (Some(index), Some(keys)) = (&self.index, &dispatcher.keys) {
                    index.hand_over(keys);
                }
                self.index_wanted.wake();
                return Ok(count);
            }
            Ok((_, Stop::NoRecord(reason))) => {
                let reason = reason.map_or_else(|| "nothing".to_owned(), |why| why.to_string());
                let cause = format!("{reason} at {}, before the log's end", dispatcher.position);
                DiskError::new("follow", self.log.dir(), std::io::Error::other(cause))
            }
            Err(DispatchError::Queue(cause) | DispatchError::Log(ReadError::Disk(cause))) => cause,
            Err(DispatchError::Log(cause)) => {
                DiskError::new("follow", self.log.dir(), std::io::Error::other(cause))
            }
        };
        if !cause.is_full() {
            self.fail(cause.clone());
        }
        Err(cause)
    }

    /// Store time of the last dispatched record.
    pub(crate) fn dispatched_time(&self) -> Millis {
        lock(&self.dispatched).1
    }

    /// Where dispatch ends for now.
    pub(crate) fn dispatchable(&self) -> u64 {
        self.log.appended().min(self.gate.confirmed())
    }

    pub(super) fn dispatch_all(&self) -> DiskResult<()> {
        let end = self.dispatchable();
        while self.dispatched().0 < end {
            self.dispatch_round(lock(&self.dispatcher))?;
        }
        Ok(())
    }

    /// Dispatches until [`close`](Self::close); for a thread of its own.
    pub fn run_dispatch(&self) {
        while !self.is_closing() {
            let ready = || self.is_closing() || self.dispatched().0 < self.dispatchable();
            match self.dispatch_round(lock(&self.dispatcher)) {
                Ok(0) => self.dispatch_wanted.sleep(LONG_SLEEP, ready),
                Ok(_) => {}
                Err(cause) if cause.is_full() => {
                    tracing::warn!(%cause, "consume queues wait for space");
                    self.dispatch_wanted.sleep(FULL_DISK_PAUSE, || self.is_closing());
                }
                Err(_) => self.dispatch_wanted.sleep(LONG_SLEEP, || self.is_closing()),
            }
        }
    }
}
