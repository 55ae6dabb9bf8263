//! `clusterList`: every broker of every cluster with its load.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use skua_protocol::body::{ClusterInfo, KvTable};
use skua_protocol::request::GetBrokerRuntimeInfo;

use crate::client::{self, route};
use crate::failure::Failure;
use crate::mqadmin::options::{flag, value};
use crate::mqadmin::{Context, SubCommand};
use crate::time;

pub const CLUSTER_LIST: SubCommand = SubCommand {
    name: "clusterList",
    about: "List cluster infos.",
    example: "",
    answer: &[
        "[].ackQueueSize",
        "[].ackQueueWaitMs",
        "[].active",
        "[].addr",
        "[].brokerId",
        "[].brokerName",
        "[].cluster",
        "[].diskRatio",
        "[].hours",
        "[].inTps",
        "[].outTps",
        "[].pageCacheLockMs",
        "[].pullQueueSize",
        "[].pullQueueWaitMs",
        "[].sendQueueSize",
        "[].sendQueueWaitMs",
        "[].timerCongestion",
        "[].timerDequeueTps",
        "[].timerEnqueueTps",
        "[].timerOffsetBehind",
        "[].timerReadBehind",
        "[].version",
        "[].inYesterday",
        "[].outYesterday",
        "[].inToday",
        "[].outToday",
    ],
    options: &[
        flag("m", "moreStats", "Print more stats"),
        value("i", "interval", "specify intervals numbers, it is in seconds"),
        value("c", "clusterName", "which cluster"),
    ],
    run: |context| Box::pin(cluster_list(context)),
};

async fn cluster_list(context: &Context<'_>) -> Result<(), Failure> {
    let interval = context.number::<u64>("i")?;
    loop {
        let info = context.cluster.info().await?;
        if let Some(cluster) = context.get("c") {
            route::brokers_of(&info, cluster)?;
        }
        let members = members(&info, context.get("c"));
        let tables = client::all(members.iter().map(|member| runtime(context, &member.addr))).await;
        let rows: Vec<Row> = members
            .into_iter()
            .zip(tables)
            .map(|(member, table)| {
                let table = table.unwrap_or_else(|failure| {
                    context.complain(&failure);
                    BTreeMap::new()
                });
                Row { member, table }
            })
            .collect();
        if context.has("m") {
            context.print(&Totals(rows.iter().map(Total::of).collect()))?;
        } else {
            let now = time::now().0;
            context.print(&Loads(rows.iter().map(|row| Load::of(row, now)).collect()))?;
        }
        match interval {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.max(1))).await,
            None => return Ok(()),
        }
    }
}

/// The runtime table of a broker.
pub async fn runtime(
    context: &Context<'_>,
    addr: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let table: KvTable = context.cluster.broker(addr, &GetBrokerRuntimeInfo {}).await?.json()?;
    Ok(table.table.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

#[derive(Clone)]
struct Member {
    cluster: String,
    broker_name: String,
    id: i64,
    addr: String,
}

struct Row {
    member: Member,
    table: BTreeMap<String, String>,
}

impl Row {
    fn text(&self, key: &str) -> String {
        self.table.get(key).cloned().unwrap_or_default()
    }

    fn number(&self, key: &str) -> f64 {
        let text = self.table.get(key).map_or("", |text| text.as_str());
        // `putTps` and its like are averages over 10 s, a minute, ten minutes.
        text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
    }

    fn count(&self, key: &str) -> i64 {
        self.table.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Brokers in the order of clusters, names and ids.
fn members(info: &ClusterInfo, only: Option<&str>) -> Vec<Member> {
    let mut list = Vec::new();
    for (cluster, names) in &info.cluster_addr_table {
        if only.is_some_and(|only| only != &**cluster) {
            continue;
        }
        let mut names: Vec<_> = names.iter().collect();
        names.sort();
        for broker in names.into_iter().filter_map(|name| info.broker_addr_table.get(name)) {
            list.extend(broker.broker_addrs.iter().map(|(id, addr)| Member {
                cluster: cluster.to_string(),
                broker_name: broker.broker_name.to_string(),
                id: *id,
                addr: addr.to_string(),
            }));
        }
    }
    list
}

#[derive(Serialize)]
#[serde(transparent)]
struct Loads(Vec<Load>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Load {
    cluster: String,
    broker_name: String,
    broker_id: i64,
    addr: String,
    version: String,
    in_tps: f64,
    out_tps: f64,
    send_queue_size: String,
    send_queue_wait_ms: String,
    pull_queue_size: String,
    pull_queue_wait_ms: String,
    ack_queue_size: String,
    ack_queue_wait_ms: String,
    timer_read_behind: i64,
    timer_offset_behind: i64,
    timer_congestion: i64,
    timer_enqueue_tps: f64,
    timer_dequeue_tps: f64,
    page_cache_lock_ms: String,
    /// Hours since the oldest message.
    hours: f64,
    disk_ratio: f64,
    active: bool,
}

impl Load {
    fn of(row: &Row, now: i64) -> Self {
        let ack = |key| row.table.get(key).cloned().unwrap_or_else(|| "N".to_owned());
        let answered = !row.table.is_empty();
        let hours = row
            .table
            .get("earliestMessageTimeStamp")
            .and_then(|text| text.parse::<i64>().ok())
            .map_or(0.0, |earliest| (now - earliest) as f64 / 3_600_000.0);
        Self {
            cluster: row.member.cluster.clone(),
            broker_name: row.member.broker_name.clone(),
            broker_id: row.member.id,
            addr: row.member.addr.clone(),
            version: row.text("brokerVersionDesc"),
            in_tps: row.number("putTps"),
            out_tps: row.number("getTransferredTps"),
            send_queue_size: row.text("sendThreadPoolQueueSize"),
            send_queue_wait_ms: row.text("sendThreadPoolQueueHeadWaitTimeMills"),
            pull_queue_size: row.text("pullThreadPoolQueueSize"),
            pull_queue_wait_ms: row.text("pullThreadPoolQueueHeadWaitTimeMills"),
            ack_queue_size: if answered { ack("ackThreadPoolQueueSize") } else { String::new() },
            ack_queue_wait_ms: if answered {
                ack("ackThreadPoolQueueHeadWaitTimeMills")
            } else {
                String::new()
            },
            timer_read_behind: row.count("timerReadBehind"),
            timer_offset_behind: row.count("timerOffsetBehind"),
            timer_congestion: row.count("timerCongestNum"),
            timer_enqueue_tps: row.number("timerEnqueueTps"),
            timer_dequeue_tps: row.number("timerDequeueTps"),
            page_cache_lock_ms: row.text("pageCacheLockTimeMills"),
            hours,
            disk_ratio: row.number("commitLogDiskRatio"),
            active: row.table.get("brokerActive").is_some_and(|active| active == "true"),
        }
    }
}

impl fmt::Display for Loads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22}  {:<22}  {:<4}  {:<22} {:<16}  {:>16}  {:>30}  {:<22}  {:<11}  {:<12}  {:<8}  {:<10}",
            "#Cluster Name",
            "#Broker Name",
            "#BID",
            "#Addr",
            "#Version",
            "#InTPS(LOAD)",
            "#OutTPS(LOAD)",
            "#Timer(Progress)",
            "#PCWait(ms)",
            "#Hour",
            "#SPACE",
            "#ACTIVATED"
        )?;
        for load in &self.0 {
            let input = format!(
                "{:9.2}({},{}ms)",
                load.in_tps, load.send_queue_size, load.send_queue_wait_ms
            );
            let output = format!(
                "{:9.2}({},{}ms|{},{}ms)",
                load.out_tps,
                load.pull_queue_size,
                load.pull_queue_wait_ms,
                load.ack_queue_size,
                load.ack_queue_wait_ms
            );
            let timer = format!(
                "{}-{}({:.1}w, {:.1}, {:.1})",
                load.timer_read_behind,
                load.timer_offset_behind,
                load.timer_congestion as f64 / 10_000.0,
                load.timer_enqueue_tps,
                load.timer_dequeue_tps
            );
            writeln!(
                f,
                "{:<22}  {:<22}  {:<4}  {:<22} {:<16}  {input:>16}  {output:>30}  {timer:<22}  {:>11}  {:<12}  {:<8}  {:>10}",
                load.cluster,
                load.broker_name,
                load.broker_id,
                load.addr,
                load.version,
                load.page_cache_lock_ms,
                format!("{:.2}", load.hours),
                format!("{:.4}", load.disk_ratio),
                load.active,
            )?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Totals(Vec<Total>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    cluster: String,
    broker_name: String,
    in_yesterday: i64,
    out_yesterday: i64,
    in_today: i64,
    out_today: i64,
}

impl Total {
    fn of(row: &Row) -> Self {
        let between = |to, from| row.count(to) - row.count(from);
        Self {
            cluster: row.member.cluster.clone(),
            broker_name: row.member.broker_name.clone(),
            in_yesterday: between("msgPutTotalTodayMorning", "msgPutTotalYesterdayMorning"),
            out_yesterday: between("msgGetTotalTodayMorning", "msgGetTotalYesterdayMorning"),
            in_today: between("msgPutTotalTodayNow", "msgPutTotalTodayMorning"),
            out_today: between("msgGetTotalTodayNow", "msgGetTotalTodayMorning"),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16}  {:<32} {:>14} {:>14} {:>14} {:>14}",
            "#Cluster Name",
            "#Broker Name",
            "#InTotalYest",
            "#OutTotalYest",
            "#InTotalToday",
            "#OutTotalToday"
        )?;
        self.0.iter().try_for_each(|total| {
            writeln!(
                f,
                "{:<16}  {:<32} {:>14} {:>14} {:>14} {:>14}",
                total.cluster,
                total.broker_name,
                total.in_yesterday,
                total.out_yesterday,
                total.in_today,
                total.out_today
            )
        })
    }
}
