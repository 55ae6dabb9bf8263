//! Clients that consume a group's queues in order, as Java's do: they renew what they have, give
//! back what another is to have, believe in a lock for a time of their own, lose connections,
//! die, and come back, while the broker restarts or another goes on. Against what may be expected
//! of the locks.
//!
//! `SEED=n` runs one seed, `SEEDS=n` that many; see `skua_seeds`.

use skua_protocol::Millis;
use skua_protocol::body::MessageQueue;
use skua_seeds::Random;

use super::{LOCK_LIVE_MS, QueueLocks, name as lock_name};

const SEEDS: u64 = 10_000;
const STEPS: usize = 120;
const QUEUES: usize = 4;
const CLIENTS: usize = 3;
const GROUPS: [&str; 2] = ["g", "h"];
/// Clients renew this often, ...
const RENEW_MS: i64 = 20_000;
/// ... and believe in a lock for so long (Java: `ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME`).
const BELIEVED_MS: i64 = 30_000;

#[derive(Clone, Copy, Default)]
struct Client {
    /// It runs and reaches the broker.
    up: bool,
    renews_at: i64,
    /// Until when it believes to have each queue.
    believes: [[i64; QUEUES]; GROUPS.len()],
}

struct World {
    dice: Random,
    now: i64,
    locks: QueueLocks,
    clients: [Client; CLIENTS],
    /// To whom the rebalance gave each queue.
    assigned: [[usize; QUEUES]; GROUPS.len()],
    /// Who was last granted each queue in this life of the broker, and when.
    granted: [[Option<(usize, i64)>; QUEUES]; GROUPS.len()],
    /// The last restart: until clients have renewed, two may believe.
    restarted: i64,
}

fn queue(id: usize) -> MessageQueue {
    MessageQueue { topic: "T".into(), broker_name: "b".into(), queue_id: id as i32 }
}

fn name(client: usize) -> String {
    format!("client-{client}")
}

impl World {
    fn new(seed: u64) -> Self {
        let up = Client { up: true, ..Client::default() };
        Self {
            dice: Random(seed),
            now: 1_700_000_000_000,
            locks: QueueLocks::default(),
            clients: [up; CLIENTS],
            assigned: [[0; QUEUES]; GROUPS.len()],
            granted: [[None; QUEUES]; GROUPS.len()],
            restarted: 0,
        }
    }

    /// A client asks for all that it is to have; what is refused it consumes no more.
    fn renew(&mut self, client: usize) {
        for (at, group) in GROUPS.into_iter().enumerate() {
            let wanted: Vec<usize> =
                (0..QUEUES).filter(|&id| self.assigned[at][id] == client).collect();
            let asked = wanted.iter().map(|&id| queue(id)).collect();
            let got = self.locks.take(group, asked, &name(client), Millis(self.now));
            for id in wanted {
                let free = self.granted[at][id].is_none_or(|(holder, renewed)| {
                    holder == client || self.now - renewed > LOCK_LIVE_MS
                });
                let granted = got.contains(&queue(id));
                assert_eq!(granted, free, "queue {id} of {group} for {client}");
                self.clients[client].believes[at][id] = 0;
                if granted {
                    self.granted[at][id] = Some((client, self.now));
                    self.clients[client].believes[at][id] = self.now + BELIEVED_MS;
                }
            }
        }
        self.clients[client].renews_at = self.now + RENEW_MS;
    }

    /// A rebalance: who had the queue gives it back if it can say so.
    fn assign(&mut self, at: usize, id: usize, to: usize) {
        let from = std::mem::replace(&mut self.assigned[at][id], to);
        if from == to || !self.clients[from].up {
            return;
        }
        self.clients[from].believes[at][id] = 0;
        // The word may be lost: it is one-way.
        if self.dice.below(4) > 0 {
            self.locks.give_back(GROUPS[at], &[queue(id)], &name(from));
            if self.granted[at][id].is_some_and(|(holder, _)| holder == from) {
                self.granted[at][id] = None;
            }
        }
    }

    fn step(&mut self) {
        let client = self.dice.below(CLIENTS as u64) as usize;
        match self.dice.below(21) {
            0..=9 => {
                self.now += self.dice.below(15_000) as i64;
                self.locks.run_due(Millis(self.now));
                for client in 0..CLIENTS {
                    if self.clients[client].up && self.clients[client].renews_at <= self.now {
                        self.renew(client);
                    }
                }
            }
            10..=13 => {
                let at = self.dice.below(GROUPS.len() as u64) as usize;
                let id = self.dice.below(QUEUES as u64) as usize;
                self.assign(at, id, client);
                if self.clients[client].up {
                    self.renew(client);
                }
            }
            // Dead or cut off: what it believes runs out by itself.
            14 => self.clients[client].up = false,
            15..=16 => {
                // A connection anew: the locks are the client's, not the connection's.
                self.clients[client].up = true;
                self.renew(client);
            }
            17 => {
                // Locks are in memory alone.
                self.locks = QueueLocks::default();
                self.granted = Default::default();
                self.restarted = self.now;
            }
            18 => {
                // Another broker of the group goes on: it knows who holds what, not since when.
                let holders = self.locks.snapshot();
                self.locks = QueueLocks::default();
                self.locks.take_masters(&holders);
                self.locks.lead(Millis(self.now));
                for (at, group) in GROUPS.into_iter().enumerate() {
                    for id in 0..QUEUES {
                        if let Some((_, renewed)) = &mut self.granted[at][id]
                            && holders.contains_key(&lock_name(group, &queue(id)))
                        {
                            *renewed = self.now;
                        }
                    }
                }
            }
            _ => {
                // Anybody may ask at any time, for what is not its own too.
                let at = self.dice.below(GROUPS.len() as u64) as usize;
                self.locks.give_back(GROUPS[at], &[queue(0)], "stranger");
            }
        }
    }

    fn check(&self) {
        for (at, group) in GROUPS.into_iter().enumerate() {
            for id in 0..QUEUES {
                let believe = |client: &&Client| client.believes[at][id] > self.now;
                let believers = self.clients.iter().filter(believe).count();
                let after_restart = self.now - self.restarted <= BELIEVED_MS;
                assert!(believers <= 1 || after_restart, "{believers} consume {id} of {group}");
            }
            let live = self.granted[at].iter().flatten();
            let live = live.into_iter().any(|(_, at)| self.now - at <= LOCK_LIVE_MS);
            assert_eq!(self.locks.any_live(group, Millis(self.now)), live);
        }
    }

    /// With all clients up, each has what it is to have after one lifetime of a lock.
    fn settle(&mut self) {
        for client in &mut self.clients {
            client.up = true;
        }
        for _ in 0..5 {
            self.now += RENEW_MS;
            for client in 0..CLIENTS {
                self.renew(client);
            }
        }
        for at in 0..GROUPS.len() {
            for id in 0..QUEUES {
                let holder = self.granted[at][id].map(|(holder, _)| holder);
                assert_eq!(holder, Some(self.assigned[at][id]));
            }
        }
        // And when all are gone, nothing is kept.
        let mut due = self.locks.run_due(Millis(self.now));
        while let Some(at) = due {
            assert!(at.0 > self.now, "it comes again at once");
            self.now = at.0;
            due = self.locks.run_due(at);
        }
        assert!(!GROUPS.into_iter().any(|group| self.locks.any_live(group, Millis(self.now))));
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        world.check();
    }
    world.settle();
}

#[test]
fn one_client_consumes_an_ordered_queue_whatever_happens() {
    skua_seeds::each(SEEDS, run);
}
