//! The body of a batch (request 320) and of a record that holds several messages.
//!
//! ```text
//! | 4 size | 4 magic 0 | 4 CRC 0 | 4 flag | 4 n | n body | 2 n | n properties |
//! ```
//! One after the other, without a count.

use super::RecordError;
use crate::properties::{PROPERTIES_LEN_MAX, Properties};

const HEAD_LEN: usize = 5 * 4;
const ITEM_LEN_MIN: usize = HEAD_LEN + 2;

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchItem<'a> {
    /// The user's flag.
    pub flag: i32,
    pub body: &'a [u8],
    pub properties: Properties<'a>,
}

/// Iterates over the messages of a batch body; ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchItems<'a>(&'a [u8]);

impl<'a> BatchItems<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    fn take(&mut self) -> Result<BatchItem<'a>, RecordError> {
        let have = self.0.len();
        if have < ITEM_LEN_MIN {
            return Err(RecordError::Truncated { size: ITEM_LEN_MIN, have });
        }
        let int = |at: usize| {
            i32::from_be_bytes(self.0[at..at + 4].try_into().expect("the range has four bytes"))
        };
        let size = int(0);
        let len = usize::try_from(size).map_err(|_| RecordError::BadSize(size))?;
        if len < ITEM_LEN_MIN {
            return Err(RecordError::BadSize(size));
        }
        if len > have {
            return Err(RecordError::Truncated { size: len, have });
        }
        let bad = |part, length: i64| RecordError::BadLength { part, length, size: len };

        let flag = int(12);
        let body_len = int(16);
        let body_end = usize::try_from(body_len)
            .ok()
            .filter(|&body_len| body_len <= len - ITEM_LEN_MIN)
            .map(|body_len| HEAD_LEN + body_len)
            .ok_or_else(|| bad("body", i64::from(body_len)))?;
        let properties_len = i16::from_be_bytes([self.0[body_end], self.0[body_end + 1]]);
        let properties = body_end + 2..len;
        if usize::try_from(properties_len) != Ok(properties.len()) {
            return Err(bad("properties", i64::from(properties_len)));
        }
        let item = BatchItem {
            flag,
            body: &self.0[HEAD_LEN..body_end],
            properties: Properties::new(&self.0[properties]),
        };
        self.0 = &self.0[len..];
        Ok(item)
    }
}

impl<'a> Iterator for BatchItems<'a> {
    type Item = Result<BatchItem<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self.take();
        if item.is_err() {
            self.0 = &[];
        }
        Some(item)
    }
}

/// Appends one message to a batch body.
pub fn encode_batch_item(
    out: &mut Vec<u8>,
    flag: i32,
    body: &[u8],
    properties: &[u8],
) -> Result<(), RecordError> {
    if properties.len() > PROPERTIES_LEN_MAX {
        return Err(RecordError::PropertiesTooLong(properties.len()));
    }
    let size = i32::try_from(ITEM_LEN_MIN + body.len() + properties.len())
        .map_err(|_| RecordError::BodyTooLong(body.len()))?;
    out.reserve(size as usize);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&flag.to_be_bytes());
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&(properties.len() as u16).to_be_bytes());
    out.extend_from_slice(properties);
    Ok(())
}
