use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

type Log = Arc<Mutex<Vec<(usize, Woken)>>>;

struct Waiting {
    name: usize,
    tag: Option<i64>,
    log: Log,
}

impl Wanted for Waiting {
    fn wants(&self, tags_code: i64, _: &dyn Fn() -> Option<Bytes>) -> bool {
        self.tag.is_none_or(|tag| tag == tags_code)
    }

    fn wake(self, why: Woken) {
        lock(&self.log).push((self.name, why));
    }
}

struct Bench {
    polls: LongPolls<Waiting>,
    log: Log,
}

impl Bench {
    fn new(parked_max: usize) -> Self {
        Self { polls: LongPolls::new(parked_max), log: Log::default() }
    }

    fn park(&self, name: usize, from: i64, tag: Option<i64>, deadline: i64) -> Option<Ticket> {
        let wanted = Waiting { name, tag, log: self.log.clone() };
        let place = Place { topic: "T", queue: QueueId(0), from };
        let connection = ConnectionId(name as u64);
        self.polls.park(place, connection, Millis(deadline), wanted).ok()
    }

    fn woken(&self) -> Vec<(usize, Woken)> {
        std::mem::take(&mut *lock(&self.log))
    }
}

#[test]
fn an_arrival_wakes_only_pulls_that_want_it() {
    let bench = Bench::new(10);
    bench.park(1, 5, None, 100);
    bench.park(2, 6, None, 100);
    bench.park(3, 5, Some(7), 100);
    bench.polls.arrived("T", QueueId(1), 5, 7, &|| None);
    bench.polls.arrived("U", QueueId(0), 5, 7, &|| None);
    assert_eq!(bench.woken(), []);
    bench.polls.arrived("T", QueueId(0), 5, 8, &|| None);
    assert_eq!(bench.woken(), [(1, Woken::Arrival)]);
    bench.polls.arrived("T", QueueId(0), 6, 7, &|| None);
    assert_eq!(bench.woken(), [(2, Woken::Arrival), (3, Woken::Arrival)]);
    assert_eq!(bench.polls.parked(), 0);
}

#[test]
fn timeouts_are_punctual_and_name_the_next_deadline() {
    let bench = Bench::new(10);
    bench.park(1, 0, None, 100);
    bench.park(2, 0, None, 150);
    assert_eq!(bench.polls.run_due(Millis(99)), Some(Millis(100)));
    assert_eq!(bench.woken(), []);
    assert_eq!(bench.polls.run_due(Millis(100)), Some(Millis(150)));
    assert_eq!(bench.woken(), [(1, Woken::Timeout)]);
    assert_eq!(bench.polls.run_due(Millis(1_000)), None);
    assert_eq!(bench.woken(), [(2, Woken::Timeout)]);
}

#[test]
fn a_closed_connection_takes_its_pulls_along() {
    let bench = Bench::new(10);
    bench.park(1, 0, None, 100);
    bench.park(2, 0, None, 100);
    bench.polls.closed(ConnectionId(1));
    assert_eq!(bench.woken(), [(1, Woken::Closed)]);
    bench.polls.shutdown();
    assert_eq!(bench.woken(), [(2, Woken::Shutdown)]);
}

#[test]
fn the_table_is_bounded_and_room_comes_back() {
    let bench = Bench::new(1);
    assert!(bench.park(1, 0, None, 100).is_some());
    assert!(bench.park(2, 0, None, 100).is_none());
    bench.polls.run_due(Millis(100));
    assert!(bench.park(3, 0, None, 200).is_some());
}

/// What a pull does after it found nothing, in the steps between which anything may happen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pull {
    /// Has seen an empty queue up to here and is about to park.
    Looked(i64),
    /// Is parked and is about to look again.
    Parked(i64, Ticket),
    /// Waits.
    Waiting(i64),
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Store,
    Announce,
    Advance(usize),
    Pass(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            2 => Just(Step::Store),
            2 => Just(Step::Announce),
            4 => (0..3usize).prop_map(Step::Advance),
            1 => (1..50i64).prop_map(Step::Pass),
        ],
        1..120,
    )
}

proptest! {
    /// Messages become readable and are announced later; pulls look, park and look again, all
    /// interleaved at will. A pull that waits while a message for it has been announced was lost.
    #[test]
    fn no_wake_up_is_lost_in_any_order(steps in steps()) {
        let bench = Bench::new(100);
        let mut max = 0i64;
        let mut announced = 0i64;
        let mut now = 0i64;
        let mut pulls = [Pull::Looked(0); 3];
        let mut deadlines = [0i64; 3];
        for step in steps {
            match step {
                Step::Store => max += 1,
                Step::Announce if announced < max => {
                    bench.polls.arrived("T", QueueId(0), announced, 0, &|| None);
                    announced += 1;
                }
                Step::Announce => {}
                Step::Pass(ms) => {
                    now += ms;
                    bench.polls.run_due(Millis(now));
                }
                Step::Advance(index) => match pulls[index] {
                    Pull::Looked(from) => {
                        deadlines[index] = now + 30;
                        let ticket = bench.park(index, from, None, now + 30).expect("room");
                        pulls[index] = Pull::Parked(from, ticket);
                    }
                    Pull::Parked(from, ticket) => {
                        pulls[index] = if max > from {
                            if bench.polls.take(ticket).is_some() { Pull::Done } else { Pull::Waiting(from) }
                        } else {
                            Pull::Waiting(from)
                        };
                    }
                    Pull::Waiting(_) => {}
                    Pull::Done => pulls[index] = Pull::Looked(max),
                },
            }
            for (index, why) in bench.woken() {
                let from = match pulls[index] {
                    Pull::Parked(from, _) | Pull::Waiting(from) => from,
                    other => panic!("woken twice or before parking: {other:?}"),
                };
                match why {
                    Woken::Arrival => prop_assert!(announced > from),
                    Woken::Timeout => prop_assert!(now >= deadlines[index]),
                    Woken::Closed | Woken::Shutdown => prop_assert!(false),
                }
                // A pull woken between parking and looking again finds its ticket gone.
                pulls[index] = Pull::Done;
            }
            for (index, pull) in pulls.iter().enumerate() {
                if let Pull::Waiting(from) = pull {
                    prop_assert!(announced <= *from, "pull {index} waits at {from}, {announced} announced");
                    prop_assert!(now < deadlines[index]);
                }
            }
        }
    }
}
