//! What is to be done, and how long it takes about: told at the start and along the way.

use std::time::Duration;

use crate::Args;
use crate::figures::Figures;
use crate::servers::Competitor;
use crate::work::{Load, Rate, Setup, WORKS, Work};

/// A work still to be done once more by a server.
#[derive(Clone, Copy)]
pub struct Job {
    pub work: &'static Work,
    pub competitor: Competitor,
    pub round: u32,
}

/// The jobs of one setup, in their order: rounds, works, servers in turn.
pub fn jobs(setup: Setup, args: &Args, figures: &Figures) -> Vec<Job> {
    let mut jobs = Vec::new();
    for round in 0..args.rounds {
        for work in WORKS.iter().filter(|work| work.setup == setup && args.wants_work(work)) {
            for competitor in Competitor::ALL {
                let done = figures.runs(work.name, competitor) > round as usize;
                let again = !work.once || round == 0;
                if !done && again && takes_part(competitor, work, args) {
                    jobs.push(Job { work, competitor, round });
                }
            }
        }
    }
    jobs
}

fn takes_part(competitor: Competitor, work: &Work, args: &Args) -> bool {
    match competitor {
        Competitor::Floor => match work.load {
            Load::Send { .. } | Load::CatchUp { .. } => true,
            Load::EndToEnd { rate } => matches!(rate, Rate::Fixed(_)),
            _ => false,
        },
        Competitor::Java => !args.without_java,
        Competitor::Skua => true,
    }
}

/// Until the servers of a setup are ready.
pub fn start(setup: Setup, args: &Args) -> Duration {
    let skua = 2.0;
    let java = match setup {
        _ if args.without_java => 0.0,
        Setup::Fresh => 15.0,
        Setup::Raft => 40.0 + f64::from(args.java_warm_up),
        Setup::NameServer => 5.0 + f64::from(args.java_warm_up),
        _ => 20.0 + f64::from(args.java_warm_up),
    };
    Duration::from_secs_f64(skua + java)
}

impl Job {
    /// As seen on two cores, with what is made once for a work spread over the rounds.
    pub fn estimate(&self, args: &Args) -> Duration {
        let pace = f64::from(args.seconds + args.warm_up);
        let rounds = f64::from(args.rounds);
        let java = self.competitor == Competitor::Java;
        let by = |of_java: f64, of_skua: f64| if java { of_java } else { of_skua };
        let seconds = match self.work.load {
            Load::CatchUp { .. } if self.competitor == Competitor::Floor => 1.0,
            Load::Send { topics, .. } if topics > 1000 => pace + 2.0 + by(20.0, 8.0) / rounds,
            Load::Send { .. } => pace,
            Load::CatchUp { size: 100, .. } => by(4.0, 2.0) + by(35.0, 10.0) / rounds,
            Load::CatchUp { .. } => by(2.0, 1.5) + by(8.0, 4.0) / rounds,
            Load::Filter { .. } => by(1.5, 1.0) + by(4.0, 2.0) / rounds,
            Load::EndToEnd { .. } | Load::Tail { .. } => pace + 1.5,
            Load::Cold { .. } => by(25.0, 6.0) + by(10.0, 5.0) / rounds,
            Load::BesideReader { .. } => pace + by(22.0, 4.0),
            Load::Pop { .. } => f64::from(args.seconds) + by(8.0, 4.0) / rounds,
            Load::Transactions { .. } => pace,
            Load::Delayed => by(5.0, 3.0),
            Load::Timers => 11.0,
            Load::Connections { .. } => by(10.0, 4.0),
            Load::Recover { .. } => by(8.0, 2.0) + by(20.0, 10.0) / rounds,
            Load::Register { .. } => 2.0 * pace + by(6.0, 3.0),
            Load::Routes { .. } => 2.0 * pace + by(6.0, 3.0),
        };
        let turn = match self.work.setup {
            _ if self.competitor == Competitor::Floor => 0.2,
            Setup::Raft => 2.5,
            _ => 0.5,
        };
        // Where each page has to come from the host.
        let touch = match self.competitor {
            Competitor::Java | Competitor::Skua if self.work.load.fills_memory() => {
                f64::from(args.touch) / 700.0
            }
            _ => 0.0,
        };
        Duration::from_secs_f64(seconds + turn + touch)
    }
}

/// How long what is still to be done takes about.
pub fn left(args: &Args, figures: &Figures) -> Duration {
    let of_setup = |setup| {
        let jobs = jobs(setup, args, figures);
        let start = if jobs.is_empty() { Duration::ZERO } else { start(setup, args) };
        start + jobs.iter().map(|job| job.estimate(args)).sum::<Duration>()
    };
    Setup::ALL.into_iter().map(of_setup).sum()
}

/// Prints the works of a run, and how long it takes.
pub fn list(args: &Args) {
    let nothing = Figures::default();
    for setup in Setup::ALL {
        let jobs = jobs(setup, args, &nothing);
        if !jobs.is_empty() {
            println!("{}, {} to start", setup.name(), minutes(start(setup, args)));
        }
        for work in WORKS.iter().filter(|work| work.setup == setup && args.wants_work(work)) {
            let of_work = |job: &&Job| job.work.name == work.name;
            let time: Duration = jobs.iter().filter(of_work).map(|job| job.estimate(args)).sum();
            println!("  {}: {}", work.name, minutes(time));
        }
    }
    println!("{}", minutes(left(args, &nothing)));
}

/// For people.
pub fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds => format!("{} minutes", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::figures::Run;

    #[test]
    fn the_whole_table_takes_at_most_three_quarters_of_an_hour() {
        let args = Args::parse_from(["skua-bench", "--rounds", "2", "--seconds", "3"]);
        let time = left(&args, &Figures::default());
        assert!((1800..=2700).contains(&time.as_secs()), "{}", minutes(time));
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        let args = Args::parse_from(["skua-bench", "--rounds", "2", "--only", "16 in flight"]);
        let mut figures = Figures::default();
        let all = jobs(Setup::SyncFlush, &args, &figures);
        assert_eq!(all.len(), 6);
        let first = all[0].work.name;
        figures.add((first, None), Competitor::Floor, Run::default());
        figures.add((first, None), Competitor::Java, Run::default());
        let left: Vec<_> = jobs(Setup::SyncFlush, &args, &figures)
            .iter()
            .map(|job| (job.round, job.competitor))
            .collect();
        use Competitor::{Floor, Java, Skua};
        assert_eq!(left, [(0, Skua), (1, Floor), (1, Java), (1, Skua)]);
    }

    #[test]
    fn each_work_has_a_name_of_its_own() {
        for (nth, work) in WORKS.iter().enumerate() {
            assert!(WORKS[nth + 1..].iter().all(|other| other.name != work.name), "{}", work.name);
        }
    }
}
