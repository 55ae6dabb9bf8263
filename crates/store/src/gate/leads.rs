//! Questions whether this broker leads its group still: what it tells beside the log may be out of
//! date otherwise. The group answers many of them with one round of signs of life.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Epoch, Gate};
use crate::Store;
use crate::disk::lock;
use crate::error::Unconfirmed;

/// Numbers count the questions of all epochs.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: u64,
    /// Up to this one they are answered, as far as their epoch lasts.
    answered: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl Questions {
    /// An epoch begins or ends: nobody waits for what another one says.
    pub fn take_waiting(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiting).into_values()
    }
}

/// Ready when a majority of the group has said, after this was asked, that it knows no later leader.
/// See [`Store::leads_still`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct LeadsStill {
    gate: Arc<Gate>,
    epoch: Epoch,
    number: u64,
}

impl Future for LeadsStill {
    type Output = Result<(), Unconfirmed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.gate.is_on {
            return Poll::Ready(Ok(()));
        }
        let mut state = lock(&self.gate.state);
        // First: a later epoch answers questions of its own alone.
        if state.epoch != self.epoch {
            return Poll::Ready(Err(Unconfirmed));
        }
        if state.questions.answered >= self.number {
            return Poll::Ready(Ok(()));
        }
        if state.ended_at.is_some() {
            return Poll::Ready(Err(Unconfirmed));
        }
        state.questions.waiting.insert(self.number, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for LeadsStill {
    fn drop(&mut self) {
        lock(&self.gate.state).questions.waiting.remove(&self.number);
    }
}

impl Store {
    /// Asks the group whether this broker leads it still, in the same `epoch`: whoever has led later
    /// has told nobody anything before this call. An error if it does not, or stops before that is
    /// known. At once without a gate.
    pub fn leads_still(&self, epoch: Epoch) -> LeadsStill {
        let number = {
            let mut state = lock(&self.gate.state);
            state.questions.asked += 1;
            state.questions.asked
        };
        if self.gate.is_on
            && let Some(tell) = self.on_round.get()
        {
            tell();
        }
        LeadsStill { gate: Arc::clone(&self.gate), epoch, number }
    }

    /// How many have asked; for who can answer.
    pub fn lead_questions(&self) -> u64 {
        lock(&self.gate.state).questions.asked
    }

    /// The first `number` questions are answered, if they are of the epoch that lasts: this broker
    /// led after they were asked.
    pub fn answer_lead_questions(&self, number: u64) {
        let mut state = lock(&self.gate.state);
        if state.ended_at.is_some() || number <= state.questions.answered {
            return;
        }
        state.questions.answered = number;
        let later = state.questions.waiting.split_off(&(number + 1));
        let served = std::mem::replace(&mut state.questions.waiting, later);
        drop(state);
        for waker in served.into_values() {
            waker.wake();
        }
    }
}
