//! What is measured: the works, and how servers are set up for them.

/// How the servers of a group of works are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// One broker, asynchronous flush.
    Plain,
    /// One broker, a send is answered when it is on disk.
    SyncFlush,
    /// Master and slave, the master does not wait.
    AsyncReplication,
    /// Master and slave, a send is answered when both have it.
    DoubleWrite,
    /// Three nodes that elect their master, a send is answered when most have it.
    Raft,
    /// One broker whose old messages are on the disk alone: it is started anew for each run.
    Cold,
    /// One broker with thousands of topics.
    ManyTopics,
    /// One broker that did nothing else before.
    Fresh,
    /// A name server alone.
    NameServer,
}

impl Setup {
    pub const ALL: [Self; 9] = [
        Self::Plain,
        Self::SyncFlush,
        Self::AsyncReplication,
        Self::DoubleWrite,
        Self::Raft,
        Self::Cold,
        Self::ManyTopics,
        Self::Fresh,
        Self::NameServer,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "one broker, asynchronous flush",
            Self::SyncFlush => "one broker, synchronous flush",
            Self::AsyncReplication => "master and slave, asynchronous",
            Self::DoubleWrite => "master and slave, double write",
            Self::Raft => "three nodes by Raft",
            Self::Cold => "one broker, old messages on the disk",
            Self::ManyTopics => "one broker, thousands of topics",
            Self::Fresh => "one broker, fresh",
            Self::NameServer => "name server",
        }
    }
}

impl Load {
    /// Whether new messages come as fast as the server takes them.
    pub fn fills_memory(self) -> bool {
        match self {
            Self::Send { .. } | Self::BesideReader { .. } | Self::Transactions { .. } => true,
            Self::Tail { rate, .. } => rate.is_none(),
            _ => false,
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub name: &'static str,
    pub setup: Setup,
    pub load: Load,
    /// The least share of the floor's rate that Skua has to reach with `--gate`; well below what
    /// it does even on a busy machine, so that only a real loss is noticed.
    pub gate: Option<f64>,
    /// Of what is measured where that is no rate.
    pub unit: Option<&'static str>,
    /// Only in the first round: memory that a server has taken stays.
    pub once: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// A number of sends always in flight.
    Send { size: u32, in_flight: u32, batch: u32, topics: u32 },
    /// Everything of a topic from its beginning, read by so many pulls at once. The topic is filled
    /// once with messages of this size.
    CatchUp { size: u32, pulls: u32, queues: u32 },
    /// The same by a consumer that wants one message of a hundred.
    Filter { by: FilterBy },
    /// Sends by the clock, and a consumer that follows: the time from when a message was due to
    /// when it arrives.
    EndToEnd { rate: Rate },
    /// So many consumers follow 256 queues, shared out among them: sends as fast as they are
    /// answered, or so many a second by the clock.
    Tail { consumers: u32, rate: Option<u32> },
    /// As [`Load::CatchUp`], of 256 queues that are not in memory.
    Cold { pulls: u32 },
    /// 64 sends in flight, with a reader of such queues or without.
    BesideReader { reader: bool },
    /// So many pops at once, each message acknowledged.
    Pop { in_flight: u32 },
    /// Half messages, each committed.
    Transactions { in_flight: u32 },
    /// Messages of delay level 1, and how late they come.
    Delayed,
    /// Messages that are all due at one moment, and when all have come.
    Timers,
    /// Connections that do nothing: memory for each.
    Connections { count: u32 },
    /// From a start after `kill -9` to the first message taken.
    Recover { mib: u64 },
    /// Simulated brokers register with a name server.
    Register { brokers: u32, topics: u32 },
    /// Clients ask it for routes.
    Routes { brokers: u32, topics: u32 },
}

#[derive(Clone, Copy, Debug)]
pub enum FilterBy {
    Tag,
    Sql,
}

#[derive(Clone, Copy, Debug)]
pub enum Rate {
    /// Messages a second.
    Fixed(u32),
    /// A share of what the server was measured to take and give.
    OfCapacity { percent: f64 },
}

const fn send(
    setup: Setup,
    name: &'static str,
    size: u32,
    in_flight: u32,
    batch: u32,
    topics: u32,
) -> Work {
    of(setup, name, Load::Send { size, in_flight, batch, topics })
}

const fn of(setup: Setup, name: &'static str, load: Load) -> Work {
    Work { name, setup, load, gate: None, unit: None, once: false }
}

const fn other(name: &'static str, load: Load) -> Work {
    of(Setup::Plain, name, load)
}

const fn catch_up(size: u32, pulls: u32, queues: u32) -> Load {
    Load::CatchUp { size, pulls, queues }
}

const fn of_capacity(percent: f64) -> Load {
    Load::EndToEnd { rate: Rate::OfCapacity { percent } }
}

const fn tail(consumers: u32, rate: Option<u32>) -> Load {
    Load::Tail { consumers, rate }
}

const fn valued(unit: &'static str, work: Work) -> Work {
    Work { unit: Some(unit), ..work }
}

const fn once(work: Work) -> Work {
    Work { once: true, ..work }
}

const fn gated(least: f64, work: Work) -> Work {
    Work { gate: Some(least), ..work }
}

/// Names stand in the table and in `results.json`.
pub const WORKS: &[Work] = &[
    gated(0.35, send(Setup::Plain, "send 1 KiB, 1 in flight", 1024, 1, 1, 1)),
    gated(0.08, send(Setup::Plain, "send 1 KiB, 16 in flight", 1024, 16, 1, 1)),
    gated(0.05, send(Setup::Plain, "send 1 KiB, 256 in flight", 1024, 256, 1, 1)),
    send(Setup::Plain, "send 1 KiB, 4096 in flight", 1024, 4096, 1, 1),
    send(Setup::Plain, "send 100 B, 256 in flight", 100, 256, 1, 1),
    send(Setup::Plain, "send 4 KiB, 256 in flight", 4096, 256, 1, 1),
    send(Setup::Plain, "send 64 KiB, 64 in flight", 65_536, 64, 1, 1),
    send(Setup::Plain, "send 1 MiB, 16 in flight", 1_048_576, 16, 1, 1),
    send(Setup::Plain, "send batches of 32 × 100 B, 16 in flight", 100, 16, 32, 1),
    send(Setup::Plain, "send 1 KiB to 64 topics, 256 in flight", 1024, 256, 1, 64),
    send(Setup::ManyTopics, "send 1 KiB to 10,000 topics, 256 in flight", 1024, 256, 1, 10_000),
    other("catch up 1 KiB, 1 pull", catch_up(1024, 1, 8)),
    gated(0.1, other("catch up 1 KiB, 8 pulls", catch_up(1024, 8, 8))),
    other("catch up 100 B, 8 pulls", catch_up(100, 8, 8)),
    other("catch up 1 KiB, 256 queues, 1 pull", catch_up(1024, 1, 256)),
    other("catch up 1 KiB, 256 queues, 16 pulls", catch_up(1024, 16, 256)),
    other("catch up 1 KiB, 256 queues, 256 pulls", catch_up(1024, 256, 256)),
    other("tail, 1 consumer, 256 sends in flight", tail(1, None)),
    other("tail, 16 consumers, 256 sends in flight", tail(16, None)),
    other("tail, 256 consumers, 256 sends in flight", tail(256, None)),
    other("tail, 1 consumer, at 10,000/s", tail(1, Some(10_000))),
    other("tail, 16 consumers, at 10,000/s", tail(16, Some(10_000))),
    other("tail, 256 consumers, at 10,000/s", tail(256, Some(10_000))),
    other("filter 1 % by tag, gone over", Load::Filter { by: FilterBy::Tag }),
    other("filter 1 % by SQL, gone over", Load::Filter { by: FilterBy::Sql }),
    other("POP and acknowledge, 1 at once", Load::Pop { in_flight: 1 }),
    other("POP and acknowledge, 16 at once", Load::Pop { in_flight: 16 }),
    other("transactions, 16 in flight", Load::Transactions { in_flight: 16 }),
    other("transactions, 256 in flight", Load::Transactions { in_flight: 256 }),
    other("delay level 1, 64 in flight; how late", Load::Delayed),
    valued("ms", other("50,000 timers due at once, 64 in flight; all there after", Load::Timers)),
    other("end to end at 1,000/s", Load::EndToEnd { rate: Rate::Fixed(1_000) }),
    other("end to end at 10,000/s", Load::EndToEnd { rate: Rate::Fixed(10_000) }),
    other("end to end at 10 % of capacity", of_capacity(10.0)),
    other("end to end at 50 % of capacity", of_capacity(50.0)),
    other("end to end at 80 % of capacity", of_capacity(80.0)),
    send(Setup::SyncFlush, "synchronous flush, 1 in flight", 1024, 1, 1, 1),
    send(Setup::SyncFlush, "synchronous flush, 16 in flight", 1024, 16, 1, 1),
    send(Setup::SyncFlush, "synchronous flush, 256 in flight", 1024, 256, 1, 1),
    send(Setup::AsyncReplication, "asynchronous slave, 1 in flight", 1024, 1, 1, 1),
    send(Setup::AsyncReplication, "asynchronous slave, 16 in flight", 1024, 16, 1, 1),
    send(Setup::AsyncReplication, "asynchronous slave, 64 in flight", 1024, 64, 1, 1),
    send(Setup::DoubleWrite, "double write, 1 in flight", 1024, 1, 1, 1),
    send(Setup::DoubleWrite, "double write, 16 in flight", 1024, 16, 1, 1),
    send(Setup::DoubleWrite, "double write, 64 in flight", 1024, 64, 1, 1),
    send(Setup::Raft, "Raft, 1 in flight", 1024, 1, 1, 1),
    send(Setup::Raft, "Raft, 16 in flight", 1024, 16, 1, 1),
    send(Setup::Raft, "Raft, 64 in flight", 1024, 64, 1, 1),
    of(Setup::Cold, "catch up cold, 256 queues, 1 pull", Load::Cold { pulls: 1 }),
    of(Setup::Cold, "catch up cold, 256 queues, 16 pulls", Load::Cold { pulls: 16 }),
    of(Setup::Cold, "catch up cold, 256 queues, 256 pulls", Load::Cold { pulls: 256 }),
    of(Setup::Cold, "send, 64 in flight, no reader", Load::BesideReader { reader: false }),
    valued(
        "read/s",
        of(Setup::Cold, "send, 64 in flight, cold reader", Load::BesideReader { reader: true }),
    ),
    once(valued(
        "kB",
        of(Setup::Fresh, "each of 10,000 idle connections", Load::Connections { count: 10_000 }),
    )),
    valued(
        "ms",
        of(Setup::Fresh, "first acknowledgement after kill -9, 2 GiB", Load::Recover { mib: 2048 }),
    ),
    valued(
        "MiB",
        of(
            Setup::NameServer,
            "name server, 1,000 brokers register 60,000 topics",
            Load::Register { brokers: 1000, topics: 60_000 },
        ),
    ),
    valued(
        "MiB",
        of(
            Setup::NameServer,
            "name server, routes of 60,000 topics, 64 in flight",
            Load::Routes { brokers: 1000, topics: 60_000 },
        ),
    ),
];
