//! What a broker keeps, and the work it does by itself.

mod counting;
mod options;
mod registering;
mod service;
mod timed;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use bytestring::ByteString;
use skua_acl::{Book, BookError};
use skua_config::{Properties, Settings};
use skua_ha::Replicas;
use skua_protocol::body::{DataVersion, PERM_WRITE, SubscriptionData};
use skua_protocol::message_id::{MessageId, UniqueIdSource};
use skua_protocol::service::{BoxFuture, Outcome};
use skua_protocol::{Command, Millis, PhysicalOffset, QueueId};
use skua_store::{Store, is_lmq};

use crate::client::{Brought, Consumers, Producers};
use crate::cold_data::{self, ColdData};
use crate::consumer_offsets::{self, ConsumerOffsets};
use crate::delay::{self, DelayLevels, SaveRules};
use crate::files::{ConfigFile, Files};
use crate::filters::Filters;
use crate::group_table::{AutoCreateGroups, GroupTable};
use crate::limits::Limits;
use crate::lite::Lite;
use crate::long_poll::{LongPolls, PARKED_MAX};
use crate::names::{self, SystemTopics};
use crate::pop::{Pop, modes, order};
use crate::queue_locks::QueueLocks;
use crate::reached::Reached;
use crate::registration::Identity;
use crate::replication::SlaveState;
use crate::request::ParkedPull;
use crate::retention::retention_rules;
use crate::role::{Role, RoleState, role_at_start};
use crate::sql92::bloom::Bloom;
use crate::sql92::consumer_filters;
use crate::static_topics::{self, StaticTopics};
use crate::stats::Counters;
use crate::swap_map::lock;
use crate::tables::{self, Tables};
use crate::topic_table::{SystemTopicOptions, TopicTable};
use crate::transaction::Transactions;
use crate::users::{self, ChangeError, Users};
use crate::waiting::{Deadlines, Sleep};

pub(crate) use counting::Moved;
use options::UpdateError;
pub use options::{BrokerOptions, CallFailed, OpenError, Outside};

const TOPICS_FILE: &str = "topics.json";
const GROUPS_FILE: &str = "subscriptionGroup.json";

/// A topic that has fewer queues now may have had as many before.
const QUEUES_ASKED_MAX: i32 = 1024;

pub struct Broker {
    settings: ArcSwap<Settings>,
    settings_version: Mutex<DataVersion>,
    identity: Identity,
    ip: String,
    store_host: SocketAddr,
    region: ByteString,
    unique_ids: UniqueIdSource,
    unique_counter: AtomicU16,
    queue_counter: AtomicU32,
    started: Millis,
    /// The latest time anyone told.
    told: AtomicI64,
    /// When the timed work comes next, as far as the shell knows.
    next_due: AtomicI64,
    /// When consumer offsets are written next; `i64::MAX`: they are not.
    offsets_due: AtomicI64,
    /// The next sample of what is counted; [`counting::NO_TICK`] while there is nothing.
    next_tick: AtomicU64,
    last_counted: AtomicI64,
    stopping: AtomicBool,
    /// Held while timed work runs.
    pub(crate) running: Mutex<()>,
    outside: Arc<dyn Outside>,
    deadlines: Arc<Deadlines>,
    offsets_file: ConfigFile,
    /// Written beside it, so that light queues may be turned on and off.
    light_offsets_file: Option<ConfigFile>,

    pub(crate) store: Arc<Store>,
    pub(crate) role: Arc<RoleState>,
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) slave_state: SlaveState,
    pub(crate) topics: TopicTable,
    pub(crate) system_topics: SystemTopics,
    pub(crate) groups: GroupTable,
    pub(crate) offsets: ConsumerOffsets,
    pub(crate) tables: Tables,
    pub(crate) filters: Arc<Filters>,
    pub(crate) cold_data: Mutex<ColdData>,
    pub(crate) limits: Limits,
    pub(crate) static_topics: StaticTopics,
    pub(crate) consumers: Consumers,
    pub(crate) brought: Brought,
    pub(crate) producers: Producers,
    pub(crate) locks: QueueLocks,
    pub(crate) long_polls: LongPolls<ParkedPull>,
    pub(crate) delay: DelayLevels,
    pub(crate) pop: Pop,
    pub(crate) lite: Lite,
    pub(crate) transactions: Transactions,
    pub(crate) counters: Counters,
    pub(crate) users: Users,
    pub(crate) reached: Reached,
}

impl Broker {
    /// Reads the tables of `config/` and makes what every broker has.
    pub fn new(options: BrokerOptions, now: Millis) -> Result<Arc<Self>, OpenError> {
        let BrokerOptions {
            settings,
            store,
            outside,
            address,
            broker_addr,
            replicas,
            ha_address,
            process_id,
            salt,
        } = options;
        let files: Arc<dyn Files> = Arc::new(options::StoreFiles(store.config_files()));
        let file = |name| ConfigFile::new(files.clone(), name);
        let (broker, stored) = (&settings.broker, &settings.store);

        let trace_topic = broker.trace_topic_enable.then_some(broker.msg_trace_topic_name.as_str());
        let system = SystemTopicOptions {
            cluster: &broker.broker_cluster_name,
            broker_name: &broker.broker_name,
            auto_create_topics: broker.auto_create_topic_enable,
            default_queues: broker.default_topic_queue_nums,
            cluster_topic: broker.cluster_topic_enable,
            broker_topic: broker.broker_topic_enable,
            trace_topic,
            revive_queues: broker.revive_queue_num,
            timer_wheel: stored.timer_wheel_enable,
            light_queues: stored.enable_lmq,
        };
        let topics = TopicTable::open(file(TOPICS_FILE), &system, now)?;
        let groups = GroupTable::open(file(GROUPS_FILE), now)?;

        let version_step = |step: i64| u64::try_from(step).unwrap_or(1);
        let step = version_step(broker.consumer_offset_update_version_step);
        let offsets = ConsumerOffsets::new(step, now);
        let offsets_file = file(consumer_offsets::FILE);
        let light_offsets_file = stored.enable_lmq.then(|| file(consumer_offsets::LIGHT_FILE));
        let has_loaded = match &light_offsets_file {
            Some(light) => {
                offsets.has_light_queues();
                groups.has_light_queues();
                offsets.load(light)?
            }
            None => false,
        };
        if !has_loaded {
            offsets.load(&offsets_file)?;
        }
        let role = role_at_start(&settings);
        if role != Role::Master {
            offsets.keep_local_commits();
        }
        if store.has_gate() {
            offsets.loaded_is_local();
        }

        let bloom = Bloom::new(
            broker.max_error_rate_of_bloom_filter,
            broker.expect_consumer_num_use_filter,
        )?;
        let filters = Arc::new(Filters::open(bloom, file(consumer_filters::FILE), now)?);

        let delays = delay::parse_levels(&stored.message_delay_level)?;
        let rules = SaveRules {
            interval_ms: stored.flush_delay_offset_interval,
            version_step: version_step(broker.delay_offset_update_version_step),
        };
        let delay = DelayLevels::open(&delays, file(delay::FILE), rules, now)?;

        let static_topics =
            StaticTopics::open(&broker.broker_name, file(static_topics::FILE), now)?;
        store.set_read_ahead(stored.data_read_ahead_enable);
        let pop = Pop::open(
            names::revive_topic(&broker.broker_cluster_name),
            u32::try_from(broker.revive_queue_num).unwrap_or(1),
            file(order::FILE),
            file(modes::FILE),
        )?;

        let (tables, holders) = Tables::open(file(tables::FILE))?;
        let locks = QueueLocks::default();
        if store.has_gate() {
            locks.take_masters(&holders);
        }
        let users = Users::open(file(users::FILE).private(), &settings.auth)?;
        let identity = Identity {
            broker_name: broker.broker_name.clone(),
            broker_addr,
            cluster_name: broker.broker_cluster_name.clone(),
            ha_server_addr: ha_address,
        };
        let expire_after_ms = broker.channel_expired_timeout;
        let transactions = Transactions::new();
        let broker = Self {
            system_topics: SystemTopics::new(
                &broker.broker_cluster_name,
                &broker.broker_name,
                trace_topic,
            ),
            ip: broker.broker_ip1.clone(),
            region: broker.region_id.as_str().into(),
            identity,
            store_host: address,
            unique_ids: UniqueIdSource { ip: address.ip(), process_id, salt },
            unique_counter: AtomicU16::new(0),
            queue_counter: AtomicU32::new(0),
            started: now,
            told: AtomicI64::new(now.0),
            next_due: AtomicI64::new(i64::MAX),
            offsets_due: AtomicI64::new(i64::MAX),
            next_tick: AtomicU64::new(counting::NO_TICK),
            last_counted: AtomicI64::new(now.0),
            stopping: AtomicBool::new(false),
            running: Mutex::default(),
            outside,
            deadlines: Arc::default(),
            offsets_file,
            light_offsets_file,
            store,
            role: Arc::new(RoleState::new(role)),
            replicas,
            slave_state: SlaveState::default(),
            topics,
            groups,
            offsets,
            tables,
            filters,
            cold_data: Mutex::default(),
            limits: Limits::default(),
            static_topics,
            consumers: Consumers::new(expire_after_ms),
            brought: Brought::default(),
            producers: Producers::new(expire_after_ms),
            locks,
            long_polls: LongPolls::new(PARKED_MAX),
            delay,
            pop,
            lite: Lite::new(now),
            transactions,
            counters: Counters::default(),
            users,
            reached: Reached::default(),
            settings_version: Mutex::new(DataVersion::new(now)),
            settings: ArcSwap::from(settings),
        };
        broker.tell_topics();
        if broker.settings().broker.enable_calc_filter_bit_map {
            let filters = broker.filters.clone();
            let bits = move |topic: &str, properties: skua_protocol::properties::Properties<'_>| {
                filters.bit_map(topic, properties)
            };
            broker.store.calculate_bit_maps(Box::new(bits));
        }
        broker.recover_pops(broker.store.recovered().was_killed, now);
        Ok(Arc::new(broker))
    }

    /// Users and their rules; what is loaded from it follows every change.
    pub fn book(&self) -> &Arc<ArcSwap<Book>> {
        self.users.book()
    }

    /// Changes users and rules other than by request.
    pub fn change_book(
        &self,
        change: impl FnOnce(&Book) -> Result<Book, BookError>,
    ) -> Result<(), ChangeError> {
        self.users.change(change)
    }

    pub(crate) fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    pub(crate) fn settings_version(&self) -> DataVersion {
        *lock(&self.settings_version)
    }

    /// Takes over new values of keys; all or none.
    pub(crate) fn update_settings(
        &self,
        changes: &Properties,
        now: Millis,
    ) -> Result<(), UpdateError> {
        let mut version = lock(&self.settings_version);
        let settings = self.settings.load().updated(changes)?;
        self.outside.save_settings(&settings)?;
        self.store.set_retention(retention_rules(&settings.store));
        self.store.set_read_ahead(settings.store.data_read_ahead_enable);
        tracing::info!(?changes, "configuration changed by request");
        self.settings.store(Arc::new(settings));
        version.bump(now);
        Ok(())
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    pub(crate) fn name(&self) -> &str {
        &self.identity.broker_name
    }

    /// `brokerIP1`, as remarks name the broker.
    pub(crate) fn ip(&self) -> String {
        self.ip.clone()
    }

    /// Where clients reach the broker: `ip:port`.
    pub(crate) fn address(&self) -> String {
        self.identity.broker_addr.clone()
    }

    /// Where slaves reach the broker.
    pub(crate) fn ha_address(&self) -> String {
        self.identity.ha_server_addr.clone()
    }

    pub(crate) fn outside(&self) -> &dyn Outside {
        &*self.outside
    }

    /// The advertised address, which message ids hold.
    pub(crate) fn store_host(&self) -> SocketAddr {
        self.store_host
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    pub(crate) fn started(&self) -> Millis {
        self.started
    }

    pub(crate) fn may_write(&self) -> bool {
        self.settings().broker.broker_permission & PERM_WRITE != 0
    }

    pub(crate) fn auto_create_groups(&self) -> AutoCreateGroups {
        let settings = self.settings();
        AutoCreateGroups {
            users: settings.broker.auto_create_subscription_group,
            systems: settings.broker.enable_create_sys_group,
        }
    }

    /// Asks another broker of the cluster, as `forwardTimeout` lets it.
    pub(crate) fn call_broker(
        &self,
        name: &str,
        request: Command,
    ) -> BoxFuture<Result<Command, String>> {
        let timeout_ms = self.settings().broker.forward_timeout;
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        self.outside.call_broker(name, request, timeout_ms)
    }

    pub(crate) fn cold_rules(&self) -> cold_data::Rules {
        let settings = self.settings();
        cold_data::Rules {
            enabled: settings.store.cold_data_flow_control_enable,
            group_bytes: settings.broker.cg_cold_read_threshold,
            all_bytes: settings.broker.global_cold_read_threshold,
            adaptive: settings.broker.cold_ctr_strategy_enable,
            by_control_loop: settings.broker.use_pid_cold_ctr_strategy,
        }
    }

    /// Whether clients are told of changes in their groups at all.
    pub(crate) fn notifies_clients(&self) -> bool {
        self.settings().broker.notify_consumer_ids_changed_enable
    }

    pub(crate) fn notifies_group(&self, group: &str) -> bool {
        let wants = self.groups.get(group);
        self.notifies_clients()
            && wants.is_none_or(|config| config.notify_consumer_ids_changed_enable)
    }

    /// A queue that may have messages. Requests may ask after any topic and number; those that
    /// cannot be must not cost memory in the store.
    pub(crate) fn queue(&self, topic: &str, queue: i32) -> Option<QueueId> {
        let found = self.topics.get(topic)?;
        if is_lmq(topic) && self.store.max_offset(topic, QueueId(0)).is_none() {
            return None;
        }
        let config = &found.config;
        let most = config.write_queue_nums.max(config.read_queue_nums).max(QUEUES_ASKED_MAX);
        u32::try_from(queue).ok().filter(|_| queue < most).map(QueueId)
    }

    /// One of a topic's queues, for a message whose sender does not care: each in turn.
    pub(crate) fn any_queue(&self, queues: i32) -> i32 {
        match u32::try_from(queues) {
            Ok(queues @ 1..) => {
                (self.queue_counter.fetch_add(1, Ordering::Relaxed) % queues) as i32
            }
            _ => 0,
        }
    }

    /// An id for a message whose sender gave none. Java counts from the start of the month, so
    /// that ids tell their day to mqadmin; so does this, in UTC.
    pub(crate) fn unique_id(&self, now: Millis) -> MessageId {
        let counter = self.unique_counter.fetch_add(1, Ordering::Relaxed);
        self.unique_ids.id(since_month_start(now), counter)
    }

    /// The latest time that a request, an arrival or the timed work told.
    pub(crate) fn time_told(&self) -> Millis {
        Millis(self.told.load(Ordering::Relaxed))
    }

    fn tell_time(&self, now: Millis) {
        self.told.store(now.0, Ordering::Relaxed);
    }

    /// Topics may have become such whose queues are of the batch kind, or that are compacted; the
    /// store is to know before their first message.
    pub(crate) fn tell_topics(&self) {
        let compacts = self.settings().store.enable_compaction;
        let mut compacted = Vec::new();
        self.topics.for_each(|topic| {
            if topic.config.has_batch_queues() {
                self.store.set_batch_topic(&topic.config.topic_name);
            }
            if compacts && topic.config.is_compacted() {
                compacted.push(topic.config.topic_name.clone());
            }
        });
        self.store.set_compacted_topics(compacted);
    }

    /// Whether the end has begun: nothing is to wait any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Makes sure that the timed work runs at `at`.
    pub(crate) fn wake_at(&self, at: Millis) {
        if self.next_due.fetch_min(at.0, Ordering::SeqCst) > at.0 {
            self.outside.wake(at);
        }
    }

    pub(crate) fn wake_for_clients(&self, now: Millis) {
        self.wake_at(now.plus(crate::client::SCAN_EVERY_MS));
    }

    /// Offsets changed: they are written within `flushConsumerOffsetInterval`.
    pub(crate) fn wake_to_save_offsets(&self, now: Millis) {
        self.wake_to_log_tables(now);
        if self.offsets_due.load(Ordering::Relaxed) == i64::MAX {
            let interval = i64::from(self.settings().broker.flush_consumer_offset_interval);
            let at = now.plus(interval);
            self.offsets_due.fetch_min(at.0, Ordering::Relaxed);
            self.wake_at(at);
        }
    }

    /// As [`when_safe`](Self::when_safe), for entries of the revive topic: Java's answers do not
    /// tell that it took too long.
    pub(crate) fn when_kept(self: &Arc<Self>, end: PhysicalOffset, answer: Command) -> Outcome {
        let code = answer.code;
        match self.when_safe(&self.settings(), answer, end, self.time_told()) {
            Outcome::Later(later) => {
                Outcome::Later(Box::pin(async move { Command { code, ..later.await } }))
            }
            Outcome::Reply(answer) => Outcome::Reply(Command { code, ..answer }),
            outcome @ Outcome::Blocking(_) => outcome,
        }
    }

    /// What a group wants of a topic: as its heartbeats say, else as its pulls and pops do.
    pub(crate) fn subscription_data(
        &self,
        group: &str,
        topic: &str,
        now: Millis,
    ) -> Option<SubscriptionData> {
        if let Some(subscription) = self.consumers.subscription(group, topic) {
            return Some(subscription.data.clone());
        }
        let expire_after_ms = self.settings().broker.subscription_expired_timeout;
        self.brought.find(group, topic, expire_after_ms, now)
    }

    /// A pull or pop brings what its group wants of a topic: the kind of expression, and the
    /// expression.
    pub(crate) fn note_subscription(
        &self,
        group_and_topic: (&str, &str),
        wants: (&str, &str),
        now: Millis,
    ) {
        let expire_after_ms = self.settings().broker.subscription_expired_timeout;
        self.brought.note(group_and_topic, wants, expire_after_ms, now);
    }

    /// A moment as `yyyy-MM-dd#HH:mm:ss:SSS` in the machine's time zone.
    pub(crate) fn local_text(&self, at: Millis) -> String {
        self.outside.local_text(at)
    }

    /// A future that ends at `at`.
    pub(crate) fn sleep_until(&self, at: Millis) -> Sleep {
        let sleep = self.deadlines.sleep_until(at);
        self.wake_at(at);
        sleep
    }
}

/// Milliseconds since the start of the month, in UTC.
fn since_month_start(now: Millis) -> u32 {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let days = now.0.div_euclid(DAY_MS);
    // Day of the month from a day number: Howard Hinnant, "chrono-compatible low-level date
    // algorithms"; years begin in March there.
    let era_day = (days + 719_468).rem_euclid(146_097);
    let era_year = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let march_month = (5 * year_day + 2) / 153;
    let day = year_day - (153 * march_month + 2) / 5;
    // At most 31 days of milliseconds, which fit.
    (day * DAY_MS + now.0.rem_euclid(DAY_MS)) as u32
}

#[cfg(test)]
mod tests;
