//! Keys of the broker.

use super::config_table;
use crate::check::{addresses, host};
use crate::value::INT_MAX;
use crate::value::MetricsExporterType;

config_table! {
    |env|
    /// The broker: names, addresses, topics, sends, pulls (Java: `BrokerConfig`).
    pub struct BrokerConfig("BrokerConfig");

    /// Counts traffic per account.
    inert "accountStatsEnable": bool = true;
    /// Prints account counters that are zero.
    inert "accountStatsPrintZeroValues": bool = true;
    /// Threads for acknowledgements of popped messages.
    inert "ackMessageThreadPoolNums": i32 = 16;
    /// Acknowledgements that may wait for a thread.
    inert "ackThreadPoolQueueCapacity": i32 = 100_000;
    /// Checks requests by the access control lists of RocketMQ 4, `conf/plain_acl.yml` and `conf/acl/*.yml` under rocketmqHome.
    restart @important acl_enable "aclEnable": bool = false;
    /// Threads for administration requests.
    inert "adminBrokerThreadPoolNums": i32 = 16;
    /// Administration requests that may wait for a thread.
    inert "adminBrokerThreadPoolQueueCapacity": i32 = 10_000;
    /// Not a key of RocketMQ: port given to clients, where translation of addresses changes it; 0 for listenPort.
    restart advertised_port "advertisedPort": u16 = 0;
    /// Lets delayed messages be recalled while the broker takes no sends.
    live allow_recall_when_broker_not_writeable "allowRecallWhenBrokerNotWriteable": bool = true;
    /// Stores acknowledgements of popped messages without waiting.
    inert "appendAckAsync": bool = false;
    /// Stores check points of pop without waiting.
    inert "appendCkAsync": bool = false;
    /// Handles sends asynchronously within the broker.
    inert "asyncSendEnable": bool = true;
    /// Creates a subscription group when its first consumer comes.
    live @important auto_create_subscription_group "autoCreateSubscriptionGroup": bool = true;
    /// Creates a topic on the first send to it, after the model of topic TBW102.
    live @important auto_create_topic_enable "autoCreateTopicEnable": bool = true;
    /// Drops the counters of topics and groups that were deleted.
    inert "autoDeleteUnusedStats": bool = true;
    /// Seconds after which a broadcasting client's offset expires, whatever it does.
    inert "broadcastOffsetExpireMaxSecond": i64 = 300;
    /// Seconds without a pull after which a broadcasting client's offset expires.
    inert "broadcastOffsetExpireSecond": i64 = 120;
    /// Cluster that the broker belongs to.
    restart @important broker_cluster_name "brokerClusterName": String = "DefaultCluster".into(), in 1..=255;
    /// File that holds the broker's configuration.
    inert "brokerConfigPath": Option<String> = None;
    /// Rank among candidates for master in controller mode; lower is preferred.
    inert "brokerElectionPriority": i32 = i32::MAX;
    /// Refuses requests that waited too long for a thread.
    inert "brokerFastFailureEnable": bool = true;
    /// Milliseconds between two heartbeats to a name server, if a slave may act as master.
    inert "brokerHeartbeatInterval": i32 = 1000;
    /// 0 for a master, above 0 for a slave; a master gets 0 whatever is given.
    restart @important broker_id "brokerId": i64 = 0, in 0..=i64::MAX;
    /// IP address or host name given to clients; found from the machine's interfaces unless given.
    restart @important broker_ip1 "brokerIP1": String = env.ip.clone(), checked host, shown "<first non-loopback IPv4 of the machine>";
    /// Address given to slaves for replication; found from the machine's interfaces unless given.
    restart @important broker_ip2 "brokerIP2": String = env.ip.clone(), in 1..=255, shown "<first non-loopback IPv4 of the machine>";
    /// Name that a master and its slaves share; the machine's name unless given.
    restart @important broker_name "brokerName": String = env.host_name.clone(), in 1..=255, shown "<host name>";
    /// Milliseconds of silence after which name servers drop the broker, if a slave may act as master.
    inert "brokerNotActiveTimeoutMillis": i64 = 10_000;
    /// What clients may do, as a sum: 2 write, 4 read.
    live @important broker_permission "brokerPermission": i32 = 6, in 0..=7;
    /// Creates a topic named after the broker at the start.
    restart broker_topic_enable "brokerTopicEnable": bool = true;
    /// Bytes of cold data that a consumer group may read in a period.
    live cg_cold_read_threshold "cgColdReadThreshold": i64 = 3_145_728;
    /// Milliseconds without a heartbeat after which a client is forgotten.
    restart channel_expired_timeout "channelExpiredTimeout": i64 = 120_000, in 1..=i64::MAX;
    /// Milliseconds between two looks at which slaves are caught up, in controller mode.
    inert "checkSyncStateSetPeriod": i64 = 5000;
    /// Milliseconds between two clean-ups of brokers that are gone, from the client-side view of routes.
    inert "cleanOfflineBrokerInterval": i32 = 30_000;
    /// Deletes the pop retry topics of a topic with it.
    live clear_retry_topic_when_delete_topic "clearRetryTopicWhenDeleteTopic": bool = true;
    /// Client requests that may wait for a thread.
    inert "clientManagerThreadPoolQueueCapacity": i32 = 1_000_000;
    /// Threads for client requests.
    inert "clientManageThreadPoolNums": i32 = 32;
    /// Creates a topic named after the cluster at the start.
    restart cluster_topic_enable "clusterTopicEnable": bool = true;
    /// Slows down groups that read cold data.
    live cold_ctr_strategy_enable "coldCtrStrategyEnable": bool = false;
    /// Factor of the commercial message counters.
    inert "commercialBaseCount": i32 = 1;
    /// Bytes that count as one message in the commercial counters.
    inert "commercialSizePerMsg": i32 = 4096;
    /// Expects name servers of RocketMQ 4.
    inert "compatibleWithOldNameSrv": bool = true;
    /// Compresses the body of registrations with name servers.
    live compressed_register "compressedRegister": bool = false;
    /// Keys that no request may change, with `;` between.
    live config_black_list "configBlackList": String = "configBlackList;brokerConfigPath".into();
    /// How topics, groups and offsets are kept: v1 is JSON files.
    refused "configManagerVersion": String = "v1".into();
    /// Bytes a consumer may lag behind before disableConsumeIfConsumerReadSlowly acts.
    inert "consumerFallbehindThreshold": i64 = 17_179_869_184;
    /// Consumer requests that may wait for a thread.
    inert "consumerManagerThreadPoolQueueCapacity": i32 = 1_000_000;
    /// Threads for consumer requests.
    inert "consumerManageThreadPoolNums": i32 = 32;
    /// Offset commits after which the version of the offsets is raised, for slaves.
    restart consumer_offset_update_version_step "consumerOffsetUpdateVersionStep": i64 = 500, in 1..=i64::MAX;
    /// Controllers, with `;` between.
    inert @important "controllerAddr": String = String::new();
    /// Milliseconds of silence after which a controller drops the broker.
    inert "controllerHeartBeatTimeoutMills": i64 = 10_000;
    /// How consumers fetch unless told otherwise: PULL or POP.
    live default_message_request_mode "defaultMessageRequestMode": String = "PULL".into();
    /// Queues that a popping client shares; -1 for all.
    live default_pop_share_queue_num "defaultPopShareQueueNum": i32 = -1;
    /// Queues of topic TBW102, the most that a topic created on first send gets.
    restart @important default_topic_queue_nums "defaultTopicQueueNums": i32 = 8, in 1..=65535;
    /// Delayed deliveries after which the version of the delay offsets is raised, for slaves.
    restart delay_offset_update_version_step "delayOffsetUpdateVersionStep": i64 = 200, in 1..=i64::MAX;
    /// Blocks consumer groups that lag far behind.
    inert "disableConsumeIfConsumerReadSlowly": bool = false;
    /// Keeps offsets of broadcasting clients that come through a proxy.
    inert "enableBroadcastOffsetStore": bool = true;
    /// Calculates filter bit maps while consume queues are built.
    restart enable_calc_filter_bit_map "enableCalcFilterBitMap": bool = false;
    /// Exports metrics about connections.
    inert "enableConnectionMetrics": bool = true;
    /// Lets a controller decide who is master.
    unserved @important "enableControllerMode": bool = false;
    /// Creates RocketMQ's own subscription groups when their first consumer comes.
    live enable_create_sys_group "enableCreateSysGroup": bool = true;
    /// Counts traffic per topic and group in detail.
    live enable_detail_stat "enableDetailStat": bool = true;
    /// Handles the end of a client's connection by its groups only.
    inert "enableFastChannelEventProcess": bool = false;
    /// Exports metrics about lag and dead letters.
    inert "enableLagAndDlqMetrics": bool = true;
    /// Delivers lite topics by events.
    live enable_lite_event_mode "enableLiteEventMode": bool = true;
    /// Logs pops of lite topics.
    inert "enableLitePopLog": bool = false;
    /// Counts traffic of light message queues.
    inert "enableLmqStats": bool = false;
    /// Exports metrics of the store.
    inert "enableMessageStoreMetrics": bool = true;
    /// Lets topics be created for messages of mixed type.
    live enable_mixed_message_type "enableMixedMessageType": bool = false;
    /// Limits traffic by network load.
    inert "enableNetWorkFlowControl": bool = false;
    /// Wakes waiting pops when an ordered pop releases its queue.
    inert "enableNotifyAfterPopOrderLockRelease": bool = true;
    /// Wakes waiting pops before lag is calculated.
    inert "enableNotifyBeforePopCalculateLag": bool = true;
    /// Stores acknowledgements of popped messages in batches.
    inert "enablePopBatchAck": bool = false;
    /// Merges check points and acknowledgements of pop in memory.
    inert "enablePopBufferMerge": bool = false;
    /// Logs pops.
    inert "enablePopLog": bool = false;
    /// Bounds the messages in flight of a popping group.
    live enable_pop_message_threshold "enablePopMessageThreshold": bool = false;
    /// Exports metrics of pop.
    inert "enablePopMetrics": bool = true;
    /// Filters by SQL expressions over message properties.
    live @important enable_property_filter "enablePropertyFilter": bool = false;
    /// Keeps track of producers.
    inert "enableRegisterProducer": bool = true;
    /// Lets a broker without a master hand messages to other brokers.
    inert "enableRemoteEscape": bool = false;
    /// Exports metrics of requests.
    inert "enableRemotingMetrics": bool = true;
    /// Exports metrics of request sizes and times.
    inert "enableRequestMetrics": bool = true;
    /// Names pop retry topics in the second form.
    live enable_retry_topic_v2 "enableRetryTopicV2": bool = false;
    /// Registers a changed topic alone.
    inert "enableSingleTopicRegister": bool = false;
    /// Skips check points whose acknowledgements never come.
    inert "enableSkipLongAwaitingAck": bool = false;
    /// Lets the slave with the smallest id stand in for a lost master.
    inert @important "enableSlaveActingMaster": bool = false;
    /// Answers requests for all topics or groups in parts when asked to.
    live enable_split_metadata "enableSplitMetadata": bool = true;
    /// Splits registrations of very many topics.
    inert "enableSplitRegistration": bool = false;
    /// Exports traffic counters as metrics.
    inert "enableStatsMetrics": bool = true;
    /// Exports metrics of transactions.
    inert "enableTransactionMetrics": bool = true;
    /// Ends of transactions that may wait for a thread.
    inert "endTransactionPoolQueueCapacity": i32 = 100_000;
    /// Threads for ends of transactions.
    inert "endTransactionThreadPoolNums": i32 = (8 + 2 * env.cores).max(4 * env.cores.min(4)), shown "max(8+2*cores,4*sendMessageThreadPoolNums)";
    /// Estimates lag of filtered subscriptions by sampling.
    inert "estimateAccumulation": bool = true;
    /// Consumers expected per topic, for the size of filter bit maps.
    restart expect_consumer_num_use_filter "expectConsumerNumUseFilter": i32 = 32, in 1..=1 << 20;
    /// Looks up controllers in the DNS.
    inert "fetchControllerAddrByDnsLookup": bool = false;
    /// Asks an HTTP address server for name servers.
    inert @important "fetchNamesrvAddrByAddressServer": bool = false;
    /// Looks up name servers in the DNS.
    inert @important "fetchNameSrvAddrByDnsLookup": bool = false;
    /// Milliseconds between two look-ups of name servers.
    inert "fetchNamesrvAddrInterval": i64 = 10_000;
    /// Milliseconds that filters of a consumer that is gone are kept.
    live filter_data_clean_time_span "filterDataCleanTimeSpan": i64 = 86_400_000;
    /// Applies SQL filters to retried messages.
    live filter_support_retry "filterSupportRetry": bool = false;
    /// Milliseconds between two writes of old offsets.
    inert "flushConsumerOffsetHistoryInterval": i32 = 60_000;
    /// Milliseconds between two writes of changed consumer offsets.
    live flush_consumer_offset_interval "flushConsumerOffsetInterval": i32 = 5000, in 1..=INT_MAX;
    /// Registers in full each time, rather than only where a name server holds an older version.
    restart force_register "forceRegister": bool = true;
    /// Milliseconds that forwarding a request to another broker may take.
    live forward_timeout "forwardTimeout": i64 = 3000;
    /// Bytes of cold data that all groups together may read in a period.
    live global_cold_read_threshold "globalColdReadThreshold": i64 = 104_857_600;
    /// Threads for heartbeats.
    inert "heartbeatThreadPoolNums": i32 = env.cores.min(32), shown "min(32,cores)";
    /// Heartbeats that may wait for a thread.
    inert "heartbeatThreadPoolQueueCapacity": i32 = 50_000;
    /// Gives up exact counting for speed.
    inert "highSpeedMode": bool = false;
    /// Whether the broker runs in a container of several brokers.
    inert "inBrokerContainer": bool = false;
    /// Starts a popping group at the oldest message if that is in memory.
    live init_pop_offset_by_check_msg_in_mem "initPopOffsetByCheckMsgInMem": bool = true;
    /// Whether the process is a container of several brokers.
    unset "isBrokerContainer": bool = false;
    /// Whether the broker runs in a container of several brokers.
    unset "isInBrokerContainer": bool = false;
    /// Gives each broker of a machine its own log folder.
    inert "isolateLogEnable": bool = false;
    /// Port that clients connect to, 10911 unless given; the broker also listens on this port less 2.
    restart @important listen_port "listenPort": u16 = 6888;
    /// Milliseconds between two checks of lite events.
    live lite_event_check_interval "liteEventCheckInterval": i64 = 10_000;
    /// Milliseconds before all lite events of a client are dispatched.
    live lite_event_full_dispatch_delay_time "liteEventFullDispatchDelayTime": i64 = 10_000;
    /// The same for groups that subscribe by wildcard.
    live lite_event_full_dispatch_delay_time_for_wildcard_group "liteEventFullDispatchDelayTimeForWildcardGroup": i64 = 10_000;
    /// Exports lag counts of lite topics.
    inert "liteLagCountMetricsEnable": bool = false;
    /// Collects lag times of lite topics.
    live lite_lag_latency_collect_enable "liteLagLatencyCollectEnable": bool = false;
    /// Exports lag times of lite topics.
    inert "liteLagLatencyMetricsEnable": bool = false;
    /// Lite topics with the greatest lag to export.
    live lite_lag_latency_top_k "liteLagLatencyTopK": i32 = 50;
    /// Serves lite pull (request code 361).
    live lite_pull_message_enable "litePullMessageEnable": bool = true;
    /// Threads for lite pulls.
    inert "litePullMessageThreadPoolNums": i32 = 16 + 2 * env.cores, shown "16+2*cores";
    /// Lite pulls that may wait for a thread.
    inert "litePullThreadPoolQueueCapacity": i32 = 100_000;
    /// Milliseconds between two checks of lite subscriptions.
    live lite_subscription_check_interval "liteSubscriptionCheckInterval": i64 = 120_000;
    /// Milliseconds without renewal after which a lite subscription ends.
    live lite_subscription_check_timeout_mills "liteSubscriptionCheckTimeoutMills": i64 = 180_000;
    /// Milliseconds between two checks for lite topics past their time.
    live lite_ttl_check_interval "liteTtlCheckInterval": i64 = 120_000;
    /// Milliseconds between two reads of routes for balancing on the server.
    inert "loadBalancePollNameServerInterval": i64 = 30_000;
    /// Threads for balancing on the server.
    inert "loadBalanceProcessorThreadPoolNums": i32 = 32;
    /// Balancing requests that may wait for a thread.
    inert "loadBalanceThreadPoolQueueCapacity": i32 = 100_000;
    /// Locks queues on a majority of replicas rather than on one.
    inert "lockInStrictMode": bool = false;
    /// Holds a pull that finds nothing for as long as its client asks; if not, for shortPollingTimeMills.
    live long_polling_enable "longPollingEnable": bool = true;
    /// Lite events kept per client.
    live max_client_event_count "maxClientEventCount": i32 = 100;
    /// Percent of wrong hits that filter bit maps may have.
    restart max_error_rate_of_bloom_filter "maxErrorRateOfBloomFilter": i32 = 20, in 1..=99;
    /// Lite subscriptions of a broker.
    live max_lite_subscription_count "maxLiteSubscriptionCount": i64 = 100_000;
    /// Messages looked at before a waiting pop is woken.
    inert "maxMessageFilterNumForNotification": i32 = 64;
    /// Not a key of RocketMQ: messages that a subscription group may be handed within a second; 0 for any number.
    live max_messages_per_second_of_group "maxMessagesPerSecondOfGroup": i32 = 0, in 0..=INT_MAX;
    /// Not a key of RocketMQ: messages that may be sent to a topic within a second; 0 for any number.
    live max_messages_per_second_of_topic "maxMessagesPerSecondOfTopic": i32 = 0, in 0..=INT_MAX;
    /// Waiting pops of all queues.
    live max_pop_polling_size "maxPopPollingSize": i64 = 100_000;
    /// Not a key of RocketMQ: requests of a connection within a second, heartbeats, acknowledgements and the like not counted; 0 for any number.
    live max_requests_per_second_of_connection "maxRequestsPerSecondOfConnection": i32 = 0, in 0..=INT_MAX;
    /// Minutes after which an idle counter is dropped; -1 for never.
    inert "maxStatsIdleTimeInMinutes": i32 = -1;
    /// Not a key of RocketMQ: pulls of a subscription group that may wait for messages at a time; 0 for any number.
    live max_waiting_pulls_of_group "maxWaitingPullsOfGroup": i32 = 0, in 0..=INT_MAX;
    /// Java classes that wrap the store.
    inert "messageStorePlugIn": String = String::new();
    /// Milliseconds between two exports to an OpenTelemetry collector.
    inert "metricGrpcExporterIntervalInMills": i64 = 60_000;
    /// Milliseconds that an export to an OpenTelemetry collector may take.
    inert "metricGrpcExporterTimeOutInMills": i64 = 3000;
    /// Milliseconds between two exports of metrics to the log.
    inert "metricLoggingExporterIntervalInMills": i64 = 10_000;
    /// Data points of one export.
    inert "metricsExportBatchMaxDataPoints": i32 = 1000;
    /// Where metrics go. Skua serves them over HTTP whatever it says, see httpPort; PROM moves them to metricsPromExporterPort, OTLP_GRPC and LOG are not served.
    restart metrics_exporter_type "metricsExporterType": MetricsExporterType = MetricsExporterType::Disable;
    /// Headers of exports to an OpenTelemetry collector.
    inert "metricsGrpcExporterHeader": String = String::new();
    /// Address of the OpenTelemetry collector.
    inert "metricsGrpcExporterTarget": String = String::new();
    /// Exports differences rather than sums.
    inert "metricsInDelta": bool = false;
    /// Labels of all metrics, as key:value with commas between.
    inert "metricsLabel": String = String::new();
    /// Label sets of one metric.
    inert "metricsOtelCardinalityLimit": i32 = 50_000;
    /// Address that Prometheus reads metrics from.
    restart metrics_prom_exporter_host "metricsPromExporterHost": String = String::new();
    /// Port that Prometheus reads metrics from.
    restart metrics_prom_exporter_port "metricsPromExporterPort": i32 = 5557, in 1..=65535;
    /// Milliseconds that a lite topic lives at least.
    live min_lite_ttl "minLiteTTl": i64 = 900_000;
    /// Name of the message trace topic.
    restart @important msg_trace_topic_name "msgTraceTopicName": String = "RMQ_SYS_TRACE_TOPIC".into(), in 1..=127;
    /// Name servers to register with, as host:port with `;` between; else those of NAMESRV_ADDR.
    restart @important namesrv_addr "namesrvAddr": String = env.namesrv_addr.clone(), checked addresses, shown "null";
    /// Tells the consumers of a group when one joins or leaves.
    live notify_consumer_ids_changed_enable "notifyConsumerIdsChangedEnable": bool = true;
    /// Writes only offsets that changed.
    inert "persistConsumerOffsetIncrementally": bool = false;
    /// Check points of pop kept in memory.
    inert "popCkMaxBufferSize": i32 = 200_000;
    /// Check points of pop kept in memory per queue.
    inert "popCkOffsetMaxQueueSize": i32 = 20_000;
    /// Milliseconds that a check point of pop stays in memory.
    inert "popCkStayBufferTime": i32 = 10_000;
    /// Milliseconds before its time at which a check point of pop leaves memory.
    inert "popCkStayBufferTimeOut": i32 = 3000;
    /// Starts the file-based keeping of pops.
    inert "popConsumerFSServiceInit": bool = true;
    /// Keeps pops in RocksDB.
    refused "popConsumerKVServiceEnable": bool = false;
    /// Starts the keeping of pops in RocksDB.
    refused "popConsumerKVServiceInit": bool = false;
    /// Logs the keeping of pops in RocksDB.
    inert "popConsumerKVServiceLog": bool = false;
    /// Percent of pops that look at the retry topic first.
    live pop_from_retry_probability "popFromRetryProbability": i32 = 20;
    /// The same for priority topics.
    inert "popFromRetryProbabilityForPriority": i32 = 0;
    /// Messages in flight at which a popping group gets no more.
    live pop_inflight_message_threshold "popInflightMessageThreshold": i64 = 10_000;
    /// Messages passed over after which a waiting pop is woken anyway.
    inert "popLongPollingForceNotifyInterval": i64 = 800;
    /// Seconds that a table of waiting pops is kept unused.
    inert "popPollingMapExpireTimeSeconds": i32 = 600;
    /// Topics with waiting pops.
    inert "popPollingMapSize": i32 = 100_000;
    /// Waiting pops of one queue.
    live pop_polling_size "popPollingSize": i32 = 1024;
    /// Names the retry topic in answers to pops.
    live pop_response_return_actual_retry_topic "popResponseReturnActualRetryTopic": bool = false;
    /// Messages revived at a time.
    inert "popReviveConcurrency": i32 = 32;
    /// Tries to revive a message.
    inert "popReviveMaxAttemptTimes": i32 = 16;
    /// Messages read at a time to find what to revive.
    inert "popReviveMaxReturnSizePerRead": i32 = 16_384;
    /// Revives nothing for groups that were deleted.
    inert "popReviveSkipIfGroupAbsent": bool = true;
    /// Logs the groups of each connection.
    inert "printChannelGroups": bool = false;
    /// Groups that a connection must have to be logged.
    inert "printChannelGroupsMinNum": i32 = 5;
    /// Whether a higher queue id is a higher priority.
    inert "priorityOrderAsc": bool = true;
    /// Threads for replies.
    inert "processReplyMessageThreadPoolNums": i32 = 16 + 2 * env.cores, shown "16+2*cores";
    /// Threads for pulls.
    inert @important "pullMessageThreadPoolNums": i32 = 16 + 2 * env.cores, shown "16+2*cores";
    /// Pulls that may wait for a thread.
    inert "pullThreadPoolQueueCapacity": i32 = 100_000;
    /// Threads that finish sends.
    inert "putMessageFutureThreadPoolNums": i32 = env.cores.min(4), shown "min(cores,4)";
    /// Sends that may wait to be finished.
    inert "putThreadPoolQueueCapacity": i32 = 10_000;
    /// Threads for queries.
    inert "queryMessageThreadPoolNums": i32 = 8 + env.cores, shown "8+cores";
    /// Queries that may wait for a thread.
    inert "queryThreadPoolQueueCapacity": i32 = 20_000;
    /// Tells consumers of a change at once rather than after a while.
    inert "realTimeNotifyConsumerChange": bool = true;
    /// Lets timer messages be recalled.
    live recall_message_enable "recallMessageEnable": bool = false;
    /// Recovers consume queues in parallel.
    inert @important "recoverConcurrently": bool = false;
    /// Threads of a parallel recovery.
    inert "recoverThreadPoolNums": i32 = 32;
    /// Region put into the properties of stored messages and into answers to sends.
    restart region_id "regionId": String = "DefaultRegion".into();
    /// Milliseconds that a registration with a name server may take.
    inert "registerBrokerTimeoutMills": i32 = 24_000;
    /// Milliseconds between two registrations, brought into 10000 to 60000.
    restart register_name_server_period "registerNameServerPeriod": i32 = 30_000, in 1..=INT_MAX;
    /// Refuses pulls of consumers that do not push.
    live reject_pull_consumer_enable "rejectPullConsumerEnable": bool = false;
    /// Refuses transaction messages.
    live @important reject_transaction_message "rejectTransactionMessage": bool = false;
    /// Replies that may wait for a thread.
    inert "replyThreadPoolQueueCapacity": i32 = 10_000;
    /// Reads pop retry topics named in the first form.
    live retrieve_message_from_pop_retry_topic_v1 "retrieveMessageFromPopRetryTopicV1": bool = true;
    /// Milliseconds to wait for missing acknowledgements.
    inert "reviveAckWaitMs": i64 = 180_000;
    /// Milliseconds between two runs of reviving.
    inert "reviveInterval": i64 = 1000;
    /// Slow runs of reviving before it is logged.
    inert "reviveMaxSlow": i64 = 3;
    /// Queues of the revive topic.
    restart revive_queue_num "reviveQueueNum": i32 = 8, in 1..=65535;
    /// Milliseconds that one run of reviving may take.
    inert "reviveScanTime": i64 = 10_000;
    /// Host of the HTTP server that knows name servers.
    inert "rmqAddressServerDomain": Option<String> = None;
    /// Path on the HTTP server that knows name servers.
    inert "rmqAddressServerSubGroup": Option<String> = None;
    /// Folder of the RocketMQ installation; Skua needs none.
    restart @important rocketmq_home "rocketmqHome": Option<String> = env.installation(), shown "$ROCKETMQ_HOME";
    /// Milliseconds that a heartbeat to a name server may take.
    inert "sendHeartbeatTimeoutMillis": i32 = 1000;
    /// Threads for sends.
    inert @important "sendMessageThreadPoolNums": i32 = env.cores.min(4), shown "min(cores,4)";
    /// Sends that may wait for a thread.
    inert "sendThreadPoolQueueCapacity": i32 = 10_000;
    /// Balances queues over consumers on the server.
    live server_load_balancer_enable "serverLoadBalancerEnable": bool = true;
    /// Milliseconds that a pull that finds nothing is held when longPollingEnable is false.
    live short_polling_time_mills "shortPollingTimeMills": i64 = 1000, in 0..=i64::MAX;
    /// Starts serving without first agreeing with the group's other brokers.
    inert "skipPreOnline": bool = false;
    /// Drops check points that were put back too often.
    inert "skipWhenCKRePutReachMaxTimes": bool = false;
    /// Tells consumers to read old messages from a slave.
    live @important slave_read_enable "slaveReadEnable": bool = false;
    /// Topics or groups in one part of an answer, at most.
    live split_metadata_size "splitMetadataSize": i32 = 2000, in 1..=INT_MAX;
    /// Topics in one part of a registration.
    inert "splitRegistrationSize": i32 = 800;
    /// Time in milliseconds since 1970 before which sends are refused.
    live start_accept_send_request_time_stamp "startAcceptSendRequestTimeStamp": i64 = 0;
    /// Keeps replies whose requester is gone.
    live store_reply_message_enable "storeReplyMessageEnable": bool = true;
    /// Milliseconds after which a subscription that came with a pull or pop is forgotten.
    live subscription_expired_timeout "subscriptionExpiredTimeout": i64 = 600_000;
    /// Milliseconds between two reads of the group's brokers.
    inert "syncBrokerMemberGroupPeriod": i32 = 1000;
    /// Milliseconds between two reads of the group's state from the controller.
    inert "syncBrokerMetadataPeriod": i64 = 5000;
    /// Milliseconds between two reads of who leads the controllers.
    inert "syncControllerMetadataPeriod": i64 = 10_000;
    /// Tells producers, in answers to sends, to trace their messages.
    live trace_on "traceOn": bool = true;
    /// Creates the message trace topic at the start.
    restart @important trace_topic_enable "traceTopicEnable": bool = false;
    /// Milliseconds between two rounds of asking producers about open transactions.
    live @important transaction_check_interval "transactionCheckInterval": i64 = 30_000, in 1..=i64::MAX;
    /// Questions about one open transaction before it is given up.
    live @important transaction_check_max "transactionCheckMax": i32 = 15, in 0..=INT_MAX;
    /// Threads that ask about transactions kept in RocksDB.
    inert "transactionCheckRocksdbCoreThreads": i32 = 2;
    /// Most threads that ask about transactions kept in RocksDB.
    inert "transactionCheckRocksdbMaxThreads": i32 = 5;
    /// Questions about transactions kept in RocksDB that may wait.
    inert "transactionCheckRocksdbQueueCapacity": i32 = 2000;
    /// Milliseconds between two writes of transaction counters.
    inert "transactionMetricFlushInterval": i64 = 10_000;
    /// Milliseconds that settlements of transactions are gathered.
    live transaction_op_batch_interval "transactionOpBatchInterval": i32 = 3000, in 0..=INT_MAX;
    /// Bytes of one gathered settlement.
    live transaction_op_msg_max_size "transactionOpMsgMaxSize": i32 = 4096, in 1..=1_048_576;
    /// Milliseconds before a transaction is asked about for the first time.
    live @important transaction_time_out "transactionTimeOut": i64 = 6000, in 0..=i64::MAX;
    /// Copies messages through memory rather than from the file to the socket.
    inert "transferMsgByHeap": bool = true;
    /// Milliseconds between two looks whether the list of name servers changed.
    inert "updateNameServerAddrPeriod": i32 = 120_000;
    /// Applies filters before a waiting pop is woken.
    inert "useMessageFilterForNotification": bool = true;
    /// Slows down readers of cold data by a control loop.
    live use_pid_cold_ctr_strategy "usePIDColdCtrStrategy": bool = true;
    /// Gives each group its own queue of a retry topic.
    inert "useSeparateRetryQueue": bool = false;
    /// Keeps reset offsets on the broker until they are taken.
    live use_server_side_reset_offset "useServerSideResetOffset": bool = true;
    /// Keeps topics, groups and offsets in one RocksDB.
    refused "useSingleRocksDBForAllConfigs": bool = false;
    /// Knows subscriptions from configuration rather than heartbeats.
    inert "useStaticSubscription": bool = false;
    /// Refuses requests that create or change RocketMQ's own topics.
    live validate_system_topic_when_update_topic "validateSystemTopicWhenUpdateTopic": bool = true;
    /// Milliseconds an acknowledgement may wait for a thread.
    inert "waitTimeMillsInAckQueue": i64 = 3000;
    /// Milliseconds an administration request may wait for a thread.
    inert "waitTimeMillsInAdminBrokerQueue": i64 = 5000;
    /// Milliseconds a heartbeat may wait for a thread.
    inert "waitTimeMillsInHeartbeatQueue": i64 = 31_000;
    /// Milliseconds a lite pull may wait for a thread.
    inert "waitTimeMillsInLitePullQueue": i64 = 5000;
    /// Milliseconds a pull may wait for a thread.
    inert "waitTimeMillsInPullQueue": i64 = 5000;
    /// Milliseconds a send may wait for a thread.
    inert "waitTimeMillsInSendQueue": i64 = 200;
    /// Milliseconds the end of a transaction may wait for a thread.
    inert "waitTimeMillsInTransactionQueue": i64 = 3000;
}
