//! A slave's copies of its master's tables: asked for as RocketMQ's slaves do, from a Skua master
//! as soon as it says that they changed. And the way back: offsets committed here while the
//! master was away.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytestring::ByteString;
use skua_broker::{Broker, Role, copied_at};
use skua_ha::Versions;
use skua_protocol::body::{
    ConsumerOffsets, MessageRequestModes, SubscriptionGroupTable, TopicConfigSerializeWrapper,
};
use skua_protocol::header::Fields;
use skua_protocol::request::{GetAllSubscriptionGroupConfig, GetAllTopicConfig};
use skua_protocol::{Command, RequestCode, ResponseCode, json};
use skua_remoting::Client;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{MasterNews, Place, until_role};
use crate::clock;

/// Time for one answer.
const CALL_MS: u64 = 3_000;
/// How often everything is asked for unasked; Java's slave: 60 s.
const EVERYTHING: Duration = Duration::from_secs(5);
/// Least pause between two looks, and the pause as a multiple of what the last one took.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_FACTOR: u32 = 10;
/// How often a Skua master's timer is asked for, and offsets committed here are looked for.
const TICK: Duration = Duration::from_millis(500);
/// Topics or groups in one answer, as Java's slave asks.
const PAGE: i32 = 2000;
/// Offsets sent back in one go.
const COMMITS_MAX: usize = 1000;

/// As [`copy`], whenever the broker is a slave.
pub(in crate::role) async fn copy_while_slave(
    broker: Arc<Broker>,
    place: watch::Receiver<Place>,
    news: watch::Receiver<MasterNews>,
    client: Client,
) {
    loop {
        until_role(&broker, |role| matches!(role, Role::Slave(_))).await;
        tokio::select! {
            () = copy(broker.clone(), place.clone(), news.clone(), client.clone()) => return,
            () = until_role(&broker, |role| !matches!(role, Role::Slave(_))) => {}
        }
    }
}

pub(super) async fn copy(
    broker: Arc<Broker>,
    place: watch::Receiver<Place>,
    mut news: watch::Receiver<MasterNews>,
    client: Client,
) {
    let mut tables = Tables::new(broker, client);
    let mut everything = Instant::now();
    let mut connection = 0;
    loop {
        let began = Instant::now();
        let told = *news.borrow_and_update();
        if told.connection != connection || began >= everything {
            connection = told.connection;
            tables.have = None;
            everything = began + EVERYTHING;
        }
        let addr = address(&place.borrow());
        if let Some(addr) = addr {
            tables.copy_all(&addr, told.versions).await;
        }
        let pause = PAUSE.max(began.elapsed() * PAUSE_FACTOR).min(EVERYTHING);
        sleep_until(Instant::now() + pause).await;
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = sleep_until(everything) => {}
            // Commits made here and the master's timer do not wake anyone. Who does not say what
            // changed is not asked for everything that often.
            () = sleep_until(Instant::now() + TICK), if told.versions.is_some() => {}
        }
    }
}

/// Where to ask. A slave that knows only `haMasterAddress` takes the port before, RocketMQ's rule
/// for `haListenPort` the other way round.
fn address(place: &Place) -> Option<String> {
    place.address.clone().or_else(|| {
        let (host, port) = place.ha.as_deref()?.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        Some(format!("{host}:{}", port.checked_sub(1)?))
    })
}

struct Tables {
    broker: Arc<Broker>,
    client: Client,
    /// What the tables here are copies of; `None`: anything.
    have: Option<Versions>,
    was_well: Option<bool>,
}

/// Copies everything once more, for a slave that is about to become master.
pub(in crate::role) async fn copy_once(
    broker: Arc<Broker>,
    client: Client,
    addr: &str,
) -> anyhow::Result<()> {
    let tables = Tables::new(broker, client);
    tables.copy_changed(addr, None).await?;
    tables.held(addr).await.context("ordered pops and queue locks")
}

impl Tables {
    fn new(broker: Arc<Broker>, client: Client) -> Self {
        Self { broker, client, have: None, was_well: None }
    }

    async fn copy_all(&mut self, addr: &str, versions: Option<Versions>) {
        let copied = self.copy_changed(addr, versions).await;
        let well = copied.is_ok();
        if self.was_well.replace(well) != Some(well) {
            match copied {
                Ok(()) => tracing::info!(master = addr, "tables are copied"),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(master = addr, error, "tables cannot be copied");
                }
            }
        }
        self.have = if well { versions } else { None };
    }

    async fn copy_changed(&self, addr: &str, versions: Option<Versions>) -> anyhow::Result<()> {
        let broker = &self.broker;
        let changed = |part: fn(&Versions) -> u64| match (&self.have, &versions) {
            (Some(have), Some(now)) => part(have) != part(now),
            _ => true,
        };
        if changed(|versions| versions.topics) {
            let (table, at) = self.topics(addr).await.context("topics")?;
            broker.take_topics(table, at)?;
        }
        if changed(|versions| versions.groups) {
            let (table, at) = self.groups(addr).await.context("subscription groups")?;
            broker.take_groups(table, at)?;
        }
        let commits = broker.local_commits();
        if changed(|versions| versions.offsets) || !commits.is_empty() {
            let request = Command::raw_request(RequestCode::GetAllConsumerOffset, Fields::new());
            let answer = self.call(addr, request).await?;
            let table = json::from_slice::<ConsumerOffsets>(&answer.body);
            let table = table.context("consumer offsets")?;
            broker.take_offsets(table, copied_at(&answer), clock::now());
            self.send_back(addr).await.context("offsets committed here")?;
        }
        if changed(|versions| versions.delays) {
            let body = self.body(addr, RequestCode::GetAllDelayOffset).await?;
            if !body.is_empty() {
                broker.take_delays(&body).context("progress of delayed messages")?;
            }
        }
        if changed(|versions| versions.others) {
            let body = self.body(addr, RequestCode::GetAllMessageRequestMode).await?;
            let modes = json::from_slice::<MessageRequestModes>(&body).context("request modes")?;
            broker.take_modes(modes)?;
            // No other master knows the request.
            if versions.is_some() {
                self.held(addr).await.context("ordered pops and queue locks")?;
            }
        }
        if broker.has_timer() {
            // Masters of RocketMQ 4 have none.
            if let Err(error) = self.timer(addr).await {
                let error = format!("{error:#}");
                tracing::debug!(master = addr, error, "the timer's state cannot be copied");
            }
        }
        Ok(())
    }

    async fn timer(&self, addr: &str) -> anyhow::Result<()> {
        let checkpoint = self.body(addr, RequestCode::GetTimerCheckPoint).await?;
        let metrics = self.body(addr, RequestCode::GetTimerMetrics).await?;
        self.broker.take_timer(&checkpoint, &metrics, clock::now())?;
        Ok(())
    }

    /// What ordered pops and queue locks hold; older masters do not tell.
    async fn held(&self, addr: &str) -> anyhow::Result<()> {
        let request = Command::raw_request(RequestCode::GetAllHeld, Fields::new());
        let answer = self.client.call(addr, request, CALL_MS).await?;
        if answer.code == ResponseCode::RequestCodeNotSupported as i32 {
            return Ok(());
        }
        let answer = accepted(RequestCode::GetAllHeld as i32, answer)?;
        self.broker.take_held(&answer.body, copied_at(&answer), clock::now())?;
        Ok(())
    }

    /// The body of an answer to a request without fields.
    async fn body(&self, addr: &str, code: RequestCode) -> anyhow::Result<bytes::Bytes> {
        self.call(addr, Command::raw_request(code, Fields::new())).await.map(|answer| answer.body)
    }

    async fn call(&self, addr: &str, request: Command) -> anyhow::Result<Command> {
        let code = request.code;
        accepted(code, self.client.call(addr, request, CALL_MS).await?)
    }

    async fn topics(
        &self,
        addr: &str,
    ) -> anyhow::Result<(TopicConfigSerializeWrapper, Option<u64>)> {
        let mut table: Option<TopicConfigSerializeWrapper> = None;
        let mut at = None;
        loop {
            let (have, version) = match &table {
                Some(table) => (table.topic_config_table.len(), version_text(&table.data_version)),
                None => (0, ByteString::new()),
            };
            let header = GetAllTopicConfig {
                topic_seq: i32::try_from(have).ok(),
                max_topic_num: Some(PAGE),
                data_version: Some(version),
            };
            let answer = self.call(addr, Command::request(&header)).await?;
            let page: TopicConfigSerializeWrapper = json::from_slice(&answer.body)?;
            let given = page.topic_config_table.len();
            let table = match &mut table {
                Some(table) if table.data_version == page.data_version => {
                    table.topic_config_table.extend(page.topic_config_table);
                    table
                }
                // The first, or the table changed between two pages.
                table => {
                    at = copied_at(&answer);
                    table.insert(page)
                }
            };
            let total = total(&answer, "totalTopicNum");
            if given == 0 || total.is_none_or(|total| table.topic_config_table.len() >= total) {
                return Ok((std::mem::take(table), at));
            }
        }
    }

    async fn groups(&self, addr: &str) -> anyhow::Result<(SubscriptionGroupTable, Option<u64>)> {
        let mut table: Option<SubscriptionGroupTable> = None;
        let mut at = None;
        loop {
            let (have, version) = match &table {
                Some(table) => {
                    (table.subscription_group_table.len(), version_text(&table.data_version))
                }
                None => (0, ByteString::new()),
            };
            let header = GetAllSubscriptionGroupConfig {
                group_seq: i32::try_from(have).ok(),
                max_group_num: Some(PAGE),
                data_version: Some(version),
            };
            let answer = self.call(addr, Command::request(&header)).await?;
            let page: SubscriptionGroupTable = json::from_slice(&answer.body)?;
            let given = page.subscription_group_table.len();
            let table = match &mut table {
                Some(table) if table.data_version == page.data_version => {
                    table.subscription_group_table.extend(page.subscription_group_table);
                    table.forbidden_table.extend(page.forbidden_table);
                    table
                }
                table => {
                    at = copied_at(&answer);
                    table.insert(page)
                }
            };
            let total = total(&answer, "totalGroupNum");
            if given == 0 || total.is_none_or(|total| table.subscription_group_table.len() >= total)
            {
                return Ok((std::mem::take(table), at));
            }
        }
    }

    /// Tells the master what was committed here and is further than what it has.
    async fn send_back(&self, addr: &str) -> anyhow::Result<()> {
        for commit in self.broker.local_commits().into_iter().take(COMMITS_MAX) {
            let request = self.broker.hand_on(&commit);
            let answer = self.client.call(addr, request, CALL_MS).await?;
            self.broker.handed_on(&commit, &answer);
        }
        Ok(())
    }
}

fn accepted(code: i32, answer: Command) -> anyhow::Result<Command> {
    ensure!(
        answer.code == ResponseCode::Success as i32,
        "request {code} was answered {}: {}",
        answer.code,
        answer.remark.as_deref().unwrap_or("")
    );
    Ok(answer)
}

fn version_text(version: &skua_protocol::body::DataVersion) -> ByteString {
    String::from_utf8(json::to_vec(version)).unwrap_or_default().into()
}

fn total(answer: &Command, field: &str) -> Option<usize> {
    answer.fields.get(field)?.parse().ok()
}
