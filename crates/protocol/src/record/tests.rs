use std::net::SocketAddr;

use super::*;
use crate::units::{Millis, PhysicalOffset, QueueId, QueueOffset};

fn record<'a>(topic: &'a str, body: &'a [u8]) -> NewRecord<'a> {
    NewRecord {
        topic,
        queue_id: QueueId(3),
        flag: 7,
        sys_flag: FLAG_BORN_HOST_V6,
        born_timestamp: Millis(1),
        born_host: SocketAddr::from(([10, 0, 0, 1], 5)),
        store_host: SocketAddr::from(([0x2001, 0, 0, 0, 0, 0, 0, 1], 10911)),
        reconsume_times: 2,
        prepared_transaction_offset: 9,
        body,
        properties: b"TAGS\x01TagA\x02",
    }
}

fn encoded(new: &NewRecord<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    new.encode(&mut out).unwrap();
    out
}

#[test]
fn host_bits_follow_the_addresses() {
    let mut bytes = encoded(&record("T", b"body"));
    stamp(&mut bytes, QueueOffset(11), PhysicalOffset(22), Millis(33));
    let read = Record::parse_with(&bytes, true).unwrap();
    assert_eq!(read.sys_flag(), FLAG_STORE_HOST_V6);
    assert_eq!(read.born_host(), "10.0.0.1:5".parse().unwrap());
    assert_eq!(read.store_host(), "[2001::1]:10911".parse().unwrap());
    assert_eq!((read.queue_offset(), read.physical_offset()), (11, 22));
    assert_eq!(read.store_timestamp(), Millis(33));
    assert_eq!(read.tags_code(), 2598919);
    assert_eq!(read.topic(), "T");
    assert_eq!(read.body(), b"body");
}

#[test]
fn the_magic_follows_the_length_of_the_topic() {
    for (len, magic) in [(0, MAGIC_V1), (127, MAGIC_V1), (128, MAGIC_V2), (32767, MAGIC_V2)] {
        let topic = "t".repeat(len);
        let bytes = encoded(&record(&topic, b""));
        assert_eq!(bytes[4..8], magic.to_be_bytes());
        assert_eq!(Record::parse(&bytes).unwrap().topic(), topic);
    }
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let topic = "t".repeat(32768);
    let mut out = Vec::new();
    assert_eq!(record(&topic, b"").encode(&mut out), Err(RecordError::TopicTooLong(32768)));
    let properties = vec![b'p'; 32768];
    let new = NewRecord { properties: &properties, ..record("T", b"") };
    assert_eq!(new.encode(&mut out), Err(RecordError::PropertiesTooLong(32768)));
    assert!(out.is_empty());
}

#[test]
fn places_without_a_record_are_told_apart() {
    assert_eq!(next(&[0; 7]), Ok(Peek::Empty));
    assert_eq!(next(&[0; 100]), Ok(Peek::Empty));
    let mut filler = [0; 20];
    filler[..4].copy_from_slice(&20i32.to_be_bytes());
    filler[4..8].copy_from_slice(&MAGIC_END_OF_FILE.to_be_bytes());
    assert_eq!(next(&filler), Ok(Peek::EndOfFile { size: 20 }));
    filler[3] = 21;
    assert_eq!(next(&filler), Err(RecordError::Truncated { size: 21, have: 20 }));
    filler[0] = 0xff;
    assert_eq!(next(&filler), Err(RecordError::BadSize(-16777195)));
    filler[4] = 0;
    filler[0] = 0;
    assert_eq!(next(&filler), Err(RecordError::BadMagic(0x00d4_3194)));
}

#[test]
fn a_changed_body_fails_its_crc() {
    let mut bytes = encoded(&record("T", b"body"));
    let at = bytes.windows(4).position(|window| window == b"body").unwrap();
    bytes[at] ^= 1;
    assert!(Record::parse(&bytes).is_ok());
    assert!(matches!(Record::parse_with(&bytes, true), Err(RecordError::Crc { .. })));
}

#[test]
fn hashes_are_javas() {
    assert_eq!(java_hash(""), 0);
    assert_eq!(java_hash("TagA"), 2598919);
    assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    assert_eq!(java_hash("😀"), 0xd83d * 31 + 0xde00);
    assert_eq!(tags_code("polygenelubricants"), i64::from(i32::MIN));
}

#[test]
fn batches_end_at_their_first_broken_item() {
    let mut body = Vec::new();
    encode_batch_item(&mut body, 5, b"one", b"a\x01b\x02").unwrap();
    encode_batch_item(&mut body, 6, b"", b"").unwrap();
    let items: Vec<_> = BatchItems::new(&body).map(Result::unwrap).collect();
    assert_eq!(items.len(), 2);
    assert_eq!((items[0].flag, items[0].body), (5, &b"one"[..]));
    assert_eq!(items[0].properties.get("a"), Some("b"));

    let whole = body.len();
    body.truncate(whole - 1);
    let items: Vec<_> = BatchItems::new(&body).collect();
    assert_eq!(items[1], Err(RecordError::Truncated { size: 22, have: 21 }));
    body[3] = 0;
    assert_eq!(BatchItems::new(&body).collect::<Vec<_>>(), [Err(RecordError::BadSize(0))]);
    let too_long = vec![0; 32768];
    let refused = encode_batch_item(&mut body, 0, b"", &too_long);
    assert_eq!(refused, Err(RecordError::PropertiesTooLong(32768)));
}

#[test]
fn only_zlib_bodies_are_opened_and_only_so_far() {
    use std::io::Write;

    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&vec![b'x'; 100_000]).unwrap();
    let body = encoder.finish().unwrap();
    let message = |sys_flag, body: &[u8]| {
        let bytes = encoded(&NewRecord { sys_flag, ..record("T", body) });
        Message::decode_all(&bytes.into()).unwrap().remove(0)
    };
    for sys_flag in [FLAG_COMPRESSED, FLAG_COMPRESSED | FLAG_COMPRESSION_ZLIB] {
        assert_eq!(message(sys_flag, &body).plain_body(100_000).unwrap().len(), 100_000);
    }
    let compressed = message(FLAG_COMPRESSED, &body);
    assert_eq!(compressed.plain_body(99_999), Err(BodyError::TooLong(99_999)));
    let cut = message(FLAG_COMPRESSED, &body[..body.len() - 4]);
    assert_eq!(cut.plain_body(1 << 20), Err(BodyError::Broken));
    let zstd = message(FLAG_COMPRESSED | FLAG_COMPRESSION_ZSTD, &body);
    assert_eq!(zstd.plain_body(1 << 20), Err(BodyError::Unsupported(FLAG_COMPRESSION_ZSTD)));
}
