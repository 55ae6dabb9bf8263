//! Between the brokers of one broker name, and brokers in a container: 902, 903, 906 to 908, 1007;
//! 770001 to 770004, which only Skua has.

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

    /// Skua's own, from an operator to a master.
    request HandOver => HandOverResponse {
        /// Of the slave that becomes master.
        broker_id: i64,
        /// Where the slave takes requests.
        slave_address: ByteString,
        /// How long the slave may take to catch up before anything waits.
        timeout_millis: Option<i64>,
    }

    /// The new master, where the old one's log ended, and how long requests waited.
    response HandOverResponse {
        master_address: ByteString,
        offset: i64,
        waited_millis: i64,
    }

    /// Skua's own, from a master to its slave.
    request TakeOver => TakeOverResponse {
        /// Where the old master takes requests.
        master_address: ByteString,
        /// The end of its log.
        offset: i64,
        /// The role that the slave takes over: `ASYNC_MASTER` or `SYNC_MASTER`.
        broker_role: ByteString,
    }

    /// Where the new master's slaves connect to.
    response TakeOverResponse {
        ha_address: ByteString,
    }

    /// Skua's own, from an operator to a member of a group; the answer's body is JSON.
    request RaftControl => () {
        /// `status`, `transfer`, `add`, `remove`.
        action: ByteString,
        /// The number of a member: 0 is n0.
        id: Option<i64>,
        /// `host:port` of a new member.
        address: Option<ByteString>,
    }

    /// Skua's own, from a slave to its master; the answer's body is JSON.
    request GetAllHeld => () {}
}
