//! Frames recorded from Java clients, brokers and name servers: see `fixtures/README.md`.

#[path = "wire/bodies.rs"]
mod bodies;
#[path = "wire/exchange.rs"]
mod exchange;
#[path = "wire/fixture.rs"]
mod fixture;
#[path = "wire/headers.rs"]
mod headers;

use bytes::BytesMut;
use serde_json::Value;
use skua_protocol::command::{Command, HeaderCodec, Language};
use skua_protocol::frame;

use fixture::{Fixture, all};

/// The header as the recorder shows it: `name` absent or null is the same.
fn assert_says(fixture: &Fixture, command: &Command) {
    let name = &fixture.name;
    let header = &fixture.view["header"];
    assert_eq!(Value::from(command.code), header["code"], "{name}: code");
    assert_eq!(Value::from(command.version), header["version"], "{name}: version");
    assert_eq!(Value::from(command.opaque), header["opaque"], "{name}: opaque");
    assert_eq!(Value::from(command.flag), header["flag"], "{name}: flag");
    let language = match &header["language"] {
        Value::String(text) => Language::from_name(text),
        number => Language(number.as_u64().unwrap() as u8),
    };
    assert_eq!(command.language, language, "{name}: language");
    assert_eq!(command.remark.as_deref(), header["remark"].as_str(), "{name}: remark");

    let expected = header["extFields"].as_object().cloned().unwrap_or_default();
    let found: serde_json::Map<String, Value> =
        command.fields.iter().map(|(name, value)| (name.into(), value.into())).collect();
    // An empty value cannot be told from an absent one in a binary header.
    let expected: serde_json::Map<_, _> = expected
        .into_iter()
        .filter(|(_, value)| command.codec == HeaderCodec::Json || value != "")
        .collect();
    assert_eq!(found, expected, "{name}: fields");
    assert_eq!(command.body, recorded_body(fixture), "{name}: body");
}

/// The body as the recorder shows it.
fn recorded_body(fixture: &Fixture) -> Vec<u8> {
    match (&fixture.view["bodyText"], &fixture.view["bodyHex"]) {
        (Value::String(text), _) => text.clone().into_bytes(),
        (_, Value::String(hex)) => {
            let digits = hex.as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
            digits.map(|pair| byte(pair).unwrap()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_recorded_frame_says_what_the_recorder_saw() {
    let fixtures = all();
    assert!(fixtures.len() > 400, "only {} fixtures", fixtures.len());
    for fixture in &fixtures {
        let mut buffer = BytesMut::from(&fixture.frame[..]);
        let mut command = frame::decode(&mut buffer).unwrap().unwrap();
        assert!(buffer.is_empty(), "{}: bytes left", fixture.name);
        let binary = fixture.view["serialize"] == "ROCKETMQ";
        assert_eq!(command.codec == HeaderCodec::Binary, binary, "{}: codec", fixture.name);
        if fixture.name.starts_with("pop_truncated_code_rmq_req") {
            assert_eq!(command.code, 200_050, "the code is read back from 16 bits");
            command.code = 3442;
        }
        assert_says(fixture, &command);
    }
}

#[test]
fn every_recorded_frame_means_the_same_after_encoding_in_either_codec() {
    for fixture in &all() {
        let original = fixture.command();
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let mut command = original.clone();
            command.codec = codec;
            let mut buffer = BytesMut::new();
            frame::encode(&command, &mut buffer);
            let decoded = frame::decode(&mut buffer).unwrap().unwrap();
            assert!(buffer.is_empty(), "{}: bytes left", fixture.name);
            assert_eq!(decoded.codec, codec);
            let mut decoded = Command { codec: original.codec, ..decoded };
            if codec == HeaderCodec::Binary {
                // Nothing marks an empty remark or value there.
                decoded.remark = decoded.remark.or_else(|| original.remark.clone());
                for (name, value) in original.fields.iter().filter(|(_, value)| value.is_empty()) {
                    decoded.fields.push(name, value);
                }
            }
            let sorted = |command: &Command| {
                let mut fields: Vec<_> =
                    command.fields.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                fields.sort();
                fields
            };
            assert_eq!(decoded.code, original.code, "{}", fixture.name);
            assert_eq!(decoded.language, original.language, "{}", fixture.name);
            assert_eq!(decoded.version, original.version, "{}", fixture.name);
            assert_eq!(decoded.opaque, original.opaque, "{}", fixture.name);
            assert_eq!(decoded.flag, original.flag, "{}", fixture.name);
            assert_eq!(decoded.remark, original.remark, "{}", fixture.name);
            assert_eq!(sorted(&decoded), sorted(&original), "{}", fixture.name);
            assert_eq!(decoded.body, original.body, "{}", fixture.name);
        }
    }
}

#[test]
fn json_headers_are_written_as_java_writes_them() {
    let mut compared = 0;
    for fixture in all() {
        let command = fixture.command();
        // Probes were written by hand; Java puts several fields in the order of a hash table.
        let by_hand = command.language == Language::PYTHON;
        if command.codec != HeaderCodec::Json || by_hand || command.fields.len() > 1 {
            continue;
        }
        let mut buffer = BytesMut::new();
        frame::encode(&command, &mut buffer);
        let java = String::from_utf8_lossy(&fixture.frame[8..]).replace("\"extFields\":{},", "");
        assert_eq!(String::from_utf8_lossy(&buffer[8..]), java, "{}", fixture.name);
        compared += 1;
    }
    assert!(compared > 100, "compared only {compared}");
}
