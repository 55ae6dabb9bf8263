//! mqadmin's commands, one file for each family.
//!
//! A command is one [`SubCommand`](crate::mqadmin::SubCommand): name, options as Java's tool has
//! them, and a function that asks the cluster and prints a report. Adding one means writing it and
//! naming it in [`COMMANDS`].

mod broker;
mod cluster;
mod consumer;
mod group;
mod kv;
mod message;
mod namesrv;
mod offset;
mod print;
mod properties;
mod route;
mod send;
mod topic;

use crate::mqadmin::SubCommand;

/// Every command, in the order in which Java's tool lists them.
pub static COMMANDS: &[&SubCommand] = &[
    &topic::UPDATE_TOPIC,
    &topic::UPDATE_TOPIC_LIST,
    &topic::DELETE_TOPIC,
    &group::UPDATE_SUB_GROUP,
    &group::UPDATE_SUB_GROUP_LIST,
    &group::DELETE_SUB_GROUP,
    &broker::UPDATE_BROKER_CONFIG,
    &topic::UPDATE_TOPIC_PERM,
    &route::TOPIC_ROUTE,
    &route::TOPIC_STATUS,
    &topic::TOPIC_CLUSTER_LIST,
    &broker::RESET_MASTER_FLUSH_OFFSET,
    &broker::BROKER_STATUS,
    &message::QUERY_MSG_BY_ID,
    &message::QUERY_MSG_BY_KEY,
    &message::QUERY_MSG_BY_UNIQUE_KEY,
    &message::QUERY_MSG_BY_OFFSET,
    &print::PRINT_MSG,
    &print::PRINT_MSG_BY_QUEUE,
    &consumer::PRODUCER_CONNECTION,
    &consumer::CONSUMER_CONNECTION,
    &consumer::CONSUMER_PROGRESS,
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
    &send::CHECK_MSG_SEND_RT,
    &namesrv::GET_NAMESRV_CONFIG,
    &namesrv::UPDATE_NAMESRV_CONFIG,
    &broker::GET_BROKER_CONFIG,
    &group::GET_CONSUMER_CONFIG,
    &send::SEND_MESSAGE,
    &print::CONSUME_MESSAGE,
];
