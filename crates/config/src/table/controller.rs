//! Keys of the controller.

use super::config_table;
use crate::value::MetricsExporterType;

config_table! {
    |env|
    /// The controller of RocketMQ 5 (Java: `ControllerConfig`).
    pub struct ControllerConfig("ControllerConfig");

    /// Keys that no request may change, with `;` between.
    inert "configBlackList": String = "configBlackList;configStorePath".into();
    /// File that updateControllerConfig writes.
    inert @important "configStorePath": String = env.under_home("controller/controller.properties"), shown "${user.home}/controller/controller.properties";
    /// Name of the controllers' Raft group.
    inert @important "controllerDLegerGroup": Option<String> = None;
    /// Members of the controllers' Raft group, as id-host:port with `;` between.
    inert @important "controllerDLegerPeers": Option<String> = None;
    /// This controller's id in controllerDLegerPeers.
    inert @important "controllerDLegerSelfId": Option<String> = None;
    /// Requests that may wait for a thread.
    inert "controllerRequestThreadPoolQueueCapacity": i32 = 50_000;
    /// Folder of the controller's log; `{user.home}/{controllerType}Controller` unless given.
    inert @important "controllerStorePath": String = String::new();
    /// Threads for requests.
    inert "controllerThreadPoolNums": i32 = 16;
    /// Raft library of the controllers: DLedger or jRaft.
    inert @important "controllerType": String = "DLedger".into();
    /// Tries of one election.
    inert "electMasterMaxRetryCount": i32 = 3;
    /// Lets a slave that is not caught up become master.
    inert @important "enableElectUncleanMaster": bool = false;
    /// Passes reads through the Raft log.
    unset "isProcessReadEvent": bool = false;
    /// Settings of the jRaft library.
    unset "jraftConfig": String = "<object>".into();
    /// Bytes of one file of the controller's log.
    inert "mappedFileSize": i32 = 1_073_741_824;
    /// Milliseconds between two exports to an OpenTelemetry collector.
    inert "metricGrpcExporterIntervalInMills": i64 = 60_000;
    /// Milliseconds that an export to an OpenTelemetry collector may take.
    inert "metricGrpcExporterTimeOutInMills": i64 = 3000;
    /// Milliseconds between two exports of metrics to the log.
    inert "metricLoggingExporterIntervalInMills": i64 = 10_000;
    /// Where metrics go: DISABLE, OTLP_GRPC, PROM or LOG.
    inert "metricsExporterType": MetricsExporterType = MetricsExporterType::Disable;
    /// Headers of exports to an OpenTelemetry collector.
    inert "metricsGrpcExporterHeader": String = String::new();
    /// Address of the OpenTelemetry collector.
    inert "metricsGrpcExporterTarget": String = String::new();
    /// Exports differences rather than sums.
    inert "metricsInDelta": bool = false;
    /// Labels of all metrics, as key:value with commas between.
    inert "metricsLabel": String = String::new();
    /// Address that Prometheus reads metrics from.
    inert "metricsPromExporterHost": String = String::new();
    /// Port that Prometheus reads metrics from.
    inert "metricsPromExporterPort": i32 = 5557;
    /// Tells brokers when their role changes.
    inert "notifyBrokerRoleChanged": bool = true;
    /// Passes reads through the Raft log.
    inert "processReadEvent": bool = false;
    /// Folder of the RocketMQ installation.
    inert @important "rocketmqHome": Option<String> = env.installation(), shown "$ROCKETMQ_HOME";
    /// Milliseconds between two scans for groups without a master.
    inert "scanInactiveMasterInterval": i64 = 5000;
    /// Milliseconds between two scans for silent brokers.
    inert @important "scanNotActiveBrokerInterval": i64 = 5000;
}
