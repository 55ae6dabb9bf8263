//! Offsets of queues and groups: 14, 15, 29 to 32, 43, 45, and the admin's 222, 223, 308, 314.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `QueryConsumerOffsetRequestHeader`.
    request QueryConsumerOffset => QueryConsumerOffsetResponse {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
        set_zero_if_not_found: Option<bool>,
    }

    response QueryConsumerOffsetResponse {
        offset: i64,
    }

    /// Java: `UpdateConsumerOffsetRequestHeader`.
    request UpdateConsumerOffset => () {
        consumer_group: ByteString,
        topic: ByteString,
        queue_id: i32,
        commit_offset: i64,
    }

    /// Java: `GetMaxOffsetRequestHeader`.
    request GetMaxOffset => GetMaxOffsetResponse {
        topic: ByteString,
        queue_id: i32,
        committed: Option<bool>,
    }

    response GetMaxOffsetResponse {
        offset: i64,
    }

    /// Java: `GetMinOffsetRequestHeader`.
    request GetMinOffset => GetMinOffsetResponse {
        topic: ByteString,
        queue_id: i32,
    }

    response GetMinOffsetResponse {
        offset: i64,
    }

    /// Java: `SearchOffsetRequestHeader`.
    request SearchOffsetByTimestamp => SearchOffsetByTimestampResponse {
        topic: ByteString,
        queue_id: i32,
        timestamp: i64,
        /// `LOWER` (also when absent) or `UPPER`.
        boundary_type: Option<ByteString>,
        lite_topic: Option<ByteString>,
    }

    response SearchOffsetByTimestampResponse {
        offset: i64,
    }

    /// Java: `GetEarliestMsgStoretimeRequestHeader`.
    request GetEarliestMsgStoreTime => GetEarliestMsgStoreTimeResponse {
        topic: ByteString,
        queue_id: i32,
    }

    response GetEarliestMsgStoreTimeResponse {
        /// -1 if there is no message.
        timestamp: i64,
    }

    /// The body of the answer is [`crate::body::ConsumerOffsets`].
    request GetAllConsumerOffset => () {}

    /// The body of the answer is [`crate::body::DelayOffsets`].
    request GetAllDelayOffset => () {}

    /// Java: `ResetOffsetRequestHeader`; the answer's body is [`crate::body::ResetOffsets`].
    request InvokeBrokerToResetOffset => () {
        group: ByteString,
        topic: ByteString,
        /// -1: to the end.
        timestamp: i64,
        is_force: bool,
        /// -1 or absent: every queue.
        queue_id: Option<i32>,
        /// -1 or absent: by `timestamp`.
        offset: Option<i64>,
    }

    /// Java: `ResetOffsetRequestHeader`, from broker to consumer.
    request ResetConsumerClientOffset => () {
        topic: ByteString,
        group: ByteString,
        timestamp: i64,
        is_force: bool,
    }

    /// Java: `GetConsumerStatusRequestHeader`; the answer's body is
    /// [`crate::body::ConsumerStatus`].
    request InvokeBrokerToGetConsumerStatus => () {
        topic: ByteString,
        group: ByteString,
        client_addr: Option<ByteString>,
    }

    /// Java: `GetConsumerStatusRequestHeader`, from broker to consumer.
    request GetConsumerStatusFromClient => () {
        topic: ByteString,
        group: ByteString,
        client_addr: Option<ByteString>,
    }

    /// Java: `CloneGroupOffsetRequestHeader`.
    request CloneGroupOffset => () {
        src_group: ByteString,
        dest_group: ByteString,
        topic: Option<ByteString>,
        offline: Option<bool>,
    }

    /// Java: `QueryCorrectionOffsetHeader`; the answer's body is
    /// [`crate::body::CorrectionOffsets`].
    request QueryCorrectionOffset => () {
        /// Groups joined by commas.
        filter_groups: Option<ByteString>,
        compare_group: ByteString,
        topic: ByteString,
    }
}
