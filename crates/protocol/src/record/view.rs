//! Reading a record where it lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use super::{
    BODY_CRC_AT, BORN_HOST_AT, BORN_TIMESTAMP_AT, FLAG_AT, FLAG_BORN_HOST_V6, FLAG_STORE_HOST_V6,
    MAGIC_AT, MAGIC_END_OF_FILE, MAGIC_V1, MAGIC_V2, Offsets, PHYSICAL_OFFSET_AT, QUEUE_ID_AT,
    QUEUE_OFFSET_AT, RecordError, SIZE_AT, SYS_FLAG_AT, body_crc, tags_code,
};
use crate::properties::{Properties, TAGS};
use crate::units::Millis;

/// What stands at a place in the commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    Message {
        size: usize,
    },
    /// Filler; the next record starts the next file.
    EndOfFile {
        size: usize,
    },
    /// Nothing written here: no room for size and magic, or both zero.
    Empty,
}

/// What `bytes` begins with, by size and magic alone.
pub fn next(bytes: &[u8]) -> Result<Peek, RecordError> {
    let Some(head) = bytes.first_chunk::<8>() else { return Ok(Peek::Empty) };
    let size = read_i32(head, SIZE_AT);
    let magic = read_u32(head, MAGIC_AT);
    if size == 0 && magic == 0 {
        return Ok(Peek::Empty);
    }
    let len = usize::try_from(size).map_err(|_| RecordError::BadSize(size))?;
    match magic {
        MAGIC_V1 | MAGIC_V2 if len < Offsets::of(0).body => Err(RecordError::BadSize(size)),
        MAGIC_END_OF_FILE if len < 8 => Err(RecordError::BadSize(size)),
        MAGIC_V1 | MAGIC_V2 | MAGIC_END_OF_FILE if len > bytes.len() => {
            Err(RecordError::Truncated { size: len, have: bytes.len() })
        }
        MAGIC_V1 | MAGIC_V2 => Ok(Peek::Message { size: len }),
        MAGIC_END_OF_FILE => Ok(Peek::EndOfFile { size: len }),
        _ => Err(RecordError::BadMagic(magic)),
    }
}

/// One stored message; all parts are known to lie within its bytes.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    offsets: Offsets,
    body: Range<usize>,
    topic: &'a str,
    properties: Range<usize>,
}

impl<'a> Record<'a> {
    /// The record that `bytes` begins with; what follows it is not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let size = match next(bytes)? {
            Peek::Message { size } => size,
            Peek::EndOfFile { .. } => return Err(RecordError::BadMagic(MAGIC_END_OF_FILE)),
            Peek::Empty => return Err(RecordError::BadSize(0)),
        };
        let bytes = &bytes[..size];
        let offsets = Offsets::of(read_i32(bytes, SYS_FLAG_AT));
        let part = |part, start: usize, length: i64| {
            let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
            match end {
                Some(end) if end <= size => Ok(start..end),
                _ => Err(RecordError::BadLength { part, length, size }),
            }
        };

        part("the fixed part", 0, offsets.body as i64)?;
        let body = part("body", offsets.body, i64::from(read_i32(bytes, offsets.body_len)))?;

        let topic_start = if read_u32(bytes, MAGIC_AT) == MAGIC_V2 {
            part("the topic's length", body.end, 2)?;
            let length = i16::from_be_bytes([bytes[body.end], bytes[body.end + 1]]);
            (body.end + 2, i64::from(length))
        } else {
            part("the topic's length", body.end, 1)?;
            // Java reads a signed byte; lengths over 127 are written under the other magic.
            (body.end + 1, i64::from(bytes[body.end] as i8))
        };
        let topic = part("topic", topic_start.0, topic_start.1)?;

        part("the properties' length", topic.end, 2)?;
        let length = i16::from_be_bytes([bytes[topic.end], bytes[topic.end + 1]]);
        let properties = part("properties", topic.end + 2, i64::from(length))?;
        if properties.end != size {
            let length = properties.end as i64;
            return Err(RecordError::BadLength { part: "all parts", length, size });
        }

        let topic = std::str::from_utf8(&bytes[topic]).map_err(|_| RecordError::TopicNotUtf8)?;
        Ok(Self { bytes, offsets, body, topic, properties })
    }

    /// As [`parse`](Self::parse), and if `check_crc` the body must have its CRC.
    pub fn parse_with(bytes: &'a [u8], check_crc: bool) -> Result<Self, RecordError> {
        let record = Self::parse(bytes)?;
        if check_crc {
            record.check_crc()?;
        }
        Ok(record)
    }

    /// Java: an empty body's CRC is not looked at.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let (stored, computed) = (self.body_crc(), body_crc(self.body()));
        if stored != computed && !self.body.is_empty() {
            return Err(RecordError::Crc { stored, computed });
        }
        Ok(())
    }

    /// The whole record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn body_crc(&self) -> u32 {
        read_u32(self.bytes, BODY_CRC_AT)
    }

    pub fn queue_id(&self) -> i32 {
        read_i32(self.bytes, QUEUE_ID_AT)
    }

    pub fn flag(&self) -> i32 {
        read_i32(self.bytes, FLAG_AT)
    }

    pub fn queue_offset(&self) -> i64 {
        read_i64(self.bytes, QUEUE_OFFSET_AT)
    }

    pub fn physical_offset(&self) -> i64 {
        read_i64(self.bytes, PHYSICAL_OFFSET_AT)
    }

    pub fn sys_flag(&self) -> i32 {
        read_i32(self.bytes, SYS_FLAG_AT)
    }

    pub fn born_timestamp(&self) -> Millis {
        Millis(read_i64(self.bytes, BORN_TIMESTAMP_AT))
    }

    pub fn born_host(&self) -> SocketAddr {
        read_host(self.bytes, BORN_HOST_AT, self.sys_flag() & FLAG_BORN_HOST_V6 != 0)
    }

    pub fn store_timestamp(&self) -> Millis {
        Millis(read_i64(self.bytes, self.offsets.store_timestamp))
    }

    pub fn store_host(&self) -> SocketAddr {
        read_host(self.bytes, self.offsets.store_host, self.sys_flag() & FLAG_STORE_HOST_V6 != 0)
    }

    pub fn reconsume_times(&self) -> i32 {
        read_i32(self.bytes, self.offsets.reconsume_times)
    }

    pub fn prepared_transaction_offset(&self) -> i64 {
        read_i64(self.bytes, self.offsets.prepared_transaction_offset)
    }

    /// As stored, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body.clone()]
    }

    pub fn topic(&self) -> &'a str {
        self.topic
    }

    pub fn properties(&self) -> Properties<'a> {
        Properties::new(&self.bytes[self.properties.clone()])
    }

    pub fn tags(&self) -> Option<&'a str> {
        self.properties().get(TAGS)
    }

    /// What the consume queue keeps of the tags of an ordinary message.
    pub fn tags_code(&self) -> i64 {
        self.tags().map_or(0, tags_code)
    }
}

// The callers have checked that the range lies within the bytes.

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("the range has four bytes"))
}

fn read_i32(bytes: &[u8], at: usize) -> i32 {
    read_u32(bytes, at) as i32
}

fn read_i64(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("the range has eight bytes"))
}

fn read_host(bytes: &[u8], at: usize, v6: bool) -> SocketAddr {
    let (ip, port_at) = if v6 {
        let ip: [u8; 16] = bytes[at..at + 16].try_into().expect("the range has sixteen bytes");
        (IpAddr::V6(Ipv6Addr::from(ip)), at + 16)
    } else {
        let ip: [u8; 4] = bytes[at..at + 4].try_into().expect("the range has four bytes");
        (IpAddr::V4(Ipv4Addr::from(ip)), at + 4)
    };
    // Four bytes hold what needs two.
    SocketAddr::new(ip, read_u32(bytes, port_at) as u16)
}
