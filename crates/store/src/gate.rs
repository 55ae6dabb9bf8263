//! The confirmed mark: up to where a group of brokers has agreed on the log.
//!
//! Without a gate everything appended is shown at once, and this is out of the way. With one
//! (`StoreOptions::confirmed`), dispatch and all who read through it stop at the mark, appends are
//! taken only while this broker leads, and what is behind the mark can be taken back.

mod leads;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skua_protocol::{PhysicalOffset, QueueId, QueueOffset};

use crate::Store;
use crate::consume_queue::is_storable_topic;
use crate::disk::{DiskError, DiskResult, lock};
use crate::error::{Failure, ReplicateError, Unconfirmed};
pub use leads::LeadsStill;
use leads::Questions;

/// Counts the times that appends were opened. Offsets mean the same within one epoch only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Gate {
    is_on: bool,
    /// Everything below is agreed on; all there ever will be without a gate.
    confirmed: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The epoch appends are taken in, or were last.
    epoch: Epoch,
    /// Where the mark stood when that epoch ended; `None` while it lasts.
    ended_at: Option<u64>,
    waiting: BTreeMap<(u64, u64), Waker>,
    next_number: u64,
    questions: Questions,
}

impl Gate {
    pub(crate) fn open() -> Self {
        Self { is_on: false, confirmed: AtomicU64::new(u64::MAX), state: Mutex::default() }
    }

    pub(crate) fn at(confirmed: u64) -> Self {
        let state = State { ended_at: Some(confirmed), ..State::default() };
        Self { is_on: true, confirmed: AtomicU64::new(confirmed), state: Mutex::new(state) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::SeqCst)
    }

    /// Moves the mark, and answers who waited for that.
    fn confirm(&self, end: u64) {
        let mut state = lock(&self.state);
        self.confirmed.fetch_max(end, Ordering::SeqCst);
        if state.ended_at.is_some() {
            return;
        }
        let later = state.waiting.split_off(&(end + 1, 0));
        let served = std::mem::replace(&mut state.waiting, later);
        drop(state);
        for waker in served.into_values() {
            waker.wake();
        }
    }

    /// For a log that begins anew at `at`.
    pub(crate) fn restart(&self, at: u64) {
        if self.is_on {
            self.confirmed.store(at, Ordering::SeqCst);
        }
    }

    fn begin(&self) -> Epoch {
        let mut state = lock(&self.state);
        state.epoch.0 += 1;
        state.ended_at = None;
        let (epoch, others) = (state.epoch, state.questions.take_waiting());
        drop(state);
        others.for_each(Waker::wake);
        epoch
    }

    /// Whoever waits for more than is confirmed hears that it is unknown.
    fn end(&self) {
        let mut state = lock(&self.state);
        if state.ended_at.is_some() {
            return;
        }
        state.ended_at = Some(self.confirmed());
        let all = std::mem::take(&mut state.waiting);
        let asking = state.questions.take_waiting();
        drop(state);
        all.into_values().chain(asking).for_each(Waker::wake);
    }
}

/// Ready when what was appended in an epoch is confirmed, or when nobody can say any more whether
/// it will be. See [`Store::confirmed_when`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Confirmed {
    gate: Arc<Gate>,
    epoch: Epoch,
    end: u64,
    number: Option<u64>,
}

impl Future for Confirmed {
    type Output = Result<(), Unconfirmed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !this.gate.is_on {
            return Poll::Ready(Ok(()));
        }
        let gate = Arc::clone(&this.gate);
        let mut state = lock(&gate.state);
        let until = match state.ended_at {
            _ if state.epoch != this.epoch => return Poll::Ready(Err(Unconfirmed)),
            Some(at) => at,
            None => gate.confirmed(),
        };
        if until >= this.end {
            return Poll::Ready(Ok(()));
        }
        if state.ended_at.is_some() {
            return Poll::Ready(Err(Unconfirmed));
        }
        let number = match this.number {
            Some(number) => number,
            None => {
                let number = state.next_number;
                state.next_number += 1;
                this.number = Some(number);
                number
            }
        };
        state.waiting.insert((this.end, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Confirmed {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            lock(&self.gate.state).waiting.remove(&(self.end, number));
        }
    }
}

/// A queue whose messages have all expired, and the offset of its next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedQueue {
    pub topic: String,
    pub queue_id: QueueId,
    pub next: QueueOffset,
}

/// A full disk passes, every other error of it does not.
fn no_space_or(failed: &dyn Fn(DiskError) -> Failure) -> impl Fn(DiskError) -> ReplicateError {
    |cause| match cause.is_full() {
        true => ReplicateError::NoSpace(cause),
        false => failed(cause).into(),
    }
}

impl Store {
    /// The queue, if it has had messages and all are before `min`.
    pub fn ended_queue(
        &self,
        topic: &str,
        queue_id: QueueId,
        min: PhysicalOffset,
    ) -> DiskResult<Option<EndedQueue>> {
        if self.queues.is_batch(topic) {
            return Ok(None);
        }
        let queue = self.queues.get(topic, queue_id)?;
        let next = queue.max();
        let ended = next > 0 && queue.physical_end() <= min.0;
        let topic = topic.to_owned();
        Ok(ended.then_some(EndedQueue { topic, queue_id, next: QueueOffset(next) }))
    }

    /// Whether the log is shown only up to [`confirmed`](Self::confirmed).
    pub fn has_gate(&self) -> bool {
        self.gate.is_on()
    }

    /// Up to where the log is agreed on; its end if there is no gate.
    pub fn confirmed(&self) -> PhysicalOffset {
        PhysicalOffset(self.gate.confirmed().min(self.log.appended()))
    }

    /// Waits until what an append of `epoch` ([`Receipt::epoch`](crate::Receipt::epoch)) put
    /// before `end` is confirmed. At once without a gate. An error if this broker stopped taking
    /// appends before: the messages may be kept or not.
    pub fn confirmed_when(&self, end: PhysicalOffset, epoch: Epoch) -> Confirmed {
        Confirmed { gate: Arc::clone(&self.gate), epoch, end: end.0, number: None }
    }

    /// Everything before `end` is agreed on for ever: dispatch may show it. Only for who decides
    /// that, and comes back soon with [`dispatch_here`](Self::dispatch_here): nobody is woken here.
    pub fn confirm(&self, end: PhysicalOffset) {
        if !self.gate.is_on() || end.0 <= self.gate.confirmed() {
            return;
        }
        self.gate.confirm(end.0);
    }

    /// Takes appends from now on, whose queue offsets follow those in the queues; where the first
    /// will be. `None` while something in the log is not confirmed or not dispatched yet.
    pub fn open_appends(&self) -> Option<(Epoch, PhysicalOffset)> {
        let dispatcher = lock(&self.dispatcher);
        let end = self.log.appended();
        if dispatcher.position < end || self.gate.confirmed() < end {
            return None;
        }
        let open = || {
            for queue in self.queues.loaded() {
                queue.forget_given();
            }
            self.gate.begin()
        };
        Some((self.log.open_appends(end, open)?, PhysicalOffset(end)))
    }

    /// Takes no appends any more. When this returns none is under way, and everyone who waits for
    /// confirmation has been told.
    pub fn close_appends(&self) {
        if self.gate.is_on() {
            self.log.close_appends();
            self.gate.end();
        }
    }

    /// Takes no appends for a while; who waits goes on waiting.
    pub fn pause_appends(&self) {
        if self.gate.is_on() {
            self.log.close_appends();
        }
    }

    /// Takes appends again after [`pause_appends`](Self::pause_appends), in the same epoch.
    pub fn resume_appends(&self) {
        let state = lock(&self.gate.state);
        if state.ended_at.is_none() {
            self.log.resume_appends(state.epoch);
        }
    }

    /// The epoch that appends are taken in; `None` while they are not, or without a gate.
    pub fn epoch(&self) -> Option<Epoch> {
        let state = lock(&self.gate.state);
        (self.gate.is_on() && state.ended_at.is_none()).then_some(state.epoch)
    }

    /// Whether appends are taken, as far as the gate is concerned.
    pub fn takes_appends(&self) -> bool {
        !self.gate.is_on() || lock(&self.gate.state).ended_at.is_none()
    }

    /// Throws the log away and lets it begin at `at`, the start of a file: behind its end, since
    /// what is between is nowhere any more, or anywhere if nothing of it is confirmed.
    /// `ended` are the queues whose messages are all before: their offsets go on where they were.
    pub fn begin_anew(
        &self,
        at: PhysicalOffset,
        ended: &[EndedQueue],
    ) -> Result<(), ReplicateError> {
        if !at.0.is_multiple_of(self.log.file_size()) {
            return Err(ReplicateError::NoFileStart(at.0));
        }
        let mut dispatcher = lock(&self.dispatcher);
        let mut checkpoint = lock(&self.checkpoint);
        let end = self.log.appended();
        let nothing_seen = self.gate.confirmed() <= self.log.min();
        if !self.gate.is_on() || (at.0 < end && !nothing_seen) {
            return Err(ReplicateError::NotTheEnd { at: at.0, end });
        }
        let failed = |cause| self.failed(cause);
        if at.0 < end {
            // Their entries would be taken for those of the messages that come again.
            self.queues.delete_all().map_err(failed)?;
            self.disk.sync_dir(&self.options.root).map_err(failed)?;
        }
        if let Some(own) = &mut checkpoint.own {
            // Or the next start would take what is missing for damage.
            (own.flushed, own.dispatched) = (0, 0);
            self.checkpoint_file.write(&*self.disk, &checkpoint).map_err(failed)?;
            self.disk.sync_dir(&self.options.root).map_err(failed)?;
        }
        let _flushing = lock(&self.flushing);
        self.log.begin_anew(at.0).map_err(failed)?;
        self.mark.retract(at.0);
        self.mark.advance(at.0);
        dispatcher.position = at.0;
        lock(&self.dispatched).0 = at.0;
        self.gate.restart(at.0);
        self.log.make_first(at.0)?;
        // Last: until then the log is empty, and whoever fills it asks for them again.
        for EndedQueue { topic, queue_id, next } in ended {
            if !is_storable_topic(topic) || self.queues.is_batch(topic) {
                continue;
            }
            let queue = self.queues.get(topic, *queue_id).map_err(no_space_or(&failed))?;
            self.queues.go_on_at(&queue, next.0).map_err(no_space_or(&failed))?;
        }
        self.queues.flush(0, &|| ()).map_err(failed)?;
        Ok(())
    }

    /// The disk failed: the next start is to know it.
    fn failed(&self, cause: DiskError) -> Failure {
        self.fail(cause.clone());
        self.log.fail(cause)
    }

    /// Takes back what is in the log from `to` on, durably.
    ///
    /// # Panics
    /// If any of it is confirmed: somebody may have seen it.
    pub fn truncate_to(&self, to: PhysicalOffset) -> Result<(), ReplicateError> {
        let to = to.0;
        // No round of dispatch, no checkpoint and no flush meanwhile.
        let dispatcher = lock(&self.dispatcher);
        let mut checkpoint = lock(&self.checkpoint);
        if to >= self.log.appended() {
            return Ok(());
        }
        assert!(
            self.gate.is_on() && to >= self.gate.confirmed() && to >= dispatcher.position,
            "truncation to {to}, but confirmed are {} and dispatched {}",
            self.gate.confirmed(),
            dispatcher.position
        );
        let failed = |cause| self.failed(cause);
        if let Some(own) = &mut checkpoint.own
            && own.flushed > to
        {
            // Or the next start would take what is missing for damage.
            own.flushed = to;
            self.checkpoint_file.write(&*self.disk, &checkpoint).map_err(failed)?;
            self.disk.sync_dir(&self.options.root).map_err(failed)?;
        }
        let _flushing = lock(&self.flushing);
        self.mark.retract(to);
        self.log.truncate(to).map_err(failed)?;
        Ok(())
    }
}
