use skua_protocol::body::TopicConfig;
use skua_protocol::properties;
use skua_protocol::{Command, ResponseCode};

use super::*;
use crate::test_broker::{TestBroker, poll, ready};

/// A master and its slave, who know each other.
fn pair() -> (TestBroker, TestBroker) {
    let (a, b) = (TestBroker::new(), TestBroker::with("brokerRole=SLAVE\nbrokerId=1\n"));
    a.create_topic(TopicConfig::new("T", 1, 6));
    let topics = a.broker.topics.snapshot();
    b.broker.take_topics(topics, None).expect("saved");
    lock(&a.asked.others).insert("b".to_owned(), (b.broker.clone(), b.peer.clone()));
    lock(&b.asked.others).insert("a".to_owned(), (a.broker.clone(), a.peer.clone()));
    (a, b)
}

/// What the link between master and slave does.
fn replicate(from: &TestBroker, to: &TestBroker) {
    let (start, end) = (to.store.appended(), from.store.appended());
    if start < end {
        let bytes = from.store.log_bytes(start, (end.0 - start.0) as usize).expect("in the log");
        to.store.append_copy(start, &bytes).expect("goes on there");
    }
    to.dispatch();
}

/// `a` gives its place to `b`.
fn switch(a: &TestBroker, b: &TestBroker, name_of_b: &str) {
    a.broker.send_on_to_master();
    a.broker.stop_taking();
    assert!(a.broker.is_idle());
    a.broker.close_log(a.now);
    replicate(a, b);
    b.broker.take_offsets(
        skua_protocol::json::from_slice(&a.broker.offsets.encode()).expect("its own"),
        None,
        b.now,
    );
    b.broker.take_delays(&a.broker.delay.encode()).expect("its own");
    drop(b.broker.lead(0, b.now).expect("it has everything"));
    a.broker.master_is_at("ha", Some(name_of_b));
    a.broker.follow(1, a.now);
}

fn message(test: &TestBroker, properties: &str) -> Command {
    Command::request(&test.message("T", 0, properties)).with_body(b"body".as_slice())
}

#[test]
fn a_send_that_comes_while_the_place_changes_hands_is_stored_once_by_the_new_master() {
    let (a, b) = pair();
    assert_eq!(a.send("T", 0, "", "first").code, 0);
    a.broker.send_on_to_master();
    a.broker.stop_taking();
    let Err(mut waiting) = a.start(&a.peer, message(&a, "")) else { panic!("nobody takes it yet") };
    switch(&a, &b, "b");
    assert_eq!(
        ready(std::mem::replace(&mut waiting, Box::pin(async { Command::success() }))).code,
        0
    );
    let answer = a.call(message(&a, ""));
    assert_eq!(answer.fields.get("queueOffset"), Some("2"));
    b.dispatch();
    let stored = b.stored("T", 0);
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[2].born_host, skua_protocol::service::Peer::remote_addr(&*a.peer));
    replicate(&b, &a);
    assert_eq!(a.stored("T", 0).len(), 3);
    assert_eq!((a.broker.role(), b.broker.role()), (Role::Slave(1), Role::Master));
    let (old, new) = (a.broker.registration(), b.broker.registration());
    assert_eq!((old.header.broker_id, new.header.broker_id), (1, 0));
    assert!(new.version.state_version > a.broker.topics.version().state_version);
}

#[test]
fn the_place_can_go_there_and_back() {
    let (a, b) = pair();
    for round in 0..3 {
        assert_eq!(a.call(message(&a, "")).code, 0, "round {round}");
        switch(&a, &b, "b");
        assert_eq!(a.call(message(&a, "")).code, 0, "round {round}");
        switch(&b, &a, "a");
        replicate(&b, &a);
    }
    a.dispatch();
    assert_eq!(a.stored("T", 0).len(), 6);
    assert_eq!(a.store.appended(), b.store.appended());
}

#[test]
fn a_master_that_keeps_its_place_takes_what_has_waited() {
    let (a, _b) = pair();
    lock(&a.asked.others).insert(a.broker.address(), (a.broker.clone(), a.peer.clone()));
    a.broker.send_on_to_master();
    a.broker.stop_taking();
    let Err(waiting) = a.start(&a.peer, message(&a, "")) else { panic!("nobody takes it yet") };
    a.broker.close_log(a.now);
    a.broker.take_again(a.now);
    assert_eq!(ready(waiting).code, 0);
    a.dispatch();
    assert_eq!(a.stored("T", 0).len(), 1);
}

#[test]
fn who_is_not_master_does_not_send_on_what_was_sent_on() {
    let (a, b) = pair();
    // Both take the other for the master.
    for (test, other) in [(&a, "b"), (&b, "a")] {
        test.broker.send_on_to_master();
        test.broker.master_is_at("ha", Some(other));
    }
    a.broker.follow(2, a.now);
    let Err(mut waiting) = a.start(&a.peer, message(&a, "")) else { panic!("there is no master") };
    let mut a = a;
    a.run_after(2_600);
    assert!(poll(&mut waiting).is_ready(), "not for ever");
    assert_eq!((a.store.appended().0, b.store.appended().0), (0, 0));
}

#[test]
fn without_a_master_sends_are_refused_as_javas_raft_log_does() {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 1, 6));
    test.broker.lose_place(2);
    let answer = test.call(message(&test, ""));
    assert_eq!(answer.code, ResponseCode::ServiceNotAvailable as i32);
    assert_eq!(test.broker.registration().header.broker_id, 2);
}

#[test]
fn who_waits_for_a_copy_when_the_place_is_lost_is_not_told_that_it_is_safe() {
    let test = TestBroker::with("brokerRole=SYNC_MASTER\ninSyncReplicas=2\n");
    test.create_topic(TopicConfig::new("T", 1, 6));
    let replica = test.broker.replicas.connected(([10, 0, 0, 2], 4000).into(), test.now);
    let Err(waiting) = test.start(&test.peer, message(&test, "")) else { panic!("no copy yet") };
    test.broker.lose_place(1);
    let held = Some(test.store.appended().0);
    replica.update(skua_ha::Progress {
        acked: held,
        reported: held,
        requested: Some(0),
        ..skua_ha::Progress::default()
    });
    assert_eq!(ready(waiting).code, ResponseCode::FlushSlaveTimeout as i32);
}

#[test]
fn a_delayed_message_is_delivered_once_by_whoever_is_master_then() {
    let (mut a, mut b) = pair();
    let delayed = format!("{}\u{1}1\u{2}", properties::DELAY);
    for _ in 0..2 {
        assert_eq!(a.call(message(&a, &delayed)).code, 0);
        a.dispatch();
        a.run_after(1_100);
        b.pass(1_100);
    }
    a.run_after(1_100);
    b.pass(1_100);
    a.dispatch();
    assert_eq!(a.stored("T", 0).len(), 2);
    assert_eq!(a.call(message(&a, &delayed)).code, 0);
    switch(&a, &b, "b");
    b.run_after(1_100);
    b.dispatch();
    a.run_after(1_100);
    assert_eq!(b.stored("T", 0).len(), 3);
    b.run_after(60_000);
    replicate(&b, &a);
    assert_eq!(a.stored("T", 0).len(), 3);
}

#[test]
fn offsets_do_not_go_back_when_the_successor_knows_less() {
    let (a, b) = pair();
    a.broker.offsets.commit("g", "T", 0, 7, a.now);
    b.broker.offsets.commit("g", "T", 0, 7, a.now);
    a.broker.offsets.commit("g", "T", 0, 9, a.now);
    a.broker.lose_place(1);
    a.broker.follow(1, a.now);
    drop(b.broker.lead(0, b.now).expect("it has everything"));
    let table = skua_protocol::json::from_slice(&b.broker.offsets.encode()).expect("its own");
    a.broker.take_offsets(table, None, a.now);
    assert_eq!(a.broker.offsets.committed("g", "T", 0), Some(9));
    let told: Vec<_> = a.broker.local_commits().iter().map(|commit| commit.offset).collect();
    assert_eq!(told, [9], "the new master is told");
}
