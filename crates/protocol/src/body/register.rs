//! What a broker registers with, plain and compressed (Java: `RegisterBrokerBody`).
//!
//! The compressed form is a zlib stream of
//! ```text
//! | 4 n | n data version | 4 topics | ( 4 n | n topic )… | 4 n | n filter servers |
//! | 4 mappings | ( 4 n | n mapping )… |
//! ```
//! with JSON in all but the topics, which are `name read write perm filterType attributes`,
//! separated by blanks. Mappings come since 5.0.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::{TopicConfig, TopicConfigSerializeWrapper, TopicFilterType, TopicQueueMappingInfo};
use crate::json::{self, JsonError};
use crate::record::{BodyError, inflate};

/// Most bytes a compressed body may have when open.
pub const REGISTER_BODY_LEN_MAX: usize = 64 * 1024 * 1024;
/// `MQVersion.Version.V5_0_0`, from which on mappings follow.
const VERSION_WITH_MAPPINGS: i32 = 413;
/// First byte of a zlib stream with the usual window.
const ZLIB_HEAD: u8 = 0x78;

/// Java: `RegisterBrokerBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterBrokerBody {
    pub filter_server_list: Vec<String>,
    pub topic_config_serialize_wrapper: TopicConfigSerializeWrapper,
}

/// Why a registration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RegisterBodyError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    Compression(#[from] BodyError),
    #[error("registration ends inside {0}")]
    Short(&'static str),
    #[error("registration: length of {part} is {length}")]
    BadLength { part: &'static str, length: i32 },
    #[error("registration: `{0}` is not a topic")]
    BadTopic(String),
}

impl RegisterBrokerBody {
    /// Reads either form. Whether it is compressed shows in the first byte: Java 5 compresses and
    /// yet says `compressed=false` in the header. `version` is the request's.
    pub fn decode(body: &[u8], version: i32) -> Result<Self, RegisterBodyError> {
        if body.first() != Some(&ZLIB_HEAD) {
            return Ok(json::from_slice(body)?);
        }
        let open = inflate(body, REGISTER_BODY_LEN_MAX)?;
        let mut parts = Parts(&open);
        let mut read = Self::default();
        let wrapper = &mut read.topic_config_serialize_wrapper;

        wrapper.data_version = json::from_slice(parts.take("data version")?)?;
        for _ in 0..parts.count("topics")? {
            let topic = topic_from_text(parts.take("topic")?)?;
            wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
        }
        // Java: filter servers that cannot be read count as none.
        read.filter_server_list =
            json::from_slice(parts.take("filter servers")?).unwrap_or_default();
        if version >= VERSION_WITH_MAPPINGS {
            for _ in 0..parts.count("mappings")? {
                let mapping: TopicQueueMappingInfo = json::from_slice(parts.take("mapping")?)?;
                wrapper.topic_queue_mapping_info_map.insert(mapping.topic.clone(), mapping);
            }
        }
        Ok(read)
    }

    /// The compressed form; the plain one is [`json::to_vec`].
    pub fn encode_compressed(&self, version: i32) -> Vec<u8> {
        let wrapper = &self.topic_config_serialize_wrapper;
        let mut open = Vec::new();
        put(&mut open, &json::to_vec(&wrapper.data_version));
        open.extend((wrapper.topic_config_table.len() as u32).to_be_bytes());
        for topic in wrapper.topic_config_table.values() {
            put(&mut open, topic_text(topic).as_bytes());
        }
        put(&mut open, &json::to_vec(&self.filter_server_list));
        if version >= VERSION_WITH_MAPPINGS {
            open.extend((wrapper.topic_queue_mapping_info_map.len() as u32).to_be_bytes());
            for mapping in wrapper.topic_queue_mapping_info_map.values() {
                put(&mut open, &json::to_vec(mapping));
            }
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&open).expect("writing to a Vec does not fail");
        encoder.finish().expect("writing to a Vec does not fail")
    }
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend((part.len() as u32).to_be_bytes());
    out.extend_from_slice(part);
}

fn topic_text(topic: &TopicConfig) -> String {
    format!(
        "{} {} {} {} {} {}",
        topic.topic_name,
        topic.read_queue_nums,
        topic.write_queue_nums,
        topic.perm,
        topic.topic_filter_type,
        json::to_string(&topic.attributes),
    )
}

fn topic_from_text(text: &[u8]) -> Result<TopicConfig, RegisterBodyError> {
    let bad = || RegisterBodyError::BadTopic(String::from_utf8_lossy(text).into_owned());
    let fields: Vec<_> = std::str::from_utf8(text).map_err(|_| bad())?.split(' ').collect();
    let [topic_name, read, write, perm, filter_type, rest @ ..] = fields.as_slice() else {
        return Err(bad());
    };
    let number = |text: &str| text.parse().map_err(|_| bad());
    Ok(TopicConfig {
        topic_name: (*topic_name).to_owned(),
        read_queue_nums: number(read)?,
        write_queue_nums: number(write)?,
        perm: number(perm)?,
        topic_filter_type: TopicFilterType::from_name(filter_type).ok_or_else(bad)?,
        // Java: attributes with blanks inside are lost.
        attributes: rest
            .first()
            .and_then(|attributes| json::from_slice(attributes.as_bytes()).ok())
            .unwrap_or_default(),
        ..TopicConfig::default()
    })
}

struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn count(&mut self, part: &'static str) -> Result<usize, RegisterBodyError> {
        let (length, rest) =
            self.0.split_first_chunk::<4>().ok_or(RegisterBodyError::Short(part))?;
        self.0 = rest;
        let length = i32::from_be_bytes(*length);
        usize::try_from(length).map_err(|_| RegisterBodyError::BadLength { part, length })
    }

    fn take(&mut self, part: &'static str) -> Result<&'a [u8], RegisterBodyError> {
        let len = self.count(part)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(RegisterBodyError::Short(part))?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::DataVersion;

    fn body() -> RegisterBrokerBody {
        let mut topic = TopicConfig::new("T", 4, 6);
        topic.attributes.insert("message.type".into(), "DELAY".into());
        let mapping = TopicQueueMappingInfo {
            topic: "S".into(),
            bname: "b".into(),
            curr_id_map: [(0, 1)].into(),
            ..Default::default()
        };
        RegisterBrokerBody {
            filter_server_list: vec!["f".into()],
            topic_config_serialize_wrapper: TopicConfigSerializeWrapper {
                data_version: DataVersion { counter: 3, state_version: 0, timestamp: 9 },
                topic_config_table: [("T".into(), topic)].into(),
                topic_queue_mapping_info_map: [("S".into(), mapping)].into(),
                ..Default::default()
            },
        }
    }

    #[test]
    fn both_forms_read_back() {
        let body = body();
        let plain = RegisterBrokerBody::decode(&json::to_vec(&body), 513).unwrap();
        assert_eq!(plain, body);
        let compressed = body.encode_compressed(513);
        assert_eq!(RegisterBrokerBody::decode(&compressed, 513).unwrap(), body);
        let old = RegisterBrokerBody::decode(&body.encode_compressed(409), 409).unwrap();
        assert!(old.topic_config_serialize_wrapper.topic_queue_mapping_info_map.is_empty());
    }

    #[test]
    fn broken_registrations_are_refused() {
        let compressed = body().encode_compressed(409);
        let error = RegisterBrokerBody::decode(&compressed, 513).unwrap_err();
        assert_eq!(error.to_string(), "registration ends inside mappings");
        let cut = &compressed[..compressed.len() / 2];
        let error = RegisterBrokerBody::decode(cut, 513).unwrap_err();
        assert_eq!(error.to_string(), "the compressed body is broken");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0; 1024 * 1024];
        for _ in 0..=REGISTER_BODY_LEN_MAX / zeros.len() {
            encoder.write_all(&zeros).unwrap();
        }
        let error = RegisterBrokerBody::decode(&encoder.finish().unwrap(), 513).unwrap_err();
        assert_eq!(error.to_string(), "the body is longer than 67108864 bytes");
    }
}
