//! JSON bodies: standard JSON out, what fastjson writes in.
//!
//! fastjson writes map keys that are numbers or objects without quotes (`{0:"a"}`,
//! `{{"queueId":0,…}:1}`). [`from_slice`] tries standard JSON first; where that fails, one pass
//! puts such keys in quotes and leaves out members that are null. Java's tools read maps keyed by
//! queue only in the unquoted form, so [`ObjectWriter::mq_map`] writes that, and only that.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::body::MessageQueue;

/// Longest text that is read; frames are shorter, configuration files of large brokers are long.
pub const TEXT_LEN_MAX: usize = 256 * 1024 * 1024;
/// Deepest nesting that the tolerant reader follows; serde_json has a limit of its own.
const DEPTH_MAX: usize = 64;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("JSON of {len} bytes is over the limit of {TEXT_LEN_MAX}")]
    TooLong { len: usize },
    #[error("broken JSON at byte {at}: expected {expected}")]
    Broken { at: usize, expected: &'static str },
    #[error("JSON nests deeper than {DEPTH_MAX} at byte {at}")]
    TooDeep { at: usize },
    #[error("unexpected JSON: {0}")]
    Unexpected(#[from] serde_json::Error),
}

/// Reads a body, standard JSON or fastjson's.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    if text.len() > TEXT_LEN_MAX {
        return Err(JsonError::TooLong { len: text.len() });
    }
    let strict = match serde_json::from_slice(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let standard = standardise(text)?;
    if standard == text {
        return Err(strict.into());
    }
    Ok(serde_json::from_slice(&standard)?)
}

/// Writes a body: compact, members in the order of the type's fields.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("bodies have text or integer keys and infallible members")
}

/// As [`to_vec`], for where text is needed.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("bodies have text or integer keys and infallible members")
}

/// Reads a map keyed by queue; for `#[serde(deserialize_with)]`.
pub fn mq_map<'de, D, V>(deserializer: D) -> Result<BTreeMap<MessageQueue, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    let raw = BTreeMap::<String, V>::deserialize(deserializer)?;
    raw.into_iter()
        .map(|(key, value)| {
            let queue = from_slice(key.as_bytes())
                .map_err(|error| D::Error::custom(format!("`{key}` is not a queue: {error}")))?;
            Ok((queue, value))
        })
        .collect()
}

/// Writes an object whose members serde_json cannot write: maps keyed by queue.
#[derive(Debug)]
pub struct ObjectWriter(Vec<u8>);

impl Default for ObjectWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectWriter {
    pub fn new() -> Self {
        Self(b"{".to_vec())
    }

    /// A member with standard JSON as value.
    pub fn member<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Self {
        self.raw_member(name, &to_vec(value))
    }

    /// A member with a value that is written already.
    pub fn raw_member(mut self, name: &str, value: &[u8]) -> Self {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.extend(to_vec(name));
        self.0.push(b':');
        self.0.extend_from_slice(value);
        self
    }

    /// A map with whole objects as keys, as Java's tools want it.
    pub fn mq_map<V: Serialize>(self, name: &str, map: &BTreeMap<MessageQueue, V>) -> Self {
        self.raw_member(name, &mq_map_text(map))
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// `{{"brokerName":…}:…,…}`
pub fn mq_map_text<V: Serialize>(map: &BTreeMap<MessageQueue, V>) -> Vec<u8> {
    let mut out = b"{".to_vec();
    for (queue, value) in map {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(to_vec(queue));
        out.push(b':');
        out.extend(to_vec(value));
    }
    out.push(b'}');
    out
}

/// `[a,b]` of values that are written already.
pub fn array_text(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for item in items {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(item);
    }
    out.push(b']');
    out
}

/// Rewrites fastjson's text as standard JSON. Checks no more than it must; serde_json follows.
fn standardise(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut pass = Pass { text, at: 0, out: Vec::with_capacity(text.len() + text.len() / 8) };
    pass.value(0)?;
    pass.blanks();
    if pass.at < text.len() {
        return Err(pass.expected("the end"));
    }
    Ok(pass.out)
}

struct Pass<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Pass<'_> {
    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Broken { at: self.at, expected }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        self.blanks();
        self.text.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth == DEPTH_MAX {
            return Err(JsonError::TooDeep { at: self.at });
        }
        match self.next() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let string = self.string()?;
                self.out.extend_from_slice(string);
                Ok(())
            }
            _ => {
                let word = self.word("a value")?;
                self.out.extend_from_slice(word);
                Ok(())
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), JsonError> {
        self.at += 1;
        self.out.push(b'{');
        if self.next() == Some(b'}') {
            self.at += 1;
            self.out.push(b'}');
            return Ok(());
        }
        let mut empty = true;
        loop {
            let member = self.out.len();
            if !empty {
                self.out.push(b',');
            }
            self.key()?;
            if self.next() != Some(b':') {
                return Err(self.expected("`:`"));
            }
            self.at += 1;
            self.out.push(b':');
            self.blanks();
            if self.text[self.at..].starts_with(b"null") {
                self.at += 4;
                self.out.truncate(member);
            } else {
                self.value(depth + 1)?;
                empty = false;
            }
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    self.out.push(b'}');
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.at += 1;
        self.out.push(b'[');
        if self.next() == Some(b']') {
            self.at += 1;
            self.out.push(b']');
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.next() {
                Some(b',') => {
                    self.at += 1;
                    self.out.push(b',');
                }
                Some(b']') => {
                    self.at += 1;
                    self.out.push(b']');
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `]`")),
            }
        }
    }

    fn key(&mut self) -> Result<(), JsonError> {
        match self.next() {
            Some(b'"') => {
                let string = self.string()?;
                self.out.extend_from_slice(string);
            }
            Some(b'{') => {
                let object = self.balanced()?;
                self.out.push(b'"');
                for &byte in object {
                    match byte {
                        b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                        // Blanks between tokens; inside strings they are not standard JSON.
                        b'\t' | b'\n' | b'\r' => self.out.push(b' '),
                        _ => self.out.push(byte),
                    }
                }
                self.out.push(b'"');
            }
            _ => {
                let word = self.word("a key")?;
                self.out.push(b'"');
                self.out.extend_from_slice(word);
                self.out.push(b'"');
            }
        }
        Ok(())
    }
}

impl<'a> Pass<'a> {
    /// A string with its quotes.
    fn string(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at]);
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => {
                    self.at = self.text.len();
                    return Err(self.expected("`\"`"));
                }
            }
        }
    }

    /// An object with its braces, not looked into.
    fn balanced(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        let mut open = 0usize;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{') => open += 1,
                Some(b'}') => open -= 1,
                Some(_) => {}
                None => return Err(self.expected("`}`")),
            }
            self.at += 1;
            if open == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// A number, literal or bare key.
    fn word(&mut self, expected: &'static str) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') =
            self.text.get(self.at)
        {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected(expected));
        }
        Ok(&self.text[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(text: &str) -> String {
        String::from_utf8(standardise(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn bare_integer_keys_get_quotes() {
        assert_eq!(standard(r#"{0:"a",-1 :{2:[3,{4:5}]}}"#), r#"{"0":"a","-1":{"2":[3,{"4":5}]}}"#);
        let map: BTreeMap<i64, String> = from_slice(br#"{0:"a:b",1:"{0:1}"}"#).unwrap();
        assert_eq!(map[&1], "{0:1}");
    }

    #[test]
    fn object_keys_become_text_and_are_read_as_queues() {
        #[derive(Deserialize)]
        struct Body {
            #[serde(deserialize_with = "mq_map")]
            table: BTreeMap<MessageQueue, i64>,
        }
        let text = br#"{"table":{{"brokerName":"b\"}","queueId":3,"topic":"T"}:7}}"#;
        let body: Body = from_slice(text).unwrap();
        let queue = MessageQueue { broker_name: "b\"}".into(), queue_id: 3, topic: "T".into() };
        assert_eq!(body.table[&queue], 7);
        assert_eq!(ObjectWriter::new().mq_map("table", &body.table).finish(), text);
    }

    #[test]
    fn null_members_count_as_absent() {
        assert_eq!(
            standard(r#"{"a":null,"b":[null],"c":null,"d":1,"e":null}"#),
            r#"{"b":[null],"d":1}"#
        );
    }

    #[test]
    fn broken_text_is_refused_with_the_place() {
        for (text, message) in [
            ("", "broken JSON at byte 0: expected a value"),
            ("{", "broken JSON at byte 1: expected a key"),
            ("{1", "broken JSON at byte 2: expected `:`"),
            ("{{\"a\":1", "broken JSON at byte 7: expected `}`"),
            ("[1", "broken JSON at byte 2: expected `,` or `]`"),
            ("\"a\\", "broken JSON at byte 3: expected `\"`"),
            ("1 2", "broken JSON at byte 2: expected the end"),
        ] {
            let error = from_slice::<serde_json::Value>(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(matches!(
            from_slice::<serde_json::Value>(deep.as_bytes()),
            Err(JsonError::TooDeep { at: 64 })
        ));
    }
}
