//! Sending by the clock: when each request is due, and a timer finer than the runtime's
//! milliseconds.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

use super::line::LineError;

/// The moments of one connection's requests, evenly spread.
pub struct Schedule {
    start: Instant,
    period: Duration,
    sent: u32,
    /// A descriptor that is readable when time has come, as a pipe's end would be.
    timer: Receiver,
}

impl Schedule {
    /// The `index`th of `connections` that share `rate` requests a second from `start` on.
    pub fn new(start: Instant, rate: u32, index: usize, connections: usize) -> io::Result<Self> {
        let between_all = Duration::from_secs(1) / rate.max(1);
        let count = u32::try_from(connections).unwrap_or(u32::MAX);
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self {
            start: start + between_all * u32::try_from(index).unwrap_or(0),
            period: between_all * count,
            sent: 0,
            timer: Receiver::from_owned_fd_unchecked(timerfd_create(
                TimerfdClockId::Monotonic,
                flags,
            )?)?,
        })
    }

    /// When the next request was or is due.
    fn next(&self) -> Instant {
        self.start + self.period * self.sent
    }

    /// The moment the next request was due at, if that has come; it counts as sent.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next();
        let come = due <= now;
        self.sent += u32::from(come);
        if self.sent == 1 << 20 {
            // Keeps the multiplication exact and in range.
            self.start = self.next();
            self.sent = 0;
        }
        come.then_some(due)
    }

    /// Until the next request is due.
    pub async fn wait(&self) -> io::Result<()> {
        loop {
            let left = self.next().saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let it_value = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            timerfd_settime(
                &self.timer,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval, it_value },
            )?;
            self.timer.readable().await?;
            // How often it rang; it may have been another turn's.
            match self.timer.try_read(&mut [0; 8]) {
                Err(cause) if cause.kind() != io::ErrorKind::WouldBlock => return Err(cause),
                _ => {}
            }
        }
    }
}

/// Until an answer has come or the next request is due, if there is a schedule. When it is due already
/// the sockets have their turn all the same, or who is behind would never hear an answer.
pub async fn or_due(
    answers: impl Future<Output = Result<(), LineError>>,
    schedule: Option<&Schedule>,
) -> Result<(), LineError> {
    match schedule {
        None => answers.await,
        Some(schedule) => tokio::select! {
            biased;
            done = answers => done,
            due = async {
                if schedule.next() <= Instant::now() {
                    tokio::task::yield_now().await;
                }
                schedule.wait().await
            } => due.map_err(LineError::Timer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_due_one_after_the_other() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 1000, 1, 2).expect("a timer");
        assert_eq!(schedule.take(start), None);
        let millis = Duration::from_millis;
        assert_eq!(schedule.take(start + millis(1)), Some(start + millis(1)));
        assert_eq!(schedule.take(start + millis(2)), None);
        assert_eq!(schedule.take(start + millis(9)), Some(start + millis(3)));
        schedule.wait().await.expect("a timer");
        assert!(schedule.take(Instant::now()).is_some());
    }
}
