use skua_ha::{Progress, Replica};
use skua_protocol::request::{
    PULL_SUBSCRIPTION, PullMessage, PullMessageResponse, QueryConsumerOffset, UpdateConsumerOffset,
};

use super::*;
use crate::test_broker::{TestBroker, ready};

/// A slave that holds the log up to `held`.
fn slave(test: &TestBroker, held: u64) -> Replica {
    let replica = test.broker.replicas.connected(([10, 0, 0, 2], 4000).into(), test.now);
    holds(&replica, held);
    replica
}

fn holds(replica: &Replica, held: u64) {
    let held = Some(held);
    let progress =
        Progress { acked: held, reported: held, requested: Some(0), ..Progress::default() };
    replica.update(progress);
}

fn end(test: &TestBroker) -> u64 {
    test.store.appended().0
}

fn send(test: &TestBroker) -> Result<Command, crate::test_broker::Waiting> {
    let request = Command::request(&test.message("T", 0, "")).with_body(b"body".as_slice());
    test.start(&test.peer, request)
}

fn with_topic(conf: &str) -> TestBroker {
    let test = TestBroker::with(conf);
    test.create_topic(skua_protocol::body::TopicConfig::new("T", 4, 6));
    test
}

fn code(answer: Result<Command, crate::test_broker::Waiting>) -> i32 {
    answer.unwrap_or_else(|_| panic!("answered at once")).code
}

#[test]
fn a_sync_master_answers_when_a_slave_has_the_message() {
    let mut test = with_topic("brokerRole=SYNC_MASTER\n");
    assert_eq!(code(send(&test)), ResponseCode::SlaveNotAvailable as i32);
    let replica = slave(&test, end(&test));
    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    holds(&replica, end(&test));
    assert_eq!(ready(waiting).code, ResponseCode::Success as i32);

    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    test.run_after(3000);
    assert_eq!(ready(waiting).code, ResponseCode::FlushSlaveTimeout as i32);
    assert_eq!(
        {
            test.dispatch();
            test.stored("T", 0).len()
        },
        3,
        "it is kept"
    );
    drop(replica);
    assert_eq!(code(send(&test)), ResponseCode::SlaveNotAvailable as i32);
}

#[test]
fn a_given_number_of_copies_is_obeyed() {
    let test = with_topic("brokerRole=SYNC_MASTER\ninSyncReplicas=1\n");
    assert_eq!(code(send(&test)), ResponseCode::Success as i32, "as in RocketMQ 5");

    // RocketMQ 5 waits for slaves that are not there.
    let mut test = with_topic("brokerRole=SYNC_MASTER\ninSyncReplicas=3\nslaveTimeout=100\n");
    let replica = slave(&test, 0);
    let Err(waiting) = send(&test) else { panic!("two copies are missing") };
    holds(&replica, end(&test));
    test.run_after(100);
    assert_eq!(ready(waiting).code, ResponseCode::FlushSlaveTimeout as i32);

    let conf = "brokerRole=SYNC_MASTER\ninSyncReplicas=3\nenableAutoInSyncReplicas=true\n";
    let test = with_topic(conf);
    assert_eq!(code(send(&test)), ResponseCode::Success as i32, "as many as there are");
}

#[test]
fn every_slave_in_sync_is_waited_for_if_that_is_asked_for() {
    let conf = "brokerRole=SYNC_MASTER\nallAckInSyncStateSet=true\nslaveTimeout=100\n";
    let mut test = with_topic(conf);
    let [one, other] = [2, 3]
        .map(|host| test.broker.replicas.connected(([10, 0, 0, host], 4000).into(), test.now));
    [&one, &other].into_iter().for_each(|slave| holds(slave, 0));
    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    holds(&one, end(&test));
    test.run_after(100);
    assert_eq!(ready(waiting).code, ResponseCode::FlushSlaveTimeout as i32, "one is late");

    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    [&one, &other].into_iter().for_each(|slave| holds(slave, end(&test)));
    assert_eq!(ready(waiting).code, ResponseCode::Success as i32);

    // Who is gone is in sync no longer.
    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    holds(&one, end(&test));
    drop(other);
    assert_eq!(ready(waiting).code, ResponseCode::Success as i32);

    // One that is far behind is not in sync either.
    let mut test = with_topic(&format!("{conf}haMaxGapNotInSync=100\n"));
    let Err(waiting) = send(&test) else { panic!("there is none") };
    test.run_after(100);
    assert_eq!(ready(waiting).code, ResponseCode::FlushSlaveTimeout as i32);
    let [one, behind] = [2, 3]
        .map(|host| test.broker.replicas.connected(([10, 0, 0, host], 4000).into(), test.now));
    holds(&one, end(&test));
    holds(&behind, 0);
    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    holds(&one, end(&test));
    assert_eq!(ready(waiting).code, ResponseCode::Success as i32);
}

#[test]
fn with_automatic_copies_the_least_number_stays() {
    let conf = "brokerRole=SYNC_MASTER\ninSyncReplicas=3\nminInSyncReplicas=2\n\
                enableAutoInSyncReplicas=true\nslaveTimeout=100\n";
    let mut test = with_topic(conf);
    let before = end(&test);
    assert_eq!(code(send(&test)), ResponseCode::SystemError as i32, "alone");
    assert_eq!(end(&test), before, "nothing is stored");
    let one = slave(&test, before);
    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    holds(&one, end(&test));
    assert_eq!(ready(waiting).code, ResponseCode::Success as i32, "two of the three are there");
    let Err(waiting) = send(&test) else { panic!("no copy yet") };
    test.run_after(100);
    assert_eq!(ready(waiting).code, ResponseCode::FlushSlaveTimeout as i32, "one is too few");
}

#[test]
fn with_too_few_copies_nothing_is_stored() {
    let test = with_topic("brokerRole=SYNC_MASTER\nminInSyncReplicas=2\n");
    let before = end(&test);
    let answer = send(&test).unwrap_or_else(|_| panic!("answered at once"));
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    let remark = answer.remark.unwrap_or_default();
    assert!(remark.contains("in-sync replicas not enough: 1 copies, minInSyncReplicas=2"));
    assert_eq!(end(&test), before);
}

const SLAVE: &str = "brokerRole=SLAVE\nbrokerId=1\n";

#[test]
fn a_slave_takes_no_message() {
    let test = with_topic(SLAVE);
    assert_eq!(code(send(&test)), ResponseCode::SystemBusy as i32);
}

fn pull(test: &TestBroker) -> Command {
    test.request(&PullMessage {
        consumer_group: "g".into(),
        topic: "T".into(),
        max_msg_nums: 32,
        sys_flag: PULL_SUBSCRIPTION,
        subscription: Some("*".into()),
        ..PullMessage::default()
    })
}

#[test]
fn a_slave_serves_consumers_if_told_to_and_sends_them_back_while_there_is_a_master() {
    let test = with_topic(SLAVE);
    assert_eq!(pull(&test).code, ResponseCode::SystemBusy as i32);

    let test = with_topic(&format!("{SLAVE}slaveReadEnable=true\n"));
    assert_eq!(pull(&test).code, ResponseCode::PullNotFound as i32, "nobody to send it to");
    let view = SlaveView { connected: true, ..SlaveView::default() };
    test.broker.set_slave_view(view);
    let answer = pull(&test);
    assert_eq!(answer.code, ResponseCode::PullRetryImmediately as i32);
    let header: PullMessageResponse = answer.header().expect("a pull's answer");
    assert_eq!(header.suggest_which_broker_id, 0);
}

fn commit(offset: i64) -> UpdateConsumerOffset {
    UpdateConsumerOffset {
        consumer_group: "TOOLS_CONSUMER".into(),
        topic: "T".into(),
        queue_id: 0,
        commit_offset: offset,
    }
}

fn committed(test: &TestBroker) -> Option<i64> {
    let query = QueryConsumerOffset {
        consumer_group: "TOOLS_CONSUMER".into(),
        topic: "T".into(),
        queue_id: 0,
        ..QueryConsumerOffset::default()
    };
    test.request(&query).fields.get("offset").and_then(|offset| offset.parse().ok())
}

fn table(offset: i64) -> ConsumerOffsets {
    let queues = [(0, offset)].into();
    ConsumerOffsets {
        offset_table: [("T@TOOLS_CONSUMER".to_owned(), queues)].into(),
        ..ConsumerOffsets::default()
    }
}

#[test]
fn an_offset_committed_at_the_slave_stays_until_the_master_has_it() {
    let test = with_topic(SLAVE);
    test.broker.take_offsets(table(5), None, test.now);
    assert!(test.broker.local_commits().is_empty());
    test.request(&commit(9));
    test.broker.take_offsets(table(6), None, test.now);
    assert_eq!(committed(&test), Some(9), "the master is behind");
    let local = test.broker.local_commits();
    assert_eq!(local.iter().map(|commit| commit.offset).collect::<Vec<_>>(), [9]);
    test.broker.commit_is_known(&local[0]);
    assert!(test.broker.local_commits().is_empty());
    // From then on the master's word counts, a reset too.
    test.broker.take_offsets(table(2), None, test.now);
    assert_eq!(committed(&test), Some(2));
}

#[test]
fn what_a_slave_sends_back_never_lowers_an_offset() {
    let test = with_topic("");
    test.request(&commit(7));
    let mut from_slave = Command::request(&commit(4));
    from_slave.fields.push(ONLY_FORWARD, "true");
    test.call(from_slave);
    assert_eq!(committed(&test), Some(7));
    test.request(&commit(4));
    assert_eq!(committed(&test), Some(4), "the consumer itself may");
}
