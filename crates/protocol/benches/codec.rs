//! What one message costs in the protocol: the send path's share must stay under 2 µs.

use bytes::BytesMut;
use divan::{AllocProfiler, Bencher};
use skua_protocol::command::{Command, HeaderCodec};
use skua_protocol::frame;
use skua_protocol::properties::{Properties, TAGS};
use skua_protocol::record::{NewRecord, Record};
use skua_protocol::request::{
    PullMessage, PullMessageResponse, SendAnswer, SendHeader, SendMessageV2,
};
use skua_protocol::{Millis, QueueId, RequestCode};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SEND_JSON: &[u8] = include_bytes!("../tests/fixtures/wire/send_v2_json_req.bin");
const SEND_BINARY: &[u8] = include_bytes!("../tests/fixtures/wire/send_v2_rmq_req.bin");
const PULL_JSON: &[u8] = include_bytes!("../tests/fixtures/wire/pull_no_new_json_req.bin");

fn send_response() -> SendAnswer<'static> {
    SendAnswer {
        msg_id: "7F0000010000326F0000000000000113",
        queue_id: 3,
        queue_offset: 123_456_789,
        transaction_id: Some("FD0000000000000000000000000000024C0830946E0975A924C70000"),
        msg_region: Some("DefaultRegion"),
        trace_on: Some(true),
        ..Default::default()
    }
}

fn decode(frame: &[u8]) -> Command {
    let mut buffer = BytesMut::from(frame);
    frame::decode(&mut buffer).expect("a good frame").expect("a whole frame")
}

/// Decode of a send request with its typed header, and encode of its answer.
#[divan::bench(args = ["json", "binary"])]
fn send_round(bencher: Bencher, codec: &str) {
    let frame = if codec == "json" { SEND_JSON } else { SEND_BINARY };
    let mut out = BytesMut::with_capacity(64 * 1024);
    bencher.with_inputs(|| BytesMut::from(frame)).bench_local_values(|mut buffer| {
        let request = frame::decode(&mut buffer).expect("a good frame").expect("a whole frame");
        let header = SendHeader::read(RequestCode::SendMessageV2, &request).expect("a good header");
        let topic_len = header.topic.len();
        let mut answer = Command::success().with_header(&send_response());
        answer.opaque = request.opaque;
        out.clear();
        frame::encode(&answer, &mut out);
        (topic_len, out.len())
    });
}

#[divan::bench]
fn decode_frame_json(bencher: Bencher) {
    bencher
        .with_inputs(|| BytesMut::from(SEND_JSON))
        .bench_local_values(|mut buffer| frame::decode(&mut buffer));
}

#[divan::bench]
fn decode_frame_binary(bencher: Bencher) {
    bencher
        .with_inputs(|| BytesMut::from(SEND_BINARY))
        .bench_local_values(|mut buffer| frame::decode(&mut buffer));
}

#[divan::bench]
fn typed_send_header(bencher: Bencher) {
    let command = decode(SEND_JSON);
    bencher.bench_local(|| SendHeader::read(RequestCode::SendMessageV2, &command));
}

#[divan::bench]
fn encode_send_answer(bencher: Bencher) {
    let mut out = BytesMut::with_capacity(64 * 1024);
    let header = send_response();
    bencher.bench_local(|| {
        out.clear();
        frame::encode(&Command::success().with_header(&header), &mut out);
        out.len()
    });
}

#[divan::bench]
fn pull_round(bencher: Bencher) {
    let mut out = BytesMut::with_capacity(64 * 1024);
    bencher.with_inputs(|| BytesMut::from(PULL_JSON)).bench_local_values(|mut buffer| {
        let request = frame::decode(&mut buffer).expect("a good frame").expect("a whole frame");
        let header: PullMessage = request.header().expect("a good header");
        let answer = PullMessageResponse { next_begin_offset: 7, ..Default::default() };
        let answer = Command::success().with_header(&answer).with_remark("FOUND");
        out.clear();
        frame::encode_head(&answer, &mut out);
        (header, out.len())
    });
}

#[divan::bench(args = [128, 1024, 4096])]
fn encode_record(bencher: Bencher, body: usize) {
    let body = vec![b'x'; body];
    let request: SendMessageV2 = decode(SEND_JSON).header().expect("a good header");
    let properties = request.properties.unwrap_or_default();
    let new = NewRecord {
        topic: &request.topic,
        queue_id: QueueId(1),
        flag: 0,
        sys_flag: 0,
        born_timestamp: Millis(request.born_timestamp),
        born_host: ([127, 0, 0, 1], 50_000).into(),
        store_host: ([127, 0, 0, 1], 10_911).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &body,
        properties: properties.as_bytes(),
    };
    let mut out = Vec::with_capacity(64 * 1024);
    bencher.bench_local(|| {
        out.clear();
        new.encode(&mut out)
    });
}

#[divan::bench]
fn dispatch_record(bencher: Bencher) {
    let command = decode(include_bytes!("../tests/fixtures/wire/pull_found_json_rsp.bin"));
    bencher.bench_local(|| {
        let record = Record::parse(&command.body).expect("a good record");
        (record.queue_offset(), record.topic().len(), record.tags_code())
    });
}

#[divan::bench]
fn find_tags(bencher: Bencher) {
    let request: SendMessageV2 = decode(SEND_JSON).header().expect("a good header");
    let properties = request.properties.unwrap_or_default();
    bencher.bench_local(|| Properties::new(&*properties).get(TAGS).map(str::len));
}

/// The codec of a frame stands in its header word.
#[divan::bench]
fn encode_send_answer_binary(bencher: Bencher) {
    let mut out = BytesMut::with_capacity(64 * 1024);
    let header = send_response();
    bencher.bench_local(|| {
        out.clear();
        let mut answer = Command::success().with_header(&header);
        answer.codec = HeaderCodec::Binary;
        frame::encode(&answer, &mut out);
        out.len()
    });
}
