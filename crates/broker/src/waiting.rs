//! Waiting without a runtime: a value handed from one thread to a future, and time limits that
//! end when [`Deadlines::run_due`] says so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skua_protocol::Millis;

use crate::swap_map::lock;

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// The side that hands the value over.
pub struct Giver<T>(Arc<Mutex<Slot<T>>>);

/// The side that waits for it.
pub struct Taker<T>(Arc<Mutex<Slot<T>>>);

pub fn hand_over<T>() -> (Giver<T>, Taker<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None }));
    (Giver(slot.clone()), Taker(slot))
}

impl<T> Giver<T> {
    pub fn give(self, value: T) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.value = Some(value);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Taker<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut slot = lock(&self.0);
        match slot.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Time limits of waiting requests, by deadline.
#[derive(Default)]
pub struct Deadlines(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    next_id: u64,
    waiting: BTreeMap<(Millis, u64), Giver<()>>,
}

/// Ends when its deadline has been run; takes itself off the queue when dropped before.
pub struct Sleep {
    deadlines: Arc<Deadlines>,
    key: (Millis, u64),
    taker: Taker<()>,
}

impl Deadlines {
    /// A future that ends at `at`; the caller sees to it that `run_due` runs then.
    pub fn sleep_until(self: &Arc<Self>, at: Millis) -> Sleep {
        let (giver, taker) = hand_over();
        let mut queue = lock(&self.0);
        let key = (at, queue.next_id);
        queue.next_id += 1;
        queue.waiting.insert(key, giver);
        Sleep { deadlines: self.clone(), key, taker }
    }

    /// Ends all that are due and returns the next deadline.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let (due, next) = {
            let mut queue = lock(&self.0);
            let later = queue.waiting.split_off(&(now.plus(1), 0));
            let due = std::mem::replace(&mut queue.waiting, later);
            (due, queue.waiting.first_key_value().map(|((at, _), _)| *at))
        };
        for giver in due.into_values() {
            giver.give(());
        }
        next
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.taker).poll(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.deadlines.0).waiting.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_value_given_before_or_after_the_first_poll_arrives() {
        let (giver, mut taker) = hand_over();
        giver.give(1);
        assert_eq!(poll_once(&mut taker), Poll::Ready(1));
        let (giver, mut taker) = hand_over();
        assert_eq!(poll_once(&mut taker), Poll::Pending);
        giver.give(2);
        assert_eq!(poll_once(&mut taker), Poll::Ready(2));
    }

    #[test]
    fn sleeps_end_at_their_deadline_and_not_before() {
        let deadlines = Arc::new(Deadlines::default());
        let mut soon = deadlines.sleep_until(Millis(10));
        let mut later = deadlines.sleep_until(Millis(20));
        assert_eq!(deadlines.run_due(Millis(9)), Some(Millis(10)));
        assert_eq!(poll_once(&mut soon), Poll::Pending);
        assert_eq!(deadlines.run_due(Millis(10)), Some(Millis(20)));
        assert_eq!(poll_once(&mut soon), Poll::Ready(()));
        assert_eq!(poll_once(&mut later), Poll::Pending);
        drop(later);
        assert_eq!(deadlines.run_due(Millis(15)), None);
    }
}
