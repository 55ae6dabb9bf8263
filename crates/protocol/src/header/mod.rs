//! The header of a frame: its named fields, and the two codecs that carry them.
//!
//! [`json`] and [`binary`] give the same [`Fields`]; [`from_fields`] and [`to_fields`] turn those
//! into the typed headers of [`crate::request`] and back through serde.

pub mod binary;
pub mod from_fields;
pub mod json;
pub mod to_fields;

use bytestring::ByteString;

pub use from_fields::{DecodeFieldsError, FromFields};
pub use to_fields::ToFields;

/// Most fields one header may have; more ends the connection.
pub const FIELDS_MAX: usize = 1024;

/// The `extFields` of a frame in the order they came: names and values, all text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(ByteString, ByteString)>);

impl Fields {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.text(name).map(|value| &**value)
    }

    /// As [`get`](Self::get), but shareable without copying.
    pub fn text(&self, name: &str) -> Option<&ByteString> {
        self.0.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// Adds a field at the end; one of the same name that is there already stays first.
    #[inline]
    pub fn push(&mut self, name: impl Into<ByteString>, value: impl Into<ByteString>) {
        self.0.push((name.into(), value.into()));
    }

    /// Replaces the value of `name`, or adds it.
    pub fn set(&mut self, name: impl Into<ByteString>, value: impl Into<ByteString>) {
        let name = name.into();
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name, value.into())),
        }
    }

    /// Takes `name` out and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<ByteString> {
        let at = self.0.iter().position(|(key, _)| &**key == name)?;
        Some(self.0.remove(at).1)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<ByteString>, V: Into<ByteString>> FromIterator<(K, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Why a header cannot be read; the frame it came in is lost, and so is the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("header is not UTF-8 at byte {at}")]
    NotUtf8 { at: usize },
    #[error("header is broken JSON at byte {at}: expected {expected}")]
    Json { at: usize, expected: &'static str },
    #[error("header field `{name}`: `{value}` is not a 32-bit integer")]
    NotAnInteger { name: &'static str, value: String },
    #[error("header nests deeper than {max}")]
    TooDeep { max: usize },
    #[error("header has more than {FIELDS_MAX} fields")]
    TooManyFields,
    #[error("header ends at byte {len} inside `{part}`, which needs {needed} bytes more")]
    Short { part: &'static str, len: usize, needed: usize },
    #[error("header: length of `{part}` is {length}")]
    BadLength { part: &'static str, length: i32 },
}
