//! Clients that subscribe, leave, fall silent and come back, against what must be: whoever
//! subscribes gets what is there, and an exclusive lite topic has one client.
//!
//! `SEED=n` runs one seed, `SEEDS=n` that many; see `skua_seeds`.

use std::cell::RefCell;

use skua_seeds::Random;

use super::*;
use crate::lite::queue_name;
use crate::test_peer::TestPeer;

const SEEDS: u64 = 10_000;
const STEPS: usize = 40;
const LITES: usize = 5;
/// Plain, exclusive, and one that gets everything.
const GROUPS: [&str; 3] = ["plain", "exclusive", "wild"];
const PARENT: &str = "P";

#[derive(Default)]
struct Store {
    max: [i64; LITES],
    committed: RefCell<HashMap<(String, String), i64>>,
}

fn queue(id: usize) -> Name {
    queue_name(PARENT, &format!("lite-{id}")).expect("two names").into()
}

fn id_of(queue: &str) -> usize {
    queue.rsplit('-').next().and_then(|id| id.parse().ok()).expect("a number")
}

impl Outlook for Store {
    fn group(&self, group: &str) -> GroupFacts {
        GroupFacts {
            bound: Some(PARENT.into()),
            wildcard: group == "wild",
            exclusive: group == "exclusive",
            reset_when_excluded: false,
            reset_on_leave: false,
            // So few that they are often full.
            events_max: 2,
        }
    }

    fn max_offset(&self, queue: &str) -> i64 {
        self.max[id_of(queue)]
    }

    fn committed(&self, group: &str, queue: &str) -> i64 {
        let committed = self.committed.borrow();
        committed.get(&(group.to_owned(), queue.to_owned())).copied().unwrap_or(-1)
    }

    fn queues_of(&self, _parent: &str) -> Vec<String> {
        (0..LITES).filter(|&id| self.max[id] > 0).map(|id| queue(id).to_string()).collect()
    }
}

fn rules() -> Rules {
    Rules {
        by_events: true,
        subscriptions_max: 100,
        scan_every_ms: 10_000,
        again_after_ms: 10_000,
        wildcard_again_after_ms: 10_000,
        subscriptions_checked_every_ms: 120_000,
        subscription_lives_ms: 600_000,
    }
}

struct World {
    dice: Random,
    store: Store,
    board: Board,
    now: i64,
}

/// Two clients a group.
fn client(at: usize) -> (String, &'static str) {
    (format!("client-{at}"), GROUPS[at % GROUPS.len()])
}

const CLIENTS: usize = 2 * GROUPS.len();

impl World {
    fn with<T>(&mut self, change: impl FnOnce(&mut Board, &mut Moment<'_>) -> T) -> T {
        let rules = rules();
        let now = Millis(self.now);
        let mut at = Moment { outlook: &self.store, rules: &rules, effects: Vec::new(), now };
        change(&mut self.board, &mut at)
    }

    fn some_queues(&mut self) -> Vec<Name> {
        (0..LITES).filter(|_| self.dice.below(2) == 0).map(queue).collect()
    }

    /// The client takes all its events and all that they stand for.
    fn pop(&mut self, at: usize) {
        let (client, group) = client(at);
        let now = Millis(self.now);
        while let Some(queue) = self.board.next_event(&client, now) {
            let max = self.store.max_offset(&queue);
            let key = (group.to_owned(), queue.to_string());
            self.store.committed.borrow_mut().insert(key, max);
        }
    }

    fn renew(&mut self, at: usize, queues: Vec<Name>) {
        let (client, group) = client(at);
        let of = Subscriber { client: &client, group, parent: PARENT };
        self.with(|board, at| board.replace(of, queues, at));
    }

    fn step(&mut self) {
        let at = self.dice.below(CLIENTS as u64) as usize;
        let (client, group) = client(at);
        let of = Subscriber { client: &client, group, parent: PARENT };
        match self.dice.below(12) {
            0..=3 => {
                let id = self.dice.below(LITES as u64) as usize;
                self.store.max[id] += 1;
                self.with(|board, at| board.dispatch(None, &queue(id), None, at));
            }
            4..=5 => self.pop(at),
            6 => {
                let queues = self.some_queues();
                let added = self.with(|board, at| board.add(of, queues, Start::Stay, at));
                assert_eq!(added.is_err(), group == "wild");
            }
            7 => {
                let queues = self.some_queues();
                // Whole subscriptions do not exclude others, in Java neither.
                if group != "exclusive" {
                    self.renew(at, queues);
                }
            }
            8 => {
                let queues = self.some_queues();
                self.with(|board, at| board.remove(of, &queues, at));
            }
            9 => self.with(|board, at| board.remove_client(&client, at)),
            _ => {
                self.now += self.dice.below(30_000) as i64;
                self.with(|board, at| board.run_due(at));
            }
        }
    }

    fn check(&self) {
        let by_client: usize = self.board.subscriptions.values().map(|s| s.queues.len()).sum();
        let by_queue: usize = self.board.members.values().map(BTreeSet::len).sum();
        assert_eq!((by_client, by_queue), (self.board.pairs, self.board.pairs));
        for (queue, members) in &self.board.members {
            let exclusive = members.iter().filter(|(_, group)| &**group == "exclusive").count();
            assert!(exclusive <= 1, "{exclusive} clients have {queue}");
        }
        assert!(!self.board.events.values().any(Events::are_too_many));
    }

    /// With clients that come for their events, nothing stays.
    fn settle(&mut self) {
        for _ in 0..60 {
            for at in 0..CLIENTS {
                self.pop(at);
            }
            self.now += 5_000;
            self.with(|board, at| board.run_due(at));
        }
        for (name, members) in &self.board.members {
            for (_, group) in members {
                let queues: Vec<String> = match name.contains(WILDCARD_MARK) {
                    true => self.store.queues_of(PARENT),
                    false => vec![name.to_string()],
                };
                for queue in queues {
                    let (max, committed) =
                        (self.store.max_offset(&queue), self.store.committed(group, &queue));
                    assert!(committed >= max || max == 0, "{group} lacks of {queue}");
                }
            }
        }
    }
}

fn run(seed: u64) {
    let mut world = World {
        dice: Random(seed),
        store: Store::default(),
        board: Board::default(),
        now: 1_700_000_000_000,
    };
    for _ in 0..STEPS {
        world.step();
        world.check();
    }
    world.settle();
}

#[test]
fn who_subscribes_gets_what_is_there_whatever_happens() {
    skua_seeds::each(SEEDS, run);
}

#[test]
fn an_exclusive_lite_topic_goes_to_the_last_who_asks_and_the_former_is_told() {
    let store = Store::default();
    let rules = rules();
    let mut at = Moment { outlook: &store, rules: &rules, effects: Vec::new(), now: Millis(1) };
    let mut board = Board::default();
    for client in ["one", "two"] {
        let of = Subscriber { client, group: "exclusive", parent: PARENT };
        board.connect(client, TestPeer::new(1));
        board.add(of, vec![queue(0)], Start::Stay, &mut at).expect("few");
    }
    assert_eq!(board.members(&queue(0)), [("two".into(), "exclusive".into())]);
    let told = at.effects.iter().filter_map(|effect| match effect {
        Effect::Tell { client, .. } => Some(&**client),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), ["one"]);
}

#[test]
fn a_subscription_that_is_not_renewed_ends_and_what_came_for_it_goes_to_another() {
    let store = Store { max: [1; LITES], ..Store::default() };
    let rules = rules();
    let mut at = Moment { outlook: &store, rules: &rules, effects: Vec::new(), now: Millis(1) };
    let mut board = Board::default();
    let subscriber = |client| Subscriber { client, group: "plain", parent: PARENT };
    board.replace(subscriber("gone"), vec![queue(0)], &mut at);
    assert!(board.has_event("gone"));
    for _ in 0..8 {
        at.now = at.now.plus(100_000);
        board.replace(subscriber("here"), vec![queue(0)], &mut at);
        board.run_due(&mut at);
    }
    assert_eq!(board.members(&queue(0)), [("here".into(), "plain".into())]);
    assert_eq!(board.next_event("here", at.now), Some(queue(0)));
}
