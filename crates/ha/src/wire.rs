//! The bytes between a master and its slave (Java: `DefaultHAService`), and what two Skua brokers
//! say beyond them.
//!
//! ```text
//! slave to master, words of 8 bytes, big-endian:
//!   >= 0   offset up to which the slave has the log; the first one asks where to begin
//!   -1     nothing; Java takes no notice
//! master to slave, frames:
//!   | 8 physical offset | 4 size | size bytes of the log |        size 0 is a sign of life
//! ```
//! A Skua slave begins with three words of -1, a *knock* that a Java master passes over. A Skua
//! master answers with a frame whose offset is [`MARK`], which no log has; then both use more:
//!
//! ```text
//! slave, once, words: TALK | broker id | broker group | file size | first offset | end
//!                     | start of the checked tail | CRC of the tail | where to begin
//! master, frames at MARK: | 1 kind | ... |   1 hello, 2 refusal, 3 versions of tables
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::Span;

/// Bytes of one report.
pub const REPORT_LEN: usize = 8;
/// Bytes before a frame's content.
pub const HEADER_LEN: usize = 12;
/// A frame's content is never longer; Java sends `haTransferBatchSize`, 32 KiB unless set.
pub const FRAME_MAX: usize = 64 << 20;
/// Words of -1 that a Skua slave begins with.
pub(crate) const KNOCK_WORDS: usize = 3;
/// Offset of frames that are not about the log: "-SKUA-1".
pub(crate) const MARK: i64 = i64::MIN + 0x53_4b55_4101;
/// Word that begins a Skua slave's introduction.
pub(crate) const TALK: i64 = i64::MIN + 0x53_4b55_4102;
/// Words of the introduction after [`TALK`].
pub(crate) const TALK_WORDS: usize = 8;
/// A frame at [`MARK`] is never longer.
pub(crate) const MARKED_MAX: usize = 4096;

const HELLO: u8 = 1;
const REFUSAL: u8 = 2;
const VERSIONS: u8 = 3;

/// What a master says first to a Skua slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub group: u64,
    pub file_size: u64,
    pub log: Span,
}

/// What a Skua slave says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    pub broker_id: i64,
    pub group: u64,
    pub file_size: u64,
    pub log: Span,
    pub tail_from: u64,
    pub tail_crc: u32,
    pub begin: u64,
}

/// Numbers that change whenever a table of the master does; a slave fetches what changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    pub topics: u64,
    pub groups: u64,
    pub offsets: u64,
    pub delays: u64,
    /// Everything else that slaves copy.
    pub others: u64,
}

/// A frame at [`MARK`], understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    Hello(Hello),
    Refusal(String),
    Versions(Versions),
    /// Of a later version of Skua.
    Unknown,
}

pub(crate) fn report(offset: u64) -> [u8; REPORT_LEN] {
    (offset as i64).to_be_bytes()
}

pub(crate) fn knock() -> Bytes {
    Bytes::from_static(&[0xff; KNOCK_WORDS * REPORT_LEN])
}

pub(crate) fn header(offset: u64, size: usize) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&(offset as i64).to_be_bytes());
    header[8..].copy_from_slice(&(size as i32).to_be_bytes());
    header
}

fn marked(content: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER_LEN + content.len());
    frame.put_i64(MARK);
    frame.put_i32(content.len() as i32);
    frame.put_slice(content);
    frame.freeze()
}

fn numbers(kind: u8, numbers: &[u64]) -> Bytes {
    let mut content = vec![kind];
    content.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    marked(&content)
}

pub(crate) fn hello(hello: &Hello) -> Bytes {
    numbers(HELLO, &[hello.group, hello.file_size, hello.log.min, hello.log.end])
}

pub(crate) fn versions(versions: &Versions) -> Bytes {
    let Versions { topics, groups, offsets, delays, others } = *versions;
    numbers(VERSIONS, &[topics, groups, offsets, delays, others])
}

pub(crate) fn refusal(text: &str) -> Bytes {
    let mut content = vec![REFUSAL];
    content.extend(text.bytes().take(MARKED_MAX - 1));
    marked(&content)
}

pub(crate) fn read_marked(content: &[u8]) -> Marked {
    let Some((kind, rest)) = content.split_first() else { return Marked::Unknown };
    let (words, _) = rest.as_chunks::<8>();
    let word = |nth: usize| words.get(nth).map(|word| u64::from_be_bytes(*word));
    let hello = || {
        let (group, file_size, log) = (word(0)?, word(1)?, Span { min: word(2)?, end: word(3)? });
        Some(Marked::Hello(Hello { group, file_size, log }))
    };
    let versions = || {
        Some(Marked::Versions(Versions {
            topics: word(0)?,
            groups: word(1)?,
            offsets: word(2)?,
            delays: word(3)?,
            others: word(4)?,
        }))
    };
    match *kind {
        HELLO => hello().unwrap_or(Marked::Unknown),
        VERSIONS => versions().unwrap_or(Marked::Unknown),
        REFUSAL => Marked::Refusal(String::from_utf8_lossy(rest).into_owned()),
        _ => Marked::Unknown,
    }
}

pub(crate) fn talk(talk: &Talk) -> Bytes {
    let mut bytes = BytesMut::with_capacity((1 + TALK_WORDS) * REPORT_LEN);
    bytes.put_i64(TALK);
    bytes.put_i64(talk.broker_id);
    for word in [talk.group, talk.file_size, talk.log.min, talk.log.end, talk.tail_from] {
        bytes.put_u64(word);
    }
    bytes.put_u64(u64::from(talk.tail_crc));
    bytes.put_u64(talk.begin);
    bytes.freeze()
}

pub(crate) fn read_talk(words: &[i64; TALK_WORDS]) -> Talk {
    let [broker_id, group, file_size, min, end, tail_from, tail_crc, begin] = *words;
    Talk {
        broker_id,
        group: group as u64,
        file_size: file_size as u64,
        log: Span { min: min as u64, end: end as u64 },
        tail_from: tail_from as u64,
        tail_crc: tail_crc as u32,
        begin: begin as u64,
    }
}

/// A number for a broker's name within its cluster: what master and slaves share.
pub fn group_number(cluster: &str, broker_name: &str) -> u64 {
    // FNV-1a.
    let text = cluster.bytes().chain([0]).chain(broker_name.bytes());
    text.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
