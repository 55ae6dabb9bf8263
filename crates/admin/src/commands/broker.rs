//! One broker: its state, its configuration, work it is told to do now.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::Command;
use skua_protocol::code::RequestCode;
use skua_protocol::header::Fields;
use skua_protocol::request::{
    AddBroker, GetBrokerConfig, RemoveBroker, SwitchTimerEngine, UpdateBrokerConfig,
};

use super::cluster::runtime;
use super::properties::{self, Properties};
use crate::client::route;
use crate::failure::{Failure, Role};
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{Entry, Opt, alternative, required, value};
use crate::mqadmin::{Context, SubCommand};

const BROKER_OR_CLUSTER: &[Opt] = &[
    alternative("b", "brokerAddr", "Broker address"),
    alternative("c", "clusterName", "which cluster"),
];

pub const BROKER_STATUS: SubCommand = SubCommand {
    name: "brokerStatus",
    about: "Fetch broker runtime status data.",
    example: "-b 192.168.0.1:10911",
    answer: &["addr", "table.*"],
    options: &[Entry::OneOf(BROKER_OR_CLUSTER)],
    run: |context| Box::pin(broker_status(context)),
};

pub const GET_BROKER_CONFIG: SubCommand = SubCommand {
    name: "getBrokerConfig",
    about: "Get broker config by cluster or special broker.",
    example: "-b 192.168.0.1:10911",
    answer: &["addr", "properties.*"],
    options: &[Entry::OneOf(&[
        alternative("b", "brokerAddr", "get which broker"),
        alternative("c", "clusterName", "get which cluster"),
    ])],
    run: |context| Box::pin(get_config(context)),
};

pub const UPDATE_BROKER_CONFIG: SubCommand = SubCommand {
    name: "updateBrokerConfig",
    about: "Update broker's config.",
    example: "-b 192.168.0.1:10911 -k fileReservedTime -v 48",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "update which broker"),
            alternative("c", "clusterName", "update which cluster"),
        ]),
        value("a", "updateAllBroker", "update all brokers include slave"),
        required("k", "key", "config key"),
        required("v", "value", "config value"),
    ],
    run: |context| Box::pin(update_config(context)),
};

pub const CLEAN_EXPIRED_CQ: SubCommand = SubCommand {
    name: "cleanExpiredCQ",
    about: "Clean expired ConsumeQueue on broker.",
    example: "-b 192.168.0.1:10911",
    answer: &["done"],
    options: CLEANING,
    run: |context| Box::pin(clean(context, RequestCode::CleanExpiredConsumeQueue)),
};

pub const DELETE_EXPIRED_COMMIT_LOG: SubCommand = SubCommand {
    name: "deleteExpiredCommitLog",
    about: "Delete expired CommitLog files.",
    example: "-b 192.168.0.1:10911",
    answer: &["done"],
    options: CLEANING,
    run: |context| Box::pin(clean(context, RequestCode::DeleteExpiredCommitLog)),
};

pub const CLEAN_UNUSED_TOPIC: SubCommand = SubCommand {
    name: "cleanUnusedTopic",
    about: "Clean unused topic on broker.",
    example: "-b 192.168.0.1:10911",
    answer: &["done"],
    options: &[value("b", "brokerAddr", "Broker address"), value("c", "cluster", "cluster name")],
    run: |context| Box::pin(clean(context, RequestCode::CleanUnusedTopic)),
};

const CLEANING: &[Entry] =
    &[value("b", "brokerAddr", "Broker address"), value("c", "cluster", "clustername")];

pub const RESET_MASTER_FLUSH_OFFSET: SubCommand = SubCommand {
    name: "resetMasterFlushOffset",
    about: "Reset master flush offset in slave.",
    example: "-b 192.168.0.1:10911 -o 0",
    answer: &["done", "brokerAddr", "offset"],
    options: &[
        required("b", "brokerAddr", "which broker to reset"),
        required("o", "offset", "the offset to reset at"),
    ],
    run: |context| Box::pin(reset_master_flush_offset(context)),
};

pub const ADD_BROKER: SubCommand = SubCommand {
    name: "addBroker",
    about: "Add a broker to specified container.",
    example: "-c 192.168.0.1:10811 -b /etc/rocketmq/broker-b.conf",
    answer: &["done", "containerAddr"],
    options: &[
        required("c", "brokerContainerAddr", "Broker container address"),
        required("b", "brokerConfigPath", "Broker config path"),
    ],
    run: |context| Box::pin(add_broker(context)),
};

pub const REMOVE_BROKER: SubCommand = SubCommand {
    name: "removeBroker",
    about: "Remove a broker from specified container.",
    example: "-c 192.168.0.1:10811 -b DefaultCluster:broker-b:1",
    answer: &["done", "containerAddr"],
    options: &[
        required("c", "brokerContainerAddr", "Broker container address"),
        required(
            "b",
            "brokerIdentity",
            "Information to identify a broker: clusterName:brokerName:brokerId(dLedgerId for dLedger)",
        ),
    ],
    run: |context| Box::pin(remove_broker(context)),
};

pub const SWITCH_TIMER_ENGINE: SubCommand = SubCommand {
    name: "switchTimerEngine",
    about: "switch the engine of timer message in broker",
    example: "-b 192.168.0.1:10911 -e F",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "update which broker"),
            alternative("c", "clusterName", "update which cluster"),
        ]),
        required(
            "e",
            "engineType",
            "R/F, R for rocksdb timeline engine, F for file time wheel engine",
        ),
    ],
    run: |context| Box::pin(switch_timer_engine(context)),
};

#[derive(Serialize)]
struct Status {
    addr: String,
    table: BTreeMap<String, String>,
    /// Whether the address stands in each line.
    #[serde(skip)]
    named: bool,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.iter().try_for_each(|(key, value)| {
            if self.named {
                write!(f, "{:<24} ", self.addr)?;
            }
            writeln!(f, "{key:<32}: {value}")
        })
    }
}

async fn broker_status(context: &Context<'_>) -> Result<(), Failure> {
    for addr in context.members().await? {
        let named = !context.has("b");
        match runtime(context, &addr).await {
            Ok(table) => context.print(&Status { addr, table, named })?,
            Err(failure) if named => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

async fn get_config(context: &Context<'_>) -> Result<(), Failure> {
    if let Some(addr) = context.get("b") {
        return print_config(context, addr, addr.to_owned()).await;
    }
    let info = context.cluster.info().await?;
    for broker in route::brokers_of(&info, context.required("c")?)? {
        let master = route::master_addr(broker);
        for (id, addr) in &broker.broker_addrs {
            let title = match master {
                _ if *id == route::MASTER_ID => format!("Master: {addr}"),
                Some(master) => format!("My Master: {master}=====Slave: {addr}"),
                None => format!("My Master: NO_MASTER=====Slave: {addr}"),
            };
            print_config(context, addr, title).await?;
        }
    }
    Ok(())
}

async fn print_config(context: &Context<'_>, addr: &str, title: String) -> Result<(), Failure> {
    let answer = context.cluster.broker(addr, &GetBrokerConfig {}).await?;
    let properties = properties::parse(answer.text()?);
    context.print(&Properties { title, addr: addr.to_owned(), properties })
}

async fn update_config(context: &Context<'_>) -> Result<(), Failure> {
    let body = properties::line(context.required("k")?, context.required("v")?);
    let all = context.has("a");
    let addrs = if all { context.members().await? } else { context.masters().await? };
    for addr in addrs {
        match context.cluster.broker_with(&addr, &UpdateBrokerConfig {}, body.clone()).await {
            Ok(_) => {
                let sentence = format!("update broker config success, {addr}");
                context.print(&Done::new(sentence).with("brokerAddr", addr))?;
            }
            Err(failure) if context.has("c") => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// A request without fields to the brokers meant; to every broker if none is named.
async fn clean(context: &Context<'_>, code: RequestCode) -> Result<(), Failure> {
    let addrs = match (context.get("b"), context.get("c")) {
        (Some(addr), _) => vec![addr.to_owned()],
        (None, Some(cluster)) => route::members_of(&context.cluster.info().await?, cluster)?,
        (None, None) => {
            let info = context.cluster.info().await?;
            let brokers = info.broker_addr_table.values();
            brokers.flat_map(|broker| broker.broker_addrs.values().cloned()).collect()
        }
    };
    for addr in addrs {
        let request = Command::raw_request(code, Fields::new());
        context.cluster.call(&addr, request).await?.accepted(Role::Broker)?;
    }
    context.print(&Done::new("success"))
}

async fn reset_master_flush_offset(context: &Context<'_>) -> Result<(), Failure> {
    let addr = context.required("b")?;
    let offset = context.number::<i64>("o")?.unwrap_or_default();
    let mut fields = Fields::new();
    fields.push("masterFlushOffset", offset.to_string());
    let request = Command::raw_request(RequestCode::ResetMasterFlushOffset, fields);
    context.cluster.call(addr, request).await?.accepted(Role::Broker)?;
    let sentence = format!("reset master flush offset to {offset} success");
    context.print(&Done::new(sentence).with("brokerAddr", addr).with("offset", offset))
}

/// Asks a broker container (a process of several Java brokers) to start one more.
async fn add_broker(context: &Context<'_>) -> Result<(), Failure> {
    let addr = context.required("c")?;
    let header = AddBroker { config_path: Some(context.required("b")?.into()) };
    context.cluster.broker(addr, &header).await?;
    let sentence = format!("add broker to {addr} success");
    context.print(&Done::new(sentence).with("containerAddr", addr))
}

async fn remove_broker(context: &Context<'_>) -> Result<(), Failure> {
    let addr = context.required("c")?;
    let given = context.required("b")?;
    let parts: Vec<&str> = given.split(':').map(str::trim).collect();
    let wrong = || Failure::BadValue {
        option: "b",
        given: given.to_owned(),
        accepted: "clusterName:brokerName:brokerId",
    };
    let &[cluster, name, id] = parts.as_slice() else { return Err(wrong()) };
    let header = RemoveBroker {
        broker_name: name.into(),
        broker_cluster_name: cluster.into(),
        broker_id: id.parse().ok().filter(|id: &i64| *id >= 0).ok_or_else(wrong)?,
    };
    context.cluster.broker(addr, &header).await?;
    let sentence = format!("remove broker from {addr} success");
    context.print(&Done::new(sentence).with("containerAddr", addr))
}

async fn switch_timer_engine(context: &Context<'_>) -> Result<(), Failure> {
    let engine = context.required("e")?;
    let name = match engine {
        "R" => "ROCKSDB_TIMELINE",
        "F" => "FILE_TIME_WHEEL",
        _ => {
            return Err(Failure::BadValue {
                option: "e",
                given: engine.to_owned(),
                accepted: "R or F",
            });
        }
    };
    let header = SwitchTimerEngine { engine_type: Some(engine.into()) };
    for addr in context.masters().await? {
        match context.cluster.broker(&addr, &header).await {
            Ok(_) => {
                let sentence = format!("switchTimerEngine to {name} success, {addr}");
                context.print(&Done::new(sentence).with("brokerAddr", addr))?;
            }
            Err(failure) if context.has("c") => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}
