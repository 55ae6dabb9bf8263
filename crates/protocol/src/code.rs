//! Request and response codes known to RocketMQ 5.5.0 (Java: `RequestCode`, `ResponseCode`), and
//! Skua's own from 770001 on.
//!
//! One table each: number, the field's name for it, what it asks for.

macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident;
        $($(#[$doc:meta])* $variant:ident = $number:literal, $text:literal;)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$doc])* $variant = $number,)+
        }

        impl $name {
            /// Every code of the table, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code with this number; `None` if neither Java 5.5.0 nor Skua knows one.
            pub fn from_i32(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name Java gives it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} ({})", self.name(), *self as i32)
            }
        }
    };
}

codes! {
    /// What a request asks for; the request header of each stands in [`crate::request`].
    pub enum RequestCode;

    /// Send one message, long field names.
    SendMessage = 10, "SEND_MESSAGE";
    /// Fetch messages of a queue, with long polling.
    PullMessage = 11, "PULL_MESSAGE";
    /// Find messages by key or unique id.
    QueryMessage = 12, "QUERY_MESSAGE";
    /// Number without a handler.
    QueryBrokerOffset = 13, "QUERY_BROKER_OFFSET";
    /// Committed offset of a consumer group in a queue.
    QueryConsumerOffset = 14, "QUERY_CONSUMER_OFFSET";
    /// Commit a consumer group's offset.
    UpdateConsumerOffset = 15, "UPDATE_CONSUMER_OFFSET";
    /// Create or change a topic.
    UpdateAndCreateTopic = 17, "UPDATE_AND_CREATE_TOPIC";
    /// Create or change several topics.
    UpdateAndCreateTopicList = 18, "UPDATE_AND_CREATE_TOPIC_LIST";
    /// All topics of a broker with their configuration.
    GetAllTopicConfig = 21, "GET_ALL_TOPIC_CONFIG";
    /// Number without a handler.
    GetTopicConfigList = 22, "GET_TOPIC_CONFIG_LIST";
    /// Number without a handler.
    GetTopicNameList = 23, "GET_TOPIC_NAME_LIST";
    /// Change broker configuration while running.
    UpdateBrokerConfig = 25, "UPDATE_BROKER_CONFIG";
    /// Broker configuration as properties text.
    GetBrokerConfig = 26, "GET_BROKER_CONFIG";
    /// Number without a handler.
    TriggerDeleteFiles = 27, "TRIGGER_DELETE_FILES";
    /// Broker counters and state as key-value table.
    GetBrokerRuntimeInfo = 28, "GET_BROKER_RUNTIME_INFO";
    /// Queue offset of the message stored at a time.
    SearchOffsetByTimestamp = 29, "SEARCH_OFFSET_BY_TIMESTAMP";
    /// Queue offset after the last message.
    GetMaxOffset = 30, "GET_MAX_OFFSET";
    /// Queue offset of the first message still there.
    GetMinOffset = 31, "GET_MIN_OFFSET";
    /// Store time of the first message still there.
    GetEarliestMsgStoreTime = 32, "GET_EARLIEST_MSG_STORETIME";
    /// One message by its physical offset.
    ViewMessageById = 33, "VIEW_MESSAGE_BY_ID";
    /// A client announces its groups and subscriptions.
    HeartBeat = 34, "HEART_BEAT";
    /// A client says goodbye.
    UnregisterClient = 35, "UNREGISTER_CLIENT";
    /// A consumer returns a message to be tried again later.
    ConsumerSendMsgBack = 36, "CONSUMER_SEND_MSG_BACK";
    /// Commit or roll back a half message.
    EndTransaction = 37, "END_TRANSACTION";
    /// Client ids of a consumer group.
    GetConsumerListByGroup = 38, "GET_CONSUMER_LIST_BY_GROUP";
    /// Broker asks a producer for the state of a half message.
    CheckTransactionState = 39, "CHECK_TRANSACTION_STATE";
    /// Broker tells consumers that the members of their group changed.
    NotifyConsumerIdsChanged = 40, "NOTIFY_CONSUMER_IDS_CHANGED";
    /// Take order locks on queues.
    LockBatchMq = 41, "LOCK_BATCH_MQ";
    /// Give order locks back.
    UnlockBatchMq = 42, "UNLOCK_BATCH_MQ";
    /// All consumer offsets, for a slave.
    GetAllConsumerOffset = 43, "GET_ALL_CONSUMER_OFFSET";
    /// Progress of the delay levels, for a slave.
    GetAllDelayOffset = 45, "GET_ALL_DELAY_OFFSET";
    /// Check a subscription before a consumer starts.
    CheckClientConfig = 46, "CHECK_CLIENT_CONFIG";
    /// Number without a handler.
    GetClientConfig = 47, "GET_CLIENT_CONFIG";
    /// Timer checkpoint, for a slave.
    GetTimerCheckPoint = 60, "GET_TIMER_CHECK_POINT";
    /// Timer metrics, for a slave.
    GetTimerMetrics = 61, "GET_TIMER_METRICS";
    /// Store a configuration value at the name server.
    PutKvConfig = 100, "PUT_KV_CONFIG";
    /// Read a configuration value of the name server.
    GetKvConfig = 101, "GET_KV_CONFIG";
    /// Delete a configuration value of the name server.
    DeleteKvConfig = 102, "DELETE_KV_CONFIG";
    /// A broker registers with its topics.
    RegisterBroker = 103, "REGISTER_BROKER";
    /// A broker leaves.
    UnregisterBroker = 104, "UNREGISTER_BROKER";
    /// Brokers and queues of a topic.
    GetRouteInfoByTopic = 105, "GET_ROUTEINFO_BY_TOPIC";
    /// All brokers of all clusters.
    GetBrokerClusterInfo = 106, "GET_BROKER_CLUSTER_INFO";
    /// Create or change a subscription group.
    UpdateAndCreateSubscriptionGroup = 200, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP";
    /// All subscription groups of a broker.
    GetAllSubscriptionGroupConfig = 201, "GET_ALL_SUBSCRIPTIONGROUP_CONFIG";
    /// Offsets of a topic's queues.
    GetTopicStatsInfo = 202, "GET_TOPIC_STATS_INFO";
    /// Connections and subscriptions of a consumer group.
    GetConsumerConnectionList = 203, "GET_CONSUMER_CONNECTION_LIST";
    /// Connections of a producer group.
    GetProducerConnectionList = 204, "GET_PRODUCER_CONNECTION_LIST";
    /// Take write permission from all topics of a broker.
    WipeWritePermOfBroker = 205, "WIPE_WRITE_PERM_OF_BROKER";
    /// All topics the name server knows.
    GetAllTopicListFromNameServer = 206, "GET_ALL_TOPIC_LIST_FROM_NAMESERVER";
    /// Delete a subscription group.
    DeleteSubscriptionGroup = 207, "DELETE_SUBSCRIPTIONGROUP";
    /// Progress of a consumer group.
    GetConsumeStats = 208, "GET_CONSUME_STATS";
    /// Number without a handler.
    SuspendConsumer = 209, "SUSPEND_CONSUMER";
    /// Number without a handler.
    ResumeConsumer = 210, "RESUME_CONSUMER";
    /// Number without a handler.
    ResetConsumerOffsetInConsumer = 211, "RESET_CONSUMER_OFFSET_IN_CONSUMER";
    /// Number without a handler.
    ResetConsumerOffsetInBroker = 212, "RESET_CONSUMER_OFFSET_IN_BROKER";
    /// Number without a handler.
    AdjustConsumerThreadPool = 213, "ADJUST_CONSUMER_THREAD_POOL";
    /// Number without a handler.
    WhoConsumeTheMessage = 214, "WHO_CONSUME_THE_MESSAGE";
    /// Delete a topic on a broker.
    DeleteTopicInBroker = 215, "DELETE_TOPIC_IN_BROKER";
    /// Delete a topic at the name server.
    DeleteTopicInNamesrv = 216, "DELETE_TOPIC_IN_NAMESRV";
    /// Register one topic's queues at the name server.
    RegisterTopicInNamesrv = 217, "REGISTER_TOPIC_IN_NAMESRV";
    /// All configuration values of a namespace.
    GetKvListByNamespace = 219, "GET_KVLIST_BY_NAMESPACE";
    /// Broker tells consumers to reset offsets.
    ResetConsumerClientOffset = 220, "RESET_CONSUMER_CLIENT_OFFSET";
    /// Broker asks a consumer for its offsets.
    GetConsumerStatusFromClient = 221, "GET_CONSUMER_STATUS_FROM_CLIENT";
    /// Reset a consumer group's offsets.
    InvokeBrokerToResetOffset = 222, "INVOKE_BROKER_TO_RESET_OFFSET";
    /// Offsets as the consumers of a group see them.
    InvokeBrokerToGetConsumerStatus = 223, "INVOKE_BROKER_TO_GET_CONSUMER_STATUS";
    /// Topics of a cluster.
    GetTopicsByCluster = 224, "GET_TOPICS_BY_CLUSTER";
    /// Create or change several subscription groups.
    UpdateAndCreateSubscriptionGroupList = 225, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST";
    /// Consumer groups of a topic.
    QueryTopicConsumeByWho = 300, "QUERY_TOPIC_CONSUME_BY_WHO";
    /// Removed feature, number without a handler.
    RegisterFilterServer = 301, "REGISTER_FILTER_SERVER";
    /// Removed feature, number without a handler.
    RegisterMessageFilterClass = 302, "REGISTER_MESSAGE_FILTER_CLASS";
    /// Time span a group has consumed, per queue.
    QueryConsumeTimeSpan = 303, "QUERY_CONSUME_TIME_SPAN";
    /// System topics, from the name server.
    GetSystemTopicListFromNs = 304, "GET_SYSTEM_TOPIC_LIST_FROM_NS";
    /// System topics, from a broker.
    GetSystemTopicListFromBroker = 305, "GET_SYSTEM_TOPIC_LIST_FROM_BROKER";
    /// Delete consume queue files that are no longer needed.
    CleanExpiredConsumeQueue = 306, "CLEAN_EXPIRED_CONSUMEQUEUE";
    /// What a consumer is doing now, relayed to the client.
    GetConsumerRunningInfo = 307, "GET_CONSUMER_RUNNING_INFO";
    /// Offsets that would correct a group's position.
    QueryCorrectionOffset = 308, "QUERY_CORRECTION_OFFSET";
    /// Let one client consume one message now, relayed to the client.
    ConsumeMessageDirectly = 309, "CONSUME_MESSAGE_DIRECTLY";
    /// Send one message, one-letter field names.
    SendMessageV2 = 310, "SEND_MESSAGE_V2";
    /// Topics with the unit flag.
    GetUnitTopicList = 311, "GET_UNIT_TOPIC_LIST";
    /// Topics with the unit subscription flag.
    GetHasUnitSubTopicList = 312, "GET_HAS_UNIT_SUB_TOPIC_LIST";
    /// Topics with the unit subscription flag but not the unit flag.
    GetHasUnitSubUnunitTopicList = 313, "GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST";
    /// Copy a group's offsets to another group.
    CloneGroupOffset = 314, "CLONE_GROUP_OFFSET";
    /// One statistics counter of a broker.
    ViewBrokerStatsData = 315, "VIEW_BROKER_STATS_DATA";
    /// Delete consume queues of topics that are gone.
    CleanUnusedTopic = 316, "CLEAN_UNUSED_TOPIC";
    /// Progress of all consumer groups of a broker.
    GetBrokerConsumeStats = 317, "GET_BROKER_CONSUME_STATS";
    /// Change name server configuration while running.
    UpdateNamesrvConfig = 318, "UPDATE_NAMESRV_CONFIG";
    /// Name server configuration as properties text.
    GetNamesrvConfig = 319, "GET_NAMESRV_CONFIG";
    /// Send several messages in one body.
    SendBatchMessage = 320, "SEND_BATCH_MESSAGE";
    /// Entries of a consume queue.
    QueryConsumeQueue = 321, "QUERY_CONSUME_QUEUE";
    /// Ask whether the name server has a broker's current data.
    QueryDataVersion = 322, "QUERY_DATA_VERSION";
    /// Put a given-up half message back for checking.
    ResumeCheckHalfMessage = 323, "RESUME_CHECK_HALF_MESSAGE";
    /// Send a reply, long field names.
    SendReplyMessage = 324, "SEND_REPLY_MESSAGE";
    /// Send a reply, one-letter field names.
    SendReplyMessageV2 = 325, "SEND_REPLY_MESSAGE_V2";
    /// Broker passes a reply to the requesting client.
    PushReplyMessageToClient = 326, "PUSH_REPLY_MESSAGE_TO_CLIENT";
    /// Give write permission back to all topics of a broker.
    AddWritePermOfBroker = 327, "ADD_WRITE_PERM_OF_BROKER";
    /// All connected producers.
    GetAllProducerInfo = 328, "GET_ALL_PRODUCER_INFO";
    /// Delete commit log files that are past their time.
    DeleteExpiredCommitLog = 329, "DELETE_EXPIRED_COMMITLOG";
    /// Topics a consumer group reads.
    QueryTopicsByConsumer = 343, "QUERY_TOPICS_BY_CONSUMER";
    /// A group's subscription to a topic.
    QuerySubscriptionByConsumer = 345, "QUERY_SUBSCRIPTION_BY_CONSUMER";
    /// Configuration of one topic.
    GetTopicConfig = 351, "GET_TOPIC_CONFIG";
    /// Configuration of one subscription group.
    GetSubscriptionGroupConfig = 352, "GET_SUBSCRIPTIONGROUP_CONFIG";
    /// Allow or forbid a group to read a topic.
    UpdateAndGetGroupForbidden = 353, "UPDATE_AND_GET_GROUP_FORBIDDEN";
    /// Compare RocksDB consume queues with files.
    CheckRocksDbCqWriteProgress = 354, "CHECK_ROCKSDB_CQ_WRITE_PROGRESS";
    /// Export RocksDB configuration as JSON.
    ExportRocksDbConfigToJson = 355, "EXPORT_ROCKSDB_CONFIG_TO_JSON";
    /// Fetch messages as 11, from a lite pull consumer.
    LitePullMessage = 361, "LITE_PULL_MESSAGE";
    /// Take back a message that is not delivered yet.
    RecallMessage = 370, "RECALL_MESSAGE";
    /// Queues a client is to read, assigned by the broker.
    QueryAssignment = 400, "QUERY_ASSIGNMENT";
    /// Choose pull or pop for a group's topic.
    SetMessageRequestMode = 401, "SET_MESSAGE_REQUEST_MODE";
    /// All choices of pull or pop, for a slave.
    GetAllMessageRequestMode = 402, "GET_ALL_MESSAGE_REQUEST_MODE";
    /// Create or change a static topic.
    UpdateAndCreateStaticTopic = 513, "UPDATE_AND_CREATE_STATIC_TOPIC";
    /// Addresses of all brokers of one broker name.
    GetBrokerMemberGroup = 901, "GET_BROKER_MEMBER_GROUP";
    /// Start a broker in a container.
    AddBroker = 902, "ADD_BROKER";
    /// Stop a broker of a container.
    RemoveBroker = 903, "REMOVE_BROKER";
    /// A broker says it is alive.
    BrokerHeartbeat = 904, "BROKER_HEARTBEAT";
    /// The smallest broker id of a broker name changed.
    NotifyMinBrokerIdChange = 905, "NOTIFY_MIN_BROKER_ID_CHANGE";
    /// Master and slave exchange their HA state.
    ExchangeBrokerHaInfo = 906, "EXCHANGE_BROKER_HA_INFO";
    /// State of the HA connections.
    GetBrokerHaStatus = 907, "GET_BROKER_HA_STATUS";
    /// Set the flush offset a slave has learnt from its master.
    ResetMasterFlushOffset = 908, "RESET_MASTER_FLUSH_OFFSET";
    /// Change the set of in-sync replicas.
    ControllerAlterSyncStateSet = 1001, "CONTROLLER_ALTER_SYNC_STATE_SET";
    /// Elect a master.
    ControllerElectMaster = 1002, "CONTROLLER_ELECT_MASTER";
    /// A broker registers at the controller.
    ControllerRegisterBroker = 1003, "CONTROLLER_REGISTER_BROKER";
    /// Master of a broker name.
    ControllerGetReplicaInfo = 1004, "CONTROLLER_GET_REPLICA_INFO";
    /// State of the controller group.
    ControllerGetMetadataInfo = 1005, "CONTROLLER_GET_METADATA_INFO";
    /// In-sync replicas of broker names.
    ControllerGetSyncStateData = 1006, "CONTROLLER_GET_SYNC_STATE_DATA";
    /// Epochs of a broker's log.
    GetBrokerEpochCache = 1007, "GET_BROKER_EPOCH_CACHE";
    /// Controller tells a broker its role.
    NotifyBrokerRoleChanged = 1008, "NOTIFY_BROKER_ROLE_CHANGED";
    /// Change controller configuration while running.
    UpdateControllerConfig = 1009, "UPDATE_CONTROLLER_CONFIG";
    /// Controller configuration as properties text.
    GetControllerConfig = 1010, "GET_CONTROLLER_CONFIG";
    /// Forget replicas of a broker name.
    CleanBrokerData = 1011, "CLEAN_BROKER_DATA";
    /// Ask the controller for a free broker id.
    ControllerGetNextBrokerId = 1012, "CONTROLLER_GET_NEXT_BROKER_ID";
    /// Take a broker id.
    ControllerApplyBrokerId = 1013, "CONTROLLER_APPLY_BROKER_ID";
    /// Internal to the controller's Raft log.
    BrokerCloseChannelRequest = 1014, "BROKER_CLOSE_CHANNEL_REQUEST";
    /// Internal to the controller's Raft log.
    CheckNotActiveBrokerRequest = 1015, "CHECK_NOT_ACTIVE_BROKER_REQUEST";
    /// Internal to the controller's Raft log.
    GetBrokerLiveInfoRequest = 1016, "GET_BROKER_LIVE_INFO_REQUEST";
    /// Internal to the controller's Raft log.
    GetSyncStateDataRequest = 1017, "GET_SYNC_STATE_DATA_REQUEST";
    /// Internal to the controller's Raft log.
    RaftBrokerHeartBeatEventRequest = 1018, "RAFT_BROKER_HEART_BEAT_EVENT_REQUEST";
    /// Limit a group's reading of cold data.
    UpdateColdDataFlowCtrConfig = 2001, "UPDATE_COLD_DATA_FLOW_CTR_CONFIG";
    /// Lift a group's limit on cold data.
    RemoveColdDataFlowCtrConfig = 2002, "REMOVE_COLD_DATA_FLOW_CTR_CONFIG";
    /// Limits on and reading of cold data.
    GetColdDataFlowCtrInfo = 2003, "GET_COLD_DATA_FLOW_CTR_INFO";
    /// Choose how commit log files are read ahead.
    SetCommitLogReadMode = 2004, "SET_COMMITLOG_READ_MODE";
    /// Create a user.
    AuthCreateUser = 3001, "AUTH_CREATE_USER";
    /// Change a user.
    AuthUpdateUser = 3002, "AUTH_UPDATE_USER";
    /// Delete a user.
    AuthDeleteUser = 3003, "AUTH_DELETE_USER";
    /// One user.
    AuthGetUser = 3004, "AUTH_GET_USER";
    /// All users.
    AuthListUser = 3005, "AUTH_LIST_USER";
    /// Create access rules.
    AuthCreateAcl = 3006, "AUTH_CREATE_ACL";
    /// Change access rules.
    AuthUpdateAcl = 3007, "AUTH_UPDATE_ACL";
    /// Delete access rules.
    AuthDeleteAcl = 3008, "AUTH_DELETE_ACL";
    /// Access rules of one subject.
    AuthGetAcl = 3009, "AUTH_GET_ACL";
    /// All access rules.
    AuthListAcl = 3010, "AUTH_LIST_ACL";
    /// Choose the engine of timed messages.
    SwitchTimerEngine = 5001, "SWITCH_TIMER_ENGINE";
    /// Take messages with a lease.
    PopMessage = 200050, "POP_MESSAGE";
    /// Settle a leased message.
    AckMessage = 200051, "ACK_MESSAGE";
    /// Look at messages without taking them.
    PeekMessage = 200052, "PEEK_MESSAGE";
    /// Change the length of a lease.
    ChangeMessageInvisibleTime = 200053, "CHANGE_MESSAGE_INVISIBLETIME";
    /// Wait until a queue has messages to pop.
    Notification = 200054, "NOTIFICATION";
    /// Number of waiting pops.
    PollingInfo = 200055, "POLLING_INFO";
    /// Copy pop state from RocksDB back to the store.
    PopRollback = 200056, "POP_ROLLBACK";
    /// Take messages of lite topics with a lease.
    PopLiteMessage = 200070, "POP_LITE_MESSAGE";
    /// Change a client's lite subscriptions.
    LiteSubscriptionCtl = 200071, "LITE_SUBSCRIPTION_CTL";
    /// Number without a handler.
    AckLiteMessage = 200072, "ACK_LITE_MESSAGE";
    /// Broker tells a proxy that a lite subscription ended.
    NotifyUnsubscribeLite = 200073, "NOTIFY_UNSUBSCRIBE_LITE";
    /// Lite topics of a broker.
    GetBrokerLiteInfo = 200074, "GET_BROKER_LITE_INFO";
    /// Lite topics below a parent topic.
    GetParentTopicInfo = 200075, "GET_PARENT_TOPIC_INFO";
    /// One lite topic.
    GetLiteTopicInfo = 200076, "GET_LITE_TOPIC_INFO";
    /// Lite topics of a client.
    GetLiteClientInfo = 200077, "GET_LITE_CLIENT_INFO";
    /// Lite topics of a group.
    GetLiteGroupInfo = 200078, "GET_LITE_GROUP_INFO";
    /// Dispatch lite events now.
    TriggerLiteDispatch = 200079, "TRIGGER_LITE_DISPATCH";
    /// Settle several leased messages.
    BatchAckMessage = 200151, "BATCH_ACK_MESSAGE";
    /// Skua's own: the master is to give its place to a slave.
    HandOver = 770001, "SKUA_HAND_OVER";
    /// Skua's own: a slave is to take its master's place.
    TakeOver = 770002, "SKUA_TAKE_OVER";
    /// Skua's own: how a group that elects its master stands, and changes of it.
    RaftControl = 770003, "SKUA_RAFT_CONTROL";
    /// Skua's own: ordered pops and queue locks of a master, for its slaves.
    GetAllHeld = 770004, "SKUA_GET_ALL_HELD";
}

codes! {
    /// How a request ended.
    pub enum ResponseCode;

    /// Inside a broker's client only.
    RpcTimeOut = -1006, "RPC_TIME_OUT";
    /// Inside a broker's client only.
    RpcSendToChannelFailed = -1004, "RPC_SEND_TO_CHANNEL_FAILED";
    /// Inside a broker's client only.
    RpcAddrIsNull = -1002, "RPC_ADDR_IS_NULL";
    /// Inside a broker's client only.
    RpcUnknown = -1000, "RPC_UNKNOWN";
    /// Done.
    Success = 0, "SUCCESS";
    /// Failed; the remark says why.
    SystemError = 1, "SYSTEM_ERROR";
    /// Flow control; clients try another broker.
    SystemBusy = 2, "SYSTEM_BUSY";
    /// No handler for the request code.
    RequestCodeNotSupported = 3, "REQUEST_CODE_NOT_SUPPORTED";
    /// Number not used by brokers.
    TransactionFailed = 4, "TRANSACTION_FAILED";
    /// Stored but not flushed within the time limit.
    FlushDiskTimeout = 10, "FLUSH_DISK_TIMEOUT";
    /// Stored but no replica is connected.
    SlaveNotAvailable = 11, "SLAVE_NOT_AVAILABLE";
    /// Stored but no replica acknowledged in time.
    FlushSlaveTimeout = 12, "FLUSH_SLAVE_TIMEOUT";
    /// Message too large, name too long or content not allowed.
    MessageIllegal = 13, "MESSAGE_ILLEGAL";
    /// Store not writable.
    ServiceNotAvailable = 14, "SERVICE_NOT_AVAILABLE";
    /// Number not used by brokers.
    VersionNotSupported = 15, "VERSION_NOT_SUPPORTED";
    /// Broker, topic, group or user may not do this.
    NoPermission = 16, "NO_PERMISSION";
    /// No such topic, or nobody serves it.
    TopicNotExist = 17, "TOPIC_NOT_EXIST";
    /// Number not used by brokers.
    TopicExistAlready = 18, "TOPIC_EXIST_ALREADY";
    /// No new message.
    PullNotFound = 19, "PULL_NOT_FOUND";
    /// Nothing matched, or ask another broker; pull again at once.
    PullRetryImmediately = 20, "PULL_RETRY_IMMEDIATELY";
    /// Offset outside the queue; the header says where to go on.
    PullOffsetMoved = 21, "PULL_OFFSET_MOVED";
    /// Nothing found.
    QueryNotFound = 22, "QUERY_NOT_FOUND";
    /// Subscription expression does not compile.
    SubscriptionParseFailed = 23, "SUBSCRIPTION_PARSE_FAILED";
    /// No such subscription by this group.
    SubscriptionNotExist = 24, "SUBSCRIPTION_NOT_EXIST";
    /// Broker knows an older subscription than the request's.
    SubscriptionNotLatest = 25, "SUBSCRIPTION_NOT_LATEST";
    /// No such subscription group.
    SubscriptionGroupNotExist = 26, "SUBSCRIPTION_GROUP_NOT_EXIST";
    /// No compiled filter for this subscription.
    FilterDataNotExist = 27, "FILTER_DATA_NOT_EXIST";
    /// Compiled filter is older than the request's.
    FilterDataNotLatest = 28, "FILTER_DATA_NOT_LATEST";
    /// A value is out of range or illegal.
    InvalidParameter = 29, "INVALID_PARAMETER";
    /// Transaction state by old clients.
    TransactionShouldCommit = 200, "TRANSACTION_SHOULD_COMMIT";
    /// Transaction state by old clients.
    TransactionShouldRollback = 201, "TRANSACTION_SHOULD_ROLLBACK";
    /// Transaction state by old clients.
    TransactionStateUnknown = 202, "TRANSACTION_STATE_UNKNOW";
    /// Transaction state by old clients.
    TransactionStateGroupWrong = 203, "TRANSACTION_STATE_GROUP_WRONG";
    /// Unit routing by old clients.
    NoBuyerId = 204, "NO_BUYER_ID";
    /// Unit routing by old clients.
    NotInCurrentUnit = 205, "NOT_IN_CURRENT_UNIT";
    /// Consumer has no connection.
    ConsumerNotOnline = 206, "CONSUMER_NOT_ONLINE";
    /// Client did not answer in time.
    ConsumeMsgTimeout = 207, "CONSUME_MSG_TIMEOUT";
    /// No message there.
    NoMessage = 208, "NO_MESSAGE";
    /// Too many requests wait.
    PollingFull = 209, "POLLING_FULL";
    /// Nothing came while waiting.
    PollingTimeout = 210, "POLLING_TIMEOUT";
    /// No such broker in the container.
    BrokerNotExist = 211, "BROKER_NOT_EXIST";
    /// Dispatch has not caught up.
    BrokerDispatchNotComplete = 212, "BROKER_DISPATCH_NOT_COMPLETE";
    /// Group reads by broadcasting.
    BroadcastConsumption = 213, "BROADCAST_CONSUMPTION";
    /// Rate limited.
    FlowControl = 215, "FLOW_CONTROL";
    /// Another broker leads the queue.
    NotLeaderForQueue = 501, "NOT_LEADER_FOR_QUEUE";
    /// Not allowed in this state.
    IllegalOperation = 604, "ILLEGAL_OPERATION";
    /// Server shuts down; reconnect.
    GoAway = 1500, "GO_AWAY";
    /// Master epoch is old.
    ControllerFencedMasterEpoch = 2000, "CONTROLLER_FENCED_MASTER_EPOCH";
    /// Epoch of the in-sync set is old.
    ControllerFencedSyncStateSetEpoch = 2001, "CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH";
    /// Not the master.
    ControllerInvalidMaster = 2002, "CONTROLLER_INVALID_MASTER";
    /// Unknown replicas.
    ControllerInvalidReplicas = 2003, "CONTROLLER_INVALID_REPLICAS";
    /// No master can be named.
    ControllerMasterNotAvailable = 2004, "CONTROLLER_MASTER_NOT_AVAILABLE";
    /// Request makes no sense.
    ControllerInvalidRequest = 2005, "CONTROLLER_INVALID_REQUEST";
    /// Broker is not alive.
    ControllerBrokerNotAlive = 2006, "CONTROLLER_BROKER_NOT_ALIVE";
    /// Not the leading controller.
    ControllerNotLeader = 2007, "CONTROLLER_NOT_LEADER";
    /// Unknown broker name.
    ControllerBrokerMetadataNotExist = 2008, "CONTROLLER_BROKER_METADATA_NOT_EXIST";
    /// Replica may not be forgotten.
    ControllerInvalidCleanBrokerMetadata = 2009, "CONTROLLER_INVALID_CLEAN_BROKER_METADATA";
    /// Broker is not registered.
    ControllerBrokerNeedToBeRegistered = 2010, "CONTROLLER_BROKER_NEED_TO_BE_REGISTERED";
    /// Master is still there.
    ControllerMasterStillExist = 2011, "CONTROLLER_MASTER_STILL_EXIST";
    /// No replica can become master.
    ControllerElectMasterFailed = 2012, "CONTROLLER_ELECT_MASTER_FAILED";
    /// In-sync set not changed.
    ControllerAlterSyncStateSetFailed = 2013, "CONTROLLER_ALTER_SYNC_STATE_SET_FAILED";
    /// Broker id is taken or wrong.
    ControllerBrokerIdInvalid = 2014, "CONTROLLER_BROKER_ID_INVALID";
    /// Raft failed.
    ControllerJraftInternalError = 2015, "CONTROLLER_JRAFT_INTERNAL_ERROR";
    /// Liveness unknown.
    ControllerBrokerLiveInfoNotExists = 2016, "CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS";
    /// Too many lite queues.
    LmqQuotaExceeded = 2017, "LMQ_QUOTA_EXCEEDED";
    /// Too many lite subscriptions.
    LiteSubscriptionQuotaExceeded = 2018, "LITE_SUBSCRIPTION_QUOTA_EXCEEDED";
    /// No such user.
    UserNotExist = 3001, "USER_NOT_EXIST";
    /// No such access rule.
    PolicyNotExist = 3002, "POLICY_NOT_EXIST";
}

#[cfg(test)]
mod tests {
    use super::{RequestCode, ResponseCode};

    #[test]
    fn every_number_finds_its_own_code() {
        for &code in RequestCode::ALL {
            assert_eq!(RequestCode::from_i32(code as i32), Some(code));
        }
        for &code in ResponseCode::ALL {
            assert_eq!(ResponseCode::from_i32(code as i32), Some(code));
        }
        assert_eq!(RequestCode::from_i32(9999), None);
        assert_eq!(RequestCode::SendMessageV2.name(), "SEND_MESSAGE_V2");
        assert_eq!(ResponseCode::PullOffsetMoved.to_string(), "PULL_OFFSET_MOVED (21)");
    }
}
