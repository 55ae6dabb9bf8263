//! The binary header (Java: `RocketMQSerializable`).
//!
//! ```text
//! | 2 code | 1 language | 2 version | 4 opaque | 4 flag | 4 n | n remark |
//! | 4 bytes of all fields | ( 2 n | n name | 4 m | m value )… |
//! ```
//! An empty name or value stands for null in Java, so such a field is as good as absent.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{FIELDS_MAX, Fields, HeaderError};
use crate::code::RequestCode;
use crate::command::{Command, FLAG_RESPONSE, HeaderCodec, Language};

/// Codes above 65535 lose this much in the header's 16 bits (pop: 200050 becomes 3442).
const CODE_LOST: i32 = 200_050 - 3442;
const CODES_TRUNCATED: std::ops::RangeInclusive<i32> = 3442..=3543;

/// So many fields are compared with those before them; no header that is written twice has more.
const TWICE_MAX: usize = 64;
/// Fields that there is room for at first: a send has fourteen, and more than sixteen are rare.
const FIELDS_EXPECTED: usize = 16;

pub(crate) fn decode(mut header: &[u8]) -> Result<Command, HeaderError> {
    let all = header.len();
    need(header, all, "code to flag", 13)?;
    let code = i32::from(header.get_i16());
    let language = Language(header.get_u8());
    let version = i32::from(header.get_i16());
    let opaque = header.get_i32();
    let flag = header.get_i32();

    let remark_len = length(&mut header, all, "remark length")?;
    let remark = match remark_len {
        0 => None,
        len => Some(text(&mut header, all, "remark", len)?.into()),
    };

    // Java reads no fields from a header that ends here.
    let mut fields = Fields::new();
    if !header.is_empty() {
        let fields_len = length(&mut header, all, "fields length")?;
        need(header, all, "fields", fields_len)?;
        let mut rest = &header[..fields_len];
        if fields_len > 0 {
            fields = Fields::with_room(FIELDS_EXPECTED, fields_len);
        }
        let mut seen = Seen::default();
        while !rest.is_empty() {
            need(rest, all, "name length", 2)?;
            let name_len = rest.get_i16();
            let name_len = usize::try_from(name_len).map_err(|_| HeaderError::BadLength {
                part: "name",
                length: i32::from(name_len),
            })?;
            let name = text(&mut rest, all, "name", name_len)?;
            let value_len = length(&mut rest, all, "value length")?;
            let value = text(&mut rest, all, "value", value_len)?;
            if name_len > 0 && value_len > 0 {
                if fields.len() == FIELDS_MAX {
                    return Err(HeaderError::TooManyFields);
                }
                // Java: the last one counts. Its client writes every field of some headers twice
                // once a hook has looked at them, as the one that signs does.
                if fields.len() < TWICE_MAX && seen.before(name) {
                    fields.set(name, value);
                } else {
                    fields.push(name, value);
                }
            }
        }
    }

    Ok(Command {
        code: if flag & FLAG_RESPONSE == 0 { restored(code) } else { code },
        language,
        version,
        opaque,
        flag,
        remark,
        fields,
        body: Bytes::new(),
        codec: HeaderCodec::Binary,
    })
}

/// Whether a name may have come before: mostly none has, and then none has to be looked for.
#[derive(Default)]
struct Seen(u64);

impl Seen {
    fn before(&mut self, name: &str) -> bool {
        let (first, last) = (name.as_bytes()[0], name.as_bytes()[name.len() - 1]);
        let mark = usize::from(first) + 6 * usize::from(last) + 29 * name.len();
        let bit = 1 << (mark % 64);
        let before = self.0 & bit != 0;
        self.0 |= bit;
        before
    }
}

/// Undoes the truncation of the pop and lite codes; no real code lies where they end up.
fn restored(code: i32) -> i32 {
    if CODES_TRUNCATED.contains(&code) && RequestCode::from_i32(code + CODE_LOST).is_some() {
        code + CODE_LOST
    } else {
        code
    }
}

pub(crate) fn encode(command: &Command, out: &mut BytesMut) {
    // Java: the code is cut to 16 bits as well.
    out.put_i16(command.code as i16);
    out.put_u8(command.language.0);
    out.put_i16(command.version as i16);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    let remark = command.remark.as_deref().unwrap_or("");
    out.put_u32(remark.len() as u32);
    out.put_slice(remark.as_bytes());

    let fields_len_at = out.len();
    out.put_u32(0);
    for (name, value) in command.fields.iter() {
        // A name that does not fit its length word cannot be sent; no field is named like that.
        if name.is_empty() || value.is_empty() || name.len() > i16::MAX as usize {
            continue;
        }
        out.put_u16(name.len() as u16);
        out.put_slice(name.as_bytes());
        out.put_u32(value.len() as u32);
        out.put_slice(value.as_bytes());
    }
    let fields_len = (out.len() - fields_len_at - 4) as u32;
    out[fields_len_at..fields_len_at + 4].copy_from_slice(&fields_len.to_be_bytes());
}

fn need(rest: &[u8], all: usize, part: &'static str, len: usize) -> Result<(), HeaderError> {
    if rest.len() < len {
        return Err(HeaderError::Short { part, len: all, needed: len - rest.len() });
    }
    Ok(())
}

fn length(rest: &mut &[u8], all: usize, part: &'static str) -> Result<usize, HeaderError> {
    need(rest, all, part, 4)?;
    let length = rest.get_i32();
    usize::try_from(length).map_err(|_| HeaderError::BadLength { part, length })
}

fn text<'a>(
    rest: &mut &'a [u8],
    all: usize,
    part: &'static str,
    len: usize,
) -> Result<&'a str, HeaderError> {
    need(rest, all, part, len)?;
    let at = all - rest.len();
    let (text, behind) = rest.split_at(len);
    *rest = behind;
    std::str::from_utf8(text).map_err(|error| HeaderError::NotUtf8 { at: at + error.valid_up_to() })
}
