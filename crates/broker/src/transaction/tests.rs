use std::collections::BTreeMap;

use skua_protocol::record::Message;
use skua_protocol::request::{
    CheckTransactionState, EndTransaction, ResumeCheckHalfMessage, SendMessageResponse,
    TRANSACTION_COMMIT, TRANSACTION_ROLLBACK, TRANSACTION_UNKNOWN,
};
use skua_protocol::{Command, RequestCode, ResponseCode};

use crate::names::{CHECK_MAX_TIME_TOPIC, HALF_TOPIC, OP_HALF_TOPIC};
use crate::test_broker::TestBroker;

const CONF: &str = "transactionCheckMax=2\n";
const HALF: &str = "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}PG\u{2}UNIQ_KEY\u{1}0A\u{2}";

fn half(test: &TestBroker, properties: &str) -> SendMessageResponse {
    let answer = test.send("T", 1, &format!("{HALF}{properties}"), "body");
    assert_eq!(answer.code, ResponseCode::Success as i32, "{answer:?}");
    answer.header().expect("an answer to a send")
}

/// What a producer says about the half message that it sent as `sent`.
fn end_of(sent: &SendMessageResponse, decision: i32) -> EndTransaction {
    let (_, place) = skua_protocol::message_id::parse_offset_id(&sent.msg_id).expect("an id");
    EndTransaction {
        topic: Some("T".into()),
        producer_group: "PG".into(),
        tran_state_table_offset: sent.queue_offset,
        commit_log_offset: place.0 as i64,
        commit_or_rollback: decision,
        ..EndTransaction::default()
    }
}

fn end(test: &TestBroker, header: &EndTransaction) -> Command {
    let answer = test.request(header);
    test.dispatch();
    answer
}

fn properties(message: &Message) -> BTreeMap<String, String> {
    let pairs = message.properties().iter();
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let ever = [
        ("CLUSTER", "DefaultCluster"),
        ("MSG_REGION", "DefaultRegion"),
        ("PGROUP", "PG"),
        ("TRACE_ON", "true"),
        ("TRAN_MSG", "true"),
        ("UNIQ_KEY", "0A"),
        ("__transactionId__", "0A"),
    ];
    let pairs = ever.iter().chain(pairs);
    pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the producer is asked, and where its half message stands by then.
fn questions(test: &TestBroker) -> Vec<(CheckTransactionState, Message)> {
    let asked = test.peer.take_notified().into_iter();
    let asked = asked.filter(|c| c.code == RequestCode::CheckTransactionState as i32);
    let question = |command: Command| {
        let mut shown = Message::decode_all(&command.body).expect("a record");
        (command.header().expect("a question"), shown.remove(0))
    };
    asked.map(question).collect()
}

/// Enough time for a round, and for the offsets to be known durable.
fn pass_a_round(test: &mut TestBroker) {
    test.run_after(30_000);
    test.store.flush().expect("the simulated disk works");
    test.dispatch();
    for _ in 0..3 {
        test.run_after(0);
    }
}

fn kept(test: &TestBroker) -> [Option<i64>; 2] {
    [HALF_TOPIC, OP_HALF_TOPIC]
        .map(|topic| test.broker.offsets.committed("CID_RMQ_SYS_TRANS", topic, 0))
}

#[test]
fn records_are_those_that_java_writes() {
    let mut test = TestBroker::with(CONF);
    let sent = half(&test, "");
    assert_eq!((sent.queue_id, sent.queue_offset), (1, 0));
    assert_eq!(sent.transaction_id.as_deref(), Some("0A"));
    let [waiting] = &test.stored(HALF_TOPIC, 0)[..] else { panic!("one half message") };
    assert_eq!(properties(waiting), expected(&[("REAL_TOPIC", "T"), ("REAL_QID", "1")]));
    assert_eq!((waiting.sys_flag, waiting.prepared_transaction_offset), (0, 0));
    assert!(test.stored("T", 1).is_empty(), "delivered before the commit");

    let other = half(&test, "");
    end(&test, &end_of(&other, TRANSACTION_COMMIT));
    end(&test, &end_of(&sent, TRANSACTION_ROLLBACK));
    let [delivered] = &test.stored("T", 1)[..] else { panic!("one message") };
    assert_eq!(properties(delivered), expected(&[]));
    assert_eq!(delivered.sys_flag, 8);
    let place = end_of(&other, 0).commit_log_offset;
    assert_eq!(delivered.prepared_transaction_offset, place);

    assert!(test.stored(OP_HALF_TOPIC, 0).is_empty(), "gathered first");
    test.run_after(3000);
    test.dispatch();
    let [op] = &test.stored(OP_HALF_TOPIC, 0)[..] else { panic!("one op message") };
    assert_eq!(&op.body[..], b"1,0,");
    let tags = [("TAGS".to_owned(), "d".to_owned()), ("WAIT".to_owned(), "true".to_owned())];
    assert_eq!(properties(op), BTreeMap::from(tags));

    pass_a_round(&mut test);
    assert_eq!(kept(&test), [Some(2), Some(1)]);
}

#[test]
fn a_transaction_ends_once_whatever_is_repeated() {
    let test = TestBroker::with(CONF);
    let sent = half(&test, "");
    for _ in 0..2 {
        let answer = end(&test, &end_of(&sent, TRANSACTION_COMMIT));
        assert_eq!(answer.code, ResponseCode::Success as i32);
    }
    end(&test, &end_of(&sent, TRANSACTION_ROLLBACK));
    assert_eq!(test.stored("T", 1).len(), 1);
}

#[test]
fn what_does_not_fit_the_half_message_is_refused_with_javas_texts() {
    let test = TestBroker::with(CONF);
    let sent = half(&test, "");
    let right = end_of(&sent, TRANSACTION_COMMIT);
    let wrong = [
        (
            EndTransaction { producer_group: "other".into(), ..right.clone() },
            "The producer group wrong",
        ),
        (
            EndTransaction { tran_state_table_offset: 7, ..right.clone() },
            "The transaction state table offset wrong",
        ),
        (
            EndTransaction { commit_log_offset: 7, ..right.clone() },
            "Find prepared transaction message failed",
        ),
    ];
    for (header, remark) in wrong {
        let answer = end(&test, &header);
        assert_eq!(answer.code, ResponseCode::SystemError as i32);
        assert_eq!(answer.remark.as_deref(), Some(remark));
    }
    end(&test, &EndTransaction { commit_or_rollback: TRANSACTION_UNKNOWN, ..right });
    assert!(test.stored("T", 1).is_empty());
}

#[test]
fn a_message_of_the_log_that_is_no_half_message_cannot_be_committed() {
    let test = TestBroker::with(CONF);
    let plain = test.send("T", 1, "PGROUP\u{1}PG\u{2}", "x");
    let plain: SendMessageResponse = plain.header().expect("an answer to a send");
    let answer = end(&test, &end_of(&plain, TRANSACTION_COMMIT));
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert_eq!(test.stored("T", 1).len(), 1);
}

#[test]
fn transactions_can_be_refused() {
    let test = TestBroker::with("rejectTransactionMessage=true");
    let answer = test.send("T", 1, HALF, "x");
    assert_eq!(answer.code, ResponseCode::NoPermission as i32);
    assert_eq!(
        answer.remark.as_deref(),
        Some("the broker[127.0.0.1] sending transaction message is forbidden")
    );
}

#[test]
fn a_producer_is_asked_and_the_message_given_up_when_it_never_knows() {
    let mut test = TestBroker::with(CONF);
    test.beat(&test.peer.clone(), "G", Vec::new());
    let sent = half(&test, "");
    test.run_after(5000);
    assert!(questions(&test).is_empty(), "asked before transactionTimeOut");

    pass_a_round(&mut test);
    let asked = questions(&test);
    let [(header, shown)] = &asked[..] else { panic!("one question") };
    assert_eq!((header.tran_state_table_offset, header.bname.as_deref()), (1, Some("broker-a")));
    assert_eq!(header.transaction_id.as_deref(), Some("0A"));
    assert_eq!((&*shown.topic, shown.queue_id, &shown.body[..]), ("T", 1, &b"body"[..]));
    assert_eq!(shown.property("TRANSACTION_CHECK_TIMES"), Some("1"));
    assert_eq!(kept(&test), [Some(1), Some(0)]);

    pass_a_round(&mut test);
    assert_eq!(questions(&test).len(), 1);
    pass_a_round(&mut test);
    assert!(questions(&test).is_empty());
    let [given_up] = &test.stored(CHECK_MAX_TIME_TOPIC, 0)[..] else { panic!("given up") };
    assert_eq!(given_up.property("REAL_TOPIC"), Some("T"));
    // Too late: it has been given up.
    end(&test, &end_of(&sent, TRANSACTION_COMMIT));
    assert!(test.stored("T", 1).is_empty());

    // An operator has it asked about again.
    let id = given_up.offset_id();
    let resume = ResumeCheckHalfMessage { topic: Some("T".into()), msg_id: Some(id.into()) };
    assert_eq!(test.request(&resume).code, ResponseCode::Success as i32);
    test.dispatch();
    pass_a_round(&mut test);
    let [(header, _)] = &questions(&test)[..] else { panic!("asked again") };
    let answer = EndTransaction {
        producer_group: "PG".into(),
        tran_state_table_offset: header.tran_state_table_offset,
        commit_log_offset: header.commit_log_offset,
        commit_or_rollback: TRANSACTION_COMMIT,
        from_transaction_check: Some(true),
        ..EndTransaction::default()
    };
    end(&test, &answer);
    assert_eq!(test.stored("T", 1).len(), 1);
}

#[test]
fn a_late_commit_and_the_answer_to_a_question_deliver_one_message() {
    let mut test = TestBroker::with(CONF);
    test.beat(&test.peer.clone(), "G", Vec::new());
    let sent = half(&test, "");
    pass_a_round(&mut test);
    let [(header, _)] = &questions(&test)[..] else { panic!("one question") };
    end(&test, &end_of(&sent, TRANSACTION_COMMIT));
    let answer = EndTransaction {
        tran_state_table_offset: header.tran_state_table_offset,
        commit_log_offset: header.commit_log_offset,
        from_transaction_check: Some(true),
        ..end_of(&sent, TRANSACTION_COMMIT)
    };
    assert_eq!(end(&test, &answer).code, ResponseCode::Success as i32);
    assert_eq!(test.stored("T", 1).len(), 1);
    pass_a_round(&mut test);
    assert!(questions(&test).is_empty());
}

#[test]
fn within_its_immunity_a_producer_is_left_alone_and_after_it_only_answers_count() {
    let mut test = TestBroker::with(CONF);
    test.beat(&test.peer.clone(), "G", Vec::new());
    let sent = half(&test, "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}100\u{2}");
    for _ in 0..3 {
        pass_a_round(&mut test);
    }
    assert!(questions(&test).is_empty());
    let waiting = test.stored(HALF_TOPIC, 0).pop().expect("put back");
    assert_eq!(waiting.property("TRAN_PREPARED_QUEUE_OFFSET"), Some("0"));
    assert_eq!(waiting.property("TRANSACTION_CHECK_TIMES"), None);
    pass_a_round(&mut test);
    assert_eq!(questions(&test).len(), 1);
    let answer = end(&test, &end_of(&sent, TRANSACTION_COMMIT));
    assert_eq!(answer.code, ResponseCode::IllegalOperation as i32);
    assert!(test.stored("T", 1).is_empty());
}

#[test]
fn a_commit_whose_op_message_was_not_written_is_known_after_a_kill() {
    let mut test = TestBroker::with(CONF);
    let committed = half(&test, "");
    let open = half(&test, "KEYS\u{1}open\u{2}");
    end(&test, &end_of(&committed, TRANSACTION_COMMIT));
    test.pass(1000);
    let mut test = test.crash();
    test.beat(&test.peer.clone(), "G", Vec::new());
    pass_a_round(&mut test);
    let [(header, _)] = &questions(&test)[..] else { panic!("one question") };
    assert!(header.commit_log_offset > end_of(&open, 0).commit_log_offset, "a copy of the other");
    assert_eq!(test.stored("T", 1).len(), 1);
    end(&test, &end_of(&committed, TRANSACTION_COMMIT));
    assert_eq!(test.stored("T", 1).len(), 1, "committed once more");
}

#[test]
fn a_stop_in_order_leaves_everything_written_down() {
    let mut test = TestBroker::with(CONF);
    let sent = half(&test, "");
    half(&test, "");
    end(&test, &end_of(&sent, TRANSACTION_COMMIT));
    test.pass(100);
    let mut test = test.restart();
    assert_eq!(test.stored(OP_HALF_TOPIC, 0).len(), 1);
    test.beat(&test.peer.clone(), "G", Vec::new());
    pass_a_round(&mut test);
    assert_eq!(questions(&test).len(), 1);
    assert_eq!(test.stored("T", 1).len(), 1);
}

#[test]
fn a_delay_level_counts_from_the_commit_on() {
    let mut test = TestBroker::with(CONF);
    let sent = half(&test, "DELAY\u{1}1\u{2}");
    test.pass(2000);
    end(&test, &end_of(&sent, TRANSACTION_COMMIT));
    test.run_after(900);
    test.dispatch();
    assert!(test.stored("T", 1).is_empty(), "before its delay");
    test.run_after(200);
    test.dispatch();
    assert_eq!(test.stored("T", 1).len(), 1);
}
