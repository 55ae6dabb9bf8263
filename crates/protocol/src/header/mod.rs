//! The header of a frame: its named fields, and the two codecs that carry them.
//!
//! [`json`] and [`binary`] give the same [`Fields`]; [`from_fields`] and [`to_fields`] turn those
//! into the typed headers of [`crate::request`] and back through serde.

pub mod binary;
pub mod fields;
pub mod from_fields;
pub mod json;
pub mod to_fields;

pub use fields::Fields;
pub use from_fields::{DecodeFieldsError, FromFields};
pub use to_fields::ToFields;

/// Most fields one header may have; more ends the connection.
pub const FIELDS_MAX: usize = 1024;

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
