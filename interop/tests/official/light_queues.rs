//! Light queues (`%LMQ%`) and checksums of records: the same requests to the Java broker and to
//! Skua, and one directory that they serve in turn.

use serde_json::{Value, json};
use skua_interop::{Broker, Kind, Namesrv, Scene, Tuning, wire};

const SETTINGS: [&str; 6] = [
    "enableLmq=true",
    "enableMultiDispatch=true",
    "enabledAppendPropCRC=true",
    "forceVerifyPropCRC=true",
    "autoCreateSubscriptionGroup=true",
    "mappedFileSizeCommitLog=65536",
];

/// What is said of a request: code, remark and fields, and what messages came.
type Told = (String, Value, Value, Vec<String>);

fn call(broker: &Broker, name: &str, code: i32, fields: Value, body: &[u8]) -> Told {
    let (header, body) = wire::call(&broker.addr, code, fields, body).expect("an answer");
    let mut fields = header["extFields"].clone();
    if let Some(fields) = fields.as_object_mut() {
        // Where it was stored, and by whom.
        for own in ["msgId", "transactionId"] {
            fields.remove(own);
        }
    }
    if fields.as_object().is_some_and(serde_json::Map::is_empty) {
        fields = Value::Null;
    }
    // Remarks of refusals may say more than Java's.
    let remark = header["remark"].clone();
    let remark = if header["code"] == 0 && remark != "" { remark } else { Value::Null };
    let mut messages = Vec::new();
    let mut rest = &body[..];
    while rest.len() > 100 && code == 11 {
        let size = u32::from_be_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        let record = String::from_utf8_lossy(&rest[..size]).into_owned();
        let after = |name: &str| {
            let value = record.split(&format!("{name}\u{1}")).nth(1)?;
            value.split('\u{2}').next().map(str::to_owned)
        };
        let number = |at: usize| u64::from_be_bytes(rest[at..at + 8].try_into().expect("eight"));
        messages.push(format!(
            "{:?} queue offset {} to {:?} at {:?} sealed {}",
            after("KEYS"),
            number(20),
            after("INNER_MULTI_DISPATCH"),
            after("INNER_MULTI_QUEUE_OFFSET"),
            record.contains("__CRC32#\u{1}"),
        ));
        rest = &rest[size..];
    }
    (name.to_owned(), header["code"].clone(), json!([remark, fields]), messages)
}

fn send(broker: &Broker, key: &str, queues: &str) -> Told {
    let properties = format!("KEYS\u{1}{key}\u{2}TAGS\u{1}a\u{2}INNER_MULTI_DISPATCH\u{1}{queues}");
    let fields = json!({
        "a": "interop", "b": "parent", "c": "TBW102", "d": "1", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": properties, "j": "0", "k": "false",
        "l": "0", "m": "false",
    });
    call(broker, &format!("send {key}"), 310, fields, &[b'x'; 3000])
}

fn pull(broker: &Broker, topic: &str, group: &str, from: i64) -> Told {
    let fields = json!({
        "consumerGroup": group, "topic": topic, "queueId": "0", "queueOffset": from.to_string(),
        "maxMsgNums": "32", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
        "subscription": "*", "subVersion": "0", "expressionType": "TAG",
    });
    call(broker, &format!("pull {topic} {group} {from}"), 11, fields, b"")
}

fn about(broker: &Broker, code: i32, topic: &str, more: &Value) -> Told {
    let mut fields = json!({ "topic": topic, "queueId": "0" });
    for (name, value) in more.as_object().expect("fields") {
        fields[name] = value.clone();
    }
    call(broker, &format!("{code} {topic} {more}"), code, fields, b"")
}

/// A round of requests over what `round` rounds have sent.
fn round(broker: &Broker, round: usize) -> Vec<Told> {
    let mut told = Vec::new();
    for (nth, queues) in
        ["%LMQ%a,%LMQ%b", "%LMQ%b", "%LMQ%a/x,%LMQ%a", "%LMQ%c"].into_iter().enumerate()
    {
        told.push(send(broker, &format!("{round}-{nth}"), queues));
    }
    // Dispatch is not waited for by a send.
    let last = json!((round * 2 + 2).to_string());
    skua_interop::wait_until("dispatch", std::time::Duration::from_secs(20), || {
        let asked = about(broker, 30, "%LMQ%b", &json!({}));
        (asked.2[1]["offset"] == last).then_some(())
    });
    for topic in ["parent", "%LMQ%a", "%LMQ%b", "%LMQ%c", "%LMQ%nobody"] {
        for group in ["readers", "%LMQ%group"] {
            for from in [0, 1, 100] {
                told.push(pull(broker, topic, group, from));
            }
            let commit = json!({
                "consumerGroup": group, "commitOffset": (round + 1).to_string(),
            });
            let who = json!({ "consumerGroup": group });
            if topic != "%LMQ%nobody" {
                told.push(about(broker, 14, topic, &who));
                told.push(about(broker, 15, topic, &commit));
                told.push(about(broker, 14, topic, &who));
            }
        }
        told.push(about(broker, 30, topic, &json!({})));
        told.push(about(broker, 31, topic, &json!({})));
        for time in ["0", "4000000000000"] {
            told.push(about(broker, 29, topic, &json!({ "timestamp": time })));
        }
    }
    told
}

fn start(scene: &Scene, namesrv: &Namesrv, kind: Kind, name: &str) -> Broker {
    let tuning = Tuning { settings: SETTINGS.to_vec(), ..Tuning::default() };
    let mut broker = Broker::start_tuned(scene, kind, name, &namesrv.addr, tuning);
    broker.wait_registered();
    broker
}

#[test]
fn light_queues_are_served_as_by_java_and_move_with_their_offsets() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut moving = start(&scene, &namesrv, Kind::Java, "broker-a");
    let mut skua = start(&scene, &namesrv, Kind::Skua, "broker-b");
    for nth in 0..3 {
        if nth > 0 {
            for broker in [&mut moving, &mut skua] {
                broker.stop();
            }
            // The one directory goes back and forth, the other stays.
            moving.start_again(if nth == 1 { Kind::Skua } else { Kind::Java });
            skua.start_again(Kind::Skua);
        }
        let (one, two) = (round(&moving, nth), round(&skua, nth));
        assert_eq!(one.len(), two.len());
        let differ: Vec<_> = one.iter().zip(&two).filter(|(one, two)| one != two).collect();
        assert!(differ.is_empty(), "round {nth}: {differ:#?}");
    }
}
