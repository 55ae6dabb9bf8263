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
    request SendMessage<Text = ByteString> => SendMessageResponse {
        #[serde(default)]
        producer_group: Text,
        topic: Text,
        /// Topic whose configuration a topic that does not exist yet is made from.
        #[serde(default)]
        default_topic: Text,
        #[serde(default = "default_topic_queue_nums")]
        default_topic_queue_nums: i32,
        /// Negative: the broker chooses.
        queue_id: i32,
        sys_flag: i32,
        born_timestamp: i64,
        flag: i32,
        properties: Option<Text>,
        reconsume_times: Option<i32>,
        unit_mode: Option<bool>,
        max_reconsume_times: Option<i32>,
        batch: Option<bool>,
    }

    /// Java: `SendMessageRequestHeaderV2`: [`SendMessage`] with one-letter names.
    request SendMessageV2<Text = ByteString> => SendMessageResponse {
        #[serde(rename = "a", default)]
        producer_group: Text,
        #[serde(rename = "b")]
        topic: Text,
        #[serde(rename = "c", default)]
        default_topic: Text,
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
        properties: Option<Text>,
        #[serde(rename = "j")]
        reconsume_times: Option<i32>,
        #[serde(rename = "k")]
        unit_mode: Option<bool>,
        #[serde(rename = "l")]
        max_reconsume_times: Option<i32>,
        #[serde(rename = "m")]
        batch: Option<bool>,
        #[serde(rename = "n")]
        broker_name: Option<Text>,
    }

    /// Java: `SendMessageResponseHeader`, and the two fields every send answer carries.
    response SendMessageResponse<Text = ByteString> {
        /// Offset message ids, joined by commas for a batch.
        msg_id: Text,
        queue_id: i32,
        queue_offset: i64,
        transaction_id: Option<Text>,
        batch_uniq_id: Option<Text>,
        recall_handle: Option<Text>,
        #[serde(rename = "MSG_REGION")]
        msg_region: Option<Text>,
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
pub type SendHeader<'a> = SendMessage<&'a str>;

impl<'a> SendHeader<'a> {
    /// The header of `request`, which is one of those to send.
    pub fn read(code: RequestCode, request: &'a Command) -> Result<Self, DecodeFieldsError> {
        match code {
            RequestCode::SendMessage | RequestCode::SendReplyMessage => request.header_in_place(),
            _ => request.header_in_place().map(SendMessageV2::into),
        }
    }
}

/// The answer as a broker writes it, without texts of its own.
pub type SendAnswer<'a> = SendMessageResponse<&'a str>;

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

impl<Text> From<SendMessageV2<Text>> for SendMessage<Text> {
    fn from(v2: SendMessageV2<Text>) -> Self {
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

impl<Text> From<SendMessage<Text>> for SendMessageV2<Text> {
    fn from(v1: SendMessage<Text>) -> Self {
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
