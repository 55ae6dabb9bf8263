//! Frames for the benchmark's hot loop: requests encoded once and patched in place, answers read
//! no further than the numbers that are needed.
//!
//! Patched texts have a fixed width, so nothing moves: opaque 10 digits, times 13, offsets 19.

use bytes::BytesMut;
use skua_protocol::Command;
use skua_protocol::command::HeaderCodec;
use skua_protocol::frame::{self, FRAME_LEN_MAX};

/// Stands for the opaque number while a template is made; every real one has 10 digits too.
const OPAQUE_MARK: i32 = 1_987_654_321;
/// The first opaque number; those after it count up.
pub const OPAQUE_BASE: i32 = 1_000_000_000;
/// Where the fixed part of a frame ends: length, header word.
const PREFIX_LEN: usize = 8;
/// Position of the opaque number in a binary header (A code, language, version).
const BINARY_OPAQUE_AT: usize = PREFIX_LEN + 2 + 1 + 2;

/// A request as bytes, with holes.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    codec: HeaderCodec,
    opaque_at: usize,
    holes: Vec<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("`{0}` does not stand in the encoded request")]
    MarkMissing(String),
}

impl Template {
    /// Encodes `request`; `marks` are texts in it whose places are remembered, in this order, to
    /// be overwritten by texts of the same length.
    pub fn new(mut request: Command, marks: &[&str]) -> Result<Self, TemplateError> {
        request.opaque = OPAQUE_MARK;
        let codec = request.codec;
        let mut encoded = BytesMut::new();
        frame::encode(&request, &mut encoded);
        let bytes = encoded.to_vec();
        let place = |mark: &str| {
            find(&bytes, mark.as_bytes()).ok_or_else(|| TemplateError::MarkMissing(mark.to_owned()))
        };
        let opaque_at = match codec {
            HeaderCodec::Json => place(&OPAQUE_MARK.to_string())?,
            HeaderCodec::Binary => BINARY_OPAQUE_AT,
        };
        let holes = marks.iter().map(|mark| place(mark)).collect::<Result<_, _>>()?;
        Ok(Self { bytes, codec, opaque_at, holes })
    }

    /// Appends the frame to `out`. `slot` becomes the opaque number, see [`Answer::slot`].
    pub fn write(&self, slot: u32, fill: &[&[u8]], out: &mut Vec<u8>) {
        self.write_opaque(OPAQUE_BASE + slot as i32, fill, out);
    }

    /// The same for an opaque number of somebody else's.
    pub fn write_opaque(&self, opaque: i32, fill: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let frame = &mut out[start..];
        match self.codec {
            HeaderCodec::Json => {
                digits(u64::from(opaque.unsigned_abs()), &mut frame[self.opaque_at..][..10]);
            }
            HeaderCodec::Binary => {
                frame[self.opaque_at..][..4].copy_from_slice(&opaque.to_be_bytes());
            }
        }
        for (at, text) in self.holes.iter().zip(fill) {
            frame[*at..][..text.len()].copy_from_slice(text);
        }
    }
}

/// Writes `value` in decimal over the whole of `out`, with leading zeros.
pub fn digits(mut value: u64, out: &mut [u8]) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Writes `value` in upper-case hex over the whole of `out`, with leading zeros.
pub fn hex(mut value: u64, out: &mut [u8]) {
    for place in out.iter_mut().rev() {
        *place = b"0123456789ABCDEF"[(value & 15) as usize];
        value >>= 4;
    }
}

/// The outer parts of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub code: i32,
    pub opaque: i32,
    /// Bit 0 set: an answer; else a request by the server.
    pub is_response: bool,
    pub body: &'a [u8],
    header: &'a [u8],
    pub codec: HeaderCodec,
    /// The whole frame, for a thorough decoding where that is wanted.
    pub frame: &'a [u8],
}

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("a frame of {0} bytes is over the limit")]
    TooLong(u64),
    #[error("a header of {header} bytes in a frame of {frame}")]
    HeaderTooLong { header: usize, frame: usize },
    #[error("a header without `{0}`")]
    Missing(&'static str),
    #[error("header encoding {0} is not known")]
    UnknownCodec(u8),
}

/// How many bytes the first frame of `buffer` takes, once its length is there.
pub fn frame_len(buffer: &[u8]) -> Result<Option<usize>, AnswerError> {
    let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
    let len = u64::from(u32::from_be_bytes(*length)) + 4;
    match usize::try_from(len) {
        Ok(len) if (PREFIX_LEN..=FRAME_LEN_MAX).contains(&len) => Ok(Some(len)),
        _ => Err(AnswerError::TooLong(len)),
    }
}

/// Reads the first frame of `buffer`, if it is all there.
pub fn next(buffer: &[u8]) -> Result<Option<Answer<'_>>, AnswerError> {
    let Some(len) = frame_len(buffer)? else { return Ok(None) };
    let Some(frame) = buffer.get(..len) else { return Ok(None) };
    let header_len =
        usize::from(frame[5]) << 16 | usize::from(frame[6]) << 8 | usize::from(frame[7]);
    let Some(header) = frame.get(PREFIX_LEN..PREFIX_LEN + header_len) else {
        return Err(AnswerError::HeaderTooLong { header: header_len, frame: len });
    };
    let body = &frame[PREFIX_LEN + header_len..];
    let (codec, code, opaque, flag) = match frame[4] {
        0 => {
            // `code` stands before the free texts in every known encoder, `opaque` and `flag`
            // behind the extension fields in Java's; a quote within a text would be escaped.
            let code = number_after(header, find(header, b"\"code\":"), 7);
            let opaque = number_after(header, rfind(header, b"\"opaque\":"), 9);
            let flag = number_after(header, rfind(header, b"\"flag\":"), 7);
            (
                HeaderCodec::Json,
                code.ok_or(AnswerError::Missing("code"))?,
                opaque.ok_or(AnswerError::Missing("opaque"))?,
                flag.ok_or(AnswerError::Missing("flag"))?,
            )
        }
        1 => {
            let Some(fixed) = header.first_chunk::<13>() else {
                return Err(AnswerError::Missing("opaque"));
            };
            let word = |at: usize| {
                i64::from(i32::from_be_bytes([
                    fixed[at],
                    fixed[at + 1],
                    fixed[at + 2],
                    fixed[at + 3],
                ]))
            };
            let code = i64::from(i16::from_be_bytes([fixed[0], fixed[1]]));
            (HeaderCodec::Binary, code, word(5), word(9))
        }
        other => return Err(AnswerError::UnknownCodec(other)),
    };
    Ok(Some(Answer {
        code: code as i32,
        opaque: opaque as i32,
        is_response: flag & 1 == 1,
        body,
        header,
        codec,
        frame,
    }))
}

impl Answer<'_> {
    /// The slot given to [`Template::write`]; numbers out of range are told apart by the caller.
    pub fn slot(&self) -> usize {
        self.opaque.wrapping_sub(OPAQUE_BASE) as u32 as usize
    }

    /// An extension field that is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.codec {
            HeaderCodec::Json => {
                let quoted = format!("\"{name}\":");
                let at = find(self.header, quoted.as_bytes())?;
                let skip =
                    quoted.len() + usize::from(self.header.get(at + quoted.len()) == Some(&b'"'));
                number_after(self.header, Some(at), skip)
            }
            HeaderCodec::Binary => {
                let at = find(self.header, name.as_bytes())?;
                let text = self.header.get(at + name.len()..)?;
                let len = u32::from_be_bytes(*text.first_chunk()?) as usize;
                std::str::from_utf8(text.get(4..4 + len)?).ok()?.parse().ok()
            }
        }
    }
}

impl<'a> Answer<'a> {
    /// An extension field that is a text without escapes.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let bytes = match self.codec {
            HeaderCodec::Json => {
                let quoted = format!("\"{name}\":\"");
                let text =
                    self.header.get(find(self.header, quoted.as_bytes())? + quoted.len()..)?;
                text.get(..text.iter().position(|byte| *byte == b'"')?)?
            }
            HeaderCodec::Binary => {
                let at = find(self.header, name.as_bytes())?;
                let text = self.header.get(at + name.len()..)?;
                let len = u32::from_be_bytes(*text.first_chunk()?) as usize;
                text.get(4..4 + len)?
            }
        };
        std::str::from_utf8(bytes).ok()
    }
}

fn number_after(text: &[u8], at: Option<usize>, skip: usize) -> Option<i64> {
    let digits = text.get(at? + skip..)?;
    let (negative, digits) = match digits.first()? {
        b'-' => (true, &digits[1..]),
        _ => (false, digits),
    };
    let mut value: i64 = 0;
    let mut count = 0;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        count += 1;
    }
    (count > 0).then_some(if negative { -value } else { value })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn rfind(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).rposition(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skua_protocol::code::RequestCode;
    use skua_protocol::header::Fields;

    fn request(codec: HeaderCodec) -> Command {
        let mut fields = Fields::new();
        fields.push("topic", "T");
        fields.push("queueOffset", "7777777777777777777");
        let mut request = Command::raw_request(RequestCode::PullMessage, fields);
        request.codec = codec;
        request.with_body(&b"payload"[..])
    }

    #[test]
    fn a_patched_template_decodes_to_what_was_put_in() {
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let template = Template::new(request(codec), &["7777777777777777777"]).expect("marks");
            let mut offset = [0; 19];
            digits(42, &mut offset);
            let mut out = Vec::new();
            template.write(5, &[&offset], &mut out);

            let mut buffer = BytesMut::from(&out[..]);
            let command = frame::decode(&mut buffer).expect("valid").expect("whole");
            assert_eq!(command.opaque, OPAQUE_BASE + 5);
            assert_eq!(command.fields.get("queueOffset"), Some("0000000000000000042"));
            assert_eq!(&command.body[..], b"payload");
        }
    }

    #[test]
    fn the_numbers_of_an_answer_are_found_in_both_encodings() {
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let mut fields = Fields::new();
            fields.push("nextBeginOffset", "12");
            fields.push("startOffsetInfo", "0 3 17");
            let mut answer = Command::success();
            answer.code = 19;
            answer.fields = fields;
            answer.codec = codec;
            answer.opaque = OPAQUE_BASE + 3;
            answer.remark = Some("\"opaque\":1".into());
            let mut bytes = BytesMut::new();
            frame::encode(&answer.with_body(&b"xy"[..]), &mut bytes);

            assert!(next(&bytes[..bytes.len() - 1]).expect("so far valid").is_none());
            let answer = next(&bytes).expect("valid").expect("whole");
            assert_eq!((answer.code, answer.slot(), answer.is_response), (19, 3, true));
            assert_eq!(answer.number("nextBeginOffset"), Some(12));
            assert_eq!(answer.number("minOffset"), None);
            assert_eq!(answer.text("startOffsetInfo"), Some("0 3 17"));
            assert_eq!(answer.text("msgOffsetInfo"), None);
            assert_eq!((answer.body, answer.frame.len()), (&b"xy"[..], bytes.len()));
        }
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        assert!(next(&[0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(next(&[0, 0, 0, 1, 0]).is_err());
        assert!(next(&[0, 0, 0, 4, 0, 0, 0, 9]).is_err());
        assert!(next(&[0, 0]).expect("too short to tell").is_none());
    }
}
