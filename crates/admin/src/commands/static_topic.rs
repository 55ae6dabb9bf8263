//! Static topics: logical queues made over brokers, and moved between them.

use std::collections::BTreeSet;

use bytestring::ByteString;
use skua_protocol::body::{ClusterInfo, TopicStats};
use skua_protocol::json;
use skua_protocol::request::{GetTopicConfig, GetTopicStatsInfo, UpdateAndCreateStaticTopic};
use skua_protocol::{Command, ResponseCode};

use crate::client::route;
use crate::failure::{Failure, Role};
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{Entry, alternative, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::static_topic::{Kind, Part, Parts, Plan, empty_part};
use crate::time;

/// Most logical queues that a topic is given.
const MAX_QUEUES: i32 = 65_536;

const TARGETS: Entry = Entry::OneOf(&[
    alternative("c", "clusters", "remapping static topic to clusters, comma separated"),
    alternative("b", "brokers", "remapping static topic to brokers, comma separated"),
]);

pub const UPDATE_STATIC_TOPIC: SubCommand = SubCommand {
    name: "updateStaticTopic",
    about: "Update or create static topic, which has fixed number of queues.",
    example: "-c DefaultCluster -t StaticTest -qn 8",
    answer: &["done", "file"],
    options: &[
        TARGETS,
        required("t", "topic", "topic name"),
        required("qn", "totalQueueNum", "total queue num"),
        value("mf", "mapFile", "The mapping data file name"),
        value("fr", "forceReplace", "Force replace the old mapping"),
    ],
    run: |context| Box::pin(update(context)),
};

pub const REMAPPING_STATIC_TOPIC: SubCommand = SubCommand {
    name: "remappingStaticTopic",
    about: "Remapping static topic.",
    example: "-c DefaultCluster -t StaticTest",
    answer: &["done", "file"],
    options: &[
        TARGETS,
        required("t", "topic", "topic name"),
        value("mf", "mapFile", "The mapping data file name "),
        value("fr", "forceReplace", "Force replace the old mapping"),
    ],
    run: |context| Box::pin(remap(context)),
};

async fn update(context: &Context<'_>) -> Result<(), Failure> {
    let cluster = Brokers::ask(context).await?;
    let topic = cluster.topic;
    let total = context.number::<i32>("qn")?.unwrap_or_default();
    if !(1..=MAX_QUEUES).contains(&total) {
        let given = total.to_string();
        return Err(Failure::BadValue { option: "qn", given, accepted: "from 1 to 65536" });
    }
    if let Some(plan) = planned(context, topic, Kind::CreateOrUpdate)? {
        return cluster.carry_out(plan, context.required("mf")?).await;
    }
    let mut targets = cluster.targets()?;
    let parts = cluster.parts().await?;
    let before = Plan::before(topic, &parts, now()).map_err(wrong)?;
    cluster.write(&before, "before", "old")?;
    targets.extend(parts.keys().cloned());
    let plan = Plan::grow(topic, parts, total, &targets, now()).map_err(wrong)?;
    let file = cluster.write(&plan, "after", "new")?;
    cluster.carry_out(plan, &file).await
}

async fn remap(context: &Context<'_>) -> Result<(), Failure> {
    let cluster = Brokers::ask(context).await?;
    let topic = cluster.topic;
    if let Some(plan) = planned(context, topic, Kind::Remapping)? {
        return cluster.carry_out(plan, context.required("mf")?).await;
    }
    let targets = cluster.targets()?;
    let parts = cluster.parts().await?;
    if parts.is_empty() {
        return Err(Failure::other(format!(
            "No topic route to do the remapping: no broker has {topic}"
        )));
    }
    let before = Plan::before(topic, &parts, now()).map_err(wrong)?;
    cluster.write(&before, "before", "old")?;
    let plan = Plan::remap(topic, parts, &targets, now()).map_err(wrong)?;
    // Java's tool calls this file the old one too.
    let file = cluster.write(&plan, "after", "old")?;
    cluster.carry_out(plan, &file).await
}

fn now() -> i64 {
    time::now().0
}

fn wrong(cause: crate::static_topic::PlanError) -> Failure {
    Failure::other(cause.to_string())
}

/// The plan in the file of `-mf`. Java's tool has the option and never reads the file.
fn planned(context: &Context<'_>, topic: &str, kind: Kind) -> Result<Option<Plan>, Failure> {
    if !context.has("mf") {
        return Ok(None);
    }
    let plan: Plan = context.json_file("mf")?;
    plan.check(topic).map_err(wrong)?;
    if plan.kind != kind {
        let other = match kind {
            Kind::CreateOrUpdate => REMAPPING_STATIC_TOPIC.name,
            Kind::Remapping => UPDATE_STATIC_TOPIC.name,
        };
        return Err(Failure::other(format!("the mapping in the file is one for {other}")));
    }
    Ok(Some(plan))
}

/// One run: the topic and the brokers that the name servers know.
struct Brokers<'c, 'a> {
    context: &'c Context<'a>,
    info: ClusterInfo,
    topic: &'c str,
    force: bool,
}

impl<'c, 'a> Brokers<'c, 'a> {
    async fn ask(context: &'c Context<'a>) -> Result<Self, Failure> {
        let topic = context.required("t")?;
        // It becomes part of a file's name.
        if topic.is_empty() || topic.contains(['/', '\\', '\0']) {
            let given = topic.to_owned();
            return Err(Failure::BadValue { option: "t", given, accepted: "a topic's name" });
        }
        let force = context.truth("fr")?.unwrap_or(false);
        let info = context.cluster.info().await?;
        if info.cluster_addr_table.is_empty() {
            return Err(Failure::other("The Cluster info is empty: no broker is registered"));
        }
        Ok(Self { context, info, topic, force })
    }

    /// The brokers named by `-b` or in the clusters of `-c`.
    fn targets(&self) -> Result<BTreeSet<String>, Failure> {
        let split = |list: &'c str| list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut targets = BTreeSet::new();
        if let Some(names) = self.context.get("b") {
            targets.extend(split(names).map(str::to_owned));
        } else {
            for cluster in split(self.context.required("c")?) {
                let brokers = route::brokers_of(&self.info, cluster)?;
                targets.extend(brokers.iter().map(|broker| broker.broker_name.to_string()));
            }
        }
        if targets.is_empty() {
            return Err(Failure::other("Find none brokers, do nothing"));
        }
        targets.iter().try_for_each(|name| self.master(name).map(drop))?;
        Ok(targets)
    }

    fn master(&self, name: &str) -> Result<&str, Failure> {
        let broker = self.info.broker_addr_table.get(name);
        broker
            .and_then(route::master_addr)
            .ok_or_else(|| Failure::other(format!("Can't find addr for broker {name}")))
    }

    /// The topic as every broker has it.
    async fn parts(&self) -> Result<Parts, Failure> {
        let mut parts = Parts::new();
        for name in self.info.broker_addr_table.keys() {
            let mut request = Command::request(&GetTopicConfig { topic: self.topic.into() });
            // Java's broker tells of the mapping only then.
            request.fields.set("lo", "true");
            let answer = self.context.cluster.call(self.master(name)?, request).await?;
            match answer.accepted(Role::Broker) {
                Ok(answer) => {
                    parts.insert(name.to_string(), answer.json()?);
                }
                Err(refused) if refused.is_code(ResponseCode::TopicNotExist) => {}
                Err(failed) => return Err(failed),
            }
        }
        Ok(parts)
    }

    /// Writes a plan into the folder for temporary files and tells where.
    fn write(&self, plan: &Plan, suffix: &str, which: &str) -> Result<String, Failure> {
        let name = format!("{}-{}.{suffix}", self.topic, plan.epoch);
        let path = std::env::temp_dir().join(name).display().to_string();
        std::fs::write(&path, json::to_vec(plan))
            .map_err(|cause| Failure::File { path: path.clone(), cause })?;
        let sentence = format!("The {which} mapping data is written to file {path}");
        self.context.print(&Done::new(sentence).with("file", &*path))?;
        Ok(path)
    }

    /// Sends a plan to the brokers; those of their clusters that have no queues get to know the
    /// mapping too. A run that ends half-way can be gone on with from `file`.
    async fn carry_out(&self, mut plan: Plan, file: &str) -> Result<(), Failure> {
        let total = plan.broker_config_map.values().find_map(|part| part.mapping_detail.as_ref());
        let total = total.map_or(0, |mapping| mapping.total_queues);
        let parts = &mut plan.broker_config_map;
        let beside: BTreeSet<String> = (self.info.cluster_addr_table.values())
            .filter(|names| names.iter().any(|name| parts.contains_key(&**name)))
            .flatten()
            .map(|name| name.to_string())
            .collect();
        for name in beside {
            let part = || empty_part(self.topic, &name, total, plan.epoch);
            parts.entry(name.clone()).or_insert_with(part);
        }
        parts.keys().try_for_each(|name| self.master(name).map(drop))?;
        plan.resume(&self.parts().await?);
        let mut told = BTreeSet::new();
        self.send(plan, &mut told).await.map_err(|cause| match told.is_empty() {
            true => cause,
            false => {
                let told: Vec<String> = told.into_iter().collect();
                Failure::other(format!(
                    "{cause} (the new mapping has reached {} only: go on with the same command and -mf {file})",
                    told.join(", ")
                ))
            }
        })
    }

    async fn send(&self, mut plan: Plan, told: &mut BTreeSet<String>) -> Result<(), Failure> {
        // New leaders take messages before it is decided where their queues begin, old ones none
        // any more: only then the end of a queue stands still.
        let (to, from) = (plan.broker_to_map_in.clone(), plan.broker_to_map_out.clone());
        self.tell(&plan, &to, told).await?;
        self.tell(&plan, &from, told).await?;
        for name in &from {
            let header = GetTopicStatsInfo { topic: self.topic.into() };
            let stats: TopicStats =
                self.context.cluster.broker(self.master(name)?, &header).await?.json()?;
            plan.decide(name, |item| {
                let mut queues = stats.offset_table.iter();
                let found = queues.find(|(queue, _)| {
                    *queue.broker_name == *item.bname && queue.queue_id == item.queue_id
                });
                found.map(|(_, offsets)| offsets.max_offset)
            })
            .map_err(wrong)?;
        }
        self.tell(&plan, &to, told).await?;
        let moved = |name: &&String| to.contains(*name) || from.contains(*name);
        let others = plan.broker_config_map.keys().filter(|name| !moved(name)).cloned().collect();
        self.tell(&plan, &others, told).await
    }

    async fn tell(
        &self,
        plan: &Plan,
        names: &BTreeSet<String>,
        told: &mut BTreeSet<String>,
    ) -> Result<(), Failure> {
        for name in names {
            let Some(Part { config, mapping_detail: Some(mapping) }) =
                plan.broker_config_map.get(name)
            else {
                continue;
            };
            let header = UpdateAndCreateStaticTopic {
                topic: self.topic.into(),
                default_topic: ByteString::from_static("TBW102"),
                read_queue_nums: config.read_queue_nums,
                write_queue_nums: config.write_queue_nums,
                perm: config.perm,
                topic_filter_type: ByteString::from_static(config.topic_filter_type.name()),
                topic_sys_flag: Some(config.topic_sys_flag),
                order: config.order,
                attributes: None,
                force: Some(self.force),
            };
            let body = json::to_vec(mapping);
            self.context.cluster.broker_with(self.master(name)?, &header, body).await?;
            told.insert(name.clone());
        }
        Ok(())
    }
}
