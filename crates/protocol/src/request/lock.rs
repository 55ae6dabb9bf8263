//! Order locks on queues: 41, 42.

use super::headers;

headers! {
    /// The body is [`crate::body::LockBatch`], the answer's [`crate::body::LockBatchResponse`].
    request LockBatchMq => () {}

    /// The body is [`crate::body::LockBatch`].
    request UnlockBatchMq => () {}
}
