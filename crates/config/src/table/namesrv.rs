//! The name server. Java: `NamesrvConfig`.

use super::config_table;

config_table! {
    |env|
    /// The name server. Java: `NamesrvConfig`.
    pub struct NamesrvConfig("NamesrvConfig") {
        client_request_thread_pool_nums: i32 = 8, "clientRequestThreadPoolNums", Inert;
        client_request_thread_pool_queue_capacity: i32 = 50_000, "clientRequestThreadPoolQueueCapacity", Inert;
        cluster_test: bool = false, "clusterTest", Inert;
        /// Keys that no request may change, separated by `;`.
        config_black_list: String = "configBlackList;configStorePath;kvConfigPath".into(), "configBlackList", Restart;
        /// File that updateNamesrvConfig writes.
        config_store_path: String = env.under_home("namesrv/namesrv.properties"), "configStorePath", Restart;
        default_thread_pool_nums: i32 = 16, "defaultThreadPoolNums", Inert;
        default_thread_pool_queue_capacity: i32 = 10_000, "defaultThreadPoolQueueCapacity", Inert;
        /// A registration without a topic removes it from that broker.
        delete_topic_with_broker_registration: bool = false, "deleteTopicWithBrokerRegistration", Live;
        /// Answer requests for the list of all topics.
        enable_all_topic_list: bool = true, "enableAllTopicList", Live;
        enable_controller_in_namesrv: bool = false, "enableControllerInNamesrv", Inert;
        /// Answer requests for lists of topics.
        enable_topic_list: bool = true, "enableTopicList", Live;
        /// File of the key-value configuration.
        kv_config_path: String = env.under_home("namesrv/kvConfig.json"), "kvConfigPath", Restart;
        /// Refuse routes for waitSecondsForService after the start.
        need_wait_for_service: bool = false, "needWaitForService", Live;
        /// Tell a group's brokers when its smallest live id changes.
        notify_min_broker_id_changed: bool = false, "notifyMinBrokerIdChanged", Live;
        /// Give the order configuration with routes.
        order_message_enable: bool = false, "orderMessageEnable", Live;
        product_env_name: String = "center".into(), "productEnvName", Inert;
        /// Give the order configuration to registering brokers.
        return_order_topic_config_to_broker: bool = true, "returnOrderTopicConfigToBroker", Live;
        rocketmq_home: String = env.rocketmq_home.clone(), "rocketmqHome", Inert;
        /// Milliseconds between two scans for silent brokers.
        scan_not_active_broker_interval: u64 = 5000, "scanNotActiveBrokerInterval", Live;
        /// Show a slave as acting master when its master is gone.
        support_acting_master: bool = false, "supportActingMaster", Live;
        un_register_broker_queue_capacity: i32 = 3000, "unRegisterBrokerQueueCapacity", Inert;
        /// Seconds to refuse routes after the start, if needWaitForService.
        wait_seconds_for_service: i32 = 45, "waitSecondsForService", Live;
    }
}
