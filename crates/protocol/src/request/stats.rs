//! Statistics and state: 28, 202, 208, 303, 315, 317.

use bytestring::ByteString;

use super::headers;

headers! {
    /// The answer's body is [`crate::body::KvTable`].
    request GetBrokerRuntimeInfo => () {}

    /// Java: `GetTopicStatsInfoRequestHeader`; the answer's body is
    /// [`crate::body::TopicStats`].
    request GetTopicStatsInfo => () {
        topic: ByteString,
    }

    /// Java: `GetConsumeStatsRequestHeader`; the answer's body is
    /// [`crate::body::ConsumeStats`].
    request GetConsumeStats => () {
        consumer_group: ByteString,
        topic: Option<ByteString>,
        /// Topics joined by `;`.
        topic_list: Option<ByteString>,
    }

    /// Java: `GetConsumeStatsInBrokerHeader`; the answer's body is
    /// [`crate::body::BrokerConsumeStats`].
    request GetBrokerConsumeStats => () {
        is_order: bool,
    }

    /// Java: `QueryConsumeTimeSpanRequestHeader`; the answer's body is
    /// [`crate::body::ConsumeTimeSpans`].
    request QueryConsumeTimeSpan => () {
        topic: ByteString,
        group: ByteString,
    }

    /// Java: `ViewBrokerStatsDataRequestHeader`; the answer's body is
    /// [`crate::body::BrokerStats`].
    request ViewBrokerStatsData => () {
        stats_name: ByteString,
        stats_key: ByteString,
    }
}
