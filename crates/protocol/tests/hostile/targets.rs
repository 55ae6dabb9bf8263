//! What is done with bytes that anyone may have sent. Each function takes any bytes at all and
//! panics only if the code under test breaks its word. Run with mutations of recorded bytes by
//! `cargo test`, and by cargo-fuzz from `/fuzz`.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skua_protocol::body::*;
use skua_protocol::command::{Command, HeaderCodec};
use skua_protocol::header::{FIELDS_MAX, Fields, ToFields};
use skua_protocol::properties::{Properties, PropertiesEditor, append};
use skua_protocol::record::{self, BatchItems, Message, NewRecord, Peek, Record};
use skua_protocol::request::{PullMessage, SendHeader, SendMessage, SendMessageV2};
use skua_protocol::{QueueId, RequestCode, frame, json};

/// A name and what to do with bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("frame", stream),
    ("header_json", header_json),
    ("header_binary", header_binary),
    ("record", stored_record),
    ("batch_items", batch_items),
    ("tolerant_json", tolerant_json),
    ("properties", properties),
    ("register_body", register_body),
];

/// A connection's bytes.
pub fn stream(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(command)) = frame::decode(&mut buffer) {
        decoded(&command);
    }
}

pub fn header_json(data: &[u8]) {
    header(data, 0);
}

pub fn header_binary(data: &[u8]) {
    header(data, 1);
}

fn header(data: &[u8], codec: u32) {
    let len = data.len().min(0x00ff_ffff - 4);
    let mut buffer = BytesMut::new();
    buffer.put_u32(4 + len as u32);
    buffer.put_u32(codec << 24 | len as u32);
    buffer.put_slice(&data[..len]);
    if let Ok(command) = frame::decode(&mut buffer) {
        decoded(&command.expect("the frame is whole"));
        assert!(buffer.is_empty());
    }
}

/// What was read can be written and read again, in either codec.
fn decoded(command: &Command) {
    assert!(command.fields.len() <= FIELDS_MAX);
    // Typed headers are read from any fields and lose nothing they have read.
    if let Ok(send) = command.header::<SendMessageV2>() {
        assert_eq!(send.to_fields().len(), again(&send).to_fields().len());
    }
    read_in_place(command);
    if let Ok(pull) = command.header::<PullMessage>() {
        assert_eq!(again(&pull), pull);
    }

    let mut json = command.clone();
    json.codec = HeaderCodec::Json;
    let read = through(&json);
    assert_eq!(read.code, command.code);
    assert_eq!(read.version, command.version);
    assert_eq!(read.opaque, command.opaque);
    assert_eq!(read.flag, command.flag);
    assert_eq!(read.remark, command.remark);
    assert_eq!(read.fields, command.fields);
    assert_eq!(read.body, command.body);

    let mut binary = command.clone();
    binary.codec = HeaderCodec::Binary;
    let read = through(&binary);
    assert_eq!(read.language, command.language);
    assert_eq!(read.opaque, command.opaque);
    assert_eq!(read.flag, command.flag);
    assert_eq!(read.remark.unwrap_or_default(), command.remark.clone().unwrap_or_default());
    let kept = command.fields.iter().filter(|(name, value)| {
        !name.is_empty() && !value.is_empty() && name.len() <= i16::MAX as usize
    });
    // The last of several fields of one name counts, among the first 64.
    let mut once = Fields::new();
    for (name, value) in kept {
        if once.len() < 64 { once.set(name, value) } else { once.push(name, value) }
    }
    assert_eq!(read.fields, once);
    assert_eq!(read.body, command.body);
}

/// Where a broker reads a send in place it reads the same.
fn read_in_place(command: &Command) {
    let short = SendHeader::read(RequestCode::SendMessageV2, command);
    let long = SendHeader::read(RequestCode::SendMessage, command);
    let owned = command.header::<SendMessageV2>();
    let broker_name = owned.as_ref().ok().and_then(|send| send.broker_name.clone());
    let whole = command.header_in_place::<SendMessageV2<&str>>();
    assert_eq!(whole.ok().and_then(|send| send.broker_name), broker_name.as_deref());
    assert_eq!(short.map(|send| owned_send(&send)), owned.map(SendMessage::from));
    assert_eq!(long.map(|send| owned_send(&send)), command.header());
}

fn owned_send(send: &SendHeader<'_>) -> SendMessage {
    SendMessage {
        producer_group: send.producer_group.into(),
        topic: send.topic.into(),
        default_topic: send.default_topic.into(),
        default_topic_queue_nums: send.default_topic_queue_nums,
        queue_id: send.queue_id,
        sys_flag: send.sys_flag,
        born_timestamp: send.born_timestamp,
        flag: send.flag,
        properties: send.properties.map(Into::into),
        reconsume_times: send.reconsume_times,
        unit_mode: send.unit_mode,
        max_reconsume_times: send.max_reconsume_times,
        batch: send.batch,
    }
}

fn again<H: skua_protocol::request::Request>(header: &H) -> H {
    use skua_protocol::header::FromFields;
    H::from_fields(&header.to_fields()).expect("written fields can be read")
}

fn through(command: &Command) -> Command {
    let mut buffer = BytesMut::new();
    frame::encode(command, &mut buffer);
    if buffer.len() > frame::FRAME_LEN_MAX {
        // Escapes made it longer than any frame may be.
        return command.clone();
    }
    let read = frame::decode(&mut buffer).expect("what was written is right");
    assert!(buffer.is_empty());
    read.expect("what was written is whole")
}

/// Bytes of a commit log, or of a pull's answer.
pub fn stored_record(data: &[u8]) {
    let mut at = 0;
    while let Ok(Peek::Message { size } | Peek::EndOfFile { size }) = record::next(&data[at..]) {
        assert!(size >= 8 && at + size <= data.len());
        let _ = Record::parse_with(&data[at..], true);
        if let Ok(read) = Record::parse(&data[at..]) {
            assert_eq!(read.size(), size);
            encoded_again(&read);
        }
        at += size;
    }
    let data = Bytes::copy_from_slice(data);
    for message in Message::decode_all(&data).unwrap_or_default() {
        let _ = message.plain_body(1 << 20);
        let _ = message.offset_id();
        let _ = (message.tags(), message.keys(), message.unique_id());
    }
}

fn encoded_again(read: &Record<'_>) {
    let new = NewRecord {
        topic: read.topic(),
        queue_id: QueueId(read.queue_id() as u32),
        flag: read.flag(),
        sys_flag: read.sys_flag(),
        born_timestamp: read.born_timestamp(),
        born_host: read.born_host(),
        store_host: read.store_host(),
        reconsume_times: read.reconsume_times(),
        prepared_transaction_offset: read.prepared_transaction_offset(),
        body: read.body(),
        properties: read.properties().encoded(),
    };
    let mut out = Vec::new();
    new.encode(&mut out).expect("its parts fit a record");
    let again = Record::parse_with(&out, true).expect("what was written is right");
    assert_eq!(again.topic(), read.topic());
    assert_eq!(again.body(), read.body());
    assert_eq!(again.properties(), read.properties());
    assert_eq!(again.sys_flag(), read.sys_flag());
    assert_eq!(again.born_host(), read.born_host());
    assert_eq!(again.tags_code(), read.tags_code());
}

pub fn batch_items(data: &[u8]) {
    let mut len = 0;
    for item in BatchItems::new(data) {
        let Ok(item) = item else { return };
        let mut out = Vec::new();
        record::encode_batch_item(&mut out, item.flag, item.body, item.properties.encoded())
            .expect("its parts fit an item");
        assert_eq!(BatchItems::new(&out).next(), Some(Ok(item)));
        len += out.len();
    }
    assert_eq!(len, data.len(), "every byte belongs to an item");
}

pub fn tolerant_json(data: &[u8]) {
    if let Ok(any) = json::from_slice::<serde_json::Value>(data) {
        // Equal but for the last digits of fractions.
        json::from_slice::<serde_json::Value>(&json::to_vec(&any)).expect("ours can be read");
    }
    json_body::<RouteData>(data);
    json_body::<ClusterInfo>(data);
    json_body::<HeartbeatData>(data);
    json_body::<LockBatch>(data);
    json_body::<SubscriptionGroupConfig>(data);
    json_body::<TopicConfig>(data);
    json_body::<ConsumerOffsets>(data);
    if let Ok(stats) = json::from_slice::<TopicStats>(data) {
        let again: TopicStats = json::from_slice(&stats.to_json()).expect("ours can be read");
        assert_eq!(again.offset_table, stats.offset_table);
    }
    if let Ok(status) = json::from_slice::<ConsumerStatus>(data) {
        let again: ConsumerStatus = json::from_slice(&status.to_json()).expect("ours can be read");
        assert_eq!(again, status);
    }
}

fn json_body<T: DeserializeOwned + Serialize>(data: &[u8]) {
    if let Ok(body) = json::from_slice::<T>(data) {
        let text = json::to_vec(&body);
        let again: T = json::from_slice(&text).expect("ours can be read");
        assert_eq!(json::to_vec(&again), text);
    }
}

pub fn properties(data: &[u8]) {
    let read = Properties::new(data);
    let editor = PropertiesEditor::from(read);
    for (name, _) in read.iter() {
        assert_eq!(editor.get(name), read.get(name));
    }
    let encoded = editor.encode();
    let again = Properties::new(&encoded);
    assert!(again.iter().eq(editor.iter()));
    assert_eq!(again.keys().count(), read.keys().count());

    let mut longer = data.to_vec();
    append(&mut longer, "ADDED", "value");
    assert_eq!(Properties::new(&longer).get("ADDED"), Some("value"));
}

pub fn register_body(data: &[u8]) {
    for version in [409, 513] {
        if let Ok(body) = RegisterBrokerBody::decode(data, version) {
            let _ = RegisterBrokerBody::decode(&body.encode_compressed(version), version);
            let plain = RegisterBrokerBody::decode(&json::to_vec(&body), version);
            let topics =
                |body: RegisterBrokerBody| body.topic_config_serialize_wrapper.topic_config_table;
            assert_eq!(topics(plain.expect("ours can be read")), topics(body));
        }
    }
}
