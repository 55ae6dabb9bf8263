use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn queue(id: i32) -> MessageQueue {
    MessageQueue { topic: "T".into(), broker_name: "b".into(), queue_id: id }
}

#[test]
fn a_lock_is_refused_to_others_until_it_expires() {
    let locks = QueueLocks::default();
    let start = Millis(1_000);
    assert_eq!(locks.take("g", vec![queue(0)], "one", start), [queue(0)]);
    assert!(locks.take("g", vec![queue(0)], "two", start.plus(LOCK_LIVE_MS)).is_empty());
    let expired = start.plus(LOCK_LIVE_MS + 1);
    assert_eq!(locks.take("g", vec![queue(0)], "two", expired), [queue(0)]);
    assert!(locks.take("g", vec![queue(0)], "one", expired).is_empty());
}

#[test]
fn groups_do_not_share_locks() {
    let locks = QueueLocks::default();
    locks.take("g", vec![queue(0)], "one", Millis(0));
    assert_eq!(locks.take("h", vec![queue(0)], "two", Millis(0)), [queue(0)]);
}

#[test]
fn only_the_holder_gives_a_lock_back() {
    let locks = QueueLocks::default();
    locks.take("g", vec![queue(0)], "one", Millis(0));
    locks.give_back("g", &[queue(0)], "two");
    assert!(locks.any_live("g", Millis(1)));
    locks.give_back("g", &[queue(0)], "one");
    assert!(!locks.any_live("g", Millis(1)));
}

#[test]
fn expired_locks_are_forgotten_and_the_sweep_ends() {
    let locks = QueueLocks::default();
    locks.take("g", vec![queue(0)], "one", Millis(0));
    assert_eq!(locks.run_due(Millis(SWEEP_EVERY_MS)), Some(Millis(2 * SWEEP_EVERY_MS)));
    assert_eq!(locks.run_due(Millis(2 * SWEEP_EVERY_MS)), None);
}

#[derive(Clone, Debug)]
enum Step {
    Take { client: u8, queue: i32 },
    GiveBack { client: u8, queue: i32 },
    Pass { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3u8, 0..3i32).prop_map(|(client, queue)| Step::Take { client, queue }),
        (0..3u8, 0..3i32).prop_map(|(client, queue)| Step::GiveBack { client, queue }),
        (1..40_000i64).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #[test]
    fn a_queue_never_has_two_holders(steps in prop::collection::vec(step(), 1..200)) {
        let locks = QueueLocks::default();
        let mut holders: BTreeMap<i32, (u8, Millis)> = BTreeMap::new();
        let mut now = Millis(0);
        for step in steps {
            match step {
                Step::Pass { ms } => {
                    now = now.plus(ms);
                    locks.run_due(now);
                }
                Step::Take { client, queue: id } => {
                    let granted =
                        !locks.take("g", vec![queue(id)], &client.to_string(), now).is_empty();
                    let free = holders.get(&id).is_none_or(|(holder, renewed)| {
                        *holder == client || now.since(*renewed) > LOCK_LIVE_MS
                    });
                    prop_assert_eq!(granted, free);
                    if granted {
                        holders.insert(id, (client, now));
                    }
                }
                Step::GiveBack { client, queue: id } => {
                    locks.give_back("g", &[queue(id)], &client.to_string());
                    if holders.get(&id).is_some_and(|(holder, _)| *holder == client) {
                        holders.remove(&id);
                    }
                }
            }
            let live = holders.values().any(|(_, renewed)| now.since(*renewed) <= LOCK_LIVE_MS);
            prop_assert_eq!(locks.any_live("g", now), live);
        }
    }
}
