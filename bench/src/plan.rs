//! What is to be done, and how long it takes about: told at the start and along the way.

use std::time::Duration;

use crate::Args;
use crate::figures::Figures;
use crate::servers::Competitor;
use crate::work::{Load, Setup, WORKS, Work};

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
        Competitor::Floor => matches!(work.load, Load::Send { .. } | Load::CatchUp { .. }),
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
        Duration::from_secs_f64(seconds + turn)
    }
}

/// For people.
pub fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds => format!("{} minutes", (seconds + 30) / 60),
    }
}
