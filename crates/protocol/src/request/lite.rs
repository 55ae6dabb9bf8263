//! Lite topics: 200070, 200071, 200073 to 200079.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `PopLiteMessageRequestHeader`.
    request PopLiteMessage => PopLiteMessageResponse {
        client_id: ByteString,
        consumer_group: ByteString,
        topic: ByteString,
        max_msg_num: i32,
        invisible_time: i64,
        poll_time: i64,
        born_time: i64,
        attempt_id: Option<ByteString>,
    }

    /// Java: `PopLiteMessageResponseHeader`.
    response PopLiteMessageResponse {
        pop_time: i64,
        invisible_time: i64,
        revive_qid: i32,
        start_offset_info: Option<ByteString>,
        msg_offset_info: Option<ByteString>,
        order_count_info: Option<ByteString>,
    }

    /// The body is `{"subscriptionSet":[…]}`.
    request LiteSubscriptionCtl => () {}

    /// Java: `NotifyUnsubscribeLiteRequestHeader`, from broker to proxy, one-way.
    request NotifyUnsubscribeLite => () {
        lite_topic: ByteString,
        consumer_group: ByteString,
        client_id: ByteString,
    }

    request GetBrokerLiteInfo => () {}

    /// Java: `GetParentTopicInfoRequestHeader`.
    request GetParentTopicInfo => () {
        topic: ByteString,
    }

    /// Java: `GetLiteTopicInfoRequestHeader`.
    request GetLiteTopicInfo => () {
        parent_topic: Option<ByteString>,
        lite_topic: Option<ByteString>,
    }

    /// Java: `GetLiteClientInfoRequestHeader`.
    request GetLiteClientInfo => () {
        parent_topic: Option<ByteString>,
        group: Option<ByteString>,
        client_id: Option<ByteString>,
        max_count: Option<i32>,
    }

    /// Java: `GetLiteGroupInfoRequestHeader`.
    request GetLiteGroupInfo => () {
        group: ByteString,
        lite_topic: Option<ByteString>,
        top_k: Option<i32>,
    }

    /// Java: `TriggerLiteDispatchRequestHeader`.
    request TriggerLiteDispatch => () {
        group: ByteString,
        client_id: Option<ByteString>,
    }
}
