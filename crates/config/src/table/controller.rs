//! The controller, which Skua does not serve yet. Java: `ControllerConfig`.

use super::config_table;

config_table! {
    |env|
    /// The controller, which Skua does not serve yet. Java: `ControllerConfig`.
    pub struct ControllerConfig("ControllerConfig") {
        /// Keys that no request may change, separated by `;`.
        config_black_list: String = "configBlackList;configStorePath".into(), "configBlackList", Inert;
        /// File that updateNamesrvConfig writes.
        config_store_path: String = env.under_home("controller/controller.properties"), "configStorePath", Inert;
        controller_dleger_group: String = String::new(), "controllerDLegerGroup", Inert;
        controller_dleger_peers: String = String::new(), "controllerDLegerPeers", Inert;
        controller_dleger_self_id: String = String::new(), "controllerDLegerSelfId", Inert;
        controller_request_thread_pool_queue_capacity: i32 = 50_000, "controllerRequestThreadPoolQueueCapacity", Inert;
        controller_store_path: String = String::new(), "controllerStorePath", Inert;
        controller_thread_pool_nums: i32 = 16, "controllerThreadPoolNums", Inert;
        controller_type: String = "DLedger".into(), "controllerType", Inert;
        elect_master_max_retry_count: i32 = 3, "electMasterMaxRetryCount", Inert;
        enable_elect_unclean_master: bool = false, "enableElectUncleanMaster", Inert;
        is_process_read_event: bool = false, "isProcessReadEvent", Inert;
        jraft_config: String = "<object>".into(), "jraftConfig", Inert;
        mapped_file_size: i32 = 1_073_741_824, "mappedFileSize", Inert;
        metric_grpc_exporter_interval_in_mills: i64 = 60_000, "metricGrpcExporterIntervalInMills", Inert;
        metric_grpc_exporter_time_out_in_mills: i64 = 3000, "metricGrpcExporterTimeOutInMills", Inert;
        metric_logging_exporter_interval_in_mills: i64 = 10_000, "metricLoggingExporterIntervalInMills", Inert;
        metrics_exporter_type: String = "DISABLE".into(), "metricsExporterType", Inert;
        metrics_grpc_exporter_header: String = String::new(), "metricsGrpcExporterHeader", Inert;
        metrics_grpc_exporter_target: String = String::new(), "metricsGrpcExporterTarget", Inert;
        metrics_in_delta: bool = false, "metricsInDelta", Inert;
        metrics_label: String = String::new(), "metricsLabel", Inert;
        metrics_prom_exporter_host: String = String::new(), "metricsPromExporterHost", Inert;
        metrics_prom_exporter_port: i32 = 5557, "metricsPromExporterPort", Inert;
        notify_broker_role_changed: bool = true, "notifyBrokerRoleChanged", Inert;
        process_read_event: bool = false, "processReadEvent", Inert;
        rocketmq_home: String = env.rocketmq_home.clone(), "rocketmqHome", Inert;
        scan_inactive_master_interval: i64 = 5000, "scanInactiveMasterInterval", Inert;
        /// Milliseconds between two scans for silent brokers.
        scan_not_active_broker_interval: u64 = 5000, "scanNotActiveBrokerInterval", Inert;
    }
}
