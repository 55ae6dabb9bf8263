use super::*;
use crate::request::pop::tests::{bodies, popped, request, with_topic};

#[test]
fn bit_sets_are_read_from_base64() {
    assert_eq!(bits("BQ==").expect("one byte"), [0, 2]);
    assert_eq!(bits("AQE=").expect("two bytes"), [0, 8]);
    assert_eq!(bits("").expect("nothing"), [0; 0]);
    assert!(bits("?").is_err());
    assert!(bits(&"/".repeat(10_000)).is_err(), "too many");
}

#[test]
fn a_batch_acknowledges_what_is_there() {
    let mut test = with_topic("");
    for body in ["a", "b", "c"] {
        test.send("T", 0, "", body);
    }
    let answer = test.request(&request(32));
    let receipt = Receipt::parse(&popped(&answer)[0].receipt).expect("whole");
    let item = BatchAck {
        // The first and the third, and one that is not there.
        bit_set: "hQ==".to_owned(),
        consumer_group: "g".to_owned(),
        invisible_time: receipt.invisible_time,
        pop_time: receipt.pop_time,
        queue_id: 0,
        retry: "0".to_owned(),
        revive_queue_id: receipt.revive_queue,
        start_offset: receipt.start_offset,
        topic: "T".to_owned(),
    };
    let batch = BatchAckBody { acks: vec![item], broker_name: "broker-a".to_owned() };
    let header = skua_protocol::request::BatchAckMessage {};
    let answer = test.with_body(&header, json::to_vec(&batch));
    assert_eq!(answer.code, ResponseCode::Success as i32, "{answer:?}");
    test.dispatch();
    test.run_after(10_000);
    test.dispatch();
    test.run_after(10);
    test.dispatch();
    assert_eq!(bodies(&test.request(&request(32))), ["b"]);
}

#[test]
fn a_receipt_cannot_name_a_revive_queue_that_is_not_there() {
    let test = with_topic("");
    test.send("T", 0, "", "a");
    let first = popped(&test.request(&request(1))).remove(0);
    let mut parts: Vec<&str> = first.receipt.split(' ').collect();
    parts[3] = "8";
    let ack = AckMessage {
        extra_info: parts.join(" ").into(),
        ..crate::request::pop::tests::ack(&first)
    };
    let answer = test.request(&ack);
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert_eq!(answer.remark.as_deref(), Some("the receipt's revive queue 8 does not exist"));
}
