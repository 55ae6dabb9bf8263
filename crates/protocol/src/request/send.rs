//! Sending: 10, 310, 320, 324, 325, and giving a message back: 36.

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{Request, headers};
use crate::code::RequestCode;
use crate::command::Command;
use crate::header::DecodeFieldsError;

/// What clients send unless told otherwise; Java does without where the topic is there already.
fn default_topic_queue_nums() -> i32 {
    4
}

headers! {
    /// Java: `SendMessageRequestHeader`. Properties are encoded as in [`crate::properties`].
    request SendMessage => SendMessageResponse {
        #[serde(default)]
        producer_group: ByteString,
        topic: ByteString,
        /// Topic whose configuration a topic that does not exist yet is made from.
        #[serde(default)]
        default_topic: ByteString,
        #[serde(default = "default_topic_queue_nums")]
        default_topic_queue_nums: i32,
        /// Negative: the broker chooses.
        queue_id: i32,
        sys_flag: i32,
        born_timestamp: i64,
        flag: i32,
        properties: Option<ByteString>,
        reconsume_times: Option<i32>,
        unit_mode: Option<bool>,
        max_reconsume_times: Option<i32>,
        batch: Option<bool>,
    }

    /// Java: `SendMessageRequestHeaderV2`: [`SendMessage`] with one-letter names.
    request SendMessageV2 => SendMessageResponse {
        #[serde(rename = "a", default)]
        producer_group: ByteString,
        #[serde(rename = "b")]
        topic: ByteString,
        #[serde(rename = "c", default)]
        default_topic: ByteString,
        #[serde(rename = "d", default = "default_topic_queue_nums")]
        default_topic_queue_nums: i32,
        #[serde(rename = "e")]
        queue_id: i32,
        #[serde(rename = "f")]
        sys_flag: i32,
        #[serde(rename = "g")]
        born_timestamp: i64,
        #[serde(rename = "h")]
        flag: i32,
        #[serde(rename = "i")]
        properties: Option<ByteString>,
        #[serde(rename = "j")]
        reconsume_times: Option<i32>,
        #[serde(rename = "k")]
        unit_mode: Option<bool>,
        #[serde(rename = "l")]
        max_reconsume_times: Option<i32>,
        #[serde(rename = "m")]
        batch: Option<bool>,
        #[serde(rename = "n")]
        broker_name: Option<ByteString>,
    }

    /// Java: `SendMessageResponseHeader`, and the two fields every send answer carries.
    response SendMessageResponse {
        /// Offset message ids, joined by commas for a batch.
        msg_id: ByteString,
        queue_id: i32,
        queue_offset: i64,
        transaction_id: Option<ByteString>,
        batch_uniq_id: Option<ByteString>,
        recall_handle: Option<ByteString>,
        #[serde(rename = "MSG_REGION")]
        msg_region: Option<ByteString>,
        /// Java clients switch message tracing by this.
        #[serde(rename = "TRACE_ON")]
        trace_on: Option<bool>,
    }

    /// Java: `ConsumerSendMsgBackRequestHeader`.
    request ConsumerSendMsgBack => () {
        /// Physical offset of the message.
        offset: i64,
        group: ByteString,
        /// 0: the broker chooses; negative: to the dead letter queue.
        delay_level: i32,
        origin_msg_id: Option<ByteString>,
        origin_topic: Option<ByteString>,
        unit_mode: Option<bool>,
        max_reconsume_times: Option<i32>,
    }

    /// Java: `RecallMessageRequestHeader`.
    request RecallMessage => RecallMessageResponse {
        producer_group: Option<ByteString>,
        topic: ByteString,
        recall_handle: ByteString,
    }

    /// Java: `RecallMessageResponseHeader`.
    response RecallMessageResponse {
        msg_id: ByteString,
    }

    /// Java: `ReplyMessageRequestHeader`; the body is the reply's.
    request PushReplyMessageToClient => () {
        producer_group: ByteString,
        topic: ByteString,
        default_topic: ByteString,
        default_topic_queue_nums: i32,
        queue_id: i32,
        sys_flag: i32,
        born_timestamp: i64,
        flag: i32,
        properties: Option<ByteString>,
        reconsume_times: Option<i32>,
        unit_mode: Option<bool>,
        /// `ip:port`
        born_host: ByteString,
        store_host: ByteString,
        store_timestamp: i64,
    }
}

/// Any of the requests to send, as a broker reads it: the texts stay where they are in the request.
/// What the fields mean stands with [`SendMessage`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendHeader<'a> {
    #[serde(default)]
    pub producer_group: &'a str,
    pub topic: &'a str,
    #[serde(default)]
    pub default_topic: &'a str,
    #[serde(default = "default_topic_queue_nums")]
    pub default_topic_queue_nums: i32,
    pub queue_id: i32,
    pub sys_flag: i32,
    pub born_timestamp: i64,
    pub flag: i32,
    pub properties: Option<&'a str>,
    pub reconsume_times: Option<i32>,
    pub unit_mode: Option<bool>,
    pub max_reconsume_times: Option<i32>,
    pub batch: Option<bool>,
    /// Of the short names only.
    #[serde(skip)]
    pub broker_name: Option<&'a str>,
}

/// The names of [`SendMessageV2`].
#[derive(Deserialize)]
#[serde(remote = "SendHeader")]
struct ShortNames<'a> {
    #[serde(rename = "a", default)]
    producer_group: &'a str,
    #[serde(rename = "b")]
    topic: &'a str,
    #[serde(rename = "c", default)]
    default_topic: &'a str,
    #[serde(rename = "d", default = "default_topic_queue_nums")]
    default_topic_queue_nums: i32,
    #[serde(rename = "e")]
    queue_id: i32,
    #[serde(rename = "f")]
    sys_flag: i32,
    #[serde(rename = "g")]
    born_timestamp: i64,
    #[serde(rename = "h")]
    flag: i32,
    #[serde(rename = "i")]
    properties: Option<&'a str>,
    #[serde(rename = "j")]
    reconsume_times: Option<i32>,
    #[serde(rename = "k")]
    unit_mode: Option<bool>,
    #[serde(rename = "l")]
    max_reconsume_times: Option<i32>,
    #[serde(rename = "m")]
    batch: Option<bool>,
    #[serde(rename = "n")]
    broker_name: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Short<'a>(#[serde(borrow, with = "ShortNames")] SendHeader<'a>);

impl<'a> SendHeader<'a> {
    /// The header of `request`, which is one of those to send.
    pub fn read(code: RequestCode, request: &'a Command) -> Result<Self, DecodeFieldsError> {
        match code {
            RequestCode::SendMessage | RequestCode::SendReplyMessage => request.header_in_place(),
            _ => request.header_in_place().map(|Short(header)| header),
        }
    }
}

/// [`SendMessageResponse`] as a broker writes it, without texts of its own.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendAnswer<'a> {
    pub msg_id: &'a str,
    pub queue_id: i32,
    pub queue_offset: i64,
    pub transaction_id: Option<&'a str>,
    pub batch_uniq_id: Option<&'a str>,
    pub recall_handle: Option<&'a str>,
    #[serde(rename = "MSG_REGION")]
    pub msg_region: Option<&'a str>,
    #[serde(rename = "TRACE_ON")]
    pub trace_on: Option<bool>,
}

macro_rules! same_header {
    ($($(#[$meta:meta])* $name:ident($header:ty);)+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub $header);

            impl Request for $name {
                const CODE: RequestCode = RequestCode::$name;
                type Response = SendMessageResponse;
            }
        )+
    };
}

same_header! {
    /// Several messages in one body ([`crate::record::BatchItems`]).
    SendBatchMessage(SendMessageV2);
    /// The answer to a request message.
    SendReplyMessage(SendMessage);
    /// The answer to a request message.
    SendReplyMessageV2(SendMessageV2);
}

impl From<SendMessageV2> for SendMessage {
    fn from(v2: SendMessageV2) -> Self {
        Self {
            producer_group: v2.producer_group,
            topic: v2.topic,
            default_topic: v2.default_topic,
            default_topic_queue_nums: v2.default_topic_queue_nums,
            queue_id: v2.queue_id,
            sys_flag: v2.sys_flag,
            born_timestamp: v2.born_timestamp,
            flag: v2.flag,
            properties: v2.properties,
            reconsume_times: v2.reconsume_times,
            unit_mode: v2.unit_mode,
            max_reconsume_times: v2.max_reconsume_times,
            batch: v2.batch,
        }
    }
}

impl From<SendMessage> for SendMessageV2 {
    fn from(v1: SendMessage) -> Self {
        Self {
            producer_group: v1.producer_group,
            topic: v1.topic,
            default_topic: v1.default_topic,
            default_topic_queue_nums: v1.default_topic_queue_nums,
            queue_id: v1.queue_id,
            sys_flag: v1.sys_flag,
            born_timestamp: v1.born_timestamp,
            flag: v1.flag,
            properties: v1.properties,
            reconsume_times: v1.reconsume_times,
            unit_mode: v1.unit_mode,
            max_reconsume_times: v1.max_reconsume_times,
            batch: v1.batch,
            broker_name: None,
        }
    }
}
