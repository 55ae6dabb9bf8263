//! Keys of the store.

use super::config_table;
use crate::check::{delay_levels, folders, hours};
use crate::value::INT_MAX;
use crate::value::{BrokerRole, FlushDiskType, SlaveRefill};

config_table! {
    |env|
    /// Files, flushing, reading and replication (Java: `MessageStoreConfig`).
    pub struct StoreConfig("MessageStoreConfig");

    /// Not a key of RocketMQ, though its examples have it: the marker is always `{storePathRootDir}/abort`.
    inert "abortFile": Option<String> = None;
    /// Percent of memory whose messages count as hot.
    inert "accessMessageInMemoryHotRatio": i32 = 26;
    /// Percent of physical memory behind the log's end that counts as cached.
    restart @important access_message_in_memory_max_ratio "accessMessageInMemoryMaxRatio": i32 = 40, in 0..=100;
    /// Answers a send of a SYNC_MASTER once every slave that is in sync has it.
    live @important all_ack_in_sync_state_set "allAckInSyncStateSet": bool = false;
    /// Names the topic in requests to delete a timer message; both forms are understood.
    live append_topic_for_timer_delete_key "appendTopicForTimerDeleteKey": bool = false;
    /// Makes the slave a copy that nobody waits for.
    inert "asyncLearner": bool = false;
    /// Stores topic names over 127 bytes in the second message format.
    inert "autoMessageVersionOnTopicLen": bool = true;
    /// Threads that build consume queues in parallel.
    inert "batchDispatchRequestThreadPoolNums": i32 = 16;
    /// Bits of a filter bit map.
    inert "bitMapLengthConsumeQueueExt": i32 = 64;
    /// Compression of consume queues in RocksDB.
    inert "bottomMostCompressionTypeForConsumeQueueStore": String = "zstd".into();
    /// ASYNC_MASTER, SYNC_MASTER (two copies before a send is answered) or SLAVE.
    restart @important broker_role "brokerRole": BrokerRole = BrokerRole::AsyncMaster;
    /// Checks physical offsets of records at recovery.
    inert "checkCommitLogOffsetOnRecover": bool = false;
    /// Checks the body's CRC of each record read at recovery.
    restart check_crc_on_recover "checkCRCOnRecover": bool = true;
    /// Deletes files before their time when the disk is nearly full.
    live @important clean_file_forcibly_enable "cleanFileForciblyEnable": bool = true;
    /// Milliseconds between two looks for files to delete.
    live clean_resource_interval "cleanResourceInterval": i32 = 10_000, in 1..=INT_MAX;
    /// Minutes between two clean-ups of consume queues in RocksDB.
    inert "cleanRocksDBDirtyCQIntervalMin": i64 = 60;
    /// Milliseconds between two clean-ups of swapped mappings.
    inert "cleanSwapedMapInterval": i64 = 300_000;
    /// Limits reading of cold data.
    live cold_data_flow_control_enable "coldDataFlowControlEnable": bool = false;
    /// Looks which pages of the log are in memory.
    inert "coldDataScanEnable": bool = false;
    /// Of two kinds of consume queues, the one that assigns offsets.
    inert "combineAssignOffsetCQType": String = "default".into();
    /// Compares two kinds of consume queues.
    inert "combineCQEnableCheckSelf": bool = false;
    /// Kinds of consume queues kept side by side.
    inert "combineCQLoadingCQTypes": String = "default;defaultRocksDB".into();
    /// Further log files searched when two kinds of consume queues start.
    inert "combineCQMaxExtraSearchCommitLogFiles": i32 = 3;
    /// Of two kinds of consume queues, the one that is read.
    inert "combineCQPreferCQType": String = "default".into();
    /// Keeps light message queues in RocksDB.
    refused "combineCQUseRocksdbForLmq": bool = false;
    /// Pages of 4 KiB worth copying from the transient pool to the file.
    inert "commitCommitLogLeastPages": i32 = 4;
    /// Milliseconds after which the transient pool is copied to the file anyway.
    inert "commitCommitLogThoroughInterval": i32 = 200;
    /// Milliseconds between two copies from the transient pool to the file.
    inert @important "commitIntervalCommitLog": i32 = 200;
    /// Milliseconds after which a log file's mapping is swapped whatever its use.
    inert "commitLogForceSwapMapInterval": i64 = 43_200_000;
    /// Log files read back when consume queues in RocksDB recover.
    inert "commitLogRecoverMaxNum": i32 = 10;
    /// Milliseconds after which an unused log file's mapping is swapped.
    inert "commitLogSwapMapInterval": i64 = 3_600_000;
    /// Newest log files whose mappings are not swapped.
    inert "commitLogSwapMapReserveFileNum": i32 = 100;
    /// Bytes of a consume queue file of compacted topics.
    inert "compactionCqMappedFileSize": i32 = 10_485_760;
    /// Bytes of a log file of compacted topics.
    inert "compactionMappedFileSize": i32 = 104_857_600;
    /// Milliseconds between two compactions.
    restart compaction_schedule_internal "compactionScheduleInternal": i32 = 900_000, in 1..=INT_MAX;
    /// Threads for compaction.
    inert "compactionThreadNum": i32 = 6;
    /// Milliseconds after which least queue offsets are corrected anyway.
    inert "correctLogicMinOffsetForceInterval": i32 = 300_000;
    /// Milliseconds between two corrections of least queue offsets.
    inert "correctLogicMinOffsetSleepInterval": i32 = 1;
    /// Lets the kernel read ahead in log files.
    live data_read_ahead_enable "dataReadAheadEnable": bool = true;
    /// Reports long waits for the append lock.
    inert "debugLockEnable": bool = false;
    /// Messages of one query's answer.
    live default_query_max_num "defaultQueryMaxNum": i32 = 32;
    /// Milliseconds between deleting two log files.
    live delete_commit_log_files_interval "deleteCommitLogFilesInterval": i32 = 100, in 0..=INT_MAX;
    /// Milliseconds between deleting two consume queue files.
    live delete_consume_queue_files_interval "deleteConsumeQueueFilesInterval": i32 = 100, in 0..=INT_MAX;
    /// Files deleted in one go.
    live @important delete_file_batch_max "deleteFileBatchMax": i32 = 10, in 1..=INT_MAX;
    /// Hours of the day, as 04 or 04;16, at which expired files are deleted.
    live @important delete_when "deleteWhen": String = "04".into(), checked hours;
    /// Milliseconds after which a file in use is deleted anyway.
    inert "destroyMapedFileIntervalForcibly": i32 = 120_000;
    /// Milliseconds after the start before the broker registers; -1 for none.
    inert @important "disappearTimeAfterStart": i32 = -1;
    /// Notes how far consumers lag behind in bytes.
    inert "diskFallRecorded": bool = true;
    /// Percent of the disk in use above which expired files are deleted at any hour; counts as at least 10 and at most 95.
    live @important disk_max_used_space_ratio "diskMaxUsedSpaceRatio": i32 = 75, in 0..=100;
    /// Percent of the disk in use above which files are deleted before their time; counts as at least 30 and at most 85.
    live disk_space_clean_forcibly_ratio "diskSpaceCleanForciblyRatio": i32 = 85, in 0..=100;
    /// Percent of the disk in use above which sends are refused; counts as at least 35 and at most 90.
    live disk_space_warning_level_ratio "diskSpaceWarningLevelRatio": i32 = 90, in 0..=100;
    /// Entries waiting for a dispatch thread.
    inert "dispatchCqCacheNum": i32 = 4096;
    /// Threads of dispatch.
    inert "dispatchCqThreads": i32 = 10;
    /// Dispatches in the sender's thread.
    inert @important "dispatchFromSenderThread": bool = false;
    /// Name of the Raft group, as a rule the broker's name.
    restart @important dleger_group "dLegerGroup": Option<String> = None;
    /// Members of the Raft group, as id-host:port with `;` between.
    restart @important dleger_peers "dLegerPeers": Option<String> = None;
    /// This member's id in dLegerPeers.
    restart @important dleger_self_id "dLegerSelfId": Option<String> = None;
    /// Lets a second process copy the log.
    inert "duplicationEnable": bool = false;
    /// Recovers from a later point of the log.
    inert "enableAcceleratedRecovery": bool = false;
    /// Dispatches asynchronously in Raft mode.
    inert "enableAsyncReput": bool = true;
    /// Lowers inSyncReplicas while replicas are missing.
    live @important enable_auto_in_sync_replicas "enableAutoInSyncReplicas": bool = false;
    /// Sends log entries to Raft members in batches.
    inert "enableBatchPush": bool = false;
    /// Builds consume queues in parallel.
    inert "enableBuildConsumeQueueConcurrently": bool = false;
    /// Removes offsets of topics that are gone.
    inert @important "enableCleanExpiredOffset": bool = false;
    /// Compacts topics whose cleanup policy asks for it.
    restart enable_compaction "enableCompaction": bool = true;
    /// Keeps an extension file beside consume queues.
    restart enable_consume_queue_ext "enableConsumeQueueExt": bool = false;
    /// Gives each record a CRC of all of it, as its last property.
    restart enabled_append_prop_crc "enabledAppendPropCRC": bool = false;
    /// Replicates the log by Raft.
    restart @important enable_dleger_commit_log "enableDLegerCommitLog": bool = false;
    /// Gives messages offsets in the light queues (`%LMQ%…`) that INNER_MULTI_DISPATCH names.
    restart enable_lmq "enableLmq": bool = false;
    /// Bounds the number of light message queues.
    inert "enableLmqQuota": bool = false;
    /// Logs consume queue entries that recovery builds twice.
    inert "enableLogConsumeQueueRepeatedlyBuildWhenRecover": bool = false;
    /// Dispatches messages to the queues that INNER_MULTI_DISPATCH names, too.
    restart enable_multi_dispatch "enableMultiDispatch": bool = false;
    /// Keeps RocksDB's own log.
    inert "enableRocksDBLog": bool = false;
    /// Stops flushing once a write failed.
    inert @important "enableRunningFlagsInFlush": bool = false;
    /// Delivers delayed messages asynchronously.
    inert "enableScheduleAsyncDeliver": bool = false;
    /// Counts delayed messages.
    inert "enableScheduleMessageStats": bool = true;
    /// Refuses sends when the transient pool is empty.
    inert "fastFailIfNoBufferInStorePool": bool = false;
    /// Hours that log files are kept.
    live @important file_reserved_time "fileReservedTime" | "fileReserverdTime": i32 = 72, in 0..=INT_MAX;
    /// Dirty pages of 4 KiB worth a flush of the commit log.
    restart flush_commit_log_least_pages "flushCommitLogLeastPages": i32 = 4, in 0..=INT_MAX;
    /// Milliseconds after which any dirty byte of the commit log is flushed.
    restart flush_commit_log_thorough_interval "flushCommitLogThoroughInterval": i32 = 10_000, in 0..=INT_MAX;
    /// Flushes at fixed intervals rather than when woken.
    restart @important flush_commit_log_timed "flushCommitLogTimed": bool = true;
    /// Dirty pages of 4 KiB worth a flush of a consume queue.
    restart flush_consume_queue_least_pages "flushConsumeQueueLeastPages": i32 = 2, in 0..=INT_MAX;
    /// Milliseconds after which all consume queues are flushed and the checkpoint is written.
    restart flush_consume_queue_thorough_interval "flushConsumeQueueThoroughInterval": i32 = 60_000, in 0..=INT_MAX;
    /// Milliseconds between two writes of how far delayed messages are delivered.
    restart flush_delay_offset_interval "flushDelayOffsetInterval": i64 = 10_000, in 1..=i64::MAX;
    /// When a send is answered: ASYNC_FLUSH once the page cache has it, SYNC_FLUSH once the disk has it.
    restart @important flush_disk_type "flushDiskType": FlushDiskType = FlushDiskType::AsyncFlush;
    /// Milliseconds between two looks whether the commit log is to be flushed.
    restart @important flush_interval_commit_log "flushIntervalCommitLog": i32 = 500, in 1..=INT_MAX;
    /// Milliseconds between two looks whether consume queues are to be flushed; entries that are in memory alone are written then.
    restart flush_interval_consume_queue "flushIntervalConsumeQueue": i32 = 1000, in 1..=INT_MAX;
    /// Pages touched between two flushes when a new file is warmed.
    inert "flushLeastPagesWhenWarmMapedFile": i32 = 4096;
    /// At recovery each record must have its CRC in its properties.
    restart force_verify_prop_crc "forceVerifyPropCRC": bool = false;
    /// Limits the speed of replication.
    live @important ha_flow_control_enable "haFlowControlEnable": bool = false;
    /// Milliseconds of silence after which a replication connection is closed.
    restart ha_housekeeping_interval "haHousekeepingInterval": i32 = 20_000, in 1..=INT_MAX;
    /// Port for replication; listenPort + 1 unless given.
    restart @important ha_listen_port "haListenPort": u16 = 10_912;
    /// Master's replication address, for a slave that name servers do not tell; RocketMQ 5.5.0 breaks on it.
    restart @important ha_master_address "haMasterAddress": Option<String> = None;
    /// Bytes that a slave may lag behind and still count as a copy.
    restart @important ha_max_gap_not_in_sync "haMaxGapNotInSync" | "haSlaveFallbehindMax": i32 = 268_435_456, in 0..=INT_MAX;
    /// Milliseconds that a slave may lag behind and stay in the sync state set.
    inert "haMaxTimeSlaveNotCatchup": i64 = 15_000;
    /// Milliseconds between two heartbeats of replication.
    restart ha_send_heartbeat_interval "haSendHeartbeatInterval": i32 = 5000, in 1..=INT_MAX;
    /// Not a key of RocketMQ: replicates by TLS alone, with the files of tls.server and tls.client; the same on all members of a broker's group, all of them Skua's.
    restart ha_tls_enable "haTlsEnable": bool = false;
    /// Bytes sent to a slave at a time.
    restart ha_transfer_batch_size "haTransferBatchSize": i32 = 32_768, in 1..=33_554_432;
    /// Reads index files.
    inert "indexFileReadEnable": bool = true;
    /// Writes index files.
    inert "indexFileWriteEnable": bool = true;
    /// Keeps the index of message keys in RocksDB.
    refused "indexRocksDBEnable": bool = false;
    /// Copies, the master's included, before a send is answered by a SYNC_MASTER; 2 unless given, where RocketMQ 5 is content with the master's.
    live @important in_sync_replicas "inSyncReplicas": i32 = 1, in 1..=64;
    /// Reads consume queues in RocksDB by iterator.
    inert "iteratorWhenUseRocksdbConsumeQueue": bool = true;
    /// Share of the disk at which consume queue files are deleted before their time.
    inert "logicalDiskSpaceCleanForciblyThreshold": f64 = 0.8;
    /// Milliseconds after which a consume queue file's mapping is swapped whatever its use.
    inert "logicQueueForceSwapMapInterval": i64 = 43_200_000;
    /// Milliseconds after which an unused consume queue file's mapping is swapped.
    inert "logicQueueSwapMapInterval": i64 = 3_600_000;
    /// Newest consume queue files whose mappings are not swapped.
    inert "logicQueueSwapMapReserveFileNum": i32 = 20;
    /// Bytes of one commit log file; where files exist and the key is not given, their size.
    restart @important mapped_file_size_commit_log "mappedFileSizeCommitLog" | "mapedFileSizeCommitLog": i32 = 1_073_741_824, in 4096..=INT_MAX;
    /// Bytes of one consume queue file, rounded up to whole entries of 20 bytes.
    restart @important mapped_file_size_consume_queue "mappedFileSizeConsumeQueue" | "mapedFileSizeConsumeQueue": i32 = 6_000_000, in 20..=INT_MAX;
    /// Bytes of one consume queue extension file.
    restart mapped_file_size_consume_queue_ext "mappedFileSizeConsumeQueueExt": i32 = 50_331_648, in 64..=INT_MAX;
    /// Bytes of one timer log file; where files exist and the key is not given, their size.
    restart mapped_file_size_timer_log "mappedFileSizeTimerLog": i32 = 104_857_600, in 68..=INT_MAX;
    /// Swaps mappings of unused files.
    inert "mappedFileSwapEnable": bool = true;
    /// Bytes of one consume queue file of batch topics.
    restart mapper_file_size_batch_consume_queue "mapperFileSizeBatchConsumeQueue": i32 = 13_800_000, in 46..=INT_MAX;
    /// Unanswered sends of DLedger.
    inert "maxAsyncPutMessageRequests": i32 = 5000;
    /// Files deleted in one go when a topic's files go.
    inert "maxBatchDeleteFilesNum": i32 = 50;
    /// Bytes checked at recovery in controller mode.
    inert "maxChecksumRange": i64 = 1_073_741_824;
    /// Entries read before lag is estimated.
    inert "maxConsumeQueueScan": i32 = 20_000;
    /// Bytes of consume queue that one filtered pull looks at.
    inert "maxFilterMessageSize": i32 = 16_000;
    /// Hash slots of an index file.
    restart @important max_hash_slot_num "maxHashSlotNum": i32 = 5_000_000, in 1..=INT_MAX;
    /// Bytes a second sent to one slave.
    live max_ha_transfer_byte_in_second "maxHaTransferByteInSecond": i64 = 104_857_600, in 1..=i64::MAX;
    /// Entries of an index file.
    restart @important max_index_num "maxIndexNum": i32 = 20_000_000, in 2..=INT_MAX;
    /// Light message queues of a broker; shown by getBrokerLiteInfo, bounds nothing, as in RocketMQ.
    live max_lmq_consume_queue_num "maxLmqConsumeQueueNum": i32 = 20_000;
    /// Bytes of the longest message body.
    live @important max_message_size "maxMessageSize": i32 = 4_194_304, in 1..=INT_MAX;
    /// Messages of one query's answer, at most.
    live max_msgs_num_batch "maxMsgsNumBatch": i32 = 64;
    /// Bytes of memory for one compaction.
    inert "maxOffsetMapSize": i32 = 104_857_600;
    /// Log files that an accelerated recovery reads.
    inert "maxRecoveryCommitlogFiles": i32 = 30;
    /// Days that a query of the index in RocksDB may span.
    inert "maxRocksDBIndexQueryDays": i32 = 7;
    /// Bytes that a new slave may ask for again.
    inert "maxSlaveResendLength": i64 = 268_435_456;
    /// Bytes of a topic's name.
    inert "maxTopicLength": i32 = 127;
    /// Bytes of one pull's answer from messages on disk.
    restart @important max_transfer_bytes_on_message_in_disk "maxTransferBytesOnMessageInDisk": i32 = 65_536, in 0..=INT_MAX;
    /// Bytes of one pull's answer from cached messages.
    restart @important max_transfer_bytes_on_message_in_memory "maxTransferBytesOnMessageInMemory": i32 = 262_144, in 0..=INT_MAX;
    /// Messages of one pull's answer from messages on disk.
    restart @important max_transfer_count_on_message_in_disk "maxTransferCountOnMessageInDisk": i32 = 8, in 0..=INT_MAX;
    /// Messages of one pull's answer from cached messages.
    restart @important max_transfer_count_on_message_in_memory "maxTransferCountOnMessageInMemory": i32 = 32, in 0..=INT_MAX;
    /// Milliseconds between two flushes of RocksDB's memory.
    inert "memTableFlushIntervalMs": i64 = 3_600_000;
    /// Delays of levels 1, 2 and so on, each a number with s, m, h or d, with blanks between.
    restart @important message_delay_level "messageDelayLevel": String = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h".into(), checked delay_levels;
    /// Writes index files, for queries by key.
    restart @important message_index_enable "messageIndexEnable": bool = true;
    /// Recovers index files as carefully as the log.
    inert @important "messageIndexSafe": bool = false;
    /// Least copies: with fewer a SYNC_MASTER refuses sends, and enableAutoInSyncReplicas goes no lower.
    live @important min_in_sync_replicas "minInSyncReplicas": i32 = 1, in 1..=64;
    /// Checks offsets of replicated messages on a slave.
    inert "offsetCheckInSlave": bool = false;
    /// Milliseconds that an append may hold the log before sends are refused as busy.
    inert "osPageCacheBusyTimeOutMills": i64 = 1000;
    /// Raft member that leads if it can.
    restart preferred_leader_id "preferredLeaderId" | "preferredLeaderIds": Option<String> = None;
    /// Not a key of RocketMQ: keeps files with messages that a subscription group has not consumed, until the disk is used to diskSpaceCleanForciblyRatio.
    live @important protect_unconsumed_data "protectUnconsumedData": bool = false;
    /// Messages of one pull from a batch topic.
    inert "pullBatchMaxMessageCount": i32 = 160;
    /// Writes consume queues by write calls rather than mappings.
    inert "putConsumeQueueDataByFileChannel": bool = true;
    /// Milliseconds that a send may wait for disk and copies together.
    inert "putMessageTimeout": i32 = 8000;
    /// Entries waiting for dispatch at which sends slow down.
    inert "putMsgIndexHightWater": i32 = 600_000;
    /// Folders, among several of storePathCommitLog or beside them, whose log files are used but in which none is made.
    restart read_only_commit_log_store_paths "readOnlyCommitLogStorePaths": Option<String> = None;
    /// Dispatches messages before they are on enough copies.
    inert "readUnCommitted": bool = false;
    /// Writes changed configuration to RocksDB at once.
    inert "realTimePersistRocksDBConfig": bool = true;
    /// Looks at consume queues for where dispatch goes on.
    inert "recheckReputOffsetFromCq": bool = false;
    /// Milliseconds between two tries to delete a file in use.
    inert "redeleteHangedFileInterval": i32 = 120_000;
    /// Brokers that share a disk, for the disk limits.
    inert "replicasPerDiskPartition": i32 = 1;
    /// Compression of RocksDB.
    inert "rocksdbCompressionType": String = "lz4".into();
    /// Writes consume queues to RocksDB, too.
    refused "rocksdbCQDoubleWriteEnable": bool = false;
    /// Writes to RocksDB between two flushes.
    inert "rocksdbFlushWalFrequency": i32 = 1024;
    /// Bytes of RocksDB's log before it rolls.
    inert "rocksdbWalFileRollingThreshold": i64 = 1_073_741_824;
    /// Matches before lag is estimated.
    inert "sampleCountThreshold": i32 = 5000;
    /// Entries passed over between two samples of lag.
    inert "sampleSteps": i32 = 32;
    /// Delayed messages under way per level.
    inert "scheduleAsyncDeliverMaxPendingLimit": i32 = 2000;
    /// Tries before a level waits for a delayed message.
    inert "scheduleAsyncDeliverMaxResendNum2Blocked": i32 = 3;
    /// Searches batch consume queues by a cache.
    inert "searchBcqByCacheEnable": bool = true;
    /// Buffers shared by senders.
    inert "sharedByteBufferNum": i32 = 16;
    /// Not a key of RocketMQ: when a slave of a Skua master sets its own store aside and is filled anew: NEVER by itself, when its log ends before the master's first file (BEHIND), or also when it has DIVERGED; what only it had is kept in a folder aside-TIME and is the cluster's no more.
    restart slave_refill "slaveRefill": SlaveRefill = SlaveRefill::Behind;
    /// Milliseconds that a send waits for copies.
    live @important slave_timeout "slaveTimeout": i32 = 3000, in 0..=INT_MAX;
    /// Turns of the append lock's spinning.
    inert "spinLockCollisionRetreatOptimalDegree": i32 = 1000;
    /// Seconds between two reports on RocksDB.
    inert "statRocksDBCQIntervalSec": i64 = 10;
    /// Not a key of RocketMQ, though its examples have it: the file is always `{storePathRootDir}/checkpoint`.
    inert "storeCheckpoint": Option<String> = None;
    /// File of the broker's identity in controller mode; `{storePathRootDir}/brokerIdentity` unless given.
    inert @important "storePathBrokerIdentity": Option<String> = None;
    /// Folder of the commit log, or several with `,` between them, over which its files are spread; `{storePathRootDir}/commitlog` unless given.
    restart @important store_path_commit_log "storePathCommitLog": String = String::new(), checked folders, shown "null";
    /// Not a key of RocketMQ, though its examples have it: the folder is always `{storePathRootDir}/consumequeue`.
    inert "storePathConsumerQueue" | "storePathConsumeQueue": Option<String> = None;
    /// Folder of DLedger's log; the commit log's unless given.
    inert @important "storePathDLedgerCommitLog": Option<String> = None;
    /// File of the master's epochs; `{storePathRootDir}/epochFileCheckpoint` unless given.
    inert @important "storePathEpochFile": Option<String> = None;
    /// Not a key of RocketMQ, though its examples have it: the folder is always `{storePathRootDir}/index`.
    inert "storePathIndex": Option<String> = None;
    /// Folder of the store.
    restart @important store_path_root_dir "storePathRootDir": String = env.under_home("store"), in 1..=4096, shown "${user.home}/store";
    /// How consume queues are kept: default is files.
    refused @important "storeType": String = "default".into();
    /// Milliseconds that a send waits for the disk under SYNC_FLUSH; past them it is answered FLUSH_DISK_TIMEOUT, and the message is kept.
    live @important sync_flush_timeout "syncFlushTimeout": i32 = 5000, in 0..=INT_MAX;
    /// Lets an empty slave start at the master's last log file.
    inert "syncFromLastFile": bool = false;
    /// Asks the master at the start how far its log is flushed.
    inert "syncMasterFlushOffsetWhenStartup": bool = false;
    /// Hour of the day at which timer counters are checked.
    unset "timerCheckMetricsWhen": String = "05".into();
    /// Milliseconds between two looks at which pages are in memory.
    inert "timerColdDataCheckIntervalMs": i32 = 60_000;
    /// Waiting messages of one slot from which some are refused; from twice as many on all are.
    live timer_congest_num_each_slot "timerCongestNumEachSlot": i32 = i32::MAX, in 1..=INT_MAX;
    /// Checks timer counters once a day; Skua does not: after a kill they may be off by what had not been saved.
    inert "timerEnableCheckMetrics": bool = true;
    /// Uses a ring buffer between timer threads.
    unset "timerEnableDisruptor": bool = false;
    /// Tries timed messages until they are stored; Skua always does.
    inert "timerEnableRetryUntilSuccess": bool = false;
    /// Milliseconds between two flushes of the timer.
    restart timer_flush_interval_ms "timerFlushIntervalMs": i32 = 1000, in 1..=INT_MAX;
    /// Threads that read due timed messages; Skua has one thread for the timer.
    inert "timerGetMessageThreadNum": i32 = 3;
    /// Serves delay levels by the timer; without effect in RocketMQ 5.5.0, too.
    inert "timerInterceptDelayLevel": bool = false;
    /// Seconds that a message may be delayed.
    live @important timer_max_delay_sec "timerMaxDelaySec": i32 = 259_200, in 1..=INT_MAX;
    /// Timed messages up to which a topic's counter is checked exactly; see `timerEnableCheckMetrics`.
    inert "timerMetricSmallThreshold": i32 = 1_000_000;
    /// Milliseconds of a slot of the timer; a store keeps the one that it was begun with.
    restart @important timer_precision_ms "timerPrecisionMs": i32 = 1000, in 1..=3_600_000;
    /// Milliseconds between two reports of the timer in the log; `getBrokerRuntimeInfo` tells it.
    inert "timerProgressLogIntervalMs": i32 = 10_000;
    /// Threads that store due timed messages; Skua has one thread for the timer.
    inert "timerPutMessageThreadNum": i32 = 3;
    /// Lets the timeline take recalled messages.
    inert "timerRecallToTimelineEnable": bool = true;
    /// Lets the timer wheel take recalled messages.
    inert "timerRecallToTimeWheelEnable": bool = true;
    /// Threads that store due messages of the timer in RocksDB.
    inert "timerReputServiceCorePoolSize": i32 = 6;
    /// Most threads that store due messages of the timer in RocksDB.
    inert "timerReputServiceMaxPoolSize": i32 = 6;
    /// Due messages of the timer in RocksDB that may wait.
    inert "timerReputServiceQueueCapacity": i32 = 10_000;
    /// Keeps timed messages in RocksDB.
    refused "timerRocksDBEnable": bool = false;
    /// Milliseconds of precision of the timer in RocksDB.
    inert "timerRocksDBPrecisionMs": i64 = 1000;
    /// Hours between two rolls of the timer in RocksDB.
    inert "timerRocksDBRollIntervalHours": i32 = 1;
    /// Messages a second that the timer in RocksDB rolls.
    inert "timerRocksDBRollMaxTps": f64 = 8000.0;
    /// Hours ahead that the timer in RocksDB rolls.
    inert "timerRocksDBRollRangeHours": i32 = 2;
    /// Stops the timer in RocksDB.
    inert "timerRocksDBStopScan": bool = false;
    /// Due messages a second of the timer in RocksDB.
    inert "timerRocksDBTimeExpiredMaxTps": f64 = 200000.0;
    /// Slots ahead that a message is put; one that is due later is stored anew then.
    restart timer_roll_window_slot "timerRollWindowSlot": i32 = 172_800;
    /// Skips timed messages that cannot be read or stored, which else hold up the others; Skua passes over the damaged ones, and tries again what the store refuses for now.
    inert "timerSkipUnknownError": bool = false;
    /// Stops delivering timed messages.
    unset "timerStopDequeue": bool = false;
    /// Stops taking timed messages.
    inert "timerStopEnqueue": bool = false;
    /// Reads timer files ahead.
    unset "timerWarmEnable": bool = false;
    /// Serves timer messages.
    live @important timer_wheel_enable "timerWheelEnable": bool = true;
    /// Writes snapshots of the timer wheel instead of the wheel's file; Skua syncs the file.
    inert "timerWheelSnapshotFlush": bool = false;
    /// Milliseconds between two snapshots of the timer wheel; see `timerWheelSnapshotFlush`.
    inert "timerWheelSnapshotIntervalMs": i32 = 10_000;
    /// Locks over queues while offsets are assigned.
    inert "topicQueueLockNum": i32 = 32;
    /// Copies, the master's included, that a group has.
    inert @important "totalReplicas": i32 = 1;
    /// Writes to memory first and to the file later.
    inert @important "transientStorePoolEnable": bool = false;
    /// Buffers of the transient pool.
    inert "transientStorePoolSize": i32 = 5;
    /// Keeps half messages in RocksDB.
    refused "transRocksDBEnable": bool = false;
    /// Keeps half messages in RocketMQ's topics, too.
    inert "transWriteOriginTransHalfEnable": bool = true;
    /// Consume queue files that one pull may span.
    inert "travelCqFileNumWhenGetMessage": i32 = 1;
    /// Uses an adaptive lock for appending.
    inert "useABSLock": bool = false;
    /// Uses a blocking lock for appending rather than a spinning one.
    inert "useReentrantLockWhenPutMessage": bool = true;
    /// Keeps consume queues in RocksDB in a folder of their own.
    inert "useSeparateStorePathForRocksdbCQ": bool = false;
    /// Wakes the transient pool's copying at each send.
    inert @important "wakeCommitWhenPutMessage": bool = true;
    /// Each send is a look whether the commit log is to be flushed, if flushCommitLogTimed is false.
    restart @important wake_flush_when_put_message "wakeFlushWhenPutMessage": bool = false;
    /// Touches all pages of a new file.
    inert @important "warmMapedFileEnable": bool = false;
    /// Writes by write calls rather than mappings.
    inert @important "writeWithoutMmap": bool = false;
}
