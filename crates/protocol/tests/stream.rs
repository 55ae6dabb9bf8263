//! Frames in a stream: however it is cut, and whichever codec each frame has.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use proptest::prelude::*;
use skua_protocol::RequestCode;
use skua_protocol::command::{Command, HeaderCodec, Language};
use skua_protocol::frame::{self, FRAME_LEN_MAX, FrameError};
use skua_protocol::header::Fields;

prop_compose! {
    fn commands()(
        code in 0..32768i32,
        language in 0..14u8,
        version in 0..32768i32,
        opaque: i32,
        flag in 0..4i32,
        remark in proptest::option::of(".{1,40}"),
        fields in proptest::collection::btree_map(".{1,12}", ".{1,60}", 0..16),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        binary: bool,
    ) -> Command {
        Command {
            // These numbers stand for pop codes that lost their upper half.
            code: if (3442..=3543).contains(&code) { 0 } else { code },
            language: Language(language),
            version,
            opaque,
            flag,
            remark: remark.map(ByteString::from),
            fields: fields.into_iter().collect::<Fields>(),
            body: Bytes::from(body),
            codec: if binary { HeaderCodec::Binary } else { HeaderCodec::Json },
        }
    }
}

fn assert_same(a: &Command, b: &Command) {
    assert_eq!(a.code, b.code);
    assert_eq!(a.language, b.language);
    assert_eq!(a.version, b.version);
    assert_eq!(a.opaque, b.opaque);
    assert_eq!(a.flag, b.flag);
    assert_eq!(a.remark, b.remark);
    assert_eq!(a.fields, b.fields);
    assert_eq!(a.body, b.body);
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_frames_however_it_is_cut(
        sent in proptest::collection::vec(commands(), 1..6),
        cuts in proptest::collection::vec(1..97usize, 1..20),
    ) {
        let mut stream = BytesMut::new();
        for command in &sent {
            frame::encode(command, &mut stream);
        }
        let mut received = Vec::new();
        let mut buffer = BytesMut::new();
        let mut cuts = cuts.iter().cycle();
        while !stream.is_empty() {
            let len = stream.len().min(*cuts.next().expect("a cycle does not end"));
            buffer.extend_from_slice(&stream.split_to(len));
            while let Some(command) = frame::decode(&mut buffer).unwrap() {
                received.push(command);
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(received.len(), sent.len());
        for (received, sent) in received.iter().zip(&sent) {
            assert_same(received, sent);
            prop_assert_eq!(received.codec, sent.codec);
        }
    }

    #[test]
    fn both_codecs_carry_the_same(sent in commands()) {
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let mut buffer = BytesMut::new();
            frame::encode(&Command { codec, ..sent.clone() }, &mut buffer);
            assert_same(&frame::decode(&mut buffer).unwrap().unwrap(), &sent);
        }
    }

    #[test]
    fn head_and_body_apart_are_the_whole_frame(sent in commands()) {
        let (mut whole, mut head) = (BytesMut::new(), BytesMut::new());
        frame::encode(&sent, &mut whole);
        frame::encode_head(&sent, &mut head);
        head.extend_from_slice(&sent.body);
        prop_assert_eq!(whole, head);
    }

    #[test]
    fn any_bytes_are_a_frame_an_error_or_not_enough(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        if let Ok(None) = frame::decode(&mut buffer) {
            prop_assert_eq!(buffer, bytes);
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Option<Command>, FrameError> {
    frame::decode(&mut BytesMut::from(bytes))
}

#[test]
fn lengths_that_cannot_be_are_refused_as_soon_as_they_are_read() {
    assert_eq!(decode(&[0xff, 0, 0, 0]).unwrap_err(), FrameError::NegativeLength(-16_777_216));
    assert_eq!(
        decode(&[1, 0, 0, 0]).unwrap_err(),
        FrameError::TooLong { len: 16_777_220, max: FRAME_LEN_MAX }
    );
    assert_eq!(decode(&[0, 0, 0, 3]).unwrap_err(), FrameError::TooShort(3));
    assert_eq!(
        decode(&[0, 0, 0, 4, 0, 0, 0, 1]).unwrap_err(),
        FrameError::HeaderTooLong { header: 1, room: 0 }
    );
    assert_eq!(decode(&[0, 0, 0, 4, 2, 0, 0, 0]).unwrap_err(), FrameError::UnknownCodec(2));
    assert!(matches!(decode(&[0, 0xff, 0xff, 0xfc]), Ok(None)), "16 MiB in all may come");
}

#[test]
fn pop_codes_survive_the_binary_header_but_answers_keep_their_code() {
    let through = |code, flag| {
        let mut command = Command::success();
        (command.code, command.flag, command.codec) = (code, flag, HeaderCodec::Binary);
        let mut buffer = BytesMut::new();
        frame::encode(&command, &mut buffer);
        frame::decode(&mut buffer).unwrap().unwrap().code
    };
    for code in (200_050..=200_056).chain(200_070..=200_079).chain([200_151]) {
        assert_eq!(through(code, 0), code);
    }
    assert_eq!(through(3442, 1), 3442);
    assert_eq!(through(3500, 0), 3500);
    assert_eq!(through(310, 0), 310);
}

#[test]
fn of_a_binary_field_that_comes_twice_the_last_one_counts() {
    let mut twice = Fields::new();
    for (name, value) in [("a", "first"), ("b", "b"), ("a", "last")] {
        twice.push(name, value);
    }
    let mut request = Command::raw_request(RequestCode::SendMessageV2, twice);
    request.codec = HeaderCodec::Binary;
    let mut bytes = BytesMut::new();
    frame::encode(&request, &mut bytes);
    let read = frame::decode(&mut bytes).expect("a good frame").expect("a whole one");
    assert_eq!(read.fields, [("a", "last"), ("b", "b")].into_iter().collect());
}
