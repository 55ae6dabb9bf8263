//! Masters and slaves: how far slaves are, which are in sync, the masters' epochs.

use std::fmt;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::body::{BrokerReplicasInfo, EpochCache, HaRuntimeInfo, ReplicaIdentity};
use skua_protocol::json;
use skua_protocol::request::{ControllerGetSyncStateData, GetBrokerEpochCache, GetBrokerHaStatus};

use super::controller;
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::options::{Entry, alternative, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::time;

pub const HA_STATUS: SubCommand = SubCommand {
    name: "haStatus",
    about: "Fetch ha runtime status data.",
    example: "-b 192.168.0.1:10911",
    answer: &[
        "brokerAddr",
        "haClientRuntimeInfo.lastReadTimestamp",
        "haClientRuntimeInfo.lastWriteTimestamp",
        "haClientRuntimeInfo.masterFlushOffset",
        "haClientRuntimeInfo.maxOffset",
        "haClientRuntimeInfo.transferredByteInSecond",
        "inSyncSlaveNums",
        "master",
        "masterCommitLogMaxOffset",
        "haConnectionInfo[].addr",
        "haConnectionInfo[].diff",
        "haConnectionInfo[].inSync",
        "haConnectionInfo[].slaveAckOffset",
        "haConnectionInfo[].transferFromWhere",
        "haConnectionInfo[].transferredByteInSecond",
        "haClientRuntimeInfo.activated",
        "haClientRuntimeInfo.masterAddr",
    ],
    options: &[
        value("c", "clusterName", "which cluster"),
        value("b", "brokerAddr", "which broker to fetch"),
        value("i", "interval", "the interval(second) of get info"),
    ],
    run: |context| Box::pin(ha_status(context)),
};

pub const GET_SYNC_STATE_SET: SubCommand = SubCommand {
    name: "getSyncStateSet",
    about: "Fetch syncStateSet for target brokers.",
    example: "-a 192.168.0.1:9878 -c DefaultCluster",
    answer: &[
        "replicasInfoTable.*.masterAddress",
        "replicasInfoTable.*.masterBrokerId",
        "replicasInfoTable.*.masterEpoch",
        "replicasInfoTable.*.syncStateSetEpoch",
        "replicasInfoTable.*.inSyncReplicas[].alive",
        "replicasInfoTable.*.inSyncReplicas[].brokerAddress",
        "replicasInfoTable.*.inSyncReplicas[].brokerId",
        "replicasInfoTable.*.inSyncReplicas[].brokerName",
        "replicasInfoTable.*.notInSyncReplicas[].alive",
        "replicasInfoTable.*.notInSyncReplicas[].brokerAddress",
        "replicasInfoTable.*.notInSyncReplicas[].brokerId",
        "replicasInfoTable.*.notInSyncReplicas[].brokerName",
    ],
    options: &[
        required("a", "controllerAddress", "the address of controller"),
        value("c", "clusterName", "which cluster"),
        value("b", "brokerName", "which broker to fetch"),
        value("i", "interval", "the interval(second) of get info"),
    ],
    run: |context| Box::pin(sync_state_set(context)),
};

pub const GET_BROKER_EPOCH: SubCommand = SubCommand {
    name: "getBrokerEpoch",
    about: "Fetch broker epoch entries.",
    example: "-c DefaultCluster",
    answer: &[
        "brokerAddr",
        "brokerId",
        "brokerName",
        "clusterName",
        "epochList[].endOffset",
        "epochList[].epoch",
        "epochList[].startOffset",
        "maxOffset",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "which cluster"),
            alternative("b", "brokerName", "which broker to fetch"),
        ]),
        value("i", "interval", "the interval(second) of get info"),
    ],
    run: |context| Box::pin(broker_epoch(context)),
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HaStatus {
    broker_addr: String,
    #[serde(flatten)]
    info: HaRuntimeInfo,
}

impl fmt::Display for HaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let speed = |bytes: i64| bytes as f64 / 1024.0;
        if !self.info.master {
            let slave = &self.info.ha_client_runtime_info;
            writeln!(f, "\n#MasterAddr\t{}", slave.master_addr.as_deref().unwrap_or("null"))?;
            writeln!(f, "#CommitLogMaxOffset\t{}", slave.max_offset)?;
            let speed = speed(slave.transferred_byte_in_second);
            writeln!(f, "#TransferSpeed(KB/s)\t{speed:.2}")?;
            writeln!(f, "#LastReadTime\t{}", time::with_millis(Millis(slave.last_read_timestamp)))?;
            let written = time::with_millis(Millis(slave.last_write_timestamp));
            writeln!(f, "#LastWriteTime\t{written}")?;
            return writeln!(f, "#MasterFlushOffset\t{}", slave.master_flush_offset);
        }
        let slaves = &self.info.ha_connection_info;
        writeln!(f, "\n#MasterAddr\t{}", self.broker_addr)?;
        writeln!(f, "#MasterCommitLogMaxOffset\t{}", self.info.master_commit_log_max_offset)?;
        writeln!(f, "#SlaveNum\t{}", slaves.len())?;
        writeln!(f, "#InSyncSlaveNum\t{}", self.info.in_sync_slave_nums)?;
        writeln!(
            f,
            "{:<32}  {:<16} {:>16} {:>16} {:>16} {:>16}",
            "#SlaveAddr",
            "#SlaveAckOffset",
            "#Diff",
            "#TransferSpeed(KB/s)",
            "#Status",
            "#TransferFromWhere"
        )?;
        slaves.iter().try_for_each(|slave| {
            writeln!(
                f,
                "{:<32}  {:<16} {:>16} {:>16.2} {:>16} {:>16}",
                slave.addr,
                slave.slave_ack_offset,
                slave.diff,
                speed(slave.transferred_byte_in_second),
                if slave.in_sync { "OK" } else { "Fall Behind" },
                slave.transfer_from_where
            )
        })
    }
}

async fn ha_status(context: &Context<'_>) -> Result<(), Failure> {
    loop {
        for broker_addr in context.masters().await? {
            let answer = context.cluster.broker(&broker_addr, &GetBrokerHaStatus {}).await?;
            context.print(&HaStatus { broker_addr, info: answer.json()? })?;
        }
        if !context.again("i").await? {
            return Ok(());
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Replicas(BrokerReplicasInfo);

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn text<T: fmt::Display>(field: Option<T>) -> String {
            field.map_or_else(|| "null".to_owned(), |it| it.to_string())
        }
        for (name, info) in &self.0.replicas_info_table {
            writeln!(f, "\n#brokerName\t{name}")?;
            writeln!(f, "#MasterBrokerId\t{}", text(info.master_broker_id))?;
            writeln!(f, "#MasterAddr\t{}", text(info.master_address.as_deref()))?;
            writeln!(f, "#MasterEpoch\t{}", text(info.master_epoch))?;
            writeln!(f, "#SyncStateSetEpoch\t{}", text(info.sync_state_set_epoch))?;
            writeln!(f, "#SyncStateSetNums\t{}", info.in_sync_replicas.len())?;
            let mut line = |title: &str, replica: &ReplicaIdentity| {
                writeln!(
                    f,
                    "\n{title}:\tReplicaIdentity{{brokerName='{}', brokerId={}, brokerAddress='{}', alive={}}}",
                    replica.broker_name,
                    replica.broker_id,
                    replica.broker_address,
                    text(replica.alive)
                )
            };
            info.in_sync_replicas.iter().try_for_each(|one| line("InSyncReplica", one))?;
            info.not_in_sync_replicas.iter().try_for_each(|one| line("NotInSyncReplica", one))?;
        }
        Ok(())
    }
}

async fn sync_state_set(context: &Context<'_>) -> Result<(), Failure> {
    loop {
        let names: Vec<String> = match context.get("b") {
            Some(name) => vec![name.to_owned()],
            None => {
                let info = context.cluster.info().await?;
                let brokers = route::brokers_of(&info, context.required("c")?)?;
                brokers.into_iter().map(|broker| broker.broker_name.to_string()).collect()
            }
        };
        let addr = controller::leader(context).await?;
        let body = json::to_vec(&names);
        let header = ControllerGetSyncStateData {};
        let answer = controller::controller(context, &addr, &header, body).await?;
        context.print(&Replicas(answer.json()?))?;
        if !context.again("i").await? {
            return Ok(());
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Epochs {
    broker_addr: String,
    #[serde(flatten)]
    cache: EpochCache,
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EpochCache { broker_id, broker_name, cluster_name, epoch_list, max_offset } =
            &self.cache;
        writeln!(f, "\n#clusterName\t{cluster_name}")?;
        writeln!(f, "#brokerName\t{broker_name}")?;
        writeln!(f, "#brokerAddr\t{}", self.broker_addr)?;
        writeln!(f, "#brokerId\t{broker_id}")?;
        epoch_list.iter().enumerate().try_for_each(|(index, epoch)| {
            let last = index + 1 == epoch_list.len();
            writeln!(
                f,
                "#Epoch: EpochEntry{{epoch={}, startOffset={}, endOffset={}}}",
                epoch.epoch,
                epoch.start_offset,
                if last { *max_offset } else { epoch.end_offset }
            )
        })
    }
}

async fn broker_epoch(context: &Context<'_>) -> Result<(), Failure> {
    loop {
        let info = context.cluster.info().await?;
        let addrs = match context.get("b") {
            None => route::members_of(&info, context.required("c")?)?,
            Some(name) => {
                let broker = info.broker_addr_table.get(name).ok_or_else(|| {
                    Failure::other(format!("broker {name} is not known to the name server"))
                })?;
                broker.broker_addrs.values().map(|addr| addr.to_string()).collect()
            }
        };
        for broker_addr in addrs {
            let answer = context.cluster.broker(&broker_addr, &GetBrokerEpochCache {}).await?;
            context.print(&Epochs { broker_addr, cache: answer.json()? })?;
        }
        if !context.again("i").await? {
            return Ok(());
        }
    }
}
