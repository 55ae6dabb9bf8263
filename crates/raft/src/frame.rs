//! What members of a group send each other.
//!
//! ```text
//! | 4 "SKRF" | 1 version | 1 kind | 2 zeros | 8 group | 8 origin | 8 life | 8 from | 8 to |
//! | 4 length of the body | 4 CRC of everything else | body |
//! ```
//! Origin is `u64::MAX` while the sender's log is empty. A frame is made and read whole; on a
//! stream the length at 48 says where the next begins ([`frame_len`]).

use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use skua_protocol::{QueueId, QueueOffset};
use skua_store::EndedQueue;

use crate::error::FrameError;
use crate::log::{Place, kind_of};
use crate::members::{Change, Members};
use crate::slot::{Kind, ROLL, ROLL_LEN};
use crate::wire::{Reader, put_short};

pub const FRAME_HEAD: usize = 56;
/// Bytes of a frame at most.
pub const FRAME_MAX: usize = 256 << 20;
const MAGIC: &[u8; 4] = b"SKRF";
const VERSION: u8 = 1;
const KIND_RAFT: u8 = 2;
const ENTRIES_MAX: usize = 1 << 16;
const CONTEXT_MAX: usize = 64;
/// Of a log that is empty.
pub(crate) const NO_ORIGIN: u64 = u64::MAX;

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub group: u64,
    pub origin: u64,
    pub life: u64,
    pub from: u64,
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Hello(Hello),
    Raft(Message),
    /// The leader's log as of an entry, whose bytes the receiver is to copy.
    Offer(Offer),
    /// The sender's log ends at an entry; what it acknowledged behind is gone.
    Reverted {
        term: u64,
        last: u64,
    },
    /// Until where must the log reach so that nothing acknowledged can be missing?
    HowFar,
    ThisFar {
        term: u64,
        last: u64,
    },
    /// Bytes of the commit log from here on, please, and none beyond.
    Want {
        at: u64,
        until: u64,
    },
    Chunk(Chunk),
    /// There is nothing there any more: begin at `min`. The queues are those whose messages are
    /// all before that.
    Begin {
        min: u64,
        ended: Vec<EndedQueue>,
    },
    /// The receiver is no member any more, as of the entry `at`, which is agreed on.
    PutOut {
        at: u64,
    },
}

/// Sent to everybody every second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Of the list of peers that the sender was started with.
    pub peers: u64,
    pub term: u64,
    /// First and last entry of the sender's log.
    pub first: u64,
    pub last: u64,
    pub first_members: Members,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    /// The library's message, without the members' addresses.
    pub message: Message,
    pub members: Members,
    pub first_members: Members,
    /// Where the entry ends in the commit log.
    pub end: u64,
}

/// Whole records, or the end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub at: u64,
    pub len: u32,
    pub flags: u8,
    pub data: Vec<u8>,
}

/// Length of the frame that begins with `head`, of [`FRAME_HEAD`] bytes; for who reads a stream.
pub fn frame_len(head: &[u8]) -> Result<usize, FrameError> {
    let mut reader = Reader(head);
    if reader.take(4)? != MAGIC {
        return Err(FrameError::Malformed("not a frame"));
    }
    let version = reader.u8()?;
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    reader.take(43)?;
    let len = FRAME_HEAD + reader.u32()? as usize;
    if len > FRAME_MAX { Err(FrameError::TooLong(len)) } else { Ok(len) }
}

/// Whom the frame that begins with `head` is from; for who has to answer a new connection.
pub fn frame_sender(head: &[u8]) -> Result<u64, FrameError> {
    frame_len(head)?;
    let mut reader = Reader(head);
    reader.take(32)?;
    reader.u64()
}

/// Whether a frame has entries or a heartbeat of this term, or the answer to them: taking those
/// saves no term and no vote, and so waits for no disk. Says nothing about whether it is right.
pub fn is_append_or_heartbeat(frame: &[u8], term: u64) -> bool {
    let kinds = [
        MessageType::MsgAppend,
        MessageType::MsgAppendResponse,
        MessageType::MsgHeartbeat,
        MessageType::MsgHeartbeatResponse,
    ];
    let message = frame.get(FRAME_HEAD..FRAME_HEAD + 10).filter(|_| frame[5] == KIND_RAFT);
    message.is_some_and(|message| {
        kinds.iter().any(|kind| *kind as u8 == message[0]) && message[2..] == term.to_be_bytes()
    })
}

pub(crate) fn encode(head: &Head, body: &Body) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_HEAD + 128);
    out.extend(MAGIC);
    out.extend([VERSION, kind(body), 0, 0]);
    for field in [head.group, head.origin, head.life, head.from, head.to] {
        out.extend(field.to_be_bytes());
    }
    out.extend([0; 8]);
    match body {
        Body::Hello(hello) => {
            for field in [hello.peers, hello.term, hello.first, hello.last] {
                out.extend(field.to_be_bytes());
            }
            hello.first_members.encode(&mut out);
        }
        Body::Raft(message) => encode_message(message, &mut out),
        Body::Offer(offer) => {
            encode_message(&offer.message, &mut out);
            let metadata = offer.message.get_snapshot().get_metadata();
            for field in [metadata.index, metadata.term, offer.end] {
                out.extend(field.to_be_bytes());
            }
            offer.members.encode(&mut out);
            offer.first_members.encode(&mut out);
        }
        Body::Reverted { term, last } | Body::ThisFar { term, last } => {
            out.extend(term.to_be_bytes());
            out.extend(last.to_be_bytes());
        }
        Body::HowFar => {}
        Body::PutOut { at } => out.extend(at.to_be_bytes()),
        Body::Want { at, until } => {
            out.extend(at.to_be_bytes());
            out.extend(until.to_be_bytes());
        }
        Body::Chunk(chunk) => {
            out.extend(chunk.at.to_be_bytes());
            out.extend(chunk.len.to_be_bytes());
            out.push(chunk.flags);
            out.extend(&chunk.data);
        }
        Body::Begin { min, ended } => {
            out.extend(min.to_be_bytes());
            for EndedQueue { topic, queue_id, next } in ended {
                put_short(&mut out, topic.as_bytes());
                out.extend(queue_id.0.to_be_bytes());
                out.extend(next.0.to_be_bytes());
            }
        }
    }
    let len = (out.len() - FRAME_HEAD) as u32;
    out[48..52].copy_from_slice(&len.to_be_bytes());
    let crc = checksum(&out);
    out[52..56].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Of everything but itself: a head that says something else would do as much harm as a body.
fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..FRAME_HEAD - 4]);
    hasher.update(&frame[FRAME_HEAD..]);
    hasher.finalize()
}

fn kind(body: &Body) -> u8 {
    match body {
        Body::Hello(_) => 1,
        Body::Raft(_) => KIND_RAFT,
        Body::Offer(_) => 3,
        Body::Reverted { .. } => 4,
        Body::HowFar => 5,
        Body::ThisFar { .. } => 6,
        Body::Want { .. } => 7,
        Body::Chunk(_) => 8,
        Body::Begin { .. } => 9,
        Body::PutOut { .. } => 10,
    }
}

pub(crate) fn decode(frame: &[u8]) -> Result<(Head, Body), FrameError> {
    if frame.len() > FRAME_MAX {
        return Err(FrameError::TooLong(frame.len()));
    }
    if frame_len(frame)? != frame.len() {
        return Err(FrameError::Malformed("length"));
    }
    let mut reader = Reader(frame);
    reader.take(5)?;
    let kind = reader.u8()?;
    reader.take(2)?;
    let head = Head {
        group: reader.u64()?,
        origin: reader.u64()?,
        life: reader.u64()?,
        from: reader.u64()?,
        to: reader.u64()?,
    };
    reader.u32()?;
    let crc = reader.u32()?;
    if crc != checksum(frame) {
        return Err(FrameError::Checksum);
    }
    let body = match kind {
        1 => Body::Hello(Hello {
            peers: reader.u64()?,
            term: reader.u64()?,
            first: reader.u64()?,
            last: reader.u64()?,
            first_members: Members::decode(&mut reader)?,
        }),
        KIND_RAFT => Body::Raft(decode_message(&mut reader, &head)?),
        3 => Body::Offer(decode_offer(&mut reader, &head)?),
        4 => Body::Reverted { term: reader.u64()?, last: reader.u64()? },
        5 => Body::HowFar,
        6 => Body::ThisFar { term: reader.u64()?, last: reader.u64()? },
        7 => Body::Want { at: reader.u64()?, until: reader.u64()? },
        8 => {
            let chunk = Chunk {
                at: reader.u64()?,
                len: reader.u32()?,
                flags: reader.u8()?,
                data: std::mem::take(&mut reader.0).to_vec(),
            };
            check_length(chunk.at, chunk.len, chunk.flags, chunk.data.len())?;
            Body::Chunk(chunk)
        }
        9 => {
            let min = reader.u64()?;
            let mut ended = Vec::new();
            while !reader.0.is_empty() {
                let topic = reader.string(usize::from(u16::MAX))?;
                let queue_id = QueueId(reader.u32()?);
                let next = QueueOffset(reader.u64()?);
                if next.0 > u64::MAX / 64 {
                    return Err(FrameError::Malformed("queue offset"));
                }
                ended.push(EndedQueue { topic, queue_id, next });
            }
            Body::Begin { min, ended }
        }
        10 => Body::PutOut { at: reader.u64()? },
        _ => return Err(FrameError::Malformed("unknown kind")),
    };
    reader.end()?;
    Ok((head, body))
}

fn encode_message(message: &Message, out: &mut Vec<u8>) {
    out.push(message.get_msg_type() as u8);
    out.push(u8::from(message.reject));
    for field in [
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.request_snapshot,
        message.reject_hint,
        message.priority as u64,
    ] {
        out.extend(field.to_be_bytes());
    }
    put_short(out, &message.context);
    out.extend((message.entries.len() as u32).to_be_bytes());
    let data: usize = message.entries.iter().map(|entry| entry.data.len() + 64).sum();
    out.reserve(data);
    for entry in message.entries.iter() {
        let kind = kind_of(entry);
        out.push(kind.code());
        out.extend(entry.term.to_be_bytes());
        put_short(out, &entry.context);
        let data: &[u8] = if kind == Kind::Data { &entry.data } else { &[] };
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(data);
    }
}

/// The kinds of message that peers may send; the others are a member's own.
fn message_type(code: u8) -> Option<MessageType> {
    use MessageType::*;
    let allowed = [
        MsgAppend,
        MsgAppendResponse,
        MsgRequestVote,
        MsgRequestVoteResponse,
        MsgSnapshot,
        MsgHeartbeat,
        MsgHeartbeatResponse,
        MsgTimeoutNow,
        MsgRequestPreVote,
        MsgRequestPreVoteResponse,
    ];
    allowed.into_iter().find(|allowed| *allowed as u8 == code)
}

fn decode_message(reader: &mut Reader<'_>, head: &Head) -> Result<Message, FrameError> {
    let kind = message_type(reader.u8()?).ok_or(FrameError::Malformed("kind of message"))?;
    let mut message = Message { from: head.from, to: head.to, ..Message::default() };
    message.set_msg_type(kind);
    message.reject = reader.bool()?;
    message.term = reader.u64()?;
    message.log_term = reader.u64()?;
    message.index = reader.u64()?;
    message.commit = reader.u64()?;
    message.commit_term = reader.u64()?;
    message.request_snapshot = reader.u64()?;
    message.reject_hint = reader.u64()?;
    message.priority = reader.u64()? as i64;
    message.context = reader.short(CONTEXT_MAX)?.to_vec().into();
    let count = reader.u32()? as usize;
    let wrong = |cause| Err(FrameError::Malformed(cause));
    if count > ENTRIES_MAX || (count > 0 && kind != MessageType::MsgAppend) {
        return wrong("entries that do not belong there");
    }
    if message.term == 0 || message.index > u64::MAX / 2 || message.commit > u64::MAX / 2 {
        return wrong("a term or index that cannot be");
    }
    let mut entries = Vec::with_capacity(count.min(1024));
    let (mut term, mut end) = (message.log_term, None);
    for nth in 0..count as u64 {
        let entry = decode_entry(reader, message.index + 1 + nth, &mut end)?;
        if entry.term < term || entry.term > message.term {
            return wrong("terms that do not follow each other");
        }
        term = entry.term;
        entries.push(entry);
    }
    message.set_entries(entries.into());
    Ok(message)
}

fn decode_entry(
    reader: &mut Reader<'_>,
    index: u64,
    end: &mut Option<u64>,
) -> Result<Entry, FrameError> {
    let wrong = |cause| Err(FrameError::Malformed(cause));
    let Some(kind) = Kind::of(reader.u8()?) else { return wrong("kind of entry") };
    let mut entry = Entry { index, term: reader.u64()?, ..Entry::default() };
    let context = reader.short(Change::decode_max())?;
    let len = reader.u32()? as usize;
    let data = reader.take(len)?;
    match kind {
        Kind::Empty if context.is_empty() && data.is_empty() => {}
        Kind::Change if data.is_empty() => {
            Change::decode(context)?;
            entry.set_entry_type(EntryType::EntryConfChange);
        }
        Kind::Data => {
            let place = Place::decode(context)?;
            check_length(place.at, place.len, place.flags, data.len())?;
            if place.len == 0 || end.is_some_and(|end| end != place.at) {
                return wrong("entries that do not follow each other");
            }
            if place.crc != crc32fast::hash(data) {
                return Err(FrameError::Checksum);
            }
            *end = Some(place.at + u64::from(place.len));
        }
        Kind::Empty | Kind::Change => return wrong("an entry with bytes that do not belong there"),
    }
    entry.context = context.to_vec().into();
    entry.data = data.to_vec().into();
    Ok(entry)
}

/// Whether that many bytes are what travels of a stretch of the log.
fn check_length(at: u64, len: u32, flags: u8, data: usize) -> Result<(), FrameError> {
    let fits = match flags {
        0 => data == len as usize,
        ROLL => data == ROLL_LEN && len as usize >= ROLL_LEN,
        _ => false,
    };
    if fits && at <= u64::MAX / 2 { Ok(()) } else { Err(FrameError::Malformed("length of bytes")) }
}

fn decode_offer(reader: &mut Reader<'_>, head: &Head) -> Result<Offer, FrameError> {
    let mut message = decode_message(reader, head)?;
    if message.get_msg_type() != MessageType::MsgSnapshot {
        return Err(FrameError::Malformed("an offer of something else"));
    }
    let (index, term, end) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let members = Members::decode(reader)?;
    let first_members = Members::decode(reader)?;
    let metadata = message.mut_snapshot().mut_metadata();
    metadata.index = index;
    metadata.term = term;
    metadata.set_conf_state(members.conf_state());
    if index == 0 || term == 0 || members.is_empty() || end > u64::MAX / 2 {
        return Err(FrameError::Malformed("an offer of nothing"));
    }
    Ok(Offer { message, members, first_members, end })
}

#[cfg(test)]
mod tests;
