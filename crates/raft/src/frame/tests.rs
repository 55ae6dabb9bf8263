//! Frames there and back, and bytes that are none.

use skua_seeds::{Random, number};

use super::*;
use crate::options::{Peer, PeerId};

const HEAD: Head = Head { group: 5, origin: 0, life: 3, from: 2, to: 1 };

fn members() -> Members {
    let peer = |id| Peer { id: PeerId(id), address: format!("host{id}:40911") };
    Members::of(&[peer(1), peer(2), peer(3)])
}

fn data(index: u64, at: u64, bytes: &[u8]) -> Entry {
    let (len, crc) = (bytes.len() as u32, crc32fast::hash(bytes));
    let place = Place { at, len, flags: 0, messages: 1, crc };
    Entry {
        index,
        term: 4,
        data: bytes.to_vec().into(),
        context: place.encode().into(),
        ..Entry::default()
    }
}

fn change(index: u64) -> Entry {
    let change = Change::AddLearner(Peer { id: PeerId(4), address: "[::1]:40914".to_owned() });
    let mut entry = Entry { index, term: 4, context: change.encode().into(), ..Entry::default() };
    entry.set_entry_type(EntryType::EntryConfChange);
    entry
}

fn append() -> Message {
    let mut message =
        Message { from: 2, to: 1, term: 4, index: 9, log_term: 3, commit: 8, ..Message::default() };
    message.set_msg_type(MessageType::MsgAppend);
    let empty = Entry { index: 10, term: 4, ..Entry::default() };
    let entries = vec![empty, data(11, 4000, b"record"), change(12), data(13, 4006, b"another")];
    message.set_entries(entries.into());
    message
}

fn bodies() -> Vec<Body> {
    let mut snapshot = Message { from: 2, to: 1, term: 4, ..Message::default() };
    snapshot.set_msg_type(MessageType::MsgSnapshot);
    let metadata = snapshot.mut_snapshot().mut_metadata();
    (metadata.index, metadata.term) = (17, 4);
    metadata.set_conf_state(members().conf_state());
    let mut vote = Message { from: 2, to: 1, term: 4, ..Message::default() };
    vote.set_msg_type(MessageType::MsgRequestVote);
    vote.context = b"CampaignTransfer".to_vec().into();
    vote.priority = -1;
    let ended = EndedQueue { topic: "T".to_owned(), queue_id: QueueId(1), next: QueueOffset(9) };
    vec![
        Body::PutOut { at: 7 },
        Body::Hello(Hello { peers: 1, term: 2, first: 1, last: 3, first_members: members() }),
        Body::Raft(append()),
        Body::Raft(vote),
        Body::Offer(Offer {
            message: snapshot,
            members: members(),
            first_members: members(),
            end: 77,
        }),
        Body::Reverted { term: 4, last: 5 },
        Body::HowFar,
        Body::ThisFar { term: 4, last: 5 },
        Body::Want { at: 4096, until: 8192 },
        Body::Chunk(Chunk { at: 4096, len: 3, flags: 0, data: b"abc".to_vec() }),
        Body::Chunk(Chunk { at: 4096, len: 300, flags: ROLL, data: vec![1; ROLL_LEN] }),
        Body::Begin { min: 4096, ended: vec![ended] },
    ]
}

#[test]
fn every_frame_comes_back_as_it_was() {
    for body in bodies() {
        let frame = encode(&HEAD, &body);
        assert_eq!(frame_len(&frame[..FRAME_HEAD]), Ok(frame.len()));
        assert_eq!(frame_sender(&frame[..FRAME_HEAD]), Ok(2));
        assert_eq!(decode(&frame), Ok((HEAD, body)));
    }
}

#[test]
fn what_is_append_or_heartbeat_is_told_from_the_first_bytes() {
    let is_one = |body: &Body, term| is_append_or_heartbeat(&encode(&HEAD, body), term);
    assert!(is_one(&Body::Raft(append()), 4));
    assert!(!is_one(&Body::Raft(append()), 3), "another term may have to be noted on the disk");
    let found: Vec<_> = bodies().into_iter().filter(|body| is_one(body, 4)).collect();
    assert_eq!(found, [Body::Raft(append())]);
    let frame = encode(&HEAD, &Body::Raft(append()));
    assert!((0..FRAME_HEAD + 10).all(|len| !is_append_or_heartbeat(&frame[..len], 4)));
}

#[test]
fn bytes_that_are_no_frame_are_refused_whatever_they_are() {
    let seeds = number("SEEDS").unwrap_or(200_000);
    let frames: Vec<_> = bodies().iter().map(|body| encode(&HEAD, body)).collect();
    let mut random = Random(1);
    let mut taken = 0;
    for _ in 0..seeds {
        let mut frame = frames[random.below(frames.len() as u64) as usize].clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(frame.len() as u64) as usize;
            match random.below(4) {
                0 => frame[at] = random.below(256) as u8,
                1 => frame[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize],
                2 => frame.truncate(at.max(1)),
                _ => frame.insert(at, random.below(256) as u8),
            }
        }
        if frame.len() >= FRAME_HEAD && random.below(4) > 0 {
            // Somebody who knows how.
            let len = (frame.len() - FRAME_HEAD) as u32;
            frame[48..52].copy_from_slice(&len.to_be_bytes());
            let crc = checksum(&frame);
            frame[52..56].copy_from_slice(&crc.to_be_bytes());
        }
        if let Ok((head, body)) = decode(&frame) {
            taken += 1;
            // What is taken is what it says.
            assert_eq!(decode(&encode(&head, &body)), Ok((head, body)));
        }
    }
    assert!(taken > 0, "no changed frame was taken");
}

#[test]
fn entries_must_follow_each_other_and_be_what_they_say() {
    let refused = |message: Message| decode(&encode(&HEAD, &Body::Raft(message))).is_err();
    let with = |entries: Vec<Entry>| {
        let mut message = append();
        message.set_entries(entries.into());
        message
    };
    assert!(!refused(with(vec![data(10, 4000, b"record")])));
    let mut torn = data(10, 4000, b"record");
    torn.data = b"recorD".to_vec().into();
    assert!(refused(with(vec![torn])), "another checksum");
    let apart = vec![data(10, 4000, b"record"), data(11, 4007, b"another")];
    assert!(refused(with(apart)), "a hole in the log");
    let mut late = data(10, 4000, b"record");
    late.term = 5;
    assert!(refused(with(vec![late])), "of a later term than the message");
    for kind in [MessageType::MsgPropose, MessageType::MsgHup, MessageType::MsgReadIndex] {
        let mut message = append();
        message.set_entries(Vec::new().into());
        message.set_msg_type(kind);
        assert!(refused(message), "no peer may send {kind:?}");
    }
}
