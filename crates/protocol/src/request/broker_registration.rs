//! Brokers at the name server: 103, 104, 205, 322, 327, 904, and notices about them: 905.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `RegisterBrokerRequestHeader`; the body is [`crate::body::RegisterBrokerBody`],
    /// the answer's [`crate::body::KvTable`] of the order topics.
    request RegisterBroker => RegisterBrokerResponse {
        broker_name: ByteString,
        broker_addr: ByteString,
        cluster_name: ByteString,
        ha_server_addr: ByteString,
        broker_id: i64,
        heartbeat_timeout_millis: Option<i64>,
        enable_acting_master: Option<bool>,
        /// Java 5 says false even of a body that is compressed.
        compressed: Option<bool>,
        /// CRC-32 of the body without its highest bit; 0 or absent: not to be checked.
        body_crc32: Option<i32>,
        #[serde(rename = "__ZONE_NAME")]
        zone_name: Option<ByteString>,
    }

    /// Java: `RegisterBrokerResponseHeader`.
    response RegisterBrokerResponse {
        ha_server_addr: Option<ByteString>,
        master_addr: Option<ByteString>,
    }

    /// Java: `UnRegisterBrokerRequestHeader`.
    request UnregisterBroker => () {
        broker_name: ByteString,
        broker_addr: ByteString,
        cluster_name: ByteString,
        broker_id: i64,
    }

    /// Java: `QueryDataVersionRequestHeader`; the body is [`crate::body::DataVersion`], the
    /// answer's too.
    request QueryDataVersion => QueryDataVersionResponse {
        broker_name: ByteString,
        broker_addr: ByteString,
        cluster_name: ByteString,
        broker_id: i64,
    }

    response QueryDataVersionResponse {
        changed: bool,
    }

    /// Java: `BrokerHeartbeatRequestHeader`, to name server or controller.
    request BrokerHeartbeat => () {
        cluster_name: ByteString,
        broker_addr: ByteString,
        broker_name: ByteString,
        broker_id: Option<i64>,
        epoch: Option<i32>,
        max_offset: Option<i64>,
        confirm_offset: Option<i64>,
        /// Java's spelling.
        #[serde(rename = "heartbeatTimeoutMills")]
        heartbeat_timeout_millis: Option<i64>,
        election_priority: Option<i32>,
    }

    /// Java: `WipeWritePermOfBrokerRequestHeader`.
    request WipeWritePermOfBroker => WipeWritePermOfBrokerResponse {
        broker_name: ByteString,
    }

    response WipeWritePermOfBrokerResponse {
        wipe_topic_count: i32,
    }

    /// Java: `AddWritePermOfBrokerRequestHeader`.
    request AddWritePermOfBroker => AddWritePermOfBrokerResponse {
        broker_name: ByteString,
    }

    response AddWritePermOfBrokerResponse {
        add_topic_count: i32,
    }

    /// Java: `NotifyMinBrokerIdChangeRequestHeader`, from name server to broker, one-way.
    request NotifyMinBrokerIdChange => () {
        min_broker_id: Option<i64>,
        broker_name: Option<ByteString>,
        min_broker_addr: Option<ByteString>,
        offline_broker_addr: Option<ByteString>,
        ha_broker_addr: Option<ByteString>,
    }
}
