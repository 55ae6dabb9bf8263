//! What a broker is and does. Java: `BrokerConfig`.

use super::config_table;

config_table! {
    |env|
    /// What a broker is and does. Java: `BrokerConfig`.
    pub struct BrokerConfig("BrokerConfig") {
        account_stats_enable: bool = true, "accountStatsEnable", Inert;
        account_stats_print_zero_values: bool = true, "accountStatsPrintZeroValues", Inert;
        ack_message_thread_pool_nums: i32 = 16, "ackMessageThreadPoolNums", Inert;
        ack_thread_pool_queue_capacity: i32 = 100_000, "ackThreadPoolQueueCapacity", Inert;
        acl_enable: bool = false, "aclEnable", Inert;
        admin_broker_thread_pool_nums: i32 = 16, "adminBrokerThreadPoolNums", Inert;
        admin_broker_thread_pool_queue_capacity: i32 = 10_000, "adminBrokerThreadPoolQueueCapacity", Inert;
        allow_recall_when_broker_not_writeable: bool = true, "allowRecallWhenBrokerNotWriteable", Inert;
        append_ack_async: bool = false, "appendAckAsync", Inert;
        append_ck_async: bool = false, "appendCkAsync", Inert;
        async_send_enable: bool = true, "asyncSendEnable", Inert;
        /// Create a subscription group when its first consumer comes.
        auto_create_subscription_group: bool = true, "autoCreateSubscriptionGroup", Live;
        /// Create a topic on the first send to it, after the model of TBW102.
        auto_create_topic_enable: bool = true, "autoCreateTopicEnable", Live;
        auto_delete_unused_stats: bool = true, "autoDeleteUnusedStats", Inert;
        broadcast_offset_expire_max_second: i64 = 300, "broadcastOffsetExpireMaxSecond", Inert;
        broadcast_offset_expire_second: i64 = 120, "broadcastOffsetExpireSecond", Inert;
        /// Cluster this broker belongs to.
        broker_cluster_name: String = "DefaultCluster".into(), "brokerClusterName", Restart;
        broker_config_path: String = String::new(), "brokerConfigPath", Inert;
        broker_election_priority: i32 = 2_147_483_647, "brokerElectionPriority", Inert;
        broker_fast_failure_enable: bool = true, "brokerFastFailureEnable", Inert;
        broker_heartbeat_interval: i32 = 1000, "brokerHeartbeatInterval", Inert;
        /// 0 for a master, above 0 for a slave; masters get 0 whatever is given.
        broker_id: i64 = 0, "brokerId", Restart;
        /// Address given to clients; found from the machine's interfaces unless given.
        broker_ip1: String = env.ip.clone(), "brokerIP1", Restart;
        /// Address given to slaves for replication.
        broker_ip2: String = env.ip.clone(), "brokerIP2", Restart;
        /// Name that a master and its slaves share; the machine's name unless given.
        broker_name: String = env.host_name.clone(), "brokerName", Restart;
        broker_not_active_timeout_millis: i64 = 10_000, "brokerNotActiveTimeoutMillis", Inert;
        /// What clients may do: 2 write, 4 read, 6 both.
        broker_permission: i32 = 6, "brokerPermission", Live;
        /// Create a topic named after the broker.
        broker_topic_enable: bool = true, "brokerTopicEnable", Restart;
        cg_cold_read_threshold: i64 = 3_145_728, "cgColdReadThreshold", Inert;
        channel_expired_timeout: i64 = 120_000, "channelExpiredTimeout", Inert;
        check_sync_state_set_period: i64 = 5000, "checkSyncStateSetPeriod", Inert;
        clean_offline_broker_interval: i32 = 30_000, "cleanOfflineBrokerInterval", Inert;
        clear_retry_topic_when_delete_topic: bool = true, "clearRetryTopicWhenDeleteTopic", Inert;
        client_manager_thread_pool_queue_capacity: i32 = 1_000_000, "clientManagerThreadPoolQueueCapacity", Inert;
        client_manage_thread_pool_nums: i32 = 32, "clientManageThreadPoolNums", Inert;
        /// Create a topic named after the cluster.
        cluster_topic_enable: bool = true, "clusterTopicEnable", Restart;
        cold_ctr_strategy_enable: bool = false, "coldCtrStrategyEnable", Inert;
        commercial_base_count: i32 = 1, "commercialBaseCount", Inert;
        commercial_size_per_msg: i32 = 4096, "commercialSizePerMsg", Inert;
        compatible_with_old_name_srv: bool = true, "compatibleWithOldNameSrv", Inert;
        compressed_register: bool = false, "compressedRegister", Inert;
        /// Keys that no request may change, separated by `;`.
        config_black_list: String = "configBlackList;brokerConfigPath".into(), "configBlackList", Restart;
        config_manager_version: String = "v1".into(), "configManagerVersion", Inert;
        consumer_fallbehind_threshold: i64 = 17_179_869_184, "consumerFallbehindThreshold", Inert;
        consumer_manager_thread_pool_queue_capacity: i32 = 1_000_000, "consumerManagerThreadPoolQueueCapacity", Inert;
        consumer_manage_thread_pool_nums: i32 = 32, "consumerManageThreadPoolNums", Inert;
        consumer_offset_update_version_step: i64 = 500, "consumerOffsetUpdateVersionStep", Inert;
        controller_addr: String = String::new(), "controllerAddr", Inert;
        controller_heart_beat_timeout_mills: i64 = 10_000, "controllerHeartBeatTimeoutMills", Inert;
        default_message_request_mode: String = "PULL".into(), "defaultMessageRequestMode", Inert;
        default_pop_share_queue_num: i32 = -1, "defaultPopShareQueueNum", Inert;
        /// Queues of TBW102, the most that a topic created on first send gets.
        default_topic_queue_nums: i32 = 8, "defaultTopicQueueNums", Live;
        delay_offset_update_version_step: i64 = 200, "delayOffsetUpdateVersionStep", Inert;
        disable_consume_if_consumer_read_slowly: bool = false, "disableConsumeIfConsumerReadSlowly", Inert;
        enable_broadcast_offset_store: bool = true, "enableBroadcastOffsetStore", Inert;
        enable_calc_filter_bit_map: bool = false, "enableCalcFilterBitMap", Inert;
        enable_connection_metrics: bool = true, "enableConnectionMetrics", Inert;
        enable_controller_mode: bool = false, "enableControllerMode", Inert;
        enable_create_sys_group: bool = true, "enableCreateSysGroup", Inert;
        enable_detail_stat: bool = true, "enableDetailStat", Inert;
        enable_fast_channel_event_process: bool = false, "enableFastChannelEventProcess", Inert;
        enable_lag_and_dlq_metrics: bool = true, "enableLagAndDlqMetrics", Inert;
        enable_lite_event_mode: bool = true, "enableLiteEventMode", Inert;
        enable_lite_pop_log: bool = false, "enableLitePopLog", Inert;
        enable_lmq_stats: bool = false, "enableLmqStats", Inert;
        enable_message_store_metrics: bool = true, "enableMessageStoreMetrics", Inert;
        enable_mixed_message_type: bool = false, "enableMixedMessageType", Inert;
        enable_net_work_flow_control: bool = false, "enableNetWorkFlowControl", Inert;
        enable_notify_after_pop_order_lock_release: bool = true, "enableNotifyAfterPopOrderLockRelease", Inert;
        enable_notify_before_pop_calculate_lag: bool = true, "enableNotifyBeforePopCalculateLag", Inert;
        enable_pop_batch_ack: bool = false, "enablePopBatchAck", Inert;
        enable_pop_buffer_merge: bool = false, "enablePopBufferMerge", Inert;
        enable_pop_log: bool = false, "enablePopLog", Inert;
        enable_pop_message_threshold: bool = false, "enablePopMessageThreshold", Inert;
        enable_pop_metrics: bool = true, "enablePopMetrics", Inert;
        enable_property_filter: bool = false, "enablePropertyFilter", Inert;
        enable_register_producer: bool = true, "enableRegisterProducer", Inert;
        enable_remote_escape: bool = false, "enableRemoteEscape", Inert;
        enable_remoting_metrics: bool = true, "enableRemotingMetrics", Inert;
        enable_request_metrics: bool = true, "enableRequestMetrics", Inert;
        enable_retry_topic_v2: bool = false, "enableRetryTopicV2", Inert;
        enable_single_topic_register: bool = false, "enableSingleTopicRegister", Inert;
        enable_skip_long_awaiting_ack: bool = false, "enableSkipLongAwaitingAck", Inert;
        enable_slave_acting_master: bool = false, "enableSlaveActingMaster", Inert;
        enable_split_metadata: bool = true, "enableSplitMetadata", Inert;
        enable_split_registration: bool = false, "enableSplitRegistration", Inert;
        enable_stats_metrics: bool = true, "enableStatsMetrics", Inert;
        enable_transaction_metrics: bool = true, "enableTransactionMetrics", Inert;
        end_transaction_pool_queue_capacity: i32 = 100_000, "endTransactionPoolQueueCapacity", Inert;
        end_transaction_thread_pool_nums: i32 = (8 + 2 * env.cores).max(4 * env.cores.min(4)), "endTransactionThreadPoolNums", Inert;
        estimate_accumulation: bool = true, "estimateAccumulation", Inert;
        expect_consumer_num_use_filter: i32 = 32, "expectConsumerNumUseFilter", Inert;
        fetch_controller_addr_by_dns_lookup: bool = false, "fetchControllerAddrByDnsLookup", Inert;
        fetch_namesrv_addr_by_address_server: bool = false, "fetchNamesrvAddrByAddressServer", Inert;
        fetch_name_srv_addr_by_dns_lookup: bool = false, "fetchNameSrvAddrByDnsLookup", Inert;
        fetch_namesrv_addr_interval: i64 = 10_000, "fetchNamesrvAddrInterval", Inert;
        filter_data_clean_time_span: i64 = 86_400_000, "filterDataCleanTimeSpan", Inert;
        filter_support_retry: bool = false, "filterSupportRetry", Inert;
        flush_consumer_offset_history_interval: i32 = 60_000, "flushConsumerOffsetHistoryInterval", Inert;
        /// Milliseconds between two writes of consumerOffset.json.
        flush_consumer_offset_interval: i32 = 5000, "flushConsumerOffsetInterval", Live;
        /// Register in full each time, rather than only when a name server says that it holds an older version.
        force_register: bool = true, "forceRegister", Live;
        forward_timeout: i64 = 3000, "forwardTimeout", Inert;
        global_cold_read_threshold: i64 = 104_857_600, "globalColdReadThreshold", Inert;
        heartbeat_thread_pool_nums: i32 = env.cores.min(32), "heartbeatThreadPoolNums", Inert;
        heartbeat_thread_pool_queue_capacity: i32 = 50_000, "heartbeatThreadPoolQueueCapacity", Inert;
        high_speed_mode: bool = false, "highSpeedMode", Inert;
        in_broker_container: bool = false, "inBrokerContainer", Inert;
        init_pop_offset_by_check_msg_in_mem: bool = true, "initPopOffsetByCheckMsgInMem", Inert;
        is_broker_container: bool = false, "isBrokerContainer", Inert;
        is_in_broker_container: bool = false, "isInBrokerContainer", Inert;
        isolate_log_enable: bool = false, "isolateLogEnable", Inert;
        /// Port that clients connect to; the broker also listens on this port less 2.
        listen_port: u16 = 6888, "listenPort", Restart;
        lite_event_check_interval: i64 = 10_000, "liteEventCheckInterval", Inert;
        lite_event_full_dispatch_delay_time: i64 = 10_000, "liteEventFullDispatchDelayTime", Inert;
        lite_event_full_dispatch_delay_time_for_wildcard_group: i64 = 10_000, "liteEventFullDispatchDelayTimeForWildcardGroup", Inert;
        lite_lag_count_metrics_enable: bool = false, "liteLagCountMetricsEnable", Inert;
        lite_lag_latency_collect_enable: bool = false, "liteLagLatencyCollectEnable", Inert;
        lite_lag_latency_metrics_enable: bool = false, "liteLagLatencyMetricsEnable", Inert;
        lite_lag_latency_top_k: i32 = 50, "liteLagLatencyTopK", Inert;
        /// Serve lite pull (request code 361).
        lite_pull_message_enable: bool = true, "litePullMessageEnable", Live;
        lite_pull_message_thread_pool_nums: i32 = 16 + 2 * env.cores, "litePullMessageThreadPoolNums", Inert;
        lite_pull_thread_pool_queue_capacity: i32 = 100_000, "litePullThreadPoolQueueCapacity", Inert;
        lite_subscription_check_interval: i64 = 120_000, "liteSubscriptionCheckInterval", Inert;
        lite_subscription_check_timeout_mills: i64 = 180_000, "liteSubscriptionCheckTimeoutMills", Inert;
        lite_ttl_check_interval: i64 = 120_000, "liteTtlCheckInterval", Inert;
        load_balance_poll_name_server_interval: i64 = 30_000, "loadBalancePollNameServerInterval", Inert;
        load_balance_processor_thread_pool_nums: i32 = 32, "loadBalanceProcessorThreadPoolNums", Inert;
        load_balance_thread_pool_queue_capacity: i32 = 100_000, "loadBalanceThreadPoolQueueCapacity", Inert;
        lock_in_strict_mode: bool = false, "lockInStrictMode", Inert;
        /// Hold a pull that finds nothing for as long as its client asks; if not, for shortPollingTimeMills.
        long_polling_enable: bool = true, "longPollingEnable", Live;
        max_client_event_count: i32 = 100, "maxClientEventCount", Inert;
        max_error_rate_of_bloom_filter: i32 = 20, "maxErrorRateOfBloomFilter", Inert;
        max_lite_subscription_count: i64 = 100_000, "maxLiteSubscriptionCount", Inert;
        max_message_filter_num_for_notification: i32 = 64, "maxMessageFilterNumForNotification", Inert;
        max_pop_polling_size: i64 = 100_000, "maxPopPollingSize", Inert;
        max_stats_idle_time_in_minutes: i32 = -1, "maxStatsIdleTimeInMinutes", Inert;
        message_store_plug_in: String = String::new(), "messageStorePlugIn", Inert;
        metric_grpc_exporter_interval_in_mills: i64 = 60_000, "metricGrpcExporterIntervalInMills", Inert;
        metric_grpc_exporter_time_out_in_mills: i64 = 3000, "metricGrpcExporterTimeOutInMills", Inert;
        metric_logging_exporter_interval_in_mills: i64 = 10_000, "metricLoggingExporterIntervalInMills", Inert;
        metrics_export_batch_max_data_points: i32 = 1000, "metricsExportBatchMaxDataPoints", Inert;
        metrics_exporter_type: String = "DISABLE".into(), "metricsExporterType", Inert;
        metrics_grpc_exporter_header: String = String::new(), "metricsGrpcExporterHeader", Inert;
        metrics_grpc_exporter_target: String = String::new(), "metricsGrpcExporterTarget", Inert;
        metrics_in_delta: bool = false, "metricsInDelta", Inert;
        metrics_label: String = String::new(), "metricsLabel", Inert;
        metrics_otel_cardinality_limit: i32 = 50_000, "metricsOtelCardinalityLimit", Inert;
        metrics_prom_exporter_host: String = String::new(), "metricsPromExporterHost", Inert;
        metrics_prom_exporter_port: i32 = 5557, "metricsPromExporterPort", Inert;
        min_lite_t_tl: i64 = 900_000, "minLiteTTl", Inert;
        /// Name of the message trace topic.
        msg_trace_topic_name: String = "RMQ_SYS_TRACE_TOPIC".into(), "msgTraceTopicName", Restart;
        /// Name servers to register with, `host:port` separated by `;`.
        namesrv_addr: String = env.namesrv_addr.clone(), "namesrvAddr", Restart;
        notify_consumer_ids_changed_enable: bool = true, "notifyConsumerIdsChangedEnable", Inert;
        persist_consumer_offset_incrementally: bool = false, "persistConsumerOffsetIncrementally", Inert;
        pop_ck_max_buffer_size: i32 = 200_000, "popCkMaxBufferSize", Inert;
        pop_ck_offset_max_queue_size: i32 = 20_000, "popCkOffsetMaxQueueSize", Inert;
        pop_ck_stay_buffer_time: i32 = 10_000, "popCkStayBufferTime", Inert;
        pop_ck_stay_buffer_time_out: i32 = 3000, "popCkStayBufferTimeOut", Inert;
        pop_consumer_fs_service_init: bool = true, "popConsumerFSServiceInit", Inert;
        pop_consumer_kv_service_enable: bool = false, "popConsumerKVServiceEnable", Inert;
        pop_consumer_kv_service_init: bool = false, "popConsumerKVServiceInit", Inert;
        pop_consumer_kv_service_log: bool = false, "popConsumerKVServiceLog", Inert;
        pop_from_retry_probability: i32 = 20, "popFromRetryProbability", Inert;
        pop_from_retry_probability_for_priority: i32 = 0, "popFromRetryProbabilityForPriority", Inert;
        pop_inflight_message_threshold: i64 = 10_000, "popInflightMessageThreshold", Inert;
        pop_long_polling_force_notify_interval: i64 = 800, "popLongPollingForceNotifyInterval", Inert;
        pop_polling_map_expire_time_seconds: i32 = 600, "popPollingMapExpireTimeSeconds", Inert;
        pop_polling_map_size: i32 = 100_000, "popPollingMapSize", Inert;
        pop_polling_size: i32 = 1024, "popPollingSize", Inert;
        pop_response_return_actual_retry_topic: bool = false, "popResponseReturnActualRetryTopic", Inert;
        pop_revive_concurrency: i32 = 32, "popReviveConcurrency", Inert;
        pop_revive_max_attempt_times: i32 = 16, "popReviveMaxAttemptTimes", Inert;
        pop_revive_max_return_size_per_read: i32 = 16_384, "popReviveMaxReturnSizePerRead", Inert;
        pop_revive_skip_if_group_absent: bool = true, "popReviveSkipIfGroupAbsent", Inert;
        print_channel_groups: bool = false, "printChannelGroups", Inert;
        print_channel_groups_min_num: i32 = 5, "printChannelGroupsMinNum", Inert;
        priority_order_asc: bool = true, "priorityOrderAsc", Inert;
        process_reply_message_thread_pool_nums: i32 = 16 + 2 * env.cores, "processReplyMessageThreadPoolNums", Inert;
        pull_message_thread_pool_nums: i32 = 16 + 2 * env.cores, "pullMessageThreadPoolNums", Inert;
        pull_thread_pool_queue_capacity: i32 = 100_000, "pullThreadPoolQueueCapacity", Inert;
        put_message_future_thread_pool_nums: i32 = env.cores.min(4), "putMessageFutureThreadPoolNums", Inert;
        put_thread_pool_queue_capacity: i32 = 10_000, "putThreadPoolQueueCapacity", Inert;
        query_message_thread_pool_nums: i32 = 8 + env.cores, "queryMessageThreadPoolNums", Inert;
        query_thread_pool_queue_capacity: i32 = 20_000, "queryThreadPoolQueueCapacity", Inert;
        real_time_notify_consumer_change: bool = true, "realTimeNotifyConsumerChange", Inert;
        recall_message_enable: bool = false, "recallMessageEnable", Inert;
        recover_concurrently: bool = false, "recoverConcurrently", Inert;
        recover_thread_pool_nums: i32 = 32, "recoverThreadPoolNums", Inert;
        /// Region put into the properties of stored messages and into send answers.
        region_id: String = "DefaultRegion".into(), "regionId", Live;
        register_broker_timeout_mills: i32 = 24_000, "registerBrokerTimeoutMills", Inert;
        /// Milliseconds between two registrations, 10000 to 60000.
        register_name_server_period: i32 = 30_000, "registerNameServerPeriod", Live;
        reject_pull_consumer_enable: bool = false, "rejectPullConsumerEnable", Inert;
        /// Refuse transaction messages.
        reject_transaction_message: bool = false, "rejectTransactionMessage", Live;
        reply_thread_pool_queue_capacity: i32 = 10_000, "replyThreadPoolQueueCapacity", Inert;
        retrieve_message_from_pop_retry_topic_v1: bool = true, "retrieveMessageFromPopRetryTopicV1", Inert;
        revive_ack_wait_ms: i64 = 180_000, "reviveAckWaitMs", Inert;
        revive_interval: i64 = 1000, "reviveInterval", Inert;
        revive_max_slow: i64 = 3, "reviveMaxSlow", Inert;
        revive_queue_num: i32 = 8, "reviveQueueNum", Inert;
        revive_scan_time: i64 = 10_000, "reviveScanTime", Inert;
        rocketmq_home: String = env.rocketmq_home.clone(), "rocketmqHome", Inert;
        send_heartbeat_timeout_millis: i32 = 1000, "sendHeartbeatTimeoutMillis", Inert;
        send_message_thread_pool_nums: i32 = env.cores.min(4), "sendMessageThreadPoolNums", Inert;
        send_thread_pool_queue_capacity: i32 = 10_000, "sendThreadPoolQueueCapacity", Inert;
        server_load_balancer_enable: bool = true, "serverLoadBalancerEnable", Inert;
        /// Milliseconds a pull that finds nothing is held when longPollingEnable is off.
        short_polling_time_mills: i64 = 1000, "shortPollingTimeMills", Live;
        skip_pre_online: bool = false, "skipPreOnline", Inert;
        skip_when_ck_re_put_reach_max_times: bool = false, "skipWhenCKRePutReachMaxTimes", Inert;
        slave_read_enable: bool = false, "slaveReadEnable", Inert;
        split_metadata_size: i32 = 2000, "splitMetadataSize", Inert;
        split_registration_size: i32 = 800, "splitRegistrationSize", Inert;
        start_accept_send_request_time_stamp: i64 = 0, "startAcceptSendRequestTimeStamp", Inert;
        store_reply_message_enable: bool = true, "storeReplyMessageEnable", Inert;
        subscription_expired_timeout: i64 = 600_000, "subscriptionExpiredTimeout", Inert;
        sync_broker_member_group_period: i32 = 1000, "syncBrokerMemberGroupPeriod", Inert;
        sync_broker_metadata_period: i64 = 5000, "syncBrokerMetadataPeriod", Inert;
        sync_controller_metadata_period: i64 = 10_000, "syncControllerMetadataPeriod", Inert;
        /// Tell producers to trace their messages.
        trace_on: bool = true, "traceOn", Live;
        /// Create the message trace topic.
        trace_topic_enable: bool = false, "traceTopicEnable", Restart;
        transaction_check_interval: i64 = 30_000, "transactionCheckInterval", Inert;
        transaction_check_max: i32 = 15, "transactionCheckMax", Inert;
        transaction_check_rocksdb_core_threads: i32 = 2, "transactionCheckRocksdbCoreThreads", Inert;
        transaction_check_rocksdb_max_threads: i32 = 5, "transactionCheckRocksdbMaxThreads", Inert;
        transaction_check_rocksdb_queue_capacity: i32 = 2000, "transactionCheckRocksdbQueueCapacity", Inert;
        transaction_metric_flush_interval: i64 = 10_000, "transactionMetricFlushInterval", Inert;
        transaction_op_batch_interval: i32 = 3000, "transactionOpBatchInterval", Inert;
        transaction_op_msg_max_size: i32 = 4096, "transactionOpMsgMaxSize", Inert;
        transaction_time_out: i64 = 6000, "transactionTimeOut", Inert;
        transfer_msg_by_heap: bool = true, "transferMsgByHeap", Inert;
        update_name_server_addr_period: i32 = 120_000, "updateNameServerAddrPeriod", Inert;
        use_message_filter_for_notification: bool = true, "useMessageFilterForNotification", Inert;
        use_pid_cold_ctr_strategy: bool = true, "usePIDColdCtrStrategy", Inert;
        use_separate_retry_queue: bool = false, "useSeparateRetryQueue", Inert;
        use_server_side_reset_offset: bool = true, "useServerSideResetOffset", Inert;
        use_single_rocks_db_for_all_configs: bool = false, "useSingleRocksDBForAllConfigs", Inert;
        use_static_subscription: bool = false, "useStaticSubscription", Inert;
        validate_system_topic_when_update_topic: bool = true, "validateSystemTopicWhenUpdateTopic", Inert;
        wait_time_mills_in_ack_queue: i64 = 3000, "waitTimeMillsInAckQueue", Inert;
        wait_time_mills_in_admin_broker_queue: i64 = 5000, "waitTimeMillsInAdminBrokerQueue", Inert;
        wait_time_mills_in_heartbeat_queue: i64 = 31_000, "waitTimeMillsInHeartbeatQueue", Inert;
        wait_time_mills_in_lite_pull_queue: i64 = 5000, "waitTimeMillsInLitePullQueue", Inert;
        wait_time_mills_in_pull_queue: i64 = 5000, "waitTimeMillsInPullQueue", Inert;
        wait_time_mills_in_send_queue: i64 = 200, "waitTimeMillsInSendQueue", Inert;
        wait_time_mills_in_transaction_queue: i64 = 3000, "waitTimeMillsInTransactionQueue", Inert;
    }
}
