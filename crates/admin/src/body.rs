//! Bodies as they were before compression.

use std::io::Read;

use bytes::Bytes;
use skua_protocol::record::{
    BodyError, FLAG_COMPRESSED, FLAG_COMPRESSION_LZ4, FLAG_COMPRESSION_MASK, FLAG_COMPRESSION_ZSTD,
    Message,
};

/// Longest body after decompression.
const LEN_MAX: usize = 64 * 1024 * 1024;

/// The plain body, whichever of Java's three compressions was used.
pub fn plain(message: &Message) -> Result<Bytes, BodyError> {
    if message.sys_flag & FLAG_COMPRESSED == 0 {
        return Ok(message.body.clone());
    }
    match message.sys_flag & FLAG_COMPRESSION_MASK {
        FLAG_COMPRESSION_LZ4 => read(lz4_flex::frame::FrameDecoder::new(&message.body[..])),
        FLAG_COMPRESSION_ZSTD => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(&message.body[..])
                .map_err(|_| BodyError::Broken)?;
            read(decoder)
        }
        _ => message.plain_body(LEN_MAX),
    }
}

fn read(decoder: impl Read) -> Result<Bytes, BodyError> {
    let mut out = Vec::new();
    let limit = LEN_MAX as u64 + 1;
    decoder.take(limit).read_to_end(&mut out).map_err(|_| BodyError::Broken)?;
    if out.len() > LEN_MAX {
        return Err(BodyError::TooLong(LEN_MAX));
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use skua_protocol::Millis;

    use super::*;

    fn message(kind: i32, body: Vec<u8>) -> Message {
        let host = ([127, 0, 0, 1], 1).into();
        Message {
            topic: "T".into(),
            queue_id: 0,
            queue_offset: 0,
            physical_offset: 0,
            flag: 0,
            sys_flag: FLAG_COMPRESSED | kind,
            born_timestamp: Millis(0),
            born_host: host,
            store_timestamp: Millis(0),
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: body.into(),
            properties: Bytes::new(),
        }
    }

    #[test]
    fn lz4_and_zstd_bodies_are_opened() {
        let text = "hello ".repeat(1000);
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(text.as_bytes()).expect("memory");
        let lz4 = encoder.finish().expect("memory");
        assert_eq!(plain(&message(FLAG_COMPRESSION_LZ4, lz4)).expect("whole"), text);
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
        assert_eq!(plain(&message(FLAG_COMPRESSION_ZSTD, zstd)).expect("whole"), text);
    }

    #[test]
    fn broken_bodies_are_told() {
        for kind in [FLAG_COMPRESSION_LZ4, FLAG_COMPRESSION_ZSTD] {
            let broken = message(kind, b"not compressed at all".to_vec());
            assert_eq!(plain(&broken), Err(BodyError::Broken));
        }
    }
}
