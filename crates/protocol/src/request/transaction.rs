//! Transactions: 37, 39, 323.

use bytestring::ByteString;

use super::headers;

/// `commit_or_rollback`: the producer does not know yet.
pub const TRANSACTION_UNKNOWN: i32 = 0;
/// `commit_or_rollback`: deliver the message.
pub const TRANSACTION_COMMIT: i32 = 8;
/// `commit_or_rollback`: forget the message.
pub const TRANSACTION_ROLLBACK: i32 = 12;

headers! {
    /// Java: `EndTransactionRequestHeader`.
    request EndTransaction => () {
        topic: Option<ByteString>,
        producer_group: ByteString,
        /// Queue offset of the half message.
        tran_state_table_offset: i64,
        /// Physical offset of the half message.
        commit_log_offset: i64,
        /// `TRANSACTION_…`.
        commit_or_rollback: i32,
        from_transaction_check: Option<bool>,
        msg_id: Option<ByteString>,
        transaction_id: Option<ByteString>,
    }

    /// Java: `CheckTransactionStateRequestHeader`, from broker to producer, one-way; the body is
    /// the half message under its real topic. The producer answers by [`EndTransaction`].
    request CheckTransactionState => () {
        topic: Option<ByteString>,
        tran_state_table_offset: i64,
        commit_log_offset: i64,
        msg_id: Option<ByteString>,
        transaction_id: Option<ByteString>,
        offset_msg_id: Option<ByteString>,
        /// Name of the broker that asks.
        bname: Option<ByteString>,
    }

    /// Java: `ResumeCheckHalfMessageRequestHeader`.
    request ResumeCheckHalfMessage => () {
        topic: Option<ByteString>,
        msg_id: Option<ByteString>,
    }
}
