//! Commands for what Skua does not have: known, with their help, and answered with the reason.

use crate::failure::Failure;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};

const ROCKSDB: &str = "Skua keeps its configuration in JSON files and its consume queues in files of RocketMQ's default format; it has no RocksDB to read";

pub const EXPORT_METADATA_IN_ROCKS_DB: SubCommand = SubCommand {
    name: "exportMetadataInRocksDB",
    about: "export RocksDB kv config (topics/subscriptionGroups). Recommend to use [mqadmin rocksDBConfigToJson]",
    example: "-p /root/store/config/topics -t topics",
    answer: &[],
    options: &[
        required("p", "path", "Absolute path for the metadata directory"),
        required("t", "configType", "Name of kv config, e.g. topics/subscriptionGroups"),
        value("j", "jsonEnable", "Json format enable, Default: false"),
    ],
    run: |context| Box::pin(rocksdb(context)),
};

pub const ROCKS_DBCONFIG_TO_JSON: SubCommand = SubCommand {
    name: "rocksDBConfigToJson",
    about: "Convert RocksDB kv config (topics/subscriptionGroups/consumerOffsets) to json. [rpc mode] Use [-n, -c, -b, -t] to send Request to broker ( version >= 5.3.2 ) or [local mode] use [-p, -t, -j, -e] to load RocksDB. If -e is provided, tools will export json file instead of std print",
    example: "-p /root/store/config -t topics",
    answer: &[],
    options: &[
        value(
            "t",
            "configType",
            "Name of kv config, e.g. topics/subscriptionGroups/consumerOffsets. Required in local mode and default all in rpc mode.",
        ),
        value("p", "configPath", "[local mode] Absolute path to the metadata config directory"),
        value(
            "e",
            "exportFile",
            "[local mode] Absolute file path for exporting, auto backup existing file, not directory. If exportFile is provided, will export Json file and ignore [-j].",
        ),
        value(
            "j",
            "jsonEnable",
            "[local mode] Json format enable, Default: true. If exportFile is provided, will export Json file and ignore [-j].",
        ),
        value(
            "n",
            "nameserverAddr",
            "[rpc mode] nameserverAddr. If nameserverAddr and clusterName are provided, will ignore [-p, -e, -j, -b] args",
        ),
        value(
            "c",
            "cluster",
            "[rpc mode] Cluster name. If nameserverAddr and clusterName are provided, will ignore [-p, -e, -j, -b] args",
        ),
        value(
            "b",
            "brokerAddr",
            "[rpc mode] Broker address. If brokerAddr is provided, will ignore [-p, -e, -j] args",
        ),
    ],
    run: |context| Box::pin(rocksdb(context)),
};

pub const CHECK_ROCKSDB_CQ_WRITE_PROGRESS: SubCommand = SubCommand {
    name: "checkRocksdbCqWriteProgress",
    about: "check if rocksdb cq is same as file cq",
    example: "-c DefaultCluster -n 192.168.0.1:9876",
    answer: &[],
    options: &[
        required("c", "cluster", "cluster name"),
        required("n", "nameserverAddr", "nameserverAddr"),
        value("t", "topic", "topic name"),
        value("cf", "checkFrom", "check from time"),
    ],
    run: |context| Box::pin(rocksdb(context)),
};

async fn rocksdb(_: &Context<'_>) -> Result<(), Failure> {
    Err(Failure::NotServed { reason: ROCKSDB })
}
