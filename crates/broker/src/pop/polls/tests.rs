use std::sync::Arc;

use super::*;

/// Notes who was woken, and takes only its own tag hash if it has one.
struct Sleeper {
    name: &'static str,
    tag: Option<i64>,
    woken: Arc<Mutex<Vec<(&'static str, Woken)>>>,
}

impl Wanted for Sleeper {
    fn wants(&self, tags_code: i64, _record: &dyn Fn() -> Option<Bytes>) -> bool {
        self.tag.is_none_or(|tag| tag == tags_code)
    }

    fn wake(self, why: Woken) {
        lock(&self.woken).push((self.name, why));
    }
}

#[derive(Default)]
struct Scene {
    polls: Polls<Sleeper>,
    woken: Arc<Mutex<Vec<(&'static str, Woken)>>>,
}

const LIMITS: Limits = Limits { all: 4, queue: 1 };

impl Scene {
    fn park(&self, name: &'static str, place: (&str, &str, i32), deadline: i64) -> Option<Ticket> {
        self.park_for(name, place, deadline, None)
    }

    fn park_for(
        &self,
        name: &'static str,
        place: (&str, &str, i32),
        deadline: i64,
        tag: Option<i64>,
    ) -> Option<Ticket> {
        let sleeper = Sleeper { name, tag, woken: self.woken.clone() };
        self.polls.park(place, ConnectionId(1), Millis(deadline), sleeper, LIMITS).ok()
    }

    fn arrived(&self, topic: &str, queue: i32, tags_code: i64) {
        self.polls.arrived(topic, queue, tags_code, &|| None);
    }

    fn take_woken(&self) -> Vec<(&'static str, Woken)> {
        std::mem::take(&mut *lock(&self.woken))
    }
}

#[test]
fn an_arrival_wakes_one_for_all_queues_and_one_for_its_own() {
    let scene = Scene::default();
    for (name, queue) in [("any", ANY_QUEUE), ("later", ANY_QUEUE), ("zero", 0), ("one", 1)] {
        assert!(scene.park(name, ("T", "g", queue), 10).is_some());
    }
    scene.arrived("U", 1, 0);
    assert_eq!(scene.take_woken(), []);
    scene.arrived("T", 1, 0);
    assert_eq!(scene.take_woken(), [("any", Woken::Arrival), ("one", Woken::Arrival)]);
    scene.arrived("T", 1, 0);
    assert_eq!(scene.take_woken(), [("later", Woken::Arrival)]);
}

#[test]
fn retried_messages_wake_their_group_alone() {
    let scene = Scene::default();
    scene.park_for("mine", ("T", "g", 3), 10, Some(7));
    scene.park("other", ("T", "h", ANY_QUEUE), 10);
    scene.arrived("%RETRY%g_T", 0, 0);
    assert_eq!(scene.take_woken(), [("mine", Woken::Arrival)]);
    scene.arrived("%RETRY%h+T", 0, 0);
    assert_eq!(scene.take_woken(), [("other", Woken::Arrival)]);
    scene.arrived("%RETRY%h+T", 0, 0);
    assert_eq!(scene.take_woken(), []);
}

#[test]
fn who_wants_another_tag_sleeps_on() {
    let scene = Scene::default();
    scene.park_for("seven", ("T", "g", ANY_QUEUE), 10, Some(7));
    scene.park_for("eight", ("T", "g", ANY_QUEUE), 10, Some(8));
    scene.arrived("T", 0, 8);
    assert_eq!(scene.take_woken(), [("eight", Woken::Arrival)]);
}

#[test]
fn deadlines_are_kept_and_limits_too() {
    let scene = Scene::default();
    let first = scene.park("first", ("T", "g", 0), 20).expect("room");
    scene.park("second", ("T", "g", 0), 10);
    assert_eq!(scene.park("third", ("T", "g", 0), 10), None, "two wait for the queue");
    assert_eq!(scene.polls.parked_at("T", "g", 0), 2);
    scene.park("third", ("T", "g", 1), 30);
    scene.park("fourth", ("T", "h", 1), 30);
    assert_eq!(scene.park("fifth", ("U", "h", 1), 30), None, "four wait in all");
    assert_eq!(scene.polls.run_due(Millis(10)), Some(Millis(20)));
    assert_eq!(scene.take_woken(), [("second", Woken::Timeout)]);
    assert_eq!(scene.polls.take(first).map(|sleeper| sleeper.name), Some("first"));
    assert!(scene.polls.take(first).is_none());
    scene.polls.closed(ConnectionId(2));
    assert_eq!(scene.take_woken(), []);
    scene.polls.closed(ConnectionId(1));
    assert_eq!(scene.take_woken().len(), 2);
}
