//! Pulling: 11, 361.

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{Request, headers};
use crate::code::RequestCode;

/// `sys_flag`: commit `commit_offset` first.
pub const PULL_COMMIT_OFFSET: i32 = 1;
/// `sys_flag`: the broker may hold the request until a message comes.
pub const PULL_SUSPEND: i32 = 2;
/// `sys_flag`: the request carries its subscription.
pub const PULL_SUBSCRIPTION: i32 = 4;
/// `sys_flag`: filtering by class, a removed feature.
pub const PULL_CLASS_FILTER: i32 = 8;
/// `sys_flag`: sent by a lite pull consumer.
pub const PULL_LITE: i32 = 16;

headers! {
    /// Java: `PullMessageRequestHeader`.
    request PullMessage => PullMessageResponse {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
        queue_offset: i64,
        max_msg_nums: i32,
        /// `PULL_…` bits.
        sys_flag: i32,
        #[serde(default)]
        commit_offset: i64,
        #[serde(default)]
        suspend_timeout_millis: i64,
        #[serde(default)]
        sub_version: i64,
        subscription: Option<ByteString>,
        expression_type: Option<ByteString>,
        max_msg_bytes: Option<i32>,
        request_source: Option<i32>,
        /// Java's spelling.
        #[serde(rename = "proxyFrowardClientId")]
        proxy_forward_client_id: Option<ByteString>,
        lite_topic: Option<ByteString>,
    }

    /// Java: `PullMessageResponseHeader`. The body is the messages, one stored record after the
    /// other.
    response PullMessageResponse {
        suggest_which_broker_id: i64,
        next_begin_offset: i64,
        min_offset: i64,
        max_offset: i64,
        offset_delta: Option<i64>,
        topic_sys_flag: Option<i32>,
        group_sys_flag: Option<i32>,
        /// Who forbade it: 1 broker, 2 group, 3 topic, 4 broadcasting, 5 subscription.
        forbidden_type: Option<i32>,
    }
}

/// As [`PullMessage`], from a lite pull consumer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LitePullMessage(pub PullMessage);

impl Request for LitePullMessage {
    const CODE: RequestCode = RequestCode::LitePullMessage;
    type Response = PullMessageResponse;
}
