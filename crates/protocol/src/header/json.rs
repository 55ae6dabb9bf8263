//! The JSON header (Java: `RemotingSerializable` over `RemotingCommand`).
//!
//! Read and written by hand: this runs for every message. Names and values without escapes stay
//! where they stand in the frame. The reader takes what other languages' clients have sent: keys in any order and
//! unknown ones, nulls, numbers and booleans as field values, the language as a number or unknown.
//! The writer gives what the strictest client reads: one line, no blanks, every field value a
//! string, no null.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::fields::{Fields, Place};
use super::{FIELDS_MAX, HeaderError};
use crate::command::{Command, HeaderCodec, Language};

/// Deepest nesting of a value under an unknown key.
const DEPTH_MAX: usize = 32;

/// Fields that there is room for at first: a send has fourteen, and more than sixteen are rare.
const FIELDS_EXPECTED: usize = 16;

pub(crate) fn decode(header: Bytes) -> Result<Command, HeaderError> {
    let text = ByteString::try_from(header)
        .map_err(|error| HeaderError::NotUtf8 { at: error.valid_up_to() })?;
    let mut scan = Scanner { text: &text, bytes: text.as_ref(), at: 0, own: String::new() };
    let mut places = Vec::new();
    let mut command = Command {
        code: 0,
        language: Language::OTHER,
        version: 0,
        opaque: 0,
        flag: 0,
        remark: None,
        fields: Fields::new(),
        body: Bytes::new(),
        codec: HeaderCodec::Json,
    };

    scan.object(|scan, key| {
        match scan.text_of(key) {
            "code" => scan.integer_into("code", &mut command.code)?,
            "version" => scan.integer_into("version", &mut command.version)?,
            "opaque" => scan.integer_into("opaque", &mut command.opaque)?,
            "flag" => scan.integer_into("flag", &mut command.flag)?,
            "language" => {
                if let Some(language) = scan.scalar()? {
                    command.language = language_of(scan.text_of(language));
                }
            }
            "remark" => {
                command.remark = scan.scalar()?.map(|remark| scan.text_of(remark).into());
            }
            "extFields" => {
                if scan.null()? {
                    return Ok(());
                }
                scan.object(|scan, name| {
                    let Some(value) = scan.scalar()? else { return Ok(()) };
                    if places.len() == FIELDS_MAX {
                        return Err(HeaderError::TooManyFields);
                    }
                    if places.is_empty() {
                        places.reserve_exact(FIELDS_EXPECTED);
                    }
                    places.push((name, value));
                    Ok(())
                })?;
            }
            _ => scan.skip(0)?,
        }
        Ok(())
    })?;
    scan.blanks();
    if scan.at < scan.bytes.len() {
        return Err(scan.expected("the end"));
    }
    let own = scan.own;
    if !places.is_empty() {
        command.fields = Fields { read: text, own, places };
    }
    Ok(command)
}

fn language_of(text: &str) -> Language {
    match text.parse::<u8>() {
        Ok(number) => Language(number),
        Err(_) => Language::from_name(text),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The highest bit of each byte that is zero, right up to the first such byte.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Bytes before the next quote or backslash; eight at a time, since properties are long.
#[inline]
fn plain_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|&byte| byte == b'"' || byte == b'\\')?;
    Some(at + rest)
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// What strings with escapes stand for, one behind the other.
    own: String,
}

impl<'a> Scanner<'a> {
    #[cold]
    fn expected(&self, expected: &'static str) -> HeaderError {
        HeaderError::Json { at: self.at, expected }
    }

    #[inline]
    fn text_of(&self, place: Place) -> &str {
        place.text(self.text, &self.own)
    }

    /// From `at` to before where the scanner is, or is about to be.
    #[inline]
    fn read(&self, at: usize, len: usize) -> Place {
        // A header's length has three bytes.
        Place::Read { at: at as u32, len: len as u32 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Next byte that is not blank, without taking it. Most headers have no blanks at all.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        match self.peek() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => {
                self.blanks();
                self.peek()
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8, name: &'static str) -> Result<(), HeaderError> {
        if self.next() != Some(byte) {
            return Err(self.expected(name));
        }
        self.at += 1;
        Ok(())
    }

    /// Walks an object; `member` must take the value.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Place) -> Result<(), HeaderError>,
    ) -> Result<(), HeaderError> {
        self.take(b'{', "`{`")?;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.next();
            let key = self.string()?;
            self.take(b':', "`:`")?;
            self.next();
            member(self, key)?;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    #[inline]
    fn string(&mut self) -> Result<Place, HeaderError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("`\"`"));
        }
        self.at += 1;
        let start = self.at;
        match plain_len(&self.bytes[start..]) {
            Some(len) if self.bytes[start + len] == b'"' => {
                self.at += len + 1;
                Ok(self.read(start, len))
            }
            Some(len) => self.unescape(start, start + len),
            None => {
                self.at = self.bytes.len();
                Err(self.expected("`\"`"))
            }
        }
    }

    /// The string from `start`, whose first escape is at `escape`.
    #[inline(never)]
    fn unescape(&mut self, start: usize, escape: usize) -> Result<Place, HeaderError> {
        // Escapes only shrink, and this string ends before the header does. Guessing 256 fits the
        // properties of most messages without reserving a hostile header twice.
        self.own.reserve((self.bytes.len() - start).min(escape - start + 256));
        let own_start = self.own.len();
        self.own.push_str(&self.text[start..escape]);
        self.at = escape;
        loop {
            let plain = self.at;
            let rest = &self.bytes[plain..];
            let Some(len) = plain_len(rest) else {
                self.at = self.bytes.len();
                return Err(self.expected("`\"`"));
            };
            self.own.push_str(&self.text[plain..plain + len]);
            self.at = plain + len + 1;
            if rest[len] == b'"' {
                return Ok(Place::own_from(own_start, &self.own));
            }
            let escaped = self.peek().ok_or_else(|| self.expected("an escape"))?;
            self.at += 1;
            let scalar = match escaped {
                b'"' | b'\\' | b'/' => char::from(escaped),
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'u' => self.unicode_escape()?,
                _ => return Err(self.expected("an escape")),
            };
            self.own.push(scalar);
        }
    }

    /// After `\u`. Half a surrogate pair becomes U+FFFD, as where Java would write it as UTF-8.
    fn unicode_escape(&mut self) -> Result<char, HeaderError> {
        let unit = self.hex4()?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let scalar = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, HeaderError> {
        // The separators of message properties.
        match self.bytes[self.at..].first_chunk::<4>() {
            Some(b"0001") => {
                self.at += 4;
                return Ok(1);
            }
            Some(b"0002") => {
                self.at += 4;
                return Ok(2);
            }
            _ => {}
        }
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.expected("four hex digits"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn null(&mut self) -> Result<bool, HeaderError> {
        let found = self.bytes[self.at..].starts_with(b"null");
        if found {
            self.at += 4;
        }
        Ok(found)
    }

    /// A string, or any other value as the text it is written with; `None` for null.
    #[inline]
    fn scalar(&mut self) -> Result<Option<Place>, HeaderError> {
        match self.peek() {
            Some(b'"') => self.string().map(Some),
            Some(b'n') if self.null()? => Ok(None),
            _ => {
                let start = self.at;
                self.skip(0)?;
                Ok(Some(self.read(start, self.at - start)))
            }
        }
    }

    /// Reads an integer into `to`; leaves it alone for null.
    fn integer_into(&mut self, name: &'static str, to: &mut i32) -> Result<(), HeaderError> {
        if let Some(place) = self.scalar()? {
            let text = self.text_of(place);
            *to = text.parse().map_err(|_| HeaderError::NotAnInteger {
                name,
                value: text.chars().take(20).collect(),
            })?;
        }
        Ok(())
    }

    /// Passes over one value of any kind.
    fn skip(&mut self, depth: usize) -> Result<(), HeaderError> {
        if depth == DEPTH_MAX {
            return Err(HeaderError::TooDeep { max: DEPTH_MAX });
        }
        match self.next() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(|scan, _| scan.skip(depth + 1)),
            Some(b'[') => {
                self.at += 1;
                if self.next() == Some(b']') {
                    self.at += 1;
                    return Ok(());
                }
                loop {
                    self.skip(depth + 1)?;
                    match self.next() {
                        Some(b',') => self.at += 1,
                        Some(b']') => {
                            self.at += 1;
                            return Ok(());
                        }
                        _ => return Err(self.expected("`,` or `]`")),
                    }
                }
            }
            Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => {
                while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') =
                    self.peek()
                {
                    self.at += 1;
                }
                Ok(())
            }
            _ => Err(self.expected("a value")),
        }
    }
}

pub(crate) fn encode(command: &Command, out: &mut BytesMut) {
    let fields_len: usize = command.fields.iter().map(|(k, v)| k.len() + v.len() + 6).sum();
    let remark_len = command.remark.as_ref().map_or(0, |remark| remark.len());
    out.reserve(160 + fields_len + remark_len);

    out.put_slice(b"{\"code\":");
    put_integer(out, command.code);
    if !command.fields.is_empty() {
        out.put_slice(b",\"extFields\":{");
        for (at, (name, value)) in command.fields.iter().enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            put_string(out, name);
            out.put_u8(b':');
            put_string(out, value);
        }
        out.put_u8(b'}');
    }
    out.put_slice(b",\"flag\":");
    put_integer(out, command.flag);
    out.put_slice(b",\"language\":\"");
    out.put_slice(command.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    put_integer(out, command.opaque);
    if let Some(remark) = &command.remark {
        out.put_slice(b",\"remark\":");
        put_string(out, remark);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_integer(out, command.version);
    out.put_u8(b'}');
}

fn put_integer(out: &mut BytesMut, number: i32) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Bytes before the next one that cannot stand in a JSON string as it is.
#[inline]
fn unescaped_len(bytes: &[u8]) -> Option<usize> {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // Right up to the first byte that is found, as in `zeros`.
        let controls = word.wrapping_sub(ONES * b' ' as u64) & !word & HIGHS;
        let found =
            controls | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|&byte| is_escaped(byte))?;
    Some(at + rest)
}

fn put_string(out: &mut BytesMut, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.put_u8(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = unescaped_len(rest) {
        out.put_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.put_slice(&[b'\\', byte]),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            byte => {
                let hex = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.put_slice(b"\\u00");
                out.put_slice(&hex);
            }
        }
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Command, HeaderError> {
        decode(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn oddities_of_other_clients_are_read() {
        let command = read(
            r#" { "flag" : 0,"suspended":{"a":[1,{"b":null}]},"language":9,"extFields":{"queueId":3,
            "order":true,"gone":null,"a":"x\u0001y\n\ud83d\ude00\ud83d"},"code":310,"version":null} "#,
        )
        .unwrap();
        assert_eq!(command.code, 310);
        assert_eq!(command.language, Language::GO);
        assert_eq!(command.fields.get("queueId"), Some("3"));
        assert_eq!(command.fields.get("order"), Some("true"));
        assert_eq!(command.fields.get("gone"), None);
        assert_eq!(command.fields.get("a"), Some("x\u{1}y\n😀\u{fffd}"));
        assert_eq!(read(r#"{"language":"KLINGON"}"#).unwrap().language, Language::OTHER);
        assert!(read(r#"{"code":1,"extFields":null,"remark":null}"#).unwrap().remark.is_none());
    }

    #[test]
    fn broken_headers_are_refused_with_the_place() {
        for (text, message) in [
            ("", "header is broken JSON at byte 0: expected `{`"),
            ("{\"code\":1", "header is broken JSON at byte 9: expected `,` or `}`"),
            ("{\"code\":1}x", "header is broken JSON at byte 10: expected the end"),
            ("{\"code\":\"ten\"}", "header field `code`: `ten` is not a 32-bit integer"),
            (
                "{\"opaque\":4294967296}",
                "header field `opaque`: `4294967296` is not a 32-bit integer",
            ),
            ("{\"remark\":\"\\", "header is broken JSON at byte 12: expected an escape"),
            ("{\"remark\":\"\\u12", "header is broken JSON at byte 15: expected four hex digits"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert_eq!(read(&deep).unwrap_err(), HeaderError::TooDeep { max: DEPTH_MAX });
        let many: Vec<_> = (0..=FIELDS_MAX).map(|n| format!("\"{n}\":\"\"")).collect();
        let many = format!("{{\"extFields\":{{{}}}}}", many.join(","));
        assert_eq!(read(&many).unwrap_err(), HeaderError::TooManyFields);
    }

    #[test]
    fn written_headers_look_like_javas() {
        let mut command = Command::error(crate::ResponseCode::TopicNotExist, "no \"T\"\n\u{1}");
        command.opaque = -7;
        command.fields.push("queueId", "1");
        let mut out = BytesMut::new();
        encode(&command, &mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "{\"code\":17,\"extFields\":{\"queueId\":\"1\"},\"flag\":1,\"language\":\"JAVA\",\
             \"opaque\":-7,\"remark\":\"no \\\"T\\\"\\n\\u0001\",\
             \"serializeTypeCurrentRPC\":\"JSON\",\"version\":513}"
        );
    }
}
