//! The whole run: setup by setup, job by job, kept after each, so that whatever stops it loses no
//! more than the job under way.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::Args;
use crate::figures::Figures;
use crate::plan::{self, Job};
use crate::servers::Servers;
use crate::table;
use crate::work::Setup;

/// Jobs after which the estimate is set right by what they took.
const LEARNED: usize = 6;

/// What was done, and how long it was to take.
#[derive(Default)]
struct Progress {
    all: usize,
    done: usize,
    expected: Duration,
    taken: Duration,
}

impl Progress {
    fn took(&mut self, expected: Duration, since: Instant) {
        self.expected += expected;
        self.taken += since.elapsed();
    }

    /// As the machine is, not as it was thought to be.
    fn corrected(&self, left: Duration) -> Duration {
        if self.done < LEARNED {
            return left;
        }
        left.mul_f64(self.taken.as_secs_f64() / self.expected.as_secs_f64().max(1.0))
    }
}

pub fn all(figures: &mut Figures, args: &Args) -> io::Result<()> {
    let count = |setup| plan::jobs(setup, args, figures).len();
    let all = Setup::ALL.into_iter().map(count).sum();
    let mut progress = Progress { all, ..Progress::default() };
    eprintln!("{all} runs, about {}", plan::minutes(plan::left(args, figures)));
    for setup in Setup::ALL {
        one_setup(setup, &mut progress, figures, args)?;
    }
    Ok(())
}

fn one_setup(
    setup: Setup,
    progress: &mut Progress,
    figures: &mut Figures,
    args: &Args,
) -> io::Result<()> {
    let mut servers: Option<Servers> = None;
    for job in plan::jobs(setup, args, figures) {
        let Job { work, competitor, round } = job;
        // What cannot be done once is not tried again, nor what needs it.
        if figures.has_failed(work.name, competitor) {
            continue;
        }
        let ready = match servers.take() {
            Some(ready) => ready,
            None => {
                let since = Instant::now();
                let Ok(started) = caught(|| Servers::start(setup, args, figures)) else {
                    figures.fail(setup.name(), None);
                    figures.write(&args.results())?;
                    return Ok(());
                };
                progress.took(plan::start(setup, args), since);
                started
            }
        };
        let ready = servers.insert(ready);
        let since = Instant::now();
        match caught(|| ready.run(competitor, work, args)) {
            Ok(Some(run)) => {
                progress.took(job.estimate(args), since);
                progress.done += 1;
                figures.add((work.name, work.unit), competitor, run);
                figures.write(&args.results())?;
                eprintln!(
                    "{}/{}, {} left: {}, round {}, {competitor:?}: {}",
                    progress.done,
                    progress.all,
                    plan::minutes(progress.corrected(plan::left(args, figures))),
                    work.name,
                    round + 1,
                    table::brief(&run, work.unit)
                );
            }
            Ok(None) => {}
            Err(()) => {
                figures.fail(work.name, Some(competitor));
                figures.write(&args.results())?;
                // Nobody knows what state they are in.
                servers = None;
            }
        }
    }
    Ok(())
}

/// The servers of the tests end a test that goes wrong; here only the job under way is to end. What
/// was wrong has been printed.
fn caught<T>(what: impl FnOnce() -> T) -> Result<T, ()> {
    catch_unwind(AssertUnwindSafe(what)).map_err(drop)
}
