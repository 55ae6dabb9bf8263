//! Random faults of every kind, by seed, and what must hold after each step. `SEED=n` runs one
//! seed, `SEEDS=n` that many from `FROM=n` on, on `THREADS=n`; `TRACE=1` tells what happens. The soak:
//! `SEEDS=200000 cargo test --release -p skua-raft --test simulation -- --nocapture`.

mod cluster;

use cluster::{Cluster, Wire};
use skua_raft::{Change, ChangeError, PeerId};
use skua_store::disk::{Crash, Faults};

const SEEDS: u64 = 2000;

/// What of a run can be seen from outside.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    trace: u64,
    acknowledged: usize,
    led: u64,
    elections: u64,
    changes: u64,
    copies: u64,
}

struct Run {
    cluster: Cluster,
    /// Members that should be there at the end.
    wanted: Vec<u64>,
    changes: u64,
    copies: u64,
    moves: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut cluster = Cluster::new(seed, 3, seed.is_multiple_of(2));
        cluster.expires = seed.is_multiple_of(3);
        let moves = seed.is_multiple_of(5);
        if seed.is_multiple_of(7) {
            cluster.move_in(1);
        }
        Self { cluster, wanted: vec![1, 2, 3], changes: 0, copies: 0, moves }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.cluster.random.below(bound)
    }

    /// Whether a machine may lose what is in its memory, by what is promised.
    fn may_cut_power(&self, id: u64) -> bool {
        // Without flushing: one at a time, while the others have it in their memory.
        self.cluster.sync
            || self.cluster.nodes.values().filter(|node| node.id != id).all(|node| {
                node.life.as_ref().is_some_and(|life| {
                    let status = life.group.status();
                    !status.suspect && status.copying.is_none() && status.last > 0
                })
            })
    }

    fn crash(&mut self) {
        let id = 1 + self.below(self.cluster.nodes.len() as u64);
        let down = 20 + self.below(1500) as i64;
        let power = self.below(2) == 0 && self.may_cut_power(id);
        let now = self.cluster.now;
        let Some(node) = self.cluster.nodes.get_mut(&id).filter(|node| node.life.is_some()) else {
            return;
        };
        node.up_at = now + down;
        self.cluster.crash(id, if power { Crash::Power } else { Crash::Process });
        // The next start may meet its end, too.
        if power && self.cluster.sync && self.below(2) == 0 {
            let calls = self.below(40);
            if let Some(node) = self.cluster.nodes.get_mut(&id) {
                node.faults.crash_in = Some(calls);
            }
        }
    }

    fn cut_wire(&mut self) {
        let ids: Vec<u64> = self.cluster.nodes.keys().copied().collect();
        match self.below(3) {
            0 => self.cluster.cut.clear(),
            1 => {
                let alone = ids[self.below(ids.len() as u64) as usize];
                for other in ids.into_iter().filter(|id| *id != alone) {
                    self.cluster.cut.extend([(alone, other), (other, alone)]);
                }
            }
            _ => {
                let (from, to) = (self.below(ids.len() as u64), self.below(ids.len() as u64));
                self.cluster.cut.insert((ids[from as usize], ids[to as usize]));
            }
        }
    }

    fn fault(&mut self) {
        let id = 1 + self.below(self.cluster.nodes.len() as u64);
        let now = self.cluster.now;
        match self.below(18) {
            0..3 => self.crash(),
            3 => {
                // In the midst of any call to the disk.
                let calls = self.below(60);
                if self.cluster.sync
                    && let Some(node) = self.cluster.nodes.get_mut(&id)
                    && node.life.is_some()
                {
                    node.faults.crash_in = Some(calls);
                    node.disk.set_faults(node.faults.clone());
                    node.up_at = now + 500;
                }
            }
            4..7 => self.cut_wire(),
            7 => {
                let wire = Wire {
                    lost: self.below(60),
                    doubled: self.below(30),
                    late: self.below(50),
                    most_ms: 1 + self.below(40),
                };
                self.cluster.wire = wire;
            }
            8 | 9 => {
                let pause = 100 + self.below(2500) as i64;
                if let Some(node) = self.cluster.nodes.get_mut(&id) {
                    node.paused_until = now + pause;
                }
            }
            10 => {
                let is_full = self.below(2) == 0;
                if let Some(node) = self.cluster.nodes.get_mut(&id) {
                    node.faults.no_space = is_full;
                    node.disk.set_faults(node.faults.clone());
                }
            }
            11 => {
                if let Some(leader) = self.cluster.leader() {
                    let to = 1 + self.below(self.cluster.nodes.len() as u64);
                    if let Some(life) =
                        self.cluster.nodes.get_mut(&leader).and_then(|node| node.life.as_mut())
                    {
                        let _ = life.group.transfer(PeerId(to));
                    }
                }
            }
            12 => self.change_members(),
            13 => {
                // A sync or a write fails, and the member ends.
                let (sync, calls) = (self.below(2) == 0, self.below(12));
                if self.cluster.sync
                    && let Some(node) = self.cluster.nodes.get_mut(&id)
                    && node.life.is_some()
                {
                    node.faults.sync_fails_in = sync.then_some(calls);
                    node.faults.write_fails_in = (!sync).then_some(calls);
                    node.disk.set_faults(node.faults.clone());
                    node.up_at = now + 300;
                }
            }
            14 | 15 => {
                // Connections flap, and everybody lives.
                let ids: Vec<u64> = self.cluster.nodes.keys().copied().collect();
                for from in ids.iter().filter(|from| **from == id || id.is_multiple_of(2)) {
                    for to in ids.iter().filter(|to| *to != from) {
                        if self.below(2) == 0 {
                            self.cluster.end_connection(*from, *to);
                        }
                    }
                }
            }
            _ => {
                // Who died of its disk starts on another day.
                self.heal_some();
            }
        }
    }

    fn heal_some(&mut self) {
        self.cluster.cut.clear();
        let now = self.cluster.now;
        for node in self.cluster.nodes.values_mut() {
            node.faults = Faults::default();
            node.disk.set_faults(Faults::default());
            node.up_at = node.up_at.min(now);
        }
    }

    /// A member is added, promoted or removed, one after the other.
    fn change_members(&mut self) {
        if !self.moves {
            return;
        }
        let Some(leader) = self.cluster.leader() else { return };
        let Some(life) = self.cluster.nodes[&leader].life.as_ref() else { return };
        let status = life.group.status();
        let learner = status.peers.iter().find(|peer| !peer.votes).map(|peer| peer.id);
        let next = self.cluster.nodes.len() as u64 + 1;
        let change = match learner {
            Some(id) => Change::Promote(id),
            None if status.peers.len() > 3 => {
                let others: Vec<_> =
                    status.peers.iter().filter(|peer| peer.id.0 != leader).collect();
                let nth = self.below(others.len() as u64) as usize;
                Change::Remove(others[nth].id)
            }
            None if next <= 6 => Change::AddLearner(cluster::peer(next)),
            None => return,
        };
        let is_new = matches!(change, Change::AddLearner(_));
        let Some(life) = self.cluster.nodes.get_mut(&leader).and_then(|node| node.life.as_mut())
        else {
            return;
        };
        match life.group.propose_change(&change) {
            Ok(()) | Err(ChangeError::LeaderFails(_)) => {}
            Err(_) => return,
        }
        self.changes += 1;
        if is_new {
            self.cluster.add(next);
        }
    }

    fn run(mut self) -> Outcome {
        self.cluster.start_all();
        let steps = 500 + self.below(800);
        for _ in 0..steps {
            if self.below(25) == 0 {
                self.fault();
            }
            for _ in 0..self.below(3) {
                // Clients ask whoever they think leads.
                let leads = |id: &u64| {
                    let life = self.cluster.nodes[id].life.as_ref();
                    life.is_some_and(|life| matches!(life.role, skua_raft::Role::Leader { .. }))
                };
                let leaders: Vec<u64> = self.cluster.nodes.keys().copied().filter(leads).collect();
                if !leaders.is_empty() {
                    let nth = self.below(leaders.len() as u64) as usize;
                    self.cluster.send(leaders[nth]);
                    for _ in 0..self.below(3) {
                        self.cluster.ask(leaders[nth]);
                    }
                }
            }
            self.cluster.step();
        }
        self.cluster.quiet();
        if self.changes > 0 {
            // The last one may be under way.
            self.cluster.run(3000);
            self.cluster.quiet();
        }
        if self.changes > 0 {
            self.wanted = self.cluster.members();
        }
        for id in &self.wanted {
            let life = self.cluster.nodes[id].life.as_ref();
            self.copies += u64::from(life.is_some_and(|life| life.group.status().first > 1));
        }
        let wanted = self.wanted.clone();
        self.cluster.heal_and_check(&wanted);
        Outcome {
            trace: self.cluster.trace,
            acknowledged: self.cluster.truth.acknowledged(),
            led: self.cluster.led,
            elections: self.cluster.elections,
            changes: self.changes,
            copies: self.copies,
        }
    }
}

/// The seeds to run: `SEED=n` that one, `SEEDS=n` that many, from `FROM=n` on.
#[test]
fn whatever_happens_nothing_acknowledged_is_lost() {
    let outcomes = skua_seeds::each(SEEDS, |seed| Run::new(seed).run());
    let total = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    println!(
        "{} messages acknowledged, {} questions answered, {} elections, {} changes of members, {} logs that do not begin \
         at the first entry",
        total(|outcome| outcome.acknowledged as u64),
        total(|outcome| outcome.led),
        total(|outcome| outcome.elections),
        total(|outcome| outcome.changes),
        total(|outcome| outcome.copies)
    );
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [5, 8, 30] {
        assert_eq!(Run::new(seed).run(), Run::new(seed).run(), "seed {seed}");
    }
}
