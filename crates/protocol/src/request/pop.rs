//! Pop, the lease-style way to consume: 200050 to 200056, 200151, and its modes: 400 to 402.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `PopMessageRequestHeader`; the answer's body is messages.
    request PopMessage => PopMessageResponse {
        consumer_group: ByteString,
        topic: ByteString,
        /// -1: any. Numbers that are missing are 0 to Java, here alone.
        #[serde(default)]
        queue_id: i32,
        #[serde(default)]
        max_msg_nums: i32,
        /// Milliseconds.
        #[serde(default)]
        invisible_time: i64,
        /// Milliseconds the broker may wait for messages.
        #[serde(default)]
        poll_time: i64,
        #[serde(default)]
        born_time: i64,
        /// Where a new group starts: 0 at the first message, 1 after the last.
        #[serde(default)]
        init_mode: i32,
        exp_type: Option<ByteString>,
        exp: Option<ByteString>,
        order: Option<bool>,
        attempt_id: Option<ByteString>,
    }

    /// Java: `PopMessageResponseHeader`. The three texts are items `retry queue values` joined
    /// by `;` (Java: `ExtraInfoUtil`).
    response PopMessageResponse {
        pop_time: i64,
        invisible_time: i64,
        revive_qid: i32,
        rest_num: i64,
        start_offset_info: Option<ByteString>,
        msg_offset_info: Option<ByteString>,
        order_count_info: Option<ByteString>,
    }

    /// Java: `AckMessageRequestHeader`.
    request AckMessage => () {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
        extra_info: ByteString,
        offset: i64,
        lite_topic: Option<ByteString>,
    }

    /// The body is [`crate::body::BatchAckBody`].
    request BatchAckMessage => () {}

    /// Java: `PeekMessageRequestHeader`.
    request PeekMessage => PopMessageResponse {
        topic: ByteString,
        queue_id: i32,
        max_msg_nums: i32,
        consumer_group: ByteString,
    }

    /// Java: `ChangeInvisibleTimeRequestHeader`.
    request ChangeMessageInvisibleTime => ChangeMessageInvisibleTimeResponse {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
        extra_info: ByteString,
        offset: i64,
        invisible_time: i64,
        lite_topic: Option<ByteString>,
        suspend: Option<bool>,
    }

    /// Java: `ChangeInvisibleTimeResponseHeader`.
    response ChangeMessageInvisibleTimeResponse {
        pop_time: i64,
        invisible_time: i64,
        revive_qid: i32,
    }

    /// Java: `NotificationRequestHeader`.
    request Notification => NotificationResponse {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
        poll_time: i64,
        born_time: i64,
        order: Option<bool>,
        attempt_id: Option<ByteString>,
        exp_type: Option<ByteString>,
        exp: Option<ByteString>,
    }

    /// Java: `NotificationResponseHeader`.
    response NotificationResponse {
        has_msg: bool,
        polling_full: Option<bool>,
    }

    /// Java: `PollingInfoRequestHeader`.
    request PollingInfo => PollingInfoResponse {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
    }

    response PollingInfoResponse {
        polling_num: i32,
    }

    request PopRollback => () {}

    /// The body is [`crate::body::QueryAssignmentBody`], the answer's
    /// [`crate::body::Assignments`].
    request QueryAssignment => () {}

    /// The body is [`crate::body::MessageRequestModeConfig`].
    request SetMessageRequestMode => () {}

    /// The answer's body is [`crate::body::MessageRequestModes`].
    request GetAllMessageRequestMode => () {}
}
