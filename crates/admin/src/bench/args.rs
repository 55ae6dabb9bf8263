//! The arguments of `skua bench`.

use clap::{Parser, Subcommand, ValueEnum};
use skua_protocol::command::HeaderCodec;

/// Measure how fast a server takes or gives messages.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Send messages, a fixed number of them in flight.
    Produce(Produce),
    /// Fetch messages, from the beginning of each queue.
    Consume(Consume),
    /// Answer every request at once and do nothing else: the floor that servers are measured by.
    Echo(Echo),
    /// Open connections that say once who they are and then do nothing, until the input ends.
    Connect(Connect),
    /// Register simulated brokers with a name server, then ask it for routes.
    Namesrv(Namesrv),
}

#[derive(Debug, clap::Args)]
pub struct Echo {
    /// Where to listen; port 0 takes a free one. The address is printed.
    #[arg(short, long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Threads that answer.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
}

#[derive(Debug, clap::Args)]
pub struct Connect {
    /// The broker's address.
    #[arg(short, long)]
    pub broker: String,
    /// Connections, each a client of its own.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub count: u32,
    /// Consumer groups that they say they are of.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub groups: u32,
    /// What those groups subscribe to.
    #[arg(short, long, default_value = "SkuaBench")]
    pub topic: String,
    /// Seconds to wait for an answer before giving up.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub timeout: f64,
}

/// Its connections stay open until the input ends, for the name server forgets brokers that go.
#[derive(Debug, clap::Args)]
pub struct Namesrv {
    /// The name server, `host:port`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    pub namesrv: String,
    /// Brokers, each with a connection that registers as soon as the last time was answered.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub brokers: u32,
    /// Topics of all of them together.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub topics: u32,
    /// Questions for routes under way at any time.
    #[arg(short = 'i', long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: u32,
    /// Seconds measured of each of the two, after the warm-up.
    #[arg(short, long, default_value_t = 10.0, value_parser = seconds)]
    pub duration: f64,
    /// Seconds before the measuring begins.
    #[arg(short, long, default_value_t = 2.0, value_parser = seconds)]
    pub warm_up: f64,
    /// Seconds to wait for an answer before giving up.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub timeout: f64,
}

#[derive(Debug, clap::Args)]
pub struct Common {
    /// Name servers, `host:port` separated by `;`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    pub namesrv: String,
    /// A broker's address, to go without name servers.
    #[arg(short, long)]
    pub broker: Option<String>,
    /// The topic; made if it does not exist.
    #[arg(short, long, default_value = "SkuaBench")]
    pub topic: String,
    /// Queues of a topic that is made (with --broker also those that are used).
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=65535))]
    pub queues: i32,
    /// Requests under way at any time.
    #[arg(short = 'i', long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: u32,
    /// Connections they are spread over [default: one for each 64 in flight].
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: Option<u32>,
    /// Seconds measured, after the warm-up.
    #[arg(short, long, default_value_t = 10.0, value_parser = seconds)]
    pub duration: f64,
    /// Messages measured, in place of a duration.
    #[arg(long)]
    pub count: Option<u64>,
    /// Seconds before the measuring begins.
    #[arg(short, long, default_value_t = 2.0, value_parser = seconds)]
    pub warm_up: f64,
    /// Encoding of request headers.
    #[arg(long, value_enum, default_value_t = Header::Json)]
    pub header: Header,
    /// Seconds to wait for an answer before giving up.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub timeout: f64,
    /// Processes whose CPU time during the load is to be reported, the warm-up with it.
    #[arg(long = "cpu-of", value_name = "PID")]
    pub cpu_of: Vec<u32>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Produce {
    #[command(flatten)]
    pub common: Common,
    /// Bytes of each message.
    #[arg(short, long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=4 * 1024 * 1024))]
    pub size: u32,
    /// A tag for each message.
    #[arg(long)]
    pub tag: Option<String>,
    /// A property for each message; may be given several times.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// Of so many messages only one has the tag and the properties, the others have none.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub one_in: u32,
    /// Messages of each request; more than one are sent as a batch.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,
    /// Topics to send to in turn: the topic's name and a number.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub topics: u32,
    /// Requests a second, sent by the clock whether or not earlier ones are answered; times are
    /// counted from when a request was due. Without it the next leaves when one is answered.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// Send half messages, commit each, and count those that are committed.
    #[arg(long, conflicts_with_all = ["rate", "tag", "properties", "batch"])]
    pub transaction: bool,
}

#[derive(Debug, clap::Args)]
pub struct Consume {
    #[command(flatten)]
    pub common: Common,
    /// Most messages asked for at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub batch: i32,
    /// Start at the end of each queue and wait for new messages; says `following` on the error
    /// output when the ends are known.
    #[arg(short, long)]
    pub follow: bool,
    /// Only messages with this tag (`A || B` for several).
    #[arg(long, default_value = "*")]
    pub tag: String,
    /// Only messages for which this SQL expression is true.
    #[arg(long, conflicts_with = "tag")]
    pub sql: Option<String>,
    /// Pop and acknowledge each message, by a group of the run's own.
    #[arg(long, conflicts_with_all = ["follow", "tag", "sql", "rate"])]
    pub pop: bool,
    /// Pulls a second, by the clock; without it the next leaves when one is answered.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Header {
    Json,
    Binary,
}

impl From<Header> for HeaderCodec {
    fn from(header: Header) -> Self {
        match header {
            Header::Json => Self::Json,
            Header::Binary => Self::Binary,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds from 0 to 86400".to_owned()),
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
