//! Keys of the name server.

use super::config_table;
use crate::value::INT_MAX;

config_table! {
    |env|
    /// The name server (Java: `NamesrvConfig`).
    pub struct NamesrvConfig("NamesrvConfig");

    /// Threads for route requests.
    inert "clientRequestThreadPoolNums": i32 = 8;
    /// Route requests that may wait for a thread.
    inert "clientRequestThreadPoolQueueCapacity": i32 = 50_000;
    /// Asks another environment for routes that are not found.
    inert "clusterTest": bool = false;
    /// Keys that no request may change, with `;` between.
    restart config_black_list "configBlackList": String = "configBlackList;configStorePath;kvConfigPath".into();
    /// File that updateNamesrvConfig writes; the one given by -c if there is one.
    restart @important config_store_path "configStorePath": String = env.under_home("namesrv/namesrv.properties"), in 1..=4096, shown "${user.home}/namesrv/namesrv.properties";
    /// Threads for other requests.
    inert "defaultThreadPoolNums": i32 = 16;
    /// Other requests that may wait for a thread.
    inert "defaultThreadPoolQueueCapacity": i32 = 10_000;
    /// Takes a topic off a broker whose registration does not list it any more.
    live delete_topic_with_broker_registration "deleteTopicWithBrokerRegistration": bool = false;
    /// Answers requests for the list of all topics.
    live enable_all_topic_list "enableAllTopicList": bool = true;
    /// Runs a controller in the name server.
    inert "enableControllerInNamesrv": bool = false;
    /// Answers requests for the lists of topics of a cluster or kind.
    live enable_topic_list "enableTopicList": bool = true;
    /// File of the key-value configuration.
    restart @important kv_config_path "kvConfigPath": String = env.under_home("namesrv/kvConfig.json"), in 1..=4096, shown "${user.home}/namesrv/kvConfig.json";
    /// Refuses routes for waitSecondsForService after the start, until brokers have registered.
    live need_wait_for_service "needWaitForService": bool = false;
    /// Tells a group's brokers when its smallest live id changes.
    live notify_min_broker_id_changed "notifyMinBrokerIdChanged": bool = false;
    /// Gives the order configuration of a topic with its route.
    live @important order_message_enable "orderMessageEnable": bool = false;
    /// Environment whose name server clusterTest asks.
    inert "productEnvName": String = "center".into();
    /// Gives the order configuration to brokers that register.
    live return_order_topic_config_to_broker "returnOrderTopicConfigToBroker": bool = true;
    /// Folder of the RocketMQ installation; Skua needs none.
    inert @important "rocketmqHome": Option<String> = env.installation(), shown "$ROCKETMQ_HOME";
    /// Milliseconds between two scans for silent brokers.
    live @important scan_not_active_broker_interval "scanNotActiveBrokerInterval": u64 = 5000, in 1..=i64::MAX;
    /// Shows a slave as master when its master is gone.
    live support_acting_master "supportActingMaster": bool = false;
    /// Leaving brokers that may wait to be taken off.
    inert "unRegisterBrokerQueueCapacity": i32 = 3000;
    /// Seconds for which needWaitForService refuses routes.
    live wait_seconds_for_service "waitSecondsForService": i32 = 45, in 0..=INT_MAX;
}
