//! How messages are kept. Java: `MessageStoreConfig`.

use super::config_table;
use crate::value::{BrokerRole, FlushDiskType};

config_table! {
    |env|
    /// How messages are kept. Java: `MessageStoreConfig`.
    pub struct StoreConfig("MessageStoreConfig") {
        access_message_in_memory_hot_ratio: i32 = 26, "accessMessageInMemoryHotRatio", Inert;
        /// Percent of physical memory behind the log's end that counts as cached.
        access_message_in_memory_max_ratio: i32 = 40, "accessMessageInMemoryMaxRatio", Restart;
        all_ack_in_sync_state_set: bool = false, "allAckInSyncStateSet", Inert;
        append_topic_for_timer_delete_key: bool = false, "appendTopicForTimerDeleteKey", Inert;
        async_learner: bool = false, "asyncLearner", Inert;
        auto_message_version_on_topic_len: bool = true, "autoMessageVersionOnTopicLen", Inert;
        batch_dispatch_request_thread_pool_nums: i32 = 16, "batchDispatchRequestThreadPoolNums", Inert;
        bit_map_length_consume_queue_ext: i32 = 64, "bitMapLengthConsumeQueueExt", Inert;
        bottom_most_compression_type_for_consume_queue_store: String = "zstd".into(), "bottomMostCompressionTypeForConsumeQueueStore", Inert;
        /// ASYNC_MASTER, SYNC_MASTER or SLAVE.
        broker_role: BrokerRole = BrokerRole::AsyncMaster, "brokerRole", Restart;
        check_commit_log_offset_on_recover: bool = false, "checkCommitLogOffsetOnRecover", Inert;
        /// Check each body's CRC at recovery.
        check_crc_on_recover: bool = true, "checkCRCOnRecover", Restart;
        clean_file_forcibly_enable: bool = true, "cleanFileForciblyEnable", Inert;
        clean_resource_interval: i32 = 10_000, "cleanResourceInterval", Inert;
        clean_rocks_db_dirty_cq_interval_min: i64 = 60, "cleanRocksDBDirtyCQIntervalMin", Inert;
        clean_swaped_map_interval: i64 = 300_000, "cleanSwapedMapInterval", Inert;
        cold_data_flow_control_enable: bool = false, "coldDataFlowControlEnable", Inert;
        cold_data_scan_enable: bool = false, "coldDataScanEnable", Inert;
        combine_assign_offset_cq_type: String = "default".into(), "combineAssignOffsetCQType", Inert;
        combine_cq_enable_check_self: bool = false, "combineCQEnableCheckSelf", Inert;
        combine_cq_loading_cq_types: String = "default;defaultRocksDB".into(), "combineCQLoadingCQTypes", Inert;
        combine_cq_max_extra_search_commit_log_files: i32 = 3, "combineCQMaxExtraSearchCommitLogFiles", Inert;
        combine_cq_prefer_cq_type: String = "default".into(), "combineCQPreferCQType", Inert;
        combine_cq_use_rocksdb_for_lmq: bool = false, "combineCQUseRocksdbForLmq", Inert;
        commit_commit_log_least_pages: i32 = 4, "commitCommitLogLeastPages", Inert;
        commit_commit_log_thorough_interval: i32 = 200, "commitCommitLogThoroughInterval", Inert;
        commit_interval_commit_log: i32 = 200, "commitIntervalCommitLog", Inert;
        commit_log_force_swap_map_interval: i64 = 43_200_000, "commitLogForceSwapMapInterval", Inert;
        commit_log_recover_max_num: i32 = 10, "commitLogRecoverMaxNum", Inert;
        commit_log_swap_map_interval: i64 = 3_600_000, "commitLogSwapMapInterval", Inert;
        commit_log_swap_map_reserve_file_num: i32 = 100, "commitLogSwapMapReserveFileNum", Inert;
        compaction_cq_mapped_file_size: i32 = 10_485_760, "compactionCqMappedFileSize", Inert;
        compaction_mapped_file_size: i32 = 104_857_600, "compactionMappedFileSize", Inert;
        compaction_schedule_internal: i32 = 900_000, "compactionScheduleInternal", Inert;
        compaction_thread_num: i32 = 6, "compactionThreadNum", Inert;
        correct_logic_min_offset_force_interval: i32 = 300_000, "correctLogicMinOffsetForceInterval", Inert;
        correct_logic_min_offset_sleep_interval: i32 = 1, "correctLogicMinOffsetSleepInterval", Inert;
        data_read_ahead_enable: bool = true, "dataReadAheadEnable", Inert;
        debug_lock_enable: bool = false, "debugLockEnable", Inert;
        default_query_max_num: i32 = 32, "defaultQueryMaxNum", Inert;
        delete_commit_log_files_interval: i32 = 100, "deleteCommitLogFilesInterval", Inert;
        delete_consume_queue_files_interval: i32 = 100, "deleteConsumeQueueFilesInterval", Inert;
        delete_file_batch_max: i32 = 10, "deleteFileBatchMax", Inert;
        delete_when: String = "04".into(), "deleteWhen", Inert;
        destroy_maped_file_interval_forcibly: i32 = 120_000, "destroyMapedFileIntervalForcibly", Inert;
        disappear_time_after_start: i32 = -1, "disappearTimeAfterStart", Inert;
        disk_fall_recorded: bool = true, "diskFallRecorded", Inert;
        disk_max_used_space_ratio: i32 = 75, "diskMaxUsedSpaceRatio", Inert;
        disk_space_clean_forcibly_ratio: i32 = 85, "diskSpaceCleanForciblyRatio", Inert;
        disk_space_warning_level_ratio: i32 = 90, "diskSpaceWarningLevelRatio", Inert;
        dispatch_cq_cache_num: i32 = 4096, "dispatchCqCacheNum", Inert;
        dispatch_cq_threads: i32 = 10, "dispatchCqThreads", Inert;
        dispatch_from_sender_thread: bool = false, "dispatchFromSenderThread", Inert;
        dleger_group: String = String::new(), "dLegerGroup", Inert;
        dleger_peers: String = String::new(), "dLegerPeers", Inert;
        dleger_self_id: String = String::new(), "dLegerSelfId", Inert;
        duplication_enable: bool = false, "duplicationEnable", Inert;
        enable_accelerated_recovery: bool = false, "enableAcceleratedRecovery", Inert;
        enable_async_reput: bool = true, "enableAsyncReput", Inert;
        enable_auto_in_sync_replicas: bool = false, "enableAutoInSyncReplicas", Inert;
        enable_batch_push: bool = false, "enableBatchPush", Inert;
        enable_build_consume_queue_concurrently: bool = false, "enableBuildConsumeQueueConcurrently", Inert;
        enable_clean_expired_offset: bool = false, "enableCleanExpiredOffset", Inert;
        enable_compaction: bool = true, "enableCompaction", Inert;
        enable_consume_queue_ext: bool = false, "enableConsumeQueueExt", Inert;
        enabled_append_prop_crc: bool = false, "enabledAppendPropCRC", Inert;
        enable_dleger_commit_log: bool = false, "enableDLegerCommitLog", Inert;
        enable_lmq: bool = false, "enableLmq", Inert;
        enable_lmq_quota: bool = false, "enableLmqQuota", Inert;
        enable_log_consume_queue_repeatedly_build_when_recover: bool = false, "enableLogConsumeQueueRepeatedlyBuildWhenRecover", Inert;
        enable_multi_dispatch: bool = false, "enableMultiDispatch", Inert;
        enable_rocks_db_log: bool = false, "enableRocksDBLog", Inert;
        enable_running_flags_in_flush: bool = false, "enableRunningFlagsInFlush", Inert;
        enable_schedule_async_deliver: bool = false, "enableScheduleAsyncDeliver", Inert;
        enable_schedule_message_stats: bool = true, "enableScheduleMessageStats", Inert;
        fast_fail_if_no_buffer_in_store_pool: bool = false, "fastFailIfNoBufferInStorePool", Inert;
        file_reserved_time: i32 = 72, "fileReservedTime", Inert;
        /// Dirty pages of 4 KiB worth a flush of the commit log.
        flush_commit_log_least_pages: i32 = 4, "flushCommitLogLeastPages", Restart;
        /// Milliseconds after which any dirty byte of the commit log is flushed.
        flush_commit_log_thorough_interval: i32 = 10_000, "flushCommitLogThoroughInterval", Restart;
        flush_commit_log_timed: bool = true, "flushCommitLogTimed", Inert;
        /// Dirty pages of 4 KiB worth a flush of a consume queue.
        flush_consume_queue_least_pages: i32 = 2, "flushConsumeQueueLeastPages", Restart;
        /// Milliseconds after which all consume queues are flushed and the checkpoint is written.
        flush_consume_queue_thorough_interval: i32 = 60_000, "flushConsumeQueueThoroughInterval", Restart;
        /// Milliseconds between two writes of delayOffset.json.
        flush_delay_offset_interval: i64 = 10_000, "flushDelayOffsetInterval", Live;
        /// When a send is answered: ASYNC_FLUSH once the page cache has it, SYNC_FLUSH once the disk has it.
        flush_disk_type: FlushDiskType = FlushDiskType::AsyncFlush, "flushDiskType", Restart;
        /// Milliseconds between two looks whether the commit log is to be flushed.
        flush_interval_commit_log: i32 = 500, "flushIntervalCommitLog", Restart;
        /// Milliseconds between two looks whether consume queues are to be flushed.
        flush_interval_consume_queue: i32 = 1000, "flushIntervalConsumeQueue", Restart;
        flush_least_pages_when_warm_maped_file: i32 = 4096, "flushLeastPagesWhenWarmMapedFile", Inert;
        force_verify_prop_crc: bool = false, "forceVerifyPropCRC", Inert;
        ha_flow_control_enable: bool = false, "haFlowControlEnable", Inert;
        ha_housekeeping_interval: i32 = 20_000, "haHousekeepingInterval", Inert;
        /// Port for replication; listenPort + 1 unless given.
        ha_listen_port: u16 = 10_912, "haListenPort", Restart;
        ha_master_address: String = String::new(), "haMasterAddress", Inert;
        ha_max_gap_not_in_sync: i32 = 268_435_456, "haMaxGapNotInSync", Inert;
        ha_max_time_slave_not_catchup: i64 = 15_000, "haMaxTimeSlaveNotCatchup", Inert;
        ha_send_heartbeat_interval: i32 = 5000, "haSendHeartbeatInterval", Inert;
        ha_transfer_batch_size: i32 = 32_768, "haTransferBatchSize", Inert;
        index_file_read_enable: bool = true, "indexFileReadEnable", Inert;
        index_file_write_enable: bool = true, "indexFileWriteEnable", Inert;
        index_rocks_db_enable: bool = false, "indexRocksDBEnable", Inert;
        in_sync_replicas: i32 = 1, "inSyncReplicas", Inert;
        iterator_when_use_rocksdb_consume_queue: bool = true, "iteratorWhenUseRocksdbConsumeQueue", Inert;
        logical_disk_space_clean_forcibly_threshold: f64 = 0.8, "logicalDiskSpaceCleanForciblyThreshold", Inert;
        logic_queue_force_swap_map_interval: i64 = 43_200_000, "logicQueueForceSwapMapInterval", Inert;
        logic_queue_swap_map_interval: i64 = 3_600_000, "logicQueueSwapMapInterval", Inert;
        logic_queue_swap_map_reserve_file_num: i32 = 20, "logicQueueSwapMapReserveFileNum", Inert;
        /// Bytes of one commit log file; where files exist and the key is not given, their size.
        mapped_file_size_commit_log: i32 = 1_073_741_824, "mappedFileSizeCommitLog", Restart;
        /// Bytes of one consume queue file, rounded up to whole entries of 20 bytes.
        mapped_file_size_consume_queue: i32 = 6_000_000, "mappedFileSizeConsumeQueue", Restart;
        mapped_file_size_consume_queue_ext: i32 = 50_331_648, "mappedFileSizeConsumeQueueExt", Inert;
        mapped_file_size_timer_log: i32 = 104_857_600, "mappedFileSizeTimerLog", Inert;
        mapped_file_swap_enable: bool = true, "mappedFileSwapEnable", Inert;
        mapper_file_size_batch_consume_queue: i32 = 13_800_000, "mapperFileSizeBatchConsumeQueue", Inert;
        max_async_put_message_requests: i32 = 5000, "maxAsyncPutMessageRequests", Inert;
        max_batch_delete_files_num: i32 = 50, "maxBatchDeleteFilesNum", Inert;
        max_checksum_range: i64 = 1_073_741_824, "maxChecksumRange", Inert;
        max_consume_queue_scan: i32 = 20_000, "maxConsumeQueueScan", Inert;
        max_filter_message_size: i32 = 16_000, "maxFilterMessageSize", Inert;
        max_hash_slot_num: i32 = 5_000_000, "maxHashSlotNum", Inert;
        max_ha_transfer_byte_in_second: i64 = 104_857_600, "maxHaTransferByteInSecond", Inert;
        max_index_num: i32 = 20_000_000, "maxIndexNum", Inert;
        max_lmq_consume_queue_num: i32 = 20_000, "maxLmqConsumeQueueNum", Inert;
        /// Bytes of the longest message body.
        max_message_size: i32 = 4_194_304, "maxMessageSize", Live;
        max_msgs_num_batch: i32 = 64, "maxMsgsNumBatch", Inert;
        max_offset_map_size: i32 = 104_857_600, "maxOffsetMapSize", Inert;
        max_recovery_commitlog_files: i32 = 30, "maxRecoveryCommitlogFiles", Inert;
        max_rocks_db_index_query_days: i32 = 7, "maxRocksDBIndexQueryDays", Inert;
        max_slave_resend_length: i64 = 268_435_456, "maxSlaveResendLength", Inert;
        max_topic_length: i32 = 127, "maxTopicLength", Inert;
        /// Bytes of one pull's answer from messages on disk.
        max_transfer_bytes_on_message_in_disk: i32 = 65_536, "maxTransferBytesOnMessageInDisk", Restart;
        /// Bytes of one pull's answer from cached messages.
        max_transfer_bytes_on_message_in_memory: i32 = 262_144, "maxTransferBytesOnMessageInMemory", Restart;
        /// Messages of one pull's answer from messages on disk.
        max_transfer_count_on_message_in_disk: i32 = 8, "maxTransferCountOnMessageInDisk", Restart;
        /// Messages of one pull's answer from cached messages.
        max_transfer_count_on_message_in_memory: i32 = 32, "maxTransferCountOnMessageInMemory", Restart;
        mem_table_flush_interval_ms: i64 = 3_600_000, "memTableFlushIntervalMs", Inert;
        /// Delays of the levels 1, 2, …, each a number with s, m, h or d, separated by blanks.
        message_delay_level: String = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h".into(), "messageDelayLevel", Restart;
        message_index_enable: bool = true, "messageIndexEnable", Inert;
        message_index_safe: bool = false, "messageIndexSafe", Inert;
        min_in_sync_replicas: i32 = 1, "minInSyncReplicas", Inert;
        offset_check_in_slave: bool = false, "offsetCheckInSlave", Inert;
        os_page_cache_busy_time_out_mills: i64 = 1000, "osPageCacheBusyTimeOutMills", Inert;
        preferred_leader_id: String = String::new(), "preferredLeaderId", Inert;
        pull_batch_max_message_count: i32 = 160, "pullBatchMaxMessageCount", Inert;
        put_consume_queue_data_by_file_channel: bool = true, "putConsumeQueueDataByFileChannel", Inert;
        put_message_timeout: i32 = 8000, "putMessageTimeout", Inert;
        put_msg_index_hight_water: i32 = 600_000, "putMsgIndexHightWater", Inert;
        read_only_commit_log_store_paths: String = String::new(), "readOnlyCommitLogStorePaths", Inert;
        read_un_committed: bool = false, "readUnCommitted", Inert;
        real_time_persist_rocks_db_config: bool = true, "realTimePersistRocksDBConfig", Inert;
        recheck_reput_offset_from_cq: bool = false, "recheckReputOffsetFromCq", Inert;
        redelete_hanged_file_interval: i32 = 120_000, "redeleteHangedFileInterval", Inert;
        replicas_per_disk_partition: i32 = 1, "replicasPerDiskPartition", Inert;
        rocksdb_compression_type: String = "lz4".into(), "rocksdbCompressionType", Inert;
        rocksdb_cq_double_write_enable: bool = false, "rocksdbCQDoubleWriteEnable", Inert;
        rocksdb_flush_wal_frequency: i32 = 1024, "rocksdbFlushWalFrequency", Inert;
        rocksdb_wal_file_rolling_threshold: i64 = 1_073_741_824, "rocksdbWalFileRollingThreshold", Inert;
        sample_count_threshold: i32 = 5000, "sampleCountThreshold", Inert;
        sample_steps: i32 = 32, "sampleSteps", Inert;
        schedule_async_deliver_max_pending_limit: i32 = 2000, "scheduleAsyncDeliverMaxPendingLimit", Inert;
        schedule_async_deliver_max_resend_num2_blocked: i32 = 3, "scheduleAsyncDeliverMaxResendNum2Blocked", Inert;
        search_bcq_by_cache_enable: bool = true, "searchBcqByCacheEnable", Inert;
        shared_byte_buffer_num: i32 = 16, "sharedByteBufferNum", Inert;
        slave_timeout: i32 = 3000, "slaveTimeout", Inert;
        spin_lock_collision_retreat_optimal_degree: i32 = 1000, "spinLockCollisionRetreatOptimalDegree", Inert;
        stat_rocks_dbcq_interval_sec: i64 = 10, "statRocksDBCQIntervalSec", Inert;
        store_path_broker_identity: String = String::new(), "storePathBrokerIdentity", Inert;
        /// Folder of the commit log; `{storePathRootDir}/commitlog` unless given.
        store_path_commit_log: String = String::new(), "storePathCommitLog", Restart;
        /// Folder of the consume queues; `{storePathRootDir}/consumequeue` unless given. Java has no
        /// such key, though its documentation names one.
        store_path_consumer_queue: String = String::new(), "storePathConsumerQueue", Restart;
        store_path_d_ledger_commit_log: String = String::new(), "storePathDLedgerCommitLog", Inert;
        store_path_epoch_file: String = String::new(), "storePathEpochFile", Inert;
        /// Folder of the store.
        store_path_root_dir: String = env.under_home("store"), "storePathRootDir", Restart;
        store_type: String = "default".into(), "storeType", Inert;
        /// Milliseconds a send waits for the disk under SYNC_FLUSH; then FLUSH_DISK_TIMEOUT, the message is kept.
        sync_flush_timeout: i32 = 5000, "syncFlushTimeout", Live;
        sync_from_last_file: bool = false, "syncFromLastFile", Inert;
        sync_master_flush_offset_when_startup: bool = false, "syncMasterFlushOffsetWhenStartup", Inert;
        timer_check_metrics_when: String = "05".into(), "timerCheckMetricsWhen", Inert;
        timer_cold_data_check_interval_ms: i32 = 60_000, "timerColdDataCheckIntervalMs", Inert;
        timer_congest_num_each_slot: i32 = 2_147_483_647, "timerCongestNumEachSlot", Inert;
        timer_enable_check_metrics: bool = true, "timerEnableCheckMetrics", Inert;
        timer_enable_disruptor: bool = false, "timerEnableDisruptor", Inert;
        timer_enable_retry_until_success: bool = false, "timerEnableRetryUntilSuccess", Inert;
        timer_flush_interval_ms: i32 = 1000, "timerFlushIntervalMs", Inert;
        timer_get_message_thread_num: i32 = 3, "timerGetMessageThreadNum", Inert;
        timer_intercept_delay_level: bool = false, "timerInterceptDelayLevel", Inert;
        timer_max_delay_sec: i32 = 259_200, "timerMaxDelaySec", Inert;
        timer_metric_small_threshold: i32 = 1_000_000, "timerMetricSmallThreshold", Inert;
        timer_precision_ms: i32 = 1000, "timerPrecisionMs", Inert;
        timer_progress_log_interval_ms: i32 = 10_000, "timerProgressLogIntervalMs", Inert;
        timer_put_message_thread_num: i32 = 3, "timerPutMessageThreadNum", Inert;
        timer_recall_to_timeline_enable: bool = true, "timerRecallToTimelineEnable", Inert;
        timer_recall_to_time_wheel_enable: bool = true, "timerRecallToTimeWheelEnable", Inert;
        timer_reput_service_core_pool_size: i32 = 6, "timerReputServiceCorePoolSize", Inert;
        timer_reput_service_max_pool_size: i32 = 6, "timerReputServiceMaxPoolSize", Inert;
        timer_reput_service_queue_capacity: i32 = 10_000, "timerReputServiceQueueCapacity", Inert;
        timer_rocks_db_enable: bool = false, "timerRocksDBEnable", Inert;
        timer_rocks_db_precision_ms: i64 = 1000, "timerRocksDBPrecisionMs", Inert;
        timer_rocks_db_roll_interval_hours: i32 = 1, "timerRocksDBRollIntervalHours", Inert;
        timer_rocks_db_roll_max_tps: f64 = 8000.0, "timerRocksDBRollMaxTps", Inert;
        timer_rocks_db_roll_range_hours: i32 = 2, "timerRocksDBRollRangeHours", Inert;
        timer_rocks_db_stop_scan: bool = false, "timerRocksDBStopScan", Inert;
        timer_rocks_db_time_expired_max_tps: f64 = 200000.0, "timerRocksDBTimeExpiredMaxTps", Inert;
        timer_roll_window_slot: i32 = 172_800, "timerRollWindowSlot", Inert;
        timer_skip_unknown_error: bool = false, "timerSkipUnknownError", Inert;
        timer_stop_dequeue: bool = false, "timerStopDequeue", Inert;
        timer_stop_enqueue: bool = false, "timerStopEnqueue", Inert;
        timer_warm_enable: bool = false, "timerWarmEnable", Inert;
        timer_wheel_enable: bool = true, "timerWheelEnable", Inert;
        timer_wheel_snapshot_flush: bool = false, "timerWheelSnapshotFlush", Inert;
        timer_wheel_snapshot_interval_ms: i32 = 10_000, "timerWheelSnapshotIntervalMs", Inert;
        topic_queue_lock_num: i32 = 32, "topicQueueLockNum", Inert;
        total_replicas: i32 = 1, "totalReplicas", Inert;
        transient_store_pool_enable: bool = false, "transientStorePoolEnable", Inert;
        transient_store_pool_size: i32 = 5, "transientStorePoolSize", Inert;
        trans_rocks_db_enable: bool = false, "transRocksDBEnable", Inert;
        trans_write_origin_trans_half_enable: bool = true, "transWriteOriginTransHalfEnable", Inert;
        travel_cq_file_num_when_get_message: i32 = 1, "travelCqFileNumWhenGetMessage", Inert;
        use_abs_lock: bool = false, "useABSLock", Inert;
        use_reentrant_lock_when_put_message: bool = true, "useReentrantLockWhenPutMessage", Inert;
        use_separate_store_path_for_rocksdb_cq: bool = false, "useSeparateStorePathForRocksdbCQ", Inert;
        wake_commit_when_put_message: bool = true, "wakeCommitWhenPutMessage", Inert;
        wake_flush_when_put_message: bool = false, "wakeFlushWhenPutMessage", Inert;
        warm_maped_file_enable: bool = false, "warmMapedFileEnable", Inert;
        write_without_mmap: bool = false, "writeWithoutMmap", Inert;
    }
}
