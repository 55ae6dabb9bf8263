//! Messages as a client gets them.

use std::net::SocketAddr;

use bytes::Bytes;
use bytestring::ByteString;
use flate2::{Decompress, FlushDecompress, Status};

use super::{
    BatchItems, FLAG_COMPRESSED, FLAG_COMPRESSION_MASK, FLAG_COMPRESSION_ZLIB, FLAG_INNER_BATCH,
    FLAG_NEED_UNWRAP, Peek, Record, RecordError, next,
};
use crate::properties::{INNER_BASE, KEYS, Properties, TAGS, UNIQ_KEY};
use crate::units::Millis;

/// A delivered message; body and properties share the memory of the pull's body.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: ByteString,
    pub queue_id: i32,
    pub queue_offset: i64,
    pub physical_offset: i64,
    /// The user's flag.
    pub flag: i32,
    pub sys_flag: i32,
    pub born_timestamp: Millis,
    pub born_host: SocketAddr,
    pub store_timestamp: Millis,
    pub store_host: SocketAddr,
    pub reconsume_times: i32,
    pub prepared_transaction_offset: i64,
    /// As stored; see [`plain_body`](Self::plain_body).
    pub body: Bytes,
    /// Encoded, see [`crate::properties`].
    pub properties: Bytes,
}

/// Why a compressed body cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("compression {0:#x} is not supported, only zlib is")]
    Unsupported(i32),
    #[error("the compressed body is broken")]
    Broken,
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
}

impl Message {
    /// All messages of a pull's body; a message that holds several is taken apart.
    pub fn decode_all(body: &Bytes) -> Result<Vec<Self>, RecordError> {
        let mut messages = Vec::new();
        let mut at = 0;
        while let Peek::Message { size } = next(&body[at..])? {
            let record = Record::parse(&body[at..at + size])?;
            at += size;
            let message = Self::of(&record, body);
            if message.sys_flag & FLAG_NEED_UNWRAP != 0 && message.sys_flag & FLAG_INNER_BATCH != 0
            {
                message.unwrap_into(&mut messages)?;
            } else {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn of(record: &Record<'_>, shared: &Bytes) -> Self {
        Self {
            topic: record.topic().into(),
            queue_id: record.queue_id(),
            queue_offset: record.queue_offset(),
            physical_offset: record.physical_offset(),
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host(),
            store_timestamp: record.store_timestamp(),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
            body: shared.slice_ref(record.body()),
            properties: shared.slice_ref(record.properties().encoded()),
        }
    }

    fn unwrap_into(self, messages: &mut Vec<Self>) -> Result<(), RecordError> {
        let base = self.property(INNER_BASE).and_then(|base| base.parse().ok());
        let base: i64 = base.unwrap_or(self.queue_offset);
        for (item, index) in BatchItems::new(&self.body).zip(0i64..) {
            let item = item?;
            messages.push(Self {
                flag: item.flag,
                sys_flag: self.sys_flag & !(FLAG_NEED_UNWRAP | FLAG_INNER_BATCH),
                queue_offset: base.saturating_add(index),
                body: self.body.slice_ref(item.body),
                properties: self.body.slice_ref(item.properties.encoded()),
                ..self.clone()
            });
        }
        Ok(())
    }

    pub fn properties(&self) -> Properties<'_> {
        Properties::new(&self.properties)
    }

    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties().get(name)
    }

    pub fn tags(&self) -> Option<&str> {
        self.property(TAGS)
    }

    pub fn keys(&self) -> Option<&str> {
        self.property(KEYS)
    }

    pub fn unique_id(&self) -> Option<&str> {
        self.property(UNIQ_KEY)
    }

    /// The id made of store host and physical offset.
    pub fn offset_id(&self) -> String {
        let offset = crate::PhysicalOffset(self.physical_offset as u64);
        crate::message_id::offset_id(self.store_host, offset).into()
    }

    /// The body as it was before compression, at most `len_max` bytes long.
    pub fn plain_body(&self, len_max: usize) -> Result<Bytes, BodyError> {
        if self.sys_flag & FLAG_COMPRESSED == 0 {
            return Ok(self.body.clone());
        }
        match self.sys_flag & FLAG_COMPRESSION_MASK {
            0 | FLAG_COMPRESSION_ZLIB => inflate(&self.body, len_max).map(Bytes::from),
            other => Err(BodyError::Unsupported(other)),
        }
    }
}

/// Undoes zlib; no more than `len_max` bytes come out.
pub(crate) fn inflate(compressed: &[u8], len_max: usize) -> Result<Vec<u8>, BodyError> {
    const STEP: usize = 64 * 1024;
    let mut inflater = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        let rest = &compressed[inflater.total_in() as usize..];
        out.reserve(STEP.min(compressed.len().saturating_mul(4).max(64)));
        let before = (inflater.total_in(), inflater.total_out());
        let status = inflater
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|_| BodyError::Broken)?;
        if out.len() > len_max {
            return Err(BodyError::TooLong(len_max));
        }
        match status {
            Status::StreamEnd => return Ok(out),
            // No progress although there is room: the input ends too early.
            _ if before == (inflater.total_in(), inflater.total_out()) => {
                return Err(BodyError::Broken);
            }
            _ => {}
        }
    }
}
