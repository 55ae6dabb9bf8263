//! Between the brokers of one broker name, and brokers in a container: 902, 903, 906 to 908, 1007.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `AddBrokerRequestHeader`, to a broker container.
    request AddBroker => () {
        config_path: Option<ByteString>,
    }

    /// Java: `RemoveBrokerRequestHeader`, to a broker container.
    request RemoveBroker => () {
        broker_name: ByteString,
        broker_cluster_name: ByteString,
        broker_id: i64,
    }

    /// Java: `ExchangeHAInfoRequestHeader`.
    request ExchangeBrokerHaInfo => ExchangeBrokerHaInfoResponse {
        master_ha_address: Option<ByteString>,
        master_flush_offset: Option<i64>,
        master_address: Option<ByteString>,
    }

    /// Java: `ExchangeHAInfoResponseHeader`.
    response ExchangeBrokerHaInfoResponse {
        master_ha_address: Option<ByteString>,
        master_flush_offset: Option<i64>,
        master_address: Option<ByteString>,
    }

    /// The answer's body is [`crate::body::HaRuntimeInfo`].
    request GetBrokerHaStatus => () {}

    /// Java: `ResetMasterFlushOffsetHeader`.
    request ResetMasterFlushOffset => () {
        master_flush_offset: i64,
    }

    /// The answer's body is [`crate::body::EpochCache`].
    request GetBrokerEpochCache => () {}
}
