//! Message properties: `name \x01 value \x02 name \x01 value \x02 …`, names and values as UTF-8.
//!
//! Java 5.5 ends the text with `\x02`, 4.9 does not. Pairs with an empty name or value count for
//! nothing. Order means nothing; a name that comes twice has its last value (Java:
//! `MessageDecoder.string2messageProperties` into a map).

use memchr::{memchr, memchr2};

/// Between name and value.
pub const NAME_END: u8 = 1;
/// After a value.
pub const VALUE_END: u8 = 2;
/// Longest encoded properties; their length is an int16 in the record.
pub const PROPERTIES_LEN_MAX: usize = i16::MAX as usize;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $text;)+
    };
}

names! {
    /// Index keys, separated by one blank.
    KEYS = "KEYS";
    TAGS = "TAGS";
    /// `false`: the sender does not wait for the store.
    WAIT = "WAIT";
    /// Delay level, from 1.
    DELAY = "DELAY";
    RETRY_TOPIC = "RETRY_TOPIC";
    REAL_TOPIC = "REAL_TOPIC";
    REAL_QID = "REAL_QID";
    TRAN_MSG = "TRAN_MSG";
    /// Producer group of a transaction.
    PGROUP = "PGROUP";
    MIN_OFFSET = "MIN_OFFSET";
    MAX_OFFSET = "MAX_OFFSET";
    BUYER_ID = "BUYER_ID";
    ORIGIN_MESSAGE_ID = "ORIGIN_MESSAGE_ID";
    TRANSFER_FLAG = "TRANSFER_FLAG";
    CORRECTION_FLAG = "CORRECTION_FLAG";
    MQ2_FLAG = "MQ2_FLAG";
    RECONSUME_TIME = "RECONSUME_TIME";
    MSG_REGION = "MSG_REGION";
    TRACE_ON = "TRACE_ON";
    /// The client's message id, also the transaction id.
    UNIQ_KEY = "UNIQ_KEY";
    EXTEND_UNIQ_INFO = "EXTEND_UNIQ_INFO";
    MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES";
    CONSUME_START_TIME = "CONSUME_START_TIME";
    INNER_NUM = "INNER_NUM";
    INNER_BASE = "INNER_BASE";
    DUP_INFO = "DUP_INFO";
    CHECK_IMMUNITY_TIME_IN_SECONDS = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    TRAN_PREPARED_QUEUE_OFFSET = "TRAN_PREPARED_QUEUE_OFFSET";
    TRANSACTION_ID = "__transactionId__";
    TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES";
    INSTANCE_ID = "INSTANCE_ID";
    CORRELATION_ID = "CORRELATION_ID";
    REPLY_TO_CLIENT = "REPLY_TO_CLIENT";
    TTL = "TTL";
    ARRIVE_TIME = "ARRIVE_TIME";
    PUSH_REPLY_TIME = "PUSH_REPLY_TIME";
    CLUSTER = "CLUSTER";
    MSG_TYPE = "MSG_TYPE";
    POP_CK = "POP_CK";
    POP_CK_OFFSET = "POP_CK_OFFSET";
    FIRST_POP_TIME = "1ST_POP_TIME";
    SHARDING_KEY = "__SHARDINGKEY";
    LITE_TOPIC = "__LITE_TOPIC";
    PRIORITY = "_SYS_MSG_PRIORITY_";
    FORWARD_QUEUE_ID = "PROPERTY_FORWARD_QUEUE_ID";
    REDIRECT = "REDIRECT";
    INNER_MULTI_DISPATCH = "INNER_MULTI_DISPATCH";
    INNER_MULTI_QUEUE_OFFSET = "INNER_MULTI_QUEUE_OFFSET";
    TRACE_CONTEXT = "TRACE_CONTEXT";
    TIMER_DELAY_SEC = "TIMER_DELAY_SEC";
    TIMER_DELAY_MS = "TIMER_DELAY_MS";
    TIMER_DELIVER_MS = "TIMER_DELIVER_MS";
    TIMER_ENQUEUE_MS = "TIMER_ENQUEUE_MS";
    TIMER_DEQUEUE_MS = "TIMER_DEQUEUE_MS";
    TIMER_ROLL_TIMES = "TIMER_ROLL_TIMES";
    TIMER_ROLL_LABEL = "TIMER_ROLL_LABEL";
    TIMER_OUT_MS = "TIMER_OUT_MS";
    TIMER_DEL_UNIQKEY = "TIMER_DEL_UNIQKEY";
    TIMER_DELAY_LEVEL = "TIMER_DELAY_LEVEL";
    BORN_HOST = "__BORNHOST";
    BORN_TIMESTAMP = "BORN_TIMESTAMP";
    DLQ_ORIGIN_TOPIC = "DLQ_ORIGIN_TOPIC";
    DLQ_ORIGIN_MESSAGE_ID = "DLQ_ORIGIN_MESSAGE_ID";
    /// Checksum of the record, its digits from the last to the first.
    CRC32 = "__CRC32#";
    /// Names with this prefix are never stored.
    TRANSIENT_PREFIX = "__RMQ.TRANSIENT.";
}

/// Encoded properties, read where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    pub fn new(encoded: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self(encoded.as_ref())
    }

    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// Names and values in the order they stand; broken pairs are passed over.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        pairs(self.0).filter_map(|(name, value)| {
            Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
        })
    }

    pub fn get(self, name: &str) -> Option<&'a str> {
        pairs(self.0)
            .filter(|(key, _)| *key == name.as_bytes())
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
            .last()
    }

    /// As [`get`](Self::get) for each of several names, at one look at them all.
    pub fn get_each<const N: usize>(self, names: [&str; N]) -> [Option<&'a str>; N] {
        let mut values = [None; N];
        for (name, value) in pairs(self.0) {
            if let Some(nth) = names.iter().position(|wanted| wanted.as_bytes() == name)
                && let Ok(value) = std::str::from_utf8(value)
            {
                values[nth] = Some(value);
            }
        }
        values
    }

    /// The index keys of [`KEYS`].
    pub fn keys(self) -> impl Iterator<Item = &'a str> {
        index_keys(self.get(KEYS).unwrap_or_default())
    }
}

/// The index keys in a value of [`KEYS`].
pub fn index_keys(value: &str) -> impl Iterator<Item = &str> {
    value.split(' ').filter(|key| !key.is_empty())
}

fn pairs(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = memchr(VALUE_END, rest).unwrap_or(rest.len());
            let pair = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            let Some(middle) = memchr(NAME_END, pair) else { continue };
            let (name, value) = (&pair[..middle], &pair[middle + 1..]);
            if !name.is_empty() && !value.is_empty() {
                return Some((name, value));
            }
        }
        None
    })
}

/// Adds a pair at the end of encoded properties, which may or may not end with `\x02`.
///
/// A pair that could not be read again is not added: a part is empty or has a separator inside.
pub fn append(encoded: &mut Vec<u8>, name: &str, value: &str) {
    let is_readable = !name.is_empty()
        && !value.is_empty()
        && memchr2(NAME_END, VALUE_END, name.as_bytes()).is_none()
        && memchr(VALUE_END, value.as_bytes()).is_none();
    if !is_readable {
        return;
    }
    if encoded.last().is_some_and(|&last| last != VALUE_END) {
        encoded.push(VALUE_END);
    }
    encoded.extend_from_slice(name.as_bytes());
    encoded.push(NAME_END);
    encoded.extend_from_slice(value.as_bytes());
    encoded.push(VALUE_END);
}

/// Properties being changed; keeps the order of those that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertiesEditor(Vec<(String, String)>);

impl PropertiesEditor {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Replaces a value or adds the pair. What [`append`] would not write is not written.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.to_owned(), value.into())),
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn encode(&self) -> String {
        let len = self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut out = Vec::with_capacity(len);
        for (name, value) in &self.0 {
            append(&mut out, name, value);
        }
        String::from_utf8(out).expect("names, values and separators are UTF-8")
    }
}

impl From<Properties<'_>> for PropertiesEditor {
    fn from(properties: Properties<'_>) -> Self {
        let mut editor = Self::new();
        for (name, value) in properties.iter() {
            editor.set(name, value);
        }
        editor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_endings_read_alike_and_broken_pairs_are_dropped() {
        let text =
            "TAGS\u{1}TagA\u{2}KEYS\u{1}a  b\u{2}\u{1}x\u{2}n\u{1}\u{2}junk\u{2}a\u{1}b\u{1}c\u{2}";
        for text in [text, text.trim_end_matches('\u{2}')] {
            let properties = Properties::new(text);
            assert_eq!(properties.iter().count(), 3);
            assert_eq!(properties.get("a"), Some("b\u{1}c"));
            assert_eq!(properties.get(TAGS), Some("TagA"));
            assert_eq!(properties.get(UNIQ_KEY), None);
            assert_eq!(properties.get_each([UNIQ_KEY, TAGS]), [None, Some("TagA")]);
            assert_eq!(properties.keys().collect::<Vec<_>>(), ["a", "b"]);
        }
    }

    #[test]
    fn a_name_that_comes_twice_has_its_last_value() {
        let properties = Properties::new("a\u{1}1\u{2}a\u{1}2");
        assert_eq!(properties.get("a"), Some("2"));
        assert_eq!(properties.get_each(["a"]), [Some("2")]);
        assert_eq!(PropertiesEditor::from(properties).encode(), "a\u{1}2\u{2}");
    }

    #[test]
    fn appending_closes_an_open_pair_first() {
        let mut encoded = b"a\x01b".to_vec();
        append(&mut encoded, "c", "d");
        append(&mut encoded, "e", "bad\u{2}value");
        append(&mut encoded, "", "x");
        assert_eq!(encoded, b"a\x01b\x02c\x01d\x02");
    }

    #[test]
    fn editing_keeps_the_order_of_the_rest() {
        let mut editor = PropertiesEditor::from(Properties::new("a\u{1}1\u{2}b\u{1}2\u{2}c\u{1}3"));
        editor.set("b", "two");
        editor.set("d", "4");
        assert_eq!(editor.remove("a").as_deref(), Some("1"));
        assert_eq!(editor.get("a"), None);
        assert_eq!(editor.encode(), "b\u{1}two\u{2}c\u{1}3\u{2}d\u{1}4\u{2}");
    }
}
