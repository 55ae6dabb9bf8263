//! Looking up messages: 12, 33, 321.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `QueryMessageRequestHeader`; the answer's body is the messages.
    request QueryMessage => QueryMessageResponse {
        topic: ByteString,
        key: ByteString,
        max_num: i32,
        begin_timestamp: i64,
        end_timestamp: i64,
        /// `K` keys, `T` tags, `U` unique id.
        index_type: Option<ByteString>,
        last_key: Option<ByteString>,
        /// `key` is a unique id.
        #[serde(rename = "_UNIQUE_KEY_QUERY")]
        unique_key_query: Option<bool>,
    }

    response QueryMessageResponse {
        index_last_update_timestamp: i64,
        index_last_update_phyoffset: i64,
    }

    /// Java: `ViewMessageRequestHeader`; the answer's body is one message.
    request ViewMessageById => () {
        topic: Option<ByteString>,
        /// Physical offset.
        offset: i64,
    }

    /// Java: `QueryConsumeQueueRequestHeader`; the answer's body is
    /// [`crate::body::ConsumeQueueEntries`].
    request QueryConsumeQueue => () {
        topic: Option<ByteString>,
        queue_id: i32,
        index: i64,
        count: i32,
        consumer_group: Option<ByteString>,
    }
}
