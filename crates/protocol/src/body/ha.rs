//! Replication: HA state, epochs, in-sync replicas.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{BrokerMemberGroup, DataVersion};

/// Java: `HARuntimeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HaRuntimeInfo {
    pub ha_client_runtime_info: HaClientInfo,
    pub ha_connection_info: Vec<HaConnectionInfo>,
    pub in_sync_slave_nums: i32,
    pub master: bool,
    pub master_commit_log_max_offset: i64,
}

/// Java: `HARuntimeInfo.HAClientRuntimeInfo`: a slave's side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HaClientInfo {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub activated: bool,
    pub last_read_timestamp: i64,
    pub last_write_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_addr: Option<String>,
    pub master_flush_offset: i64,
    pub max_offset: i64,
    pub transferred_byte_in_second: i64,
}

/// Java: `HARuntimeInfo.HAConnectionRuntimeInfo`: a master's side of one slave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HaConnectionInfo {
    pub addr: String,
    pub diff: i64,
    pub in_sync: bool,
    pub slave_ack_offset: i64,
    pub transfer_from_where: i64,
    pub transferred_byte_in_second: i64,
}

/// Java: `EpochEntryCache`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EpochCache {
    pub broker_id: i64,
    pub broker_name: String,
    pub cluster_name: String,
    pub epoch_list: Vec<Epoch>,
    pub max_offset: i64,
}

/// Java: `EpochEntry`: physical offsets of one master's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Epoch {
    /// `i64::MAX` while it lasts.
    pub end_offset: i64,
    pub epoch: i32,
    pub start_offset: i64,
}

impl Default for Epoch {
    fn default() -> Self {
        Self { end_offset: i64::MAX, epoch: 0, start_offset: 0 }
    }
}

/// Java: `SyncStateSet`: broker ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStateSet {
    pub sync_state_set: BTreeSet<i64>,
    pub sync_state_set_epoch: i32,
}

/// Java: `ElectMasterResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ElectMasterBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_member_group: Option<BrokerMemberGroup>,
    pub sync_state_set: BTreeSet<i64>,
}

/// Java: `BrokerReplicasInfo`: by broker name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerReplicasInfo {
    pub replicas_info_table: BTreeMap<String, ReplicasInfo>,
}

/// Java: `BrokerReplicasInfo.ReplicasInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicasInfo {
    pub in_sync_replicas: Vec<ReplicaIdentity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_broker_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_epoch: Option<i32>,
    pub not_in_sync_replicas: Vec<ReplicaIdentity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_state_set_epoch: Option<i32>,
}

/// Java: `BrokerReplicasInfo.ReplicaIdentity`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaIdentity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive: Option<bool>,
    pub broker_address: String,
    pub broker_id: i64,
    pub broker_name: String,
}

/// Java: `TimerMetricsSerializeWrapper`: waiting timed messages by topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimerMetrics {
    pub data_version: DataVersion,
    pub timing_count: BTreeMap<String, TimerMetric>,
}

/// Java: `TimerMetrics.Metric`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimerMetric {
    pub count: i64,
    pub time_stamp: i64,
}

/// How a group that elects its master stands, as one of its members sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RaftStatus {
    pub group: String,
    pub id: String,
    pub role: String,
    pub term: u64,
    pub leader: Option<String>,
    pub first_entry: u64,
    pub last_entry: u64,
    pub committed_entry: u64,
    pub confirmed_offset: u64,
    pub begun: bool,
    pub suspect: bool,
    pub waits_for_space: bool,
    /// The member that said that this one was removed from the group.
    pub removed_says: Option<String>,
    pub warning: Option<String>,
    pub members: Vec<RaftMember>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RaftMember {
    pub id: String,
    pub address: String,
    pub votes: bool,
    pub is_leader: bool,
    /// Milliseconds since it was heard; `None`: never.
    pub heard_millis: Option<u64>,
    /// As the leader knows it.
    pub lag_bytes: Option<u64>,
    pub is_copied_to: bool,
    pub trouble: Option<String>,
}
