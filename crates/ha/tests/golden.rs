//! Both ends against streams recorded between a Java 5.5.0 master and its Java slave
//! (`fixtures/`: `m2s` from the master, `s2m` from the slave; commit log files of 1 MiB).

use skua_ha::{MasterAct, MasterLink, MasterRules, SlaveAct, SlaveLink, SlaveRules, Span};
use skua_protocol::Millis;

const FILE: u64 = 1 << 20;
const NOW: Millis = Millis(1_700_000_000_000);

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Offset and content of each frame.
fn frames(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = bytes.split_at_checked(12) {
        let offset = u64::from_be_bytes(header[..8].try_into().expect("8 of 12 bytes"));
        let size = u32::from_be_bytes(header[8..].try_into().expect("4 of 12 bytes")) as usize;
        frames.push((offset, rest[..size].to_vec()));
        bytes = &rest[size..];
    }
    assert!(bytes.is_empty(), "whole frames");
    frames
}

fn reports(bytes: &[u8]) -> Vec<u64> {
    let (words, rest) = bytes.as_chunks::<8>();
    assert!(rest.is_empty(), "whole reports");
    words.iter().map(|word| u64::from_be_bytes(*word)).collect()
}

/// The master's log as the recordings give it.
fn log() -> Vec<u8> {
    let mut log = Vec::new();
    for name in
        ["1-empty-slave.m2s", "2-steady.m2s", "3b-paused.m2s", "5-behind.m2s", "7-behind.m2s"]
    {
        for (offset, content) in frames(&fixture(name)) {
            assert_eq!(offset, log.len() as u64, "{name}");
            log.extend(content);
        }
    }
    log
}

/// What a slave that has `own` bytes makes of a recording: what it appends, and its reports.
fn slave(own: u64, name: &str) -> (Vec<u8>, Vec<u64>) {
    let rules = SlaveRules {
        heartbeat_ms: 5000,
        housekeeping_ms: 20_000,
        knock_ms: 0,
        group: 1,
        broker_id: 1,
        file_size: FILE,
        check_crc: true,
        record_max: FILE as usize,
    };
    let mut link = SlaveLink::new(rules, Span { min: 0, end: own }, NOW);
    let (mut appended, mut said) = (Vec::new(), Vec::new());
    let mut held = own;
    let mut run = |link: &mut SlaveLink, bytes: &[u8]| {
        if !bytes.is_empty() {
            link.received(bytes, NOW);
        }
        while let Some(piece) = link.take() {
            held = piece.offset + piece.bytes.len() as u64;
            appended.extend(&piece.bytes);
        }
        loop {
            match link.act(held, NOW) {
                SlaveAct::Write(bytes) => said.extend(bytes),
                SlaveAct::Wait(_) => break,
                other => panic!("{other:?}"),
            }
        }
    };
    run(&mut link, &[]);
    for (offset, content) in frames(&fixture(name)) {
        let mut frame = offset.to_be_bytes().to_vec();
        frame.extend((content.len() as u32).to_be_bytes());
        frame.extend(content);
        run(&mut link, &frame);
    }
    // After the knock, which Java's master passes over.
    (appended, reports(&said[24..]))
}

#[test]
fn a_slave_appends_what_javas_does_and_reports_the_same() {
    let log = log();
    for (own, name) in [(0, "1-empty-slave"), (6222, "5-behind"), (6897, "7-behind")] {
        let (appended, said) = slave(own, &format!("{name}.m2s"));
        let from = own as usize;
        assert!(appended == log[from..from + appended.len()], "{name}");
        let mut java = reports(&fixture(&format!("{name}.s2m")));
        // Java repeats itself as a sign of life.
        java.dedup();
        // A frame may end within a record, which waits here until it is whole.
        assert_eq!(said.first(), java.first(), "{name}");
        assert_eq!(said.last(), java.last(), "{name}");
    }
}

#[test]
fn a_master_sends_a_java_slave_the_same_frames() {
    let log = log();
    for (name, end) in [("1-empty-slave", 3263), ("5-behind", 6897), ("7-behind", 56_017)] {
        let rules = MasterRules {
            batch: 32 << 10,
            heartbeat_ms: 5000,
            housekeeping_ms: 20_000,
            bytes_per_second: None,
            group: 1,
            file_size: FILE,
        };
        let mut link = MasterLink::new(rules, 0, NOW);
        let span = Span { min: 0, end };
        let mut sent = Vec::new();
        for word in fixture(&format!("{name}.s2m")).chunks(8) {
            link.received(word, span, NOW);
            loop {
                match link.act(span, NOW) {
                    MasterAct::Transfer { header, offset, len } => {
                        sent.extend(header);
                        sent.extend(&log[offset as usize..offset as usize + len]);
                    }
                    MasterAct::Wait(_) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
        let mut java = frames(&fixture(&format!("{name}.m2s")));
        java.retain(|(_, content)| !content.is_empty());
        assert_eq!(frames(&sent), java, "{name}");
        assert_eq!(link.acked(), Some(end), "{name}");
    }
}

#[test]
fn an_empty_java_slave_gets_the_last_file() {
    let end = FILE + 20_454;
    let rules = MasterRules {
        batch: 32 << 10,
        heartbeat_ms: 5000,
        housekeeping_ms: 20_000,
        bytes_per_second: None,
        group: 1,
        file_size: FILE,
    };
    let mut link = MasterLink::new(rules, 0, NOW);
    link.received(&0u64.to_be_bytes(), Span { min: 0, end }, NOW);
    let act = link.act(Span { min: 0, end }, NOW);
    assert!(matches!(act, MasterAct::Transfer { offset: FILE, len: 20_454, .. }), "{act:?}");
}
