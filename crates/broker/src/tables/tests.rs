use std::task::Poll;

use skua_protocol::body::{LockBatch, LockBatchResponse, MessageQueue, SubscriptionGroupConfig};
use skua_protocol::header::Fields;
use skua_protocol::request::{
    AckMessage, DeleteTopicInBroker, PopMessage, QueryConsumerOffset, UpdateConsumerOffset,
};
use skua_protocol::{Command, RequestCode};
use skua_store::Store;

use super::simulation::make_topic;
use super::*;
use crate::role::Role;
use crate::test_broker::{TestBroker, poll, ready};

const MEMBER: &str = "enableDLegerCommitLog=true\ndLegerPeers=n0-h:1\ndLegerSelfId=n0\n";

fn agree(store: &Store) {
    store.confirm(store.appended());
    store.answer_lead_questions(store.lead_questions());
    while store.dispatch() > 0 {}
}

fn leader() -> TestBroker {
    let test = TestBroker::with(MEMBER);
    agree(&test.store);
    lead(&test, 1);
    test
}

fn lead(test: &TestBroker, term: i64) {
    assert!(test.store.open_appends().is_some());
    drop(test.broker.lead(term, test.now).expect("nothing fails on this disk"));
}

fn commit(offset: i64) -> Command {
    Command::request(&UpdateConsumerOffset {
        consumer_group: "TOOLS_CONSUMER".into(),
        topic: "T".into(),
        queue_id: 0,
        commit_offset: offset,
    })
}

fn query() -> Command {
    Command::request(&QueryConsumerOffset {
        consumer_group: "TOOLS_CONSUMER".into(),
        topic: "T".into(),
        queue_id: 0,
        set_zero_if_not_found: Some(false),
    })
}

/// Copies what is agreed on, as the group does.
fn replicate(from: &TestBroker, to: &mut TestBroker) {
    let (at, end) = (to.store.appended(), from.store.confirmed());
    if at < end {
        let bytes = from.store.log_bytes(at, (end.0 - at.0) as usize).expect("its log");
        to.store.append_copy(at, &bytes).expect("nothing fails on this disk");
    }
    agree(&to.store);
    to.run_after(1);
}

#[test]
fn a_commit_is_answered_when_the_group_agrees_and_stands_at_the_followers() {
    let leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    leader.create_topic(TopicConfig::new("T", 1, 6));
    let Err(waiting) = leader.start(&leader.peer, commit(5)) else { panic!("not agreed on yet") };
    agree(&leader.store);
    assert_eq!(ready(waiting).code, 0);
    replicate(&leader, &mut follower);
    assert_eq!(follower.broker.offsets.committed("TOOLS_CONSUMER", "T", 0), Some(5));
    assert!(follower.broker.topics.contains("T"));
    // What is told is asked of the group, too, and not written again.
    let end = leader.store.appended();
    let Err(waiting) = leader.start(&leader.peer, query()) else { panic!("not agreed on yet") };
    agree(&leader.store);
    assert_eq!(ready(waiting).fields.get("offset"), Some("5"));
    assert_eq!(leader.store.appended(), end);
}

#[test]
fn what_is_told_is_in_the_log_first_and_agreed_on() {
    let leader = leader();
    leader.create_topic(TopicConfig::new("T", 1, 6));
    let waiting = leader.start(&leader.peer, commit(5)).expect_err("not agreed on yet");
    // Asked before the commit is agreed on: that it leads still is not enough.
    let mut asked = leader.start(&leader.peer, query()).expect_err("not agreed on yet");
    leader.store.answer_lead_questions(leader.store.lead_questions());
    assert!(poll(&mut asked).is_pending());
    agree(&leader.store);
    assert_eq!(ready(waiting).code, 0);
    assert_eq!(ready(asked).fields.get("offset"), Some("5"));
    // A commit that nobody waits for goes into the log with the question.
    leader.broker.offsets.commit("TOOLS_CONSUMER", "T", 0, 6, leader.now);
    let end = leader.store.appended();
    let asked = leader.start(&leader.peer, query()).expect_err("not agreed on yet");
    assert!(leader.store.appended() > end);
    leader.store.confirm(leader.store.appended());
    assert_eq!(ready(asked).fields.get("offset"), Some("6"));
    // Who is asked and loses the lead before it knows tells nothing.
    let asked = leader.start(&leader.peer, query()).expect_err("not agreed on yet");
    leader.store.close_appends();
    assert_ne!(ready(asked).code, 0);
}

#[test]
fn changes_that_nobody_waits_for_go_together_and_are_followed_to_the_letter() {
    let mut leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    for queue in 0..5_i32 {
        leader.broker.offsets.commit("g", "T", queue, 7, leader.now);
        leader.broker.wake_to_save_offsets(leader.now);
    }
    leader.broker.offsets.commit("g", "Gone", 0, 7, leader.now);
    let groups = ["kept", "dropped"].map(SubscriptionGroupConfig::new).to_vec();
    leader.broker.groups.update(groups, leader.now).expect("saved");
    leader.run_after(GATHER_MS);
    agree(&leader.store);
    assert_eq!(leader.store.max_offset(TABLES_TOPIC, QUEUE).map(|max| max.0), Some(1));
    replicate(&leader, &mut follower);
    assert_eq!(follower.broker.offsets.committed_queues("g", "T").len(), 5);
    assert!(follower.broker.groups.contains("dropped"));

    leader.broker.offsets.remove_topic("Gone");
    leader.broker.groups.remove("dropped", leader.now).expect("saved");
    leader.broker.groups.set_readable("kept", "T", false, leader.now).expect("saved");
    leader.broker.wake_to_save_offsets(leader.now);
    leader.run_after(GATHER_MS);
    agree(&leader.store);
    replicate(&leader, &mut follower);
    assert_eq!(follower.broker.offsets.committed("g", "Gone", 0), None);
    assert!(!follower.broker.groups.contains("dropped"));
    assert!(!follower.broker.groups.may_read("kept", "T"));
    assert_eq!(follower.broker.groups.version(), leader.broker.groups.version());

    // Nothing has changed: nothing is written.
    let end = leader.store.appended();
    leader.broker.offsets.commit("g", "T", 0, 7, leader.now);
    leader.broker.wake_to_save_offsets(leader.now);
    leader.run_after(GATHER_MS);
    assert_eq!(leader.store.appended(), end);
}

#[test]
fn a_member_that_was_killed_reads_on_where_its_files_end() {
    let leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    leader.create_topic(TopicConfig::new("T", 1, 6));
    let waiting = leader.start(&leader.peer, commit(1)).expect_err("not agreed on yet");
    agree(&leader.store);
    ready(waiting);
    replicate(&leader, &mut follower);
    follower.broker.save_offsets().expect("saved");
    let waiting = leader.start(&leader.peer, commit(2)).expect_err("not agreed on yet");
    agree(&leader.store);
    ready(waiting);
    replicate(&leader, &mut follower);
    let follower = follower.crash();
    assert_eq!(follower.broker.offsets.committed("TOOLS_CONSUMER", "T", 0), Some(1));
    // It has not been told how far the log is agreed on.
    agree(&follower.store);
    lead(&follower, 2);
    assert_eq!(follower.broker.offsets.committed("TOOLS_CONSUMER", "T", 0), Some(2));
}

#[test]
fn who_has_lost_the_lead_tells_nothing_even_if_it_does_not_know() {
    let leader = leader();
    leader.create_topic(TopicConfig::new("T", 1, 6));
    let waiting = leader.start(&leader.peer, commit(1)).expect_err("not agreed on yet");
    leader.store.close_appends();
    assert_ne!(ready(waiting).code, 0);
    assert_eq!(leader.broker.role(), Role::Master);
    assert!(!leader.broker.leads_tables());
    // Elected again, it may have missed another's changes: it has to become master anew.
    leader.store.truncate_to(leader.store.confirmed()).expect("nothing fails on this disk");
    assert!(leader.store.open_appends().is_some());
    assert!(!leader.broker.leads_tables());
    leader.broker.lose_place(1);
    leader.broker.follow(1, leader.now);
    drop(leader.broker.lead(3, leader.now).expect("nothing fails on this disk"));
    assert!(leader.broker.leads_tables());
}

/// Appends to the end of the file, where there is no room for the next.
fn fill_disk(leader: &TestBroker) {
    let faults = skua_store::disk::Faults { no_space: true, ..Default::default() };
    leader.disk.set_faults(faults);
    let host = ([127, 0, 0, 1], 1).into();
    let record = NewRecord {
        topic: "T",
        queue_id: QUEUE,
        flag: 0,
        sys_flag: 0,
        born_timestamp: leader.now,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"x",
        properties: &[],
    };
    while leader.store.append(&record, leader.now).is_ok() {
        agree(&leader.store);
    }
}

#[test]
fn a_leader_whose_disk_is_full_tells_what_it_knows_and_acknowledges_nothing() {
    let leader = leader();
    leader.create_topic(TopicConfig::new("T", 1, 6));
    let waiting = leader.start(&leader.peer, commit(1)).expect_err("not agreed on yet");
    agree(&leader.store);
    ready(waiting);
    fill_disk(&leader);
    let waiting = leader.start(&leader.peer, commit(2)).map(|answer| answer.code);
    assert_ne!(waiting.unwrap_or_else(|waiting| ready(waiting).code), 0);
    let told = leader.start(&leader.peer, query()).expect_err("whether it leads is asked still");
    leader.store.answer_lead_questions(leader.store.lead_questions());
    let told = ready(told);
    assert_eq!(told.fields.get("offset"), Some("2"));
}

/// Loses the lead with what was not agreed on, and wins it again.
fn lead_again(test: &TestBroker, term: i64) {
    test.store.close_appends();
    test.store.truncate_to(test.store.confirmed()).expect("nothing fails on this disk");
    test.broker.lose_place(1);
    test.broker.follow(1, test.now);
    lead(test, term);
}

#[test]
fn what_a_lost_term_left_in_tables_is_agreed_on_before_it_is_answered() {
    let mut leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    let waiting = leader.start(&leader.peer, make_topic("Kept", 1)).expect_err("not agreed on yet");
    agree(&leader.store);
    ready(waiting);
    replicate(&leader, &mut follower);
    // It need not read again what it knows to be agreed on.
    leader.run_after(GATHER_MS);
    leader.broker.wake_to_log_tables(leader.now);
    leader.run_after(GATHER_MS);
    // Made and deleted by a leader that could not tell anybody; both are asked for again.
    let made = leader.start(&leader.peer, make_topic("Again", 1)).expect_err("not agreed on yet");
    let delete = || Command::request(&DeleteTopicInBroker { topic: "Kept".into() });
    let gone = leader.start(&leader.peer, delete()).expect_err("not agreed on yet");
    lead_again(&leader, 3);
    assert_ne!(ready(made).code, 0);
    assert_ne!(ready(gone).code, 0);
    assert!(leader.broker.topics.contains("Again") && !leader.broker.topics.contains("Kept"));
    let made = leader.start(&leader.peer, make_topic("Again", 1)).expect_err("not agreed on yet");
    let gone = leader.start(&leader.peer, delete()).expect_err("not agreed on yet");
    for mut waiting in [made, gone] {
        // One round is under way at a time.
        let answer = (0..5).find_map(|_| {
            agree(&leader.store);
            match poll(&mut waiting) {
                Poll::Ready(answer) => Some(answer.code),
                Poll::Pending => None,
            }
        });
        assert_eq!(answer, Some(0));
    }
    replicate(&leader, &mut follower);
    assert!(follower.broker.topics.contains("Again"));
    assert!(!follower.broker.topics.contains("Kept"));
}

#[test]
fn the_table_of_a_leader_before_is_not_taken_over() {
    let leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    let old = leader.broker.topics.snapshot();
    lead_again(&leader, 7);
    let waiting = leader.start(&leader.peer, make_topic("New", 1)).expect_err("not agreed on yet");
    agree(&leader.store);
    ready(waiting);
    replicate(&leader, &mut follower);
    assert!(follower.broker.topics.contains("New"));
    follower.broker.take_topics(old, Some(0)).expect("nothing fails on this disk");
    assert!(follower.broker.topics.contains("New"), "the answer of a leader that is none any more");
}

fn lock_body(client: &str, queue_id: i32) -> Vec<u8> {
    let queue = MessageQueue { topic: "T".into(), broker_name: "broker-a".into(), queue_id };
    json::to_vec(&LockBatch {
        client_id: client.into(),
        consumer_group: "g".into(),
        mq_set: [queue].into(),
        only_this_broker: false,
    })
}

fn lock_request(code: RequestCode, client: &str) -> Command {
    Command::raw_request(code, Fields::new()).with_body(lock_body(client, 0))
}

/// The answer once the group agrees, whether or not it has to.
fn agreed(test: &TestBroker, request: Command) -> Command {
    match test.start(&test.peer, request) {
        Ok(answer) => answer,
        Err(mut waiting) => {
            for _ in 0..5 {
                agree(&test.store);
                if let Poll::Ready(answer) = poll(&mut waiting) {
                    return answer;
                }
            }
            panic!("the answer is still to come")
        }
    }
}

fn takes_lock(test: &TestBroker, client: &str) -> bool {
    let answer = agreed(test, lock_request(RequestCode::LockBatchMq, client));
    assert_eq!(answer.code, 0);
    !json::from_slice::<LockBatchResponse>(&answer.body).expect("an answer").locked.is_empty()
}

#[test]
fn a_lock_is_agreed_on_when_it_changes_hands_and_honoured_by_the_next_leader() {
    let mut leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    let request = || lock_request(RequestCode::LockBatchMq, "one");
    let granted = leader.start(&leader.peer, request()).expect_err("not agreed on yet");
    agree(&leader.store);
    assert_eq!(ready(granted).code, 0);
    // A renewal writes nothing, but is not told by one who leads no more.
    let end = leader.store.appended();
    let renewed = leader.start(&leader.peer, request()).expect_err("whether it leads is asked");
    assert_eq!(leader.store.appended(), end);
    leader.store.answer_lead_questions(leader.store.lead_questions());
    assert_eq!(ready(renewed).code, 0);
    let renewed = leader.start(&leader.peer, request()).expect_err("whether it leads is asked");
    replicate(&leader, &mut follower);
    leader.store.close_appends();
    assert_ne!(ready(renewed).code, 0);

    // Long after the lock was granted: a lease begins with the lead.
    follower.run_after(500_000);
    lead(&follower, 2);
    assert!(!takes_lock(&follower, "two"));
    follower.run_after(40_000);
    assert!(takes_lock(&follower, "one"));
    follower.run_after(40_000);
    assert!(!takes_lock(&follower, "two"), "renewed");
    let given_back = agreed(&follower, lock_request(RequestCode::UnlockBatchMq, "one"));
    assert_eq!(given_back.code, 0);
    assert!(takes_lock(&follower, "two"));
    // Who dies keeps nobody from its queues for longer than a lease.
    follower.run_after(60_001);
    assert!(takes_lock(&follower, "one"));

    // The old leader reads that, also after another end of its process.
    leader.store.truncate_to(leader.store.confirmed()).expect("nothing fails on this disk");
    leader.broker.lose_place(1);
    leader.broker.follow(1, leader.now);
    replicate(&follower, &mut leader);
    leader.run_after(10_000);
    let leader = leader.crash();
    agree(&leader.store);
    lead(&leader, 3);
    assert!(!takes_lock(&leader, "two"));
    assert!(takes_lock(&leader, "one"));
}

#[test]
fn on_a_full_disk_a_lock_is_renewed_and_none_changes_hands() {
    let leader = leader();
    leader.create_topic(TopicConfig::new("T", 2, 6));
    assert!(takes_lock(&leader, "one"));
    fill_disk(&leader);
    let end = leader.store.appended();
    let ask = |request| {
        let answer = leader.start(&leader.peer, request);
        leader.store.answer_lead_questions(leader.store.lead_questions());
        answer.unwrap_or_else(ready)
    };
    let renews = || {
        let renewed = ask(lock_request(RequestCode::LockBatchMq, "one"));
        let locked = || json::from_slice::<LockBatchResponse>(&renewed.body).expect("an answer");
        renewed.code == 0 && locked().locked.len() == 1
    };
    assert!(renews());
    let other = Command::raw_request(RequestCode::LockBatchMq, Fields::new());
    assert_ne!(ask(other.with_body(lock_body("two", 1))).code, 0, "nobody could know of it");
    assert!(renews(), "whatever others ask for");
    assert_ne!(ask(lock_request(RequestCode::UnlockBatchMq, "one")).code, 0);
    assert_ne!(ask(lock_request(RequestCode::LockBatchMq, "two")).code, 0);
    assert_eq!(leader.store.appended(), end);
    leader.disk.set_faults(skua_store::disk::Faults::default());
    assert!(takes_lock(&leader, "two"), "as soon as there is room");
}

#[test]
fn a_lock_is_not_granted_where_the_log_cannot_say_so() {
    let leader = leader();
    assert!(!takes_lock(&leader, &"long".repeat(1000)));
    assert!(takes_lock(&leader, "one"));
}

fn pop_in_order() -> Command {
    Command::request(&PopMessage {
        consumer_group: "TOOLS_CONSUMER".into(),
        topic: "T".into(),
        max_msg_nums: 1,
        invisible_time: 5_000,
        order: Some(true),
        ..PopMessage::default()
    })
}

#[test]
fn an_ordered_pop_and_its_acknowledgement_stand_at_the_next_leader() {
    let leader = leader();
    let mut follower = TestBroker::with(MEMBER);
    leader.create_topic(TopicConfig::new("T", 1, 6));
    for _ in 0..2 {
        let message = leader.message("T", 0, "");
        let sent = agreed(&leader, Command::request(&message).with_body(b"x".to_vec()));
        assert_eq!(sent.code, 0);
    }
    let popped = leader.start(&leader.peer, pop_in_order()).expect_err("not agreed on yet");
    agree(&leader.store);
    let popped = ready(popped);
    assert_eq!(popped.code, 0);
    let time = popped.fields.get("popTime").expect("a time").to_owned();
    replicate(&leader, &mut follower);
    lead(&follower, 2);
    assert_ne!(agreed(&follower, pop_in_order()).code, 0, "it is hidden");
    let ack = Command::request(&AckMessage {
        consumer_group: "TOOLS_CONSUMER".into(),
        topic: "T".into(),
        queue_id: 0,
        extra_info: format!("0 {time} 5000 999 0 broker-a 0 0").into(),
        offset: 0,
        lite_topic: None,
    });
    let acknowledged = follower.start(&follower.peer, ack).expect_err("not agreed on yet");
    agree(&follower.store);
    assert_eq!(ready(acknowledged).code, 0);
    let next = agreed(&follower, pop_in_order());
    let messages = Message::decode_all(&next.body).expect("whole");
    assert_eq!(messages.iter().map(|message| message.queue_offset).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_slave_that_is_made_master_goes_on_with_what_is_held() {
    let master = TestBroker::new();
    master.create_topic(TopicConfig::new("T", 1, 6));
    master.send("T", 0, "", "x");
    assert!(takes_lock(&master, "one"));
    assert_eq!(master.call(pop_in_order()).code, 0);
    let held = master.call(Command::raw_request(RequestCode::GetAllHeld, Fields::new()));
    let slave = TestBroker::with("brokerRole=SLAVE\nbrokerId=1");
    slave.broker.take_held(&held.body, None, slave.now).expect("a table");
    drop(slave.broker.lead(0, slave.now).expect("nothing fails on this disk"));
    slave.create_topic(TopicConfig::new("T", 1, 6));
    slave.send("T", 0, "", "x");
    assert!(!takes_lock(&slave, "two"));
    assert!(takes_lock(&slave, "one"));
    assert_ne!(slave.call(pop_in_order()).code, 0, "it is hidden");
}
