//! Requests whose answer comes later.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use skua_protocol::command::{Command, HeaderCodec};
use skua_protocol::service::{BoxFuture, Outcome};
use tokio::sync::oneshot;

/// What is kept of a request until its answer.
pub(crate) struct Ticket {
    pub code: i32,
    pub opaque: i32,
    pub codec: HeaderCodec,
    pub one_way: bool,
    pub bytes: usize,
}

pub(crate) enum Work {
    Later(BoxFuture<Command>),
    Blocking(oneshot::Receiver<Result<Outcome, String>>),
}

/// A request under way.
pub(crate) struct UnderWay {
    pub ticket: Option<Ticket>,
    pub work: Work,
}

pub(crate) struct Finished {
    pub ticket: Ticket,
    pub was_blocking: bool,
    pub outcome: Result<Outcome, String>,
}

impl Future for UnderWay {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        let (was_blocking, outcome) = match &mut self.work {
            Work::Later(future) => {
                match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                    Ok(polled) => (false, Ok(Outcome::Reply(ready!(polled)))),
                    Err(panic) => (false, Err(panic_text(&*panic))),
                }
            }
            Work::Blocking(result) => match ready!(Pin::new(result).poll(cx)) {
                Ok(outcome) => (true, outcome),
                Err(_) => (true, Err("the runtime is shutting down".to_owned())),
            },
        };
        let ticket = self.ticket.take().expect("a finished future is not polled again");
        Poll::Ready(Finished { ticket, was_blocking, outcome })
    }
}

pub(crate) type BlockingJob = Box<dyn FnOnce() -> Outcome + Send>;

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned())
}
