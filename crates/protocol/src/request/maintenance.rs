//! Upkeep of a broker: 60, 61, 306, 316, 329, 354, 355, 2001 to 2004, 5001.

use bytestring::ByteString;

use super::headers;

headers! {
    /// The answer's body is seven int64: last read time, last timer log position, last timer
    /// queue offset, master's timer queue offset, and a data version's state version, timestamp
    /// and counter (Java: `TimerCheckpoint`).
    request GetTimerCheckPoint => () {}

    /// The answer's body is [`crate::body::TimerMetrics`].
    request GetTimerMetrics => () {}

    request CleanExpiredConsumeQueue => () {}

    request CleanUnusedTopic => () {}

    request DeleteExpiredCommitLog => () {}

    /// Java: `CheckRocksdbCqWriteProgressRequestHeader`.
    request CheckRocksDbCqWriteProgress => () {
        topic: ByteString,
        check_store_time: Option<i64>,
    }

    /// Java: `ExportRocksDBConfigToJsonRequestHeader`.
    request ExportRocksDbConfigToJson => () {
        config_type: ByteString,
    }

    /// The body is properties text, `group=threshold`.
    request UpdateColdDataFlowCtrConfig => () {}

    /// The body is a group.
    request RemoveColdDataFlowCtrConfig => () {}

    request GetColdDataFlowCtrInfo => () {}

    request SetCommitLogReadMode => () {
        /// 0 normal, 1 random (Java: `FIleReadaheadMode`).
        #[serde(rename = "READ_AHEAD_MODE")]
        read_ahead_mode: Option<ByteString>,
    }

    request SwitchTimerEngine => () {
        /// `R` RocksDB, `F` file wheel.
        #[serde(rename = "E_T")]
        engine_type: Option<ByteString>,
    }
}
