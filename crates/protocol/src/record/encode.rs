//! Making a record of a message, with holes for what only the append knows.

use std::net::{IpAddr, SocketAddr};

use super::{
    FLAG_BORN_HOST_V6, FLAG_STORE_HOST_V6, MAGIC_V1, MAGIC_V2, Offsets, PHYSICAL_OFFSET_AT,
    QUEUE_OFFSET_AT, RecordError, SYS_FLAG_AT, TOPIC_LEN_V1_MAX, body_crc, check_seal, seal,
};
use crate::properties::PROPERTIES_LEN_MAX;
use crate::units::{Millis, PhysicalOffset, QueueId, QueueOffset};

/// A message about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    pub topic: &'a str,
    pub queue_id: QueueId,
    /// The user's flag.
    pub flag: i32,
    /// The two host bits are set by [`encode`](Self::encode) from the addresses.
    pub sys_flag: i32,
    pub born_timestamp: Millis,
    pub born_host: SocketAddr,
    pub store_host: SocketAddr,
    pub reconsume_times: i32,
    /// Physical offset of the half message, 0 for all others.
    pub prepared_transaction_offset: i64,
    /// As the client sent it, compressed or not.
    pub body: &'a [u8],
    /// Encoded, see [`crate::properties`].
    pub properties: &'a [u8],
}

impl NewRecord<'_> {
    /// `sys_flag` with the host bits as the addresses are.
    pub fn stored_sys_flag(&self) -> i32 {
        let mut sys_flag = self.sys_flag & !(FLAG_BORN_HOST_V6 | FLAG_STORE_HOST_V6);
        if self.born_host.is_ipv6() {
            sys_flag |= FLAG_BORN_HOST_V6;
        }
        if self.store_host.is_ipv6() {
            sys_flag |= FLAG_STORE_HOST_V6;
        }
        sys_flag
    }

    /// Bytes that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let topic_len_len = if self.topic.len() > TOPIC_LEN_V1_MAX { 2 } else { 1 };
        Offsets::of(self.stored_sys_flag()).body
            + self.body.len()
            + topic_len_len
            + self.topic.len()
            + 2
            + self.properties.len()
    }

    /// Appends the record; queue offset, physical offset and store time stay 0 until [`stamp`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        if self.topic.len() > i16::MAX as usize {
            return Err(RecordError::TopicTooLong(self.topic.len()));
        }
        if self.properties.len() > PROPERTIES_LEN_MAX {
            return Err(RecordError::PropertiesTooLong(self.properties.len()));
        }
        let len = self.encoded_len();
        let size = i32::try_from(len).map_err(|_| RecordError::BodyTooLong(self.body.len()))?;
        let long_topic = self.topic.len() > TOPIC_LEN_V1_MAX;

        out.reserve(len);
        let start = out.len();
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&(if long_topic { MAGIC_V2 } else { MAGIC_V1 }).to_be_bytes());
        out.extend_from_slice(&body_crc(self.body).to_be_bytes());
        out.extend_from_slice(&self.queue_id.0.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&[0; 8]); // queue offset
        out.extend_from_slice(&[0; 8]); // physical offset
        out.extend_from_slice(&self.stored_sys_flag().to_be_bytes());
        out.extend_from_slice(&self.born_timestamp.0.to_be_bytes());
        put_host(out, self.born_host);
        out.extend_from_slice(&[0; 8]); // store timestamp
        put_host(out, self.store_host);
        out.extend_from_slice(&self.reconsume_times.to_be_bytes());
        out.extend_from_slice(&self.prepared_transaction_offset.to_be_bytes());
        out.extend_from_slice(&(self.body.len() as u32).to_be_bytes());
        out.extend_from_slice(self.body);
        if long_topic {
            out.extend_from_slice(&(self.topic.len() as u16).to_be_bytes());
        } else {
            out.push(self.topic.len() as u8);
        }
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&(self.properties.len() as u16).to_be_bytes());
        out.extend_from_slice(self.properties);
        debug_assert_eq!(out.len() - start, len);
        Ok(())
    }
}

fn put_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&u32::from(host.port()).to_be_bytes());
}

/// Fills the holes of the record that `record` begins with.
///
/// # Panics
/// If `record` is not what [`NewRecord::encode`] wrote.
pub fn stamp(
    record: &mut [u8],
    queue_offset: QueueOffset,
    physical_offset: PhysicalOffset,
    store_timestamp: Millis,
) {
    let sys_flag: [u8; 4] =
        record[SYS_FLAG_AT..SYS_FLAG_AT + 4].try_into().expect("the range has four bytes");
    let store_timestamp_at = Offsets::of(i32::from_be_bytes(sys_flag)).store_timestamp;
    record[QUEUE_OFFSET_AT..QUEUE_OFFSET_AT + 8].copy_from_slice(&queue_offset.0.to_be_bytes());
    record[PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8]
        .copy_from_slice(&physical_offset.0.to_be_bytes());
    record[store_timestamp_at..store_timestamp_at + 8]
        .copy_from_slice(&store_timestamp.0.to_be_bytes());
}

/// Gives a record another place in the log, and that of its half message; if it has a checksum of
/// all of it, that is made anew.
///
/// # Panics
/// If [`Record::parse`](super::Record::parse) does not take `record`.
pub fn move_to(
    record: &mut [u8],
    physical_offset: PhysicalOffset,
    prepared_transaction_offset: i64,
) {
    let sys_flag: [u8; 4] =
        record[SYS_FLAG_AT..SYS_FLAG_AT + 4].try_into().expect("the range has four bytes");
    let prepared_at = Offsets::of(i32::from_be_bytes(sys_flag)).prepared_transaction_offset;
    record[PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8]
        .copy_from_slice(&physical_offset.0.to_be_bytes());
    record[prepared_at..prepared_at + 8]
        .copy_from_slice(&prepared_transaction_offset.to_be_bytes());
    if check_seal(record).is_some() {
        seal(record);
    }
}
