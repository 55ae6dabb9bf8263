//! Clients and their groups: 34, 35, 38, 40, 46, and what is relayed to them: 307, 309.

use bytestring::ByteString;

use super::headers;

headers! {
    /// The body is [`crate::body::HeartbeatData`].
    request HeartBeat => HeartBeatResponse {}

    response HeartBeatResponse {
        #[serde(rename = "IS_SUPPORT_HEART_BEAT_V2")]
        supports_v2: Option<bool>,
        /// Whether the subscription fingerprint of any group differs.
        #[serde(rename = "IS_SUB_CHANGE")]
        subscription_changed: Option<bool>,
    }

    /// Java: `UnregisterClientRequestHeader`.
    request UnregisterClient => () {
        #[serde(rename = "clientID")]
        client_id: ByteString,
        producer_group: Option<ByteString>,
        consumer_group: Option<ByteString>,
    }

    /// Java: `GetConsumerListByGroupRequestHeader`; the answer's body is
    /// [`crate::body::ConsumerListResponse`].
    request GetConsumerListByGroup => () {
        consumer_group: ByteString,
    }

    /// Java: `NotifyConsumerIdsChangedRequestHeader`, from broker to consumer, one-way.
    request NotifyConsumerIdsChanged => () {
        consumer_group: ByteString,
    }

    /// The body is [`crate::body::CheckClient`].
    request CheckClientConfig => () {}

    /// Java: `GetConsumerRunningInfoRequestHeader`, to the broker and from there to the client.
    request GetConsumerRunningInfo => () {
        consumer_group: ByteString,
        client_id: ByteString,
        jstack_enable: bool,
    }

    /// Java: `ConsumeMessageDirectlyResultRequestHeader`, to the broker and from there to the
    /// client, with the message as body.
    request ConsumeMessageDirectly => () {
        consumer_group: ByteString,
        client_id: Option<ByteString>,
        msg_id: Option<ByteString>,
        broker_name: Option<ByteString>,
        topic: Option<ByteString>,
        topic_sys_flag: Option<i32>,
        group_sys_flag: Option<i32>,
    }

    /// Java: `GetConsumerConnectionListRequestHeader`; the answer's body is
    /// [`crate::body::ConsumerConnection`].
    request GetConsumerConnectionList => () {
        consumer_group: ByteString,
    }

    /// Java: `GetProducerConnectionListRequestHeader`; the answer's body is
    /// [`crate::body::ProducerConnection`].
    request GetProducerConnectionList => () {
        producer_group: ByteString,
    }

    /// The answer's body is [`crate::body::ProducerTable`].
    request GetAllProducerInfo => () {}
}
