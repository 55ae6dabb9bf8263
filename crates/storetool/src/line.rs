//! One message as a line of JSON, from which it can be made again byte for byte.
//!
//! Body and properties are text where they are; where they are not, the field has the suffix
//! `Base64` and the bytes in base64. A compressed body stays so; `sysFlag` says it.

use std::fmt;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use skua_protocol::properties::{Properties, append};
use skua_protocol::record::Record;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub topic: String,
    pub queue_id: u32,
    pub queue_offset: i64,
    pub physical_offset: i64,
    pub store_time: i64,
    pub store_host: SocketAddr,
    pub born_time: i64,
    pub born_host: SocketAddr,
    pub flag: i32,
    pub sys_flag: i32,
    pub reconsume_times: i32,
    pub prepared_transaction_offset: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Pairs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

impl Line {
    pub fn of(record: &Record<'_>) -> Self {
        let encoded = record.properties().encoded();
        let pairs = Pairs::of(encoded);
        let is_text = pairs.encode() == encoded;
        let body = std::str::from_utf8(record.body()).ok();
        Self {
            topic: record.topic().to_owned(),
            queue_id: record.queue_id() as u32,
            queue_offset: record.queue_offset(),
            physical_offset: record.physical_offset(),
            store_time: record.store_timestamp().0,
            store_host: record.store_host(),
            born_time: record.born_timestamp().0,
            born_host: record.born_host(),
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
            properties_base64: (!is_text).then(|| STANDARD.encode(encoded)),
            properties: is_text.then_some(pairs),
            body_base64: body.is_none().then(|| STANDARD.encode(record.body())),
            body: body.map(str::to_owned),
        }
    }

    /// The properties as they are stored.
    pub fn encoded_properties(&self) -> Result<Vec<u8>, String> {
        match (&self.properties, &self.properties_base64) {
            (Some(pairs), None) => Ok(pairs.encode()),
            (None, Some(text)) => STANDARD.decode(text).map_err(|why| why.to_string()),
            (None, None) => Ok(Vec::new()),
            (Some(_), Some(_)) => Err("`properties` and `propertiesBase64`".to_owned()),
        }
    }

    /// The body as it is stored.
    pub fn body_bytes(&self) -> Result<Vec<u8>, String> {
        match (&self.body, &self.body_base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => STANDARD.decode(text).map_err(|why| why.to_string()),
            (None, None) => Ok(Vec::new()),
            (Some(_), Some(_)) => Err("`body` and `bodyBase64`".to_owned()),
        }
    }
}

/// Properties in the order they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn of(encoded: &[u8]) -> Self {
        let pairs = Properties::new(encoded).iter();
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        for (name, value) in &self.0 {
            append(&mut encoded, name, value);
        }
        encoded
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names with their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skua_protocol::record::NewRecord;
    use skua_protocol::{Millis, QueueId};

    fn round(properties: &[u8], body: &[u8]) -> String {
        let host = ([127, 0, 0, 1], 10911).into();
        let record = NewRecord {
            topic: "T",
            queue_id: QueueId(3),
            flag: 7,
            sys_flag: 0,
            born_timestamp: Millis(5),
            born_host: host,
            store_host: host,
            reconsume_times: 2,
            prepared_transaction_offset: 0,
            body,
            properties,
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes).expect("it is short");
        let line = Line::of(&Record::parse(&bytes).expect("just made"));
        let text = serde_json::to_string(&line).expect("it is text");
        let read: Line = serde_json::from_str(&text).expect("just written");
        assert_eq!(read, line);
        assert_eq!(read.encoded_properties().as_deref(), Ok(properties));
        assert_eq!(read.body_bytes().as_deref(), Ok(body));
        text
    }

    #[test]
    fn a_message_is_its_line_and_the_line_the_message_again() {
        let text = round(b"TAGS\x01b\x02KEYS\x01a\x02", "grüße".as_bytes());
        assert!(text.contains(r#""properties":{"TAGS":"b","KEYS":"a"},"body":"grüße""#), "{text}");
        // Not what could be written anew from its pairs, or not text.
        assert!(round(b"KEYS\x01a", b"\xff").contains("propertiesBase64"));
        assert!(round(b"\xfe\x01a\x02", b"").contains("propertiesBase64"));
    }
}
