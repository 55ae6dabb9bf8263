//! Clients, their groups and subscriptions.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use super::text_enum;
use crate::record::java_hash;
use crate::units::Millis;

/// Subscription by tags.
pub const EXPRESSION_TAG: &str = "TAG";
/// Subscription by SQL expression over properties.
pub const EXPRESSION_SQL92: &str = "SQL92";
/// Subscription to everything.
pub const SUBSCRIBE_ALL: &str = "*";

text_enum! {
    /// Java: `ConsumeType`.
    pub enum ConsumeType {
        /// Pulling by the application.
        Actively = "CONSUME_ACTIVELY",
        /// Push consumers.
        #[default]
        Passively = "CONSUME_PASSIVELY",
        Pop = "CONSUME_POP",
    }
}

text_enum! {
    /// Java: `MessageModel`.
    pub enum MessageModel {
        Broadcasting = "BROADCASTING",
        #[default]
        Clustering = "CLUSTERING",
        LiteSelective = "LITE_SELECTIVE",
    }
}

text_enum! {
    /// Java: `ConsumeFromWhere`.
    pub enum ConsumeFromWhere {
        #[default]
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        LastOffsetAndMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

/// Java: `HeartbeatData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeartbeatData {
    #[serde(rename = "clientID")]
    pub client_id: String,
    pub consumer_data_set: Vec<ConsumerData>,
    /// 0: the client does not use the short form.
    pub heartbeat_fingerprint: i32,
    pub producer_data_set: Vec<ProducerData>,
    /// The short form: subscriptions are as in the last heartbeat.
    pub without_sub: bool,
}

/// Java: `ProducerData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerData {
    pub group_name: String,
}

/// Java: `ConsumerData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerData {
    #[serde(deserialize_with = "known_or_default")]
    pub consume_from_where: ConsumeFromWhere,
    #[serde(deserialize_with = "known_or_default")]
    pub consume_type: ConsumeType,
    pub group_name: String,
    #[serde(deserialize_with = "known_or_default")]
    pub message_model: MessageModel,
    pub subscription_data_set: Vec<SubscriptionData>,
    pub unit_mode: bool,
}

/// Java: `SubscriptionData`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionData {
    pub class_filter_mode: bool,
    /// `String.hashCode` of each tag.
    #[serde(deserialize_with = "codes")]
    pub code_set: BTreeSet<i32>,
    /// [`EXPRESSION_TAG`] or [`EXPRESSION_SQL92`].
    pub expression_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_class_source: Option<String>,
    pub sub_string: String,
    /// When the client subscribed, in milliseconds; the newer one counts.
    #[serde(deserialize_with = "number")]
    pub sub_version: i64,
    pub tags_set: BTreeSet<String>,
    pub topic: String,
}

/// A constant that this version does not know is taken for the usual one: Java reads it as null and
/// registers the client all the same.
fn known_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// A number that may stand in quotes: the Go and C++ clients write some so, and fastjson reads both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Quotable<T> {
    Number(T),
    Text(String),
}

impl<T: std::str::FromStr<Err: std::fmt::Display>> Quotable<T> {
    fn number<E: serde::de::Error>(self) -> Result<T, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => {
                text.parse().map_err(|error| E::custom(format!("`{text}` is no number: {error}")))
            }
        }
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Quotable::deserialize(deserializer)?.number()
}

fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<i32>, D::Error> {
    let codes = Vec::<Quotable<i32>>::deserialize(deserializer)?;
    codes.into_iter().map(Quotable::number).collect()
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: false,
            code_set: BTreeSet::new(),
            expression_type: EXPRESSION_TAG.to_owned(),
            filter_class_source: None,
            sub_string: SUBSCRIBE_ALL.to_owned(),
            sub_version: 0,
            tags_set: BTreeSet::new(),
            topic: String::new(),
        }
    }
}

impl SubscriptionData {
    /// A subscription by tags: `TagA || TagB`, or `*` or nothing for all (Java: `FilterAPI`).
    pub fn by_tags(topic: impl Into<String>, expression: &str, now: Millis) -> Self {
        let mut subscription = Self { topic: topic.into(), sub_version: now.0, ..Self::default() };
        if expression.is_empty() || expression == SUBSCRIBE_ALL {
            return subscription;
        }
        subscription.sub_string = expression.to_owned();
        for tag in expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()) {
            subscription.code_set.insert(java_hash(tag));
            subscription.tags_set.insert(tag.to_owned());
        }
        subscription
    }

    pub fn is_by_tags(&self) -> bool {
        self.expression_type.is_empty() || self.expression_type == EXPRESSION_TAG
    }

    /// Whether a message with this tag code may match; the client compares the tags themselves.
    pub fn matches_tags_code(&self, tags_code: i64) -> bool {
        self.sub_string == SUBSCRIBE_ALL
            || i32::try_from(tags_code).is_ok_and(|code| self.code_set.contains(&code))
    }
}

/// Java: `GetConsumerListByGroupResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerListResponse {
    pub consumer_id_list: Vec<String>,
}

/// Java: `CheckClientRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckClient {
    pub client_id: String,
    pub group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub subscription_data: SubscriptionData,
}

/// Java: `Connection`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    pub client_addr: String,
    pub client_id: String,
    pub language: String,
    pub version: i32,
}

/// Java: `ConsumerConnection`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerConnection {
    pub connection_set: Vec<Connection>,
    pub consume_from_where: ConsumeFromWhere,
    pub consume_type: ConsumeType,
    pub message_model: MessageModel,
    pub subscription_table: BTreeMap<String, SubscriptionData>,
}

/// Java: `ProducerConnection`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerConnection {
    pub connection_set: Vec<Connection>,
}

/// Java: `ProducerTableInfo`: producers by group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerTable {
    pub data: BTreeMap<String, Vec<ProducerInfo>>,
}

/// Java: `ProducerInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerInfo {
    pub client_id: String,
    pub language: String,
    pub last_update_timestamp: i64,
    #[serde(rename = "remoteIP")]
    pub remote_ip: String,
    pub version: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_expressions_give_javas_codes() {
        let subscription = SubscriptionData::by_tags("T", "TagA ||  || TagB", Millis(7));
        assert_eq!(subscription.code_set, [2598919, 2598920].into());
        assert!(subscription.matches_tags_code(2598920));
        assert!(!subscription.matches_tags_code(0));
        let all = SubscriptionData::by_tags("T", "", Millis(7));
        assert_eq!(all.sub_string, "*");
        assert!(all.matches_tags_code(0));
    }

    #[test]
    fn the_cpp_clients_heartbeat_is_read() {
        let text = r#"{"clientID":"1-127.0.0.1@c","consumerDataSet":[{"consumeFromWhere":4,
            "consumeType":1,"groupName":"G","messageModel":0,"subscriptionDataSet":[{"codeSet":[],
            "subString":"*","subVersion":"1795707437274","tagsSet":[],"topic":"T"}]}]}"#;
        let beat: HeartbeatData = serde_json::from_str(text).unwrap();
        let consumer = &beat.consumer_data_set[0];
        assert_eq!(consumer.consume_from_where, ConsumeFromWhere::FirstOffset);
        assert_eq!(consumer.consume_type, ConsumeType::Passively);
        assert_eq!(consumer.message_model, MessageModel::Broadcasting);
        assert_eq!(consumer.subscription_data_set[0].sub_version, 1795707437274);
    }

    #[test]
    fn constants_that_are_not_known_are_taken_for_the_usual_ones() {
        let text = r#"{"consumeFromWhere":"CONSUME_FROM_NOWHERE","messageModel":9}"#;
        assert_eq!(serde_json::from_str::<ConsumerData>(text).unwrap(), ConsumerData::default());
    }

    #[test]
    fn tag_codes_are_read_in_quotes_and_without() {
        let read = |text| serde_json::from_str::<SubscriptionData>(text).map(|s| s.code_set);
        assert_eq!(read(r#"{"codeSet":["66",-65]}"#).unwrap(), [-65, 66].into());
        assert!(read(r#"{"codeSet":["B"]}"#).is_err());
    }

    #[test]
    fn enum_names_are_read_in_any_case() {
        let read: MessageModel = serde_json::from_str("\"clustering\"").unwrap();
        assert_eq!(read, MessageModel::Clustering);
        assert!(serde_json::from_str::<MessageModel>("\"shouting\"").is_err());
    }
}
