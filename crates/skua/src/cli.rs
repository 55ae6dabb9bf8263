//! What can be said on the command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::logging::LogArgs;

#[derive(Parser)]
#[command(name = "skua", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub program: Program,
}

#[derive(Subcommand)]
pub enum Program {
    /// Name server and broker in one process, nothing to configure
    Standalone(Standalone),
    /// A whole cluster on this machine, to look at and to break
    Playground(crate::playground::Playground),
    /// The name server (RocketMQ's mqnamesrv)
    #[command(alias = "mqnamesrv")]
    Namesrv(NameServer),
    /// The broker (RocketMQ's mqbroker)
    #[command(alias = "mqbroker")]
    Broker(Broker),
    /// RocketMQ's mqadmin: `skua mqadmin` lists its commands
    #[command(disable_help_flag = true)]
    Mqadmin {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Send lines or a file to a topic
    Produce(skua_admin::produce::Args),
    /// Print the messages of a topic
    Consume(skua_admin::consume::Args),
    /// Show or change a group of brokers that elects its master
    Raft(Raft),
    /// Move roles within a cluster
    Cluster(Cluster),
    /// Measure a server, or the store on a disk
    Bench(Bench),
    /// Look at a cluster from outside: what is wrong, and what to do
    Doctor(skua_admin::doctor::Args),
    /// The web console of a cluster
    Console(Console),
    /// Print a script that completes commands and options in a shell
    Completion {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Look at, check, repair and copy what a store's directory holds
    Store(skua_storetool::Args),
}

#[derive(Args)]
pub struct Raft {
    #[command(subcommand)]
    pub what: RaftOf,
}

#[derive(Subcommand)]
pub enum RaftOf {
    #[command(flatten)]
    Group(skua_admin::raft::What),
    /// Make the member of this stopped broker its whole group: most of the others are gone for good
    Restore(RaftRestore),
}

#[derive(Args)]
pub struct RaftRestore {
    /// The broker's configuration file
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config: PathBuf,
    /// Do it: what the others had acknowledged and this one has not is lost
    #[arg(long)]
    pub accept_loss: bool,
}

#[derive(Args)]
pub struct Cluster {
    #[command(subcommand)]
    pub what: ClusterOf,
}

#[derive(Subcommand)]
pub enum ClusterOf {
    /// Move a master's role to its slave; no send fails meanwhile
    Switch(skua_admin::switch::Args),
}

#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    pub what: BenchOf,
}

#[derive(Subcommand)]
pub enum BenchOf {
    #[command(flatten)]
    Server(skua_admin::bench::What),
    /// Measure the store on a disk, without a server, beside bare write and fdatasync loops
    Store(skua_storetool::bench::Args),
}

#[derive(Args)]
pub struct Console {
    /// Name servers, as ADDR;ADDR
    #[arg(
        short = 'n',
        long = "namesrvAddr",
        value_name = "ADDRS",
        env = "NAMESRV_ADDR",
        default_value = "127.0.0.1:9876"
    )]
    pub namesrv_addr: String,
    /// Where to listen; on an address of the network whoever reaches it sees the console, unless
    /// the cluster checks users
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8081")]
    pub listen: std::net::SocketAddr,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args)]
pub struct Standalone {
    /// Folder for all data; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "skua-data")]
    pub data: PathBuf,
    /// Port of the name server
    #[arg(long, value_name = "PORT", default_value_t = 9876)]
    pub namesrv_port: u16,
    /// Port of the broker; it also listens on PORT-2, as RocketMQ's does [default: the file's
    /// listenPort, or 10911]
    #[arg(long, value_name = "PORT")]
    pub listen_port: Option<u16>,
    /// Serve the web console too, on this machine alone unless an address is given
    #[arg(long, value_name = "IP:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8081")]
    pub console: Option<std::net::SocketAddr>,
    /// Address given to clients, if the one found by itself is not reachable from where they are
    /// (brokerIP1)
    #[arg(long, value_name = "IP")]
    pub advertise: Option<IpAddr>,
    /// A broker.conf with further keys
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args)]
pub struct NameServer {
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Broker {
    #[command(flatten)]
    pub common: Common,
    /// Print the important configuration items and leave
    #[arg(short = 'm', long = "printImportantConfig")]
    pub print_important: bool,
    /// RocketMQ 5's gRPC proxy in the broker: not served by Skua
    #[arg(long, hide = true)]
    pub enable_proxy: bool,
}

/// Options that Java's mqnamesrv and mqbroker share.
#[derive(Args)]
pub struct Common {
    /// Configuration file, `key=value` lines
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name servers, as ADDR;ADDR
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRS")]
    pub namesrv_addr: Option<String>,
    /// Print all configuration items and leave
    #[arg(short = 'p', long = "printConfigItem")]
    pub print_all: bool,
    #[command(flatten)]
    pub log: LogArgs,
}

/// The script that completes `skua` and a link named `mqadmin` in a shell.
pub fn completion(shell: clap_complete::Shell) -> String {
    let mqadmin = skua_admin::completion::mqadmin();
    let mut skua = Cli::command().mut_subcommand("mqadmin", |command| {
        command.mut_args(|arg| arg.hide(true)).subcommands(mqadmin.get_subcommands().cloned())
    });
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut skua, "skua", &mut script);
    clap_complete::generate(shell, &mut mqadmin.clone(), "mqadmin", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The arguments as `skua` takes them: called through a link named `mqnamesrv`, `mqbroker` or
/// `mqadmin`, the program is the link's.
pub fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut given = given.into_iter();
    let called = given.next().unwrap_or_else(|| "skua".into());
    let name = PathBuf::from(&called).file_name().map(|name| name.to_string_lossy().into_owned());
    let program = match name.as_deref() {
        Some("mqnamesrv") => Some("namesrv"),
        Some("mqbroker") => Some("broker"),
        Some("mqadmin") => Some("mqadmin"),
        _ => None,
    };
    [OsString::from("skua")].into_iter().chain(program.map(OsString::from)).chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Program {
        let words = arguments(line.split(' ').map(OsString::from));
        Cli::try_parse_from(words).expect("these arguments are right").program
    }

    #[test]
    fn a_link_named_as_rocketmqs_program_is_that_program() {
        let Program::Broker(broker) = parse("/usr/bin/mqbroker -c b.conf -n a:1;b:2") else {
            panic!("mqbroker is the broker")
        };
        assert_eq!(broker.common.namesrv_addr.as_deref(), Some("a:1;b:2"));
        assert!(matches!(parse("./mqnamesrv"), Program::Namesrv(_)));
        let Program::Mqadmin { args } = parse("mqadmin topicList -n a:1 -h") else {
            panic!("mqadmin is mqadmin")
        };
        assert_eq!(args, ["topicList", "-n", "a:1", "-h"]);
    }

    #[test]
    fn scripts_complete_mqadmins_commands_too() {
        use clap_complete::Shell;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completion(shell);
            for word in ["standalone", "updateTopic", "readQueueNums", "mqadmin"] {
                assert!(script.contains(word), "{word} in the script for {shell}");
            }
        }
    }

    #[test]
    fn standalone_needs_no_argument() {
        let Program::Standalone(standalone) = parse("skua standalone") else { panic!() };
        assert_eq!(standalone.data, PathBuf::from("skua-data"));
        assert_eq!(standalone.namesrv_port, 9876);
    }
}
