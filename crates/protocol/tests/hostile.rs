//! Bytes that no well-meaning peer sends: mutations of recorded ones, by a fixed seed.

#[path = "hostile/counting.rs"]
mod counting;
#[path = "wire/fixture.rs"]
mod fixture;
#[path = "hostile/targets.rs"]
mod targets;

use counting::{Counting, peak_of};
use skua_protocol::body::REGISTER_BODY_LEN_MAX;
use skua_protocol::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CASES: usize = 20_000;

/// xorshift64*: the same cases on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Changes a few things, as fuzzers do.
fn mutate(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const NUMBERS: &[i32] = &[0, 1, -1, 4, 127, 128, 255, 256, 32767, 65535, i32::MIN, i32::MAX];
    const TOKENS: &[&[u8]] = &[
        b"{", b"}", b"[", b"\"", b"\\", b"\\u", b"\\ud800", b"null", b":", b",", b"\x01", b"\x02",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(8) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.next() as u8,
            2 => data.truncate(at),
            3 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_be_bytes();
                for (byte, new) in data[at..].iter_mut().zip(number) {
                    *byte = new;
                }
            }
            4 => {
                let token = TOKENS[random.below(TOKENS.len())];
                data.splice(at..at, token.iter().copied());
            }
            5 => {
                let from = random.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            6 => {
                let end = at + random.below(data.len() - at + 1).min(64);
                data.drain(at..end);
            }
            _ => {
                let end = at + random.below(data.len() - at + 1).min(64);
                data.extend_from_within(at..end);
            }
        }
    }
}

/// Good inputs to start from.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let frames = fixture::all();
    let of_codec = |codec: u8| {
        let frames = frames.iter().filter(move |fixture| fixture.frame[4] == codec);
        frames.map(|fixture| {
            let word = fixture.frame[4..8].try_into().unwrap();
            let header_len = u32::from_be_bytes(word) as usize & 0xff_ffff;
            fixture.frame[8..8 + header_len].to_vec()
        })
    };
    let bodies = || frames.iter().map(|fixture| fixture.command().body.to_vec());
    let records = || bodies().filter(|body| body.get(4..6) == Some(&[0xda, 0xa3]));
    match target {
        "frame" => frames.iter().map(|fixture| fixture.frame.clone()).collect(),
        "header_json" => of_codec(0).collect(),
        "header_binary" => of_codec(1).collect(),
        "record" => records().collect(),
        "batch_items" => {
            let batches = frames.iter().filter(|fixture| fixture.view["header"]["code"] == 320);
            batches.map(|fixture| fixture.command().body.to_vec()).collect()
        }
        "tolerant_json" => bodies().filter(|body| body.first() == Some(&b'{')).collect(),
        "properties" => {
            let fields = frames.iter().map(fixture::Fixture::command);
            fields
                .filter_map(|command| Some(command.fields.get("i")?.as_bytes().to_vec()))
                .collect()
        }
        "register_body" => {
            let plain = frames.iter().find(|fixture| fixture.name == "register_broker_req");
            let plain = plain.unwrap().command().body.to_vec();
            let body: skua_protocol::body::RegisterBrokerBody = json::from_slice(&plain).unwrap();
            vec![body.encode_compressed(513), body.encode_compressed(409), plain]
        }
        other => panic!("no corpus for {other}"),
    }
}

/// Most bytes that `len` bytes of input may make a target hold, its own checks included.
fn memory_max(target: &str, len: usize) -> usize {
    // Trees of small values cost most: 32 bytes and more for each of two characters.
    let for_input = 512 * 1024 + 256 * len;
    match target {
        // A small stream may open to the limit; the buffer grows by doubling.
        "register_body" => 4 * REGISTER_BODY_LEN_MAX + for_input,
        // A compressed body opens to 1 MiB.
        "record" => 4 * 1024 * 1024 + for_input,
        _ => for_input,
    }
}

fn run(target: &str) {
    let (_, body) = targets::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "nothing to start from");
    let mut random = Random(0x5eed_0000_0000_0001);
    for case in 0..CASES {
        let mut data = corpus[random.below(corpus.len())].clone();
        let other = &corpus[random.below(corpus.len())];
        // The first cases are the corpus itself.
        if case >= corpus.len() {
            mutate(&mut data, other, &mut random);
        }
        let peak = peak_of(|| body(&data));
        let max = memory_max(target, data.len());
        assert!(peak <= max, "{target}: {} bytes of input held {peak} bytes", data.len());
    }
}

macro_rules! hostile {
    ($($test:ident: $target:literal;)+) => {
        $(#[test]
        fn $test() {
            run($target);
        })+

        #[test]
        fn every_target_is_run() {
            let run = [$($target),+];
            assert!(targets::TARGETS.iter().map(|(name, _)| *name).eq(run));
        }
    };
}

hostile! {
    streams_of_hostile_frames_neither_panic_nor_swell: "frame";
    hostile_json_headers_neither_panic_nor_swell: "header_json";
    hostile_binary_headers_neither_panic_nor_swell: "header_binary";
    hostile_records_neither_panic_nor_swell: "record";
    hostile_batches_neither_panic_nor_swell: "batch_items";
    hostile_bodies_neither_panic_nor_swell: "tolerant_json";
    hostile_properties_neither_panic_nor_swell: "properties";
    hostile_registrations_neither_panic_nor_swell: "register_body";
}
