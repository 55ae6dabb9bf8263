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
}

impl Setup {
    pub const ALL: [Self; 4] =
        [Self::Plain, Self::SyncFlush, Self::AsyncReplication, Self::DoubleWrite];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "one broker, asynchronous flush",
            Self::SyncFlush => "one broker, synchronous flush",
            Self::AsyncReplication => "master and slave, asynchronous",
            Self::DoubleWrite => "master and slave, double write",
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
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// A number of sends always in flight.
    Send { size: u32, in_flight: u32, batch: u32, topics: u32 },
    /// Everything of a topic from its beginning, read by so many pulls at once. The topic is filled
    /// once with messages of this size.
    CatchUp { size: u32, pulls: u32 },
    /// Sends by the clock, and a consumer that follows: the time from when a message was due to
    /// when it arrives.
    EndToEnd { rate: u32 },
}

const fn send(
    setup: Setup,
    name: &'static str,
    size: u32,
    in_flight: u32,
    batch: u32,
    topics: u32,
) -> Work {
    Work { name, setup, load: Load::Send { size, in_flight, batch, topics }, gate: None }
}

const fn other(name: &'static str, load: Load) -> Work {
    Work { name, setup: Setup::Plain, load, gate: None }
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
    other("catch up 1 KiB, 1 pull", Load::CatchUp { size: 1024, pulls: 1 }),
    gated(0.1, other("catch up 1 KiB, 8 pulls", Load::CatchUp { size: 1024, pulls: 8 })),
    other("catch up 100 B, 8 pulls", Load::CatchUp { size: 100, pulls: 8 }),
    other("end to end at 1,000/s", Load::EndToEnd { rate: 1_000 }),
    other("end to end at 10,000/s", Load::EndToEnd { rate: 10_000 }),
    send(Setup::SyncFlush, "synchronous flush, 1 in flight", 1024, 1, 1, 1),
    send(Setup::SyncFlush, "synchronous flush, 16 in flight", 1024, 16, 1, 1),
    send(Setup::SyncFlush, "synchronous flush, 256 in flight", 1024, 256, 1, 1),
    send(Setup::AsyncReplication, "asynchronous slave, 1 in flight", 1024, 1, 1, 1),
    send(Setup::AsyncReplication, "asynchronous slave, 16 in flight", 1024, 16, 1, 1),
    send(Setup::AsyncReplication, "asynchronous slave, 64 in flight", 1024, 64, 1, 1),
    send(Setup::DoubleWrite, "double write, 1 in flight", 1024, 1, 1, 1),
    send(Setup::DoubleWrite, "double write, 16 in flight", 1024, 16, 1, 1),
    send(Setup::DoubleWrite, "double write, 64 in flight", 1024, 64, 1, 1),
];
