//! mqadmin's commands, one file for each family.
//!
//! A command is one [`SubCommand`](crate::mqadmin::SubCommand): name, options as Java's tool has
//! them, and a function that asks the cluster and prints a report. Adding one means writing it and
//! naming it in [`COMMANDS`].

mod auth;
mod broker;
mod cluster;
mod cold_data;
mod consumer;
mod controller;
mod export;
mod group;
mod kv;
mod lite;
pub(crate) mod message;
mod namesrv;
mod not_served;
mod offset;
mod print;
pub(crate) mod properties;
mod queue;
mod replication;
mod route;
mod running;
mod send;
mod static_topic;
mod statistics;
pub(crate) mod topic;
mod trace;

use crate::mqadmin::SubCommand;

/// Every command, in the order in which Java's tool lists them.
pub static COMMANDS: &[&SubCommand] = &[
    &topic::UPDATE_TOPIC,
    &topic::UPDATE_TOPIC_LIST,
    &topic::DELETE_TOPIC,
    &group::UPDATE_SUB_GROUP,
    &group::UPDATE_SUB_GROUP_LIST,
    &queue::SET_CONSUME_MODE,
    &group::DELETE_SUB_GROUP,
    &broker::UPDATE_BROKER_CONFIG,
    &topic::UPDATE_TOPIC_PERM,
    &route::TOPIC_ROUTE,
    &route::TOPIC_STATUS,
    &topic::TOPIC_CLUSTER_LIST,
    &broker::ADD_BROKER,
    &broker::REMOVE_BROKER,
    &broker::RESET_MASTER_FLUSH_OFFSET,
    &broker::BROKER_STATUS,
    &message::QUERY_MSG_BY_ID,
    &message::QUERY_MSG_BY_KEY,
    &message::QUERY_MSG_BY_UNIQUE_KEY,
    &message::QUERY_MSG_BY_OFFSET,
    &trace::QUERY_MSG_TRACE_BY_ID,
    &print::PRINT_MSG,
    &print::PRINT_MSG_BY_QUEUE,
    &send::SEND_MSG_STATUS,
    &statistics::BROKER_CONSUME_STATS,
    &consumer::PRODUCER_CONNECTION,
    &consumer::CONSUMER_CONNECTION,
    &consumer::CONSUMER_PROGRESS,
    &running::CONSUMER_STATUS,
    &offset::CLONE_GROUP_OFFSET,
    &consumer::PRODUCER,
    &cluster::CLUSTER_LIST,
    &topic::TOPIC_LIST,
    &kv::UPDATE_KV_CONFIG,
    &kv::DELETE_KV_CONFIG,
    &namesrv::WIPE_WRITE_PERM,
    &namesrv::ADD_WRITE_PERM,
    &offset::RESET_OFFSET_BY_TIME,
    &offset::SKIP_ACCUMULATED,
    &kv::UPDATE_ORDER_CONF,
    &broker::CLEAN_EXPIRED_CQ,
    &broker::DELETE_EXPIRED_COMMIT_LOG,
    &broker::CLEAN_UNUSED_TOPIC,
    &running::START_MONITORING,
    &statistics::STATS_ALL,
    &queue::ALLOCATE_MQ,
    &send::CHECK_MSG_SEND_RT,
    &send::CLUSTER_RT,
    &namesrv::GET_NAMESRV_CONFIG,
    &namesrv::UPDATE_NAMESRV_CONFIG,
    &broker::GET_BROKER_CONFIG,
    &group::GET_CONSUMER_CONFIG,
    &queue::QUERY_CQ,
    &send::SEND_MESSAGE,
    &print::CONSUME_MESSAGE,
    &static_topic::UPDATE_STATIC_TOPIC,
    &static_topic::REMAPPING_STATIC_TOPIC,
    &export::EXPORT_METADATA,
    &export::EXPORT_CONFIGS,
    &export::EXPORT_METRICS,
    &not_served::EXPORT_METADATA_IN_ROCKS_DB,
    &export::EXPORT_POP_RECORD,
    &replication::HA_STATUS,
    &replication::GET_SYNC_STATE_SET,
    &replication::GET_BROKER_EPOCH,
    &controller::GET_CONTROLLER_META_DATA,
    &controller::GET_CONTROLLER_CONFIG,
    &controller::UPDATE_CONTROLLER_CONFIG,
    &controller::ELECT_MASTER,
    &controller::CLEAN_BROKER_METADATA,
    &print::DUMP_COMPACTION_LOG,
    &cold_data::GET_COLD_DATA_FLOW_CTR_INFO,
    &cold_data::UPDATE_COLD_DATA_FLOW_CTR_GROUP_CONFIG,
    &cold_data::REMOVE_COLD_DATA_FLOW_CTR_GROUP_CONFIG,
    &cold_data::SET_COMMIT_LOG_READ_AHEAD_MODE,
    &auth::CREATE_USER,
    &auth::UPDATE_USER,
    &auth::DELETE_USER,
    &auth::GET_USER,
    &auth::LIST_USER,
    &auth::COPY_USER,
    &auth::CREATE_ACL,
    &auth::UPDATE_ACL,
    &auth::DELETE_ACL,
    &auth::GET_ACL,
    &auth::LIST_ACL,
    &auth::COPY_ACL,
    &not_served::ROCKS_DBCONFIG_TO_JSON,
    &not_served::CHECK_ROCKSDB_CQ_WRITE_PROGRESS,
    &broker::SWITCH_TIMER_ENGINE,
    &lite::GET_BROKER_LITE_INFO,
    &lite::GET_PARENT_TOPIC_INFO,
    &lite::GET_LITE_TOPIC_INFO,
    &lite::GET_LITE_CLIENT_INFO,
    &lite::GET_LITE_GROUP_INFO,
    &lite::TRIGGER_LITE_DISPATCH,
];
