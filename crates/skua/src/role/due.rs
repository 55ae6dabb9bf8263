//! The thread of the broker's timed work: sleeps to the nearest deadline.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use skua_protocol::Millis;

use crate::clock;

/// Longest sleep, whatever the deadline: a clock that is set back costs no more.
pub const SLEEP_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Nothing,
    Run,
    Stop,
}

#[derive(Default)]
pub struct Due {
    asked: Mutex<Asked>,
    changed: Condvar,
}

impl Due {
    /// The work is to be run now.
    pub fn wake(&self) {
        self.ask(Asked::Run);
    }

    /// [`run`](Self::run) is to return.
    pub fn stop(&self) {
        self.ask(Asked::Stop);
    }

    fn ask(&self, what: Asked) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if *asked != Asked::Stop {
            *asked = what;
        }
        drop(asked);
        self.changed.notify_one();
    }

    /// Runs `work` at each deadline that it returns, and when woken, until stopped.
    pub fn run(&self, work: impl Fn(Millis) -> Option<Millis>) {
        loop {
            let sleep = work(clock::now()).map_or(SLEEP_MAX, clock::until).min(SLEEP_MAX);
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let waited =
                self.changed.wait_timeout_while(asked, sleep, |asked| *asked == Asked::Nothing);
            let (mut asked, _) = waited.unwrap_or_else(PoisonError::into_inner);
            match *asked {
                Asked::Stop => return,
                _ => *asked = Asked::Nothing,
            }
        }
    }
}
