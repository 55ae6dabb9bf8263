//! The layout of a stored message, which is also how pulls deliver it (Java: `MessageDecoder`,
//! `MessageExtEncoder`).
//!
//! ```text
//! | 4 size | 4 magic | 4 body CRC | 4 queue id | 4 flag | 8 queue offset | 8 physical offset |
//! | 4 sysFlag | 8 born time | 8/20 born host | 8 store time | 8/20 store host |
//! | 4 reconsume times | 8 prepared transaction offset | 4 n | n body |
//! | 1 or 2 n | n topic | 2 n | n properties |
//! ```
//! All big-endian. A host is its IP (4 or 16 bytes, by sysFlag) and a 4-byte port. The length of
//! the topic has one byte under the first magic, two under the second. The CRC-32 is over the body
//! as stored, without its highest bit. A commit log file ends with a filler of its remaining size
//! under a third magic.

mod batch;
mod encode;
mod hash;
mod message;
mod seal;
mod view;

pub use batch::{BatchItem, BatchItems, encode_batch_item};
pub use encode::{NewRecord, move_to, stamp};
pub use hash::{java_hash, tags_code};
pub(crate) use message::inflate;
pub use message::{BodyError, Message};
pub use seal::{SEAL_LEN, check_seal, reserve_seal, seal};
pub use view::{Peek, Record, next};

/// Topic length in one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Topic length in two bytes.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Filler at the end of a commit log file.
pub const MAGIC_END_OF_FILE: u32 = 0xCBD4_3194;

/// `sysFlag`: the body is compressed.
pub const FLAG_COMPRESSED: i32 = 0x1;
/// `sysFlag`: several tags.
pub const FLAG_MULTI_TAGS: i32 = 0x2;
/// `sysFlag`: both bits of the transaction state.
pub const FLAG_TRANSACTION_MASK: i32 = 0xC;
/// `sysFlag`: half message.
pub const FLAG_TRANSACTION_PREPARED: i32 = 0x4;
/// `sysFlag`: committed.
pub const FLAG_TRANSACTION_COMMIT: i32 = 0x8;
/// `sysFlag`: rolled back.
pub const FLAG_TRANSACTION_ROLLBACK: i32 = 0xC;
/// `sysFlag`: the born host has 16 bytes of IP.
pub const FLAG_BORN_HOST_V6: i32 = 0x10;
/// `sysFlag`: the store host has 16 bytes of IP.
pub const FLAG_STORE_HOST_V6: i32 = 0x20;
/// `sysFlag`: the body holds messages that the client takes apart.
pub const FLAG_NEED_UNWRAP: i32 = 0x40;
/// `sysFlag`: the body holds several messages.
pub const FLAG_INNER_BATCH: i32 = 0x80;
/// `sysFlag`: how a compressed body is compressed; 0 is zlib by old clients.
pub const FLAG_COMPRESSION_MASK: i32 = 0x700;
pub const FLAG_COMPRESSION_LZ4: i32 = 0x100;
pub const FLAG_COMPRESSION_ZSTD: i32 = 0x200;
pub const FLAG_COMPRESSION_ZLIB: i32 = 0x300;

/// Longest topic whose length fits the first magic's one byte.
pub const TOPIC_LEN_V1_MAX: usize = i8::MAX as usize;

const SIZE_AT: usize = 0;
const MAGIC_AT: usize = SIZE_AT + 4;
const BODY_CRC_AT: usize = MAGIC_AT + 4;
const QUEUE_ID_AT: usize = BODY_CRC_AT + 4;
const FLAG_AT: usize = QUEUE_ID_AT + 4;
const QUEUE_OFFSET_AT: usize = FLAG_AT + 4;
const PHYSICAL_OFFSET_AT: usize = QUEUE_OFFSET_AT + 8;
const SYS_FLAG_AT: usize = PHYSICAL_OFFSET_AT + 8;
const BORN_TIMESTAMP_AT: usize = SYS_FLAG_AT + 4;
const BORN_HOST_AT: usize = BORN_TIMESTAMP_AT + 8;

/// Where the parts after the born host lie; the two hosts vary in length.
#[derive(Clone, Copy, Debug)]
struct Offsets {
    store_timestamp: usize,
    store_host: usize,
    reconsume_times: usize,
    prepared_transaction_offset: usize,
    body_len: usize,
    body: usize,
}

impl Offsets {
    fn of(sys_flag: i32) -> Self {
        let store_timestamp = BORN_HOST_AT + host_len(sys_flag & FLAG_BORN_HOST_V6 != 0);
        let store_host = store_timestamp + 8;
        let reconsume_times = store_host + host_len(sys_flag & FLAG_STORE_HOST_V6 != 0);
        let prepared_transaction_offset = reconsume_times + 4;
        let body_len = prepared_transaction_offset + 8;
        Self {
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body_len,
            body: body_len + 4,
        }
    }
}

fn host_len(v6: bool) -> usize {
    if v6 { 16 + 4 } else { 4 + 4 }
}

/// CRC-32 as RocketMQ keeps it: the highest bit cleared.
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7fff_ffff
}

/// Why bytes are not a record, or a message cannot become one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("record of {size} bytes, but only {have} are there")]
    Truncated { size: usize, have: usize },
    #[error("record size {0} cannot be")]
    BadSize(i32),
    #[error("magic {0:#010x} is no record's")]
    BadMagic(u32),
    #[error("length of {part} is {length}, which does not fit a record of {size} bytes")]
    BadLength { part: &'static str, length: i64, size: usize },
    #[error("topic is not UTF-8")]
    TopicNotUtf8,
    #[error("CRC of the body is {computed:#010x}, the record says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("CRC of the record is {computed:#010x}, its property says {stored:#010x}")]
    Seal { stored: u32, computed: u32 },
    #[error("the record has no property with its CRC, which forceVerifyPropCRC demands")]
    NoSeal,
    #[error("topic of {0} bytes is longer than {max}", max = i16::MAX)]
    TopicTooLong(usize),
    #[error("properties of {0} bytes are longer than {max}", max = i16::MAX)]
    PropertiesTooLong(usize),
    #[error("body of {0} bytes makes the record longer than its size field can say")]
    BodyTooLong(usize),
}

#[cfg(test)]
mod tests;
