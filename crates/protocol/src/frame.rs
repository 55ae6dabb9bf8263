//! The outer layer: length, header word, header, body (`NettyDecoder`, `RemotingCommand`).
//!
//! ```text
//! | 4 length = 4 + header + body | 1 codec | 3 header length | header | body |
//! ```

use bytes::{Buf, BufMut, BytesMut};

use crate::command::{Command, HeaderCodec};
use crate::header::{HeaderError, binary, json};

/// Longest frame, its length word included (Java: `com.rocketmq.remoting.frameMaxLength`).
pub const FRAME_LEN_MAX: usize = 16 * 1024 * 1024;

const LENGTH_LEN: usize = 4;
const HEADER_WORD_LEN: usize = 4;
const HEADER_LEN_MASK: u32 = 0x00ff_ffff;
const CODEC_SHIFT: u32 = 24;
const CODEC_JSON: u8 = 0;
const CODEC_BINARY: u8 = 1;

/// Why a connection cannot go on; the stream has no way to find the next frame after any of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {len} bytes is over the limit of {max}")]
    TooLong { len: u64, max: usize },
    #[error("frame length {0} is negative")]
    NegativeLength(i32),
    #[error("frame length {0} has no room for the header word")]
    TooShort(usize),
    #[error("header of {header} bytes in a frame with room for {room}")]
    HeaderTooLong { header: usize, room: usize },
    #[error("header encoding {0} is neither JSON (0) nor binary (1)")]
    UnknownCodec(u8),
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// Takes one frame off the front of `buffer`; `None` if it is not all there yet.
///
/// A length that cannot be is refused as soon as its four bytes are there; no memory is reserved
/// on the strength of a length alone. Names and values of the header share the frame's memory.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Command>, FrameError> {
    let Some(length) = buffer.first_chunk::<LENGTH_LEN>() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    let length = usize::try_from(length).map_err(|_| FrameError::NegativeLength(length))?;
    let total = LENGTH_LEN + length;
    if total > FRAME_LEN_MAX {
        return Err(FrameError::TooLong { len: total as u64, max: FRAME_LEN_MAX });
    }
    if length < HEADER_WORD_LEN {
        return Err(FrameError::TooShort(length));
    }
    if buffer.len() < total {
        return Ok(None);
    }

    let mut frame = buffer.split_to(total).freeze();
    frame.advance(LENGTH_LEN);
    let word = frame.get_u32();
    let header_len = (word & HEADER_LEN_MASK) as usize;
    if header_len > frame.len() {
        return Err(FrameError::HeaderTooLong { header: header_len, room: frame.len() });
    }
    let header = frame.split_to(header_len);
    let mut command = match (word >> CODEC_SHIFT) as u8 {
        CODEC_JSON => json::decode(header)?,
        CODEC_BINARY => binary::decode(&header)?,
        other => return Err(FrameError::UnknownCodec(other)),
    };
    command.body = frame;
    Ok(Some(command))
}

/// How many whole frames `bytes` begin with, by their lengths alone: whether they can be frames at
/// all is for [`decode`] to say.
pub fn count(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(length) = bytes.first_chunk::<LENGTH_LEN>() {
        let total = LENGTH_LEN.saturating_add(u32::from_be_bytes(*length) as usize);
        if bytes.len() < total {
            break;
        }
        bytes = &bytes[total..];
        count += 1;
    }
    count
}

/// Appends `command` to `out`, header in `command.codec`; the body too.
pub fn encode(command: &Command, out: &mut BytesMut) {
    out.reserve(command.body.len());
    encode_head(command, out);
    out.put_slice(&command.body);
}

/// Appends everything of `command` but its body, which must follow: for large bodies that are
/// written from where they lie. A frame over [`FRAME_LEN_MAX`] is written too and the other side
/// refuses it, as between Java's; what Skua sends is bounded by message size and pull limits.
pub fn encode_head(command: &Command, out: &mut BytesMut) {
    let start = out.len();
    out.put_u64(0);
    let header_start = out.len();
    let codec = match command.codec {
        HeaderCodec::Json => {
            json::encode(command, out);
            CODEC_JSON
        }
        HeaderCodec::Binary => {
            binary::encode(command, out);
            CODEC_BINARY
        }
    };
    let header_len = out.len() - header_start;
    let length = (HEADER_WORD_LEN + header_len + command.body.len()) as u32;
    let word = u32::from(codec) << CODEC_SHIFT | header_len as u32 & HEADER_LEN_MASK;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&word.to_be_bytes());
}
