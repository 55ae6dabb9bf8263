//! Records of commit logs that a Java broker wrote: see `fixtures/README.md`.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;
use skua_protocol::properties::CRC32;
use skua_protocol::record::{self, Message, NewRecord, Peek, Record, RecordError};
use skua_protocol::{PhysicalOffset, QueueId, QueueOffset};

fn log(name: &str) -> (Vec<u8>, Vec<Value>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store");
    let bytes = std::fs::read(folder.join(format!("{name}.bin"))).unwrap();
    let listing = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    (bytes, serde_json::from_slice(&listing).unwrap())
}

/// All records of a log with their places, walking as recovery does.
fn walk(log: &[u8]) -> Vec<(usize, Record<'_>)> {
    let mut records = Vec::new();
    let mut at = 0;
    loop {
        match record::next(&log[at..]).unwrap() {
            Peek::Message { size } => {
                records.push((at, Record::parse_with(&log[at..], true).unwrap()));
                at += size;
            }
            Peek::EndOfFile { size } => at += size,
            Peek::Empty => return records,
        }
    }
}

#[test]
fn every_record_of_javas_commit_logs_reads_as_listed() {
    for name in ["commitlog-clean", "commitlog-crcprop"] {
        let (log, listing) = log(name);
        let records = walk(&log);
        assert_eq!(records.len(), listing.len());
        for ((at, record), listed) in records.iter().zip(&listing) {
            assert_eq!(*at as i64, listed["offset"], "{name}");
            assert_eq!(record.physical_offset(), *at as i64, "{name} at {at}");
            assert_eq!(record.size(), listed["size"], "{name} at {at}");
            assert_eq!(record.topic(), listed["topic"], "{name} at {at}");
            assert_eq!(record.queue_id(), listed["queueId"], "{name} at {at}");
            assert_eq!(record.queue_offset(), listed["queueOffset"], "{name} at {at}");
            assert_eq!(record.flag(), listed["flag"], "{name} at {at}");
            assert_eq!(record.sys_flag(), listed["sysFlag"], "{name} at {at}");
            assert_eq!(record.born_timestamp().0, listed["bornTimestamp"], "{name} at {at}");
            assert_eq!(record.born_host().to_string(), listed["bornHost"], "{name} at {at}");
            assert_eq!(record.store_timestamp().0, listed["storeTimestamp"], "{name} at {at}");
            assert_eq!(record.store_host().to_string(), listed["storeHost"], "{name} at {at}");
            assert_eq!(record.reconsume_times(), listed["reconsumeTimes"], "{name} at {at}");
            let prepared = &listed["preparedTransactionOffset"];
            assert_eq!(record.prepared_transaction_offset(), *prepared, "{name} at {at}");
            assert_eq!(record.body().len(), listed["bodyLen"], "{name} at {at}");
            if let Value::String(body) = &listed["body"] {
                assert_eq!(record.body(), body.as_bytes(), "{name} at {at}");
            }
            let properties: BTreeMap<_, _> = record.properties().iter().collect();
            let listed: BTreeMap<&str, &str> = listed["properties"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            assert_eq!(properties, listed, "{name} at {at}");
            assert_eq!(name == "commitlog-crcprop", properties.contains_key(CRC32));
        }
    }
}

#[test]
fn records_are_encoded_byte_for_byte_as_java_encoded_them() {
    let (log, _) = log("commitlog-clean");
    let mut long_topics = 0;
    for (at, java) in walk(&log) {
        let new = NewRecord {
            topic: java.topic(),
            queue_id: QueueId(java.queue_id() as u32),
            flag: java.flag(),
            sys_flag: java.sys_flag(),
            born_timestamp: java.born_timestamp(),
            born_host: java.born_host(),
            store_host: java.store_host(),
            reconsume_times: java.reconsume_times(),
            prepared_transaction_offset: java.prepared_transaction_offset(),
            body: java.body(),
            properties: java.properties().encoded(),
        };
        // Something before it, as in a buffer that collects several.
        let mut out = b"before".to_vec();
        new.encode(&mut out).unwrap();
        let ours = &mut out[6..];
        assert_eq!(ours.len(), new.encoded_len());
        record::stamp(
            ours,
            QueueOffset(java.queue_offset() as u64),
            PhysicalOffset(at as u64),
            java.store_timestamp(),
        );
        assert_eq!(ours, java.bytes(), "record at {at}");
        long_topics += usize::from(java.topic().len() > 127);
    }
    assert!(long_topics > 0, "the log has long topics");
}

#[test]
fn a_record_that_holds_several_messages_is_taken_apart() {
    let (log, _) = log("commitlog-clean");
    let records = walk(&log);
    let (_, batch) = records.iter().find(|(_, record)| record.sys_flag() == 0xC0).unwrap();
    let messages = Message::decode_all(&Bytes::copy_from_slice(batch.bytes())).unwrap();
    assert_eq!(messages.len(), 3);
    let base = messages[0].queue_offset;
    for (message, index) in messages.iter().zip(0..) {
        assert_eq!(message.queue_offset, base + index);
        assert_eq!(message.sys_flag, 0);
        assert_eq!(&*message.topic, batch.topic());
        assert!(!message.body.is_empty());
    }
}

#[test]
fn any_single_wrong_byte_of_a_record_is_noticed_or_harmless() {
    let (log, _) = log("commitlog-clean");
    let size = walk(&log)[0].1.size();
    let mut noticed = 0;
    for at in 0..size {
        let mut bytes = log[..size].to_vec();
        bytes[at] ^= 0x80;
        match Record::parse_with(&bytes, true) {
            Ok(record) => assert_eq!(record.size(), size),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 4 + 4 + 4 + 9, "size, magic, CRC and body: {noticed}");
    assert_eq!(
        Record::parse(&log[..size - 1]).unwrap_err(),
        RecordError::Truncated { size, have: size - 1 }
    );
}
