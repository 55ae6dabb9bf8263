//! RocketMQ's wire protocol and stored-message layout as plain values.
//!
//! Bytes in, typed values out, and back. Knows no socket, no file, no clock and no store.
//! Start at [`frame`] for the outer layer, [`request`] for the headers of each request code,
//! [`body`] for JSON bodies, [`record`] for the layout of a stored message.

pub mod body;
pub mod code;
pub mod command;
pub mod frame;
pub mod header;
pub mod json;
pub mod message_id;
pub mod properties;
pub mod record;
pub mod request;
pub mod service;
pub mod units;

pub use code::{RequestCode, ResponseCode};
pub use command::Command;
pub use units::{Millis, PhysicalOffset, QueueId, QueueOffset};
