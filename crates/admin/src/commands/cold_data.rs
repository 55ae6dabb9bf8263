//! Reads of data that is no longer in memory: their limits, and reading ahead.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use skua_protocol::Millis;
use skua_protocol::request::{
    GetColdDataFlowCtrInfo, RemoveColdDataFlowCtrConfig, Request, SetCommitLogReadMode,
    UpdateColdDataFlowCtrConfig,
};

use super::properties;
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

pub const GET_COLD_DATA_FLOW_CTR_INFO: SubCommand = SubCommand {
    name: "getColdDataFlowCtrInfo",
    about: "Get cold data flow ctr info.",
    example: "-b 192.168.0.1:10911",
    answer: &["addr", "info.*"],
    options: &[
        value("b", "brokerAddr", "get from which broker"),
        value("c", "clusterName", "get from which cluster"),
    ],
    run: |context| Box::pin(get_info(context)),
};

pub const UPDATE_COLD_DATA_FLOW_CTR_GROUP_CONFIG: SubCommand = SubCommand {
    name: "updateColdDataFlowCtrGroupConfig",
    about: "Add or update cold data flow ctr group config.",
    example: "-b 192.168.0.1:10911 -g GroupTest -v 4096",
    answer: &["done", "brokerAddr"],
    options: &[
        value("b", "brokerAddr", "update which broker"),
        value("c", "clusterName", "update which cluster"),
        required("g", "consumerGroup", "specific consumerGroup"),
        required("v", "threshold", "cold read threshold value"),
    ],
    run: |context| Box::pin(update_group(context)),
};

pub const REMOVE_COLD_DATA_FLOW_CTR_GROUP_CONFIG: SubCommand = SubCommand {
    name: "removeColdDataFlowCtrGroupConfig",
    about: "Remove consumer from cold ctr config.",
    example: "-b 192.168.0.1:10911 -g GroupTest",
    answer: &["done", "brokerAddr"],
    options: &[
        value("b", "brokerAddr", "update which broker"),
        value("c", "clusterName", "update which cluster"),
        required("g", "consumerGroup", "the consumer group will remove from the config"),
    ],
    run: |context| Box::pin(remove_group(context)),
};

pub const SET_COMMIT_LOG_READ_AHEAD_MODE: SubCommand = SubCommand {
    name: "setCommitLogReadAheadMode",
    about: "Set read ahead mode for all commitlog files.",
    example: "-b 192.168.0.1:10911 -m 1",
    answer: &["addr", "answer"],
    options: &[
        value("b", "brokerAddr", "set which broker"),
        value("c", "clusterName", "set which cluster"),
        required(
            "m",
            "commitLogReadAheadMode",
            "set the CommitLog read ahead mode; 0 is default, 1 random read",
        ),
    ],
    run: |context| Box::pin(set_read_ahead(context)),
};

/// The brokers meant by `-b` or `-c`, slaves included, each with its title.
async fn titled(context: &Context<'_>) -> Result<Vec<(String, String)>, Failure> {
    if let Some(addr) = context.get("b") {
        return Ok(vec![(addr.to_owned(), addr.to_owned())]);
    }
    let info = context.cluster.info().await?;
    let mut list = Vec::new();
    for broker in route::brokers_of(&info, context.required("c")?)? {
        let master = route::master_addr(broker).unwrap_or("NO_MASTER");
        list.extend(broker.broker_addrs.iter().map(|(id, addr)| {
            let title = match *id {
                route::MASTER_ID => format!("Master: {addr}"),
                _ => format!("My Master: {master}=====Slave: {addr}"),
            };
            (addr.to_string(), title)
        }));
    }
    Ok(list)
}

#[derive(Serialize)]
struct Info {
    #[serde(skip)]
    title: String,
    addr: String,
    info: Value,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " ============{}============", self.title)?;
        writeln!(f, "{}", text::pretty_json(&self.info))
    }
}

async fn get_info(context: &Context<'_>) -> Result<(), Failure> {
    for (addr, title) in titled(context).await? {
        let answer = context.cluster.broker(&addr, &GetColdDataFlowCtrInfo {}).await?;
        let mut info: Value = answer.json()?;
        let table = info.get_mut("runtimeTable").and_then(Value::as_object_mut);
        for group in table.into_iter().flat_map(|table| table.values_mut()) {
            let Some(group) = group.as_object_mut() else { continue };
            for (millis, format) in [
                ("lastColdReadTimeMills", "lastColdReadTimeFormat"),
                ("createTimeMills", "createTimeFormat"),
            ] {
                let at = group.remove(millis).and_then(|at| at.as_i64()).unwrap_or(0);
                group.insert(format.to_owned(), time::to_second(Millis(at)).into());
            }
        }
        context.print(&Info { title, addr, info })?;
    }
    Ok(())
}

async fn tell_masters<H: Request>(
    context: &Context<'_>,
    header: &H,
    body: String,
    what: &str,
) -> Result<(), Failure> {
    for addr in context.masters().await? {
        match context.cluster.broker_with(&addr, header, body.clone()).await {
            Ok(_) => {
                let sentence = format!("{what} success, {addr}");
                context.print(&Done::new(sentence).with("brokerAddr", addr))?;
            }
            Err(failure) if context.has("c") => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

async fn update_group(context: &Context<'_>) -> Result<(), Failure> {
    context.number::<i64>("v")?;
    let body = properties::line(context.required("g")?, context.required("v")?);
    let header = UpdateColdDataFlowCtrConfig {};
    tell_masters(context, &header, body, "updateColdDataFlowCtrGroupConfig").await
}

async fn remove_group(context: &Context<'_>) -> Result<(), Failure> {
    let body = context.required("g")?.to_owned();
    let header = RemoveColdDataFlowCtrConfig {};
    tell_masters(context, &header, body, "remove broker cold read threshold").await
}

#[derive(Serialize)]
struct ReadAhead {
    #[serde(skip)]
    title: String,
    addr: String,
    answer: String,
}

impl fmt::Display for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " ============{}============", self.title)?;
        writeln!(f, "commitLog set readAhead mode rstStr{}", self.answer)
    }
}

async fn set_read_ahead(context: &Context<'_>) -> Result<(), Failure> {
    let mode = context.required("m")?;
    if !["0", "1"].contains(&mode) {
        return Err(Failure::BadValue {
            option: "m",
            given: mode.to_owned(),
            accepted: "0 (default) or 1 (random read)",
        });
    }
    let header = SetCommitLogReadMode { read_ahead_mode: Some(mode.into()) };
    for (addr, title) in titled(context).await? {
        let answer = context.cluster.broker(&addr, &header).await?;
        // Java's broker answers its sentence as the remark.
        let answer = answer.command.remark.as_deref().unwrap_or("null").to_owned();
        context.print(&ReadAhead { title, addr, answer })?;
    }
    Ok(())
}
