//! The server programs: from arguments to a running role, and to its end.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use skua_config::{Environment, Properties, Role, Settings};
use skua_store::StoreOptions;

use crate::cli::{Broker, Common, Console, NameServer, RaftRestore, Standalone};
use crate::environment::{self, Advertised};
use crate::http::{self, Health, Http};
use crate::logging::LogArgs;
use crate::playground::{self, Playground};
use crate::role::address::host_and_port;
use crate::role::broker::BrokerRole;
use crate::role::namesrv::NameServer as NameServerRole;
use crate::security::{Tls, tool_options};
use crate::signals::Signals;
use crate::{files, logging, signals};

/// A thread that has work looks at the sockets after so many tasks. Each may be two rounds of a
/// connection's requests: with tokio's own number, 61, a pull waits for tens of milliseconds behind
/// clients that never stop sending.
const TASKS_PER_LOOK: u32 = 4;

pub fn namesrv(args: NameServer) -> anyhow::Result<()> {
    let (env, _) = surroundings(None, &args.common.log)?;
    let config = args.common.config.clone();
    let settings = load(Role::NameServer, args.common.config.as_deref(), &[], &env)?;
    if args.common.print_all {
        skua_admin::say(&settings.listing(false).to_string());
        return Ok(());
    }
    run(async {
        let signals = Signals::listen()?;
        signals::on_hangup(config.clone())?;
        let health = Arc::<Health>::default();
        let http = Http::start(&settings, health.clone())?;
        let tls = Tls::of(&settings)?;
        let role = NameServerRole::start(settings, &tls)?;
        health.watch(role.watched());
        health.all_started();
        tell!("The Name Server boot success. serializeType=JSON, address {}", role.local_addr());
        until_signal(signals).await;
        role.stop().await;
        stop_http(http);
        Ok(())
    })
}

pub fn broker(args: Broker) -> anyhow::Result<()> {
    let Common { config, namesrv_addr, print_all, log } = args.common;
    let (env, advertised) = surroundings(None, &log)?;
    let overrides: Vec<_> =
        namesrv_addr.iter().map(|addrs| ("namesrvAddr", addrs.as_str())).collect();
    let settings = load(Role::Broker, config.as_deref(), &overrides, &env)?;
    if print_all {
        skua_admin::say(&settings.listing(false).to_string());
        return Ok(());
    }
    if args.print_important {
        skua_admin::say(&settings.listing(true).to_string());
        return Ok(());
    }
    if args.enable_proxy {
        tracing::warn!("--enable-proxy has no effect: Skua does not serve the gRPC proxy yet");
    }
    run(async {
        let signals = Signals::listen()?;
        signals::on_hangup(config.clone())?;
        let namesrv = settings.broker.namesrv_addr.clone();
        let name = settings.broker.broker_name.clone();
        let given = &settings.broker;
        let why = |key, ip: &str| reason(&settings, key, ip, &advertised);
        let clients_why = why("brokerIP1", &given.broker_ip1);
        let slaves_why = why("brokerIP2", &given.broker_ip2);
        let for_slaves = host_and_port(&given.broker_ip2, settings.store.ha_listen_port);
        let health = Arc::<Health>::default();
        let http = Http::start(&settings, health.clone())?;
        let tls = Tls::of(&settings)?;
        let role = BrokerRole::start(settings, config, &tls).await?;
        health.watch(role.watched());
        health.all_started();
        let mut line =
            format!("The broker[{name}, {}] boot success. serializeType=JSON", role.address());
        if !namesrv.is_empty() {
            line.push_str(&format!(" and name server is {namesrv}"));
        }
        tell!("{line}");
        tracing::info!(
            address = %role.address(),
            reason = clients_why,
            %for_slaves,
            reason_for_slaves = slaves_why,
            "address given to clients"
        );
        let again = until_signal_or(signals, role.wants_restart()).await;
        let stopped = role.stop().await;
        stop_http(http);
        stopped.map(|()| again)
    })
    .and_then(start_again_if)
}

pub fn standalone(args: Standalone) -> anyhow::Result<()> {
    let (env, advertised) = surroundings(args.advertise, &args.log)?;
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot make the folder {}", args.data.display()))?;
    let data = args.data.canonicalize()?;
    let path = |name: &str| data.join(name).to_string_lossy().into_owned();
    let port = args.namesrv_port.to_string();
    let (kv, stored) = (path("namesrv/kvConfig.json"), path("namesrv/namesrv.properties"));
    let name_server =
        [("listenPort", port.as_str()), ("kvConfigPath", &kv), ("configStorePath", &stored)];
    let name_server = load(Role::NameServer, None, &name_server, &env)?;
    let (root, addr) = (path("store"), format!("127.0.0.1:{port}"));
    let listen = args.listen_port.map(|port| port.to_string());
    let mut overrides = vec![("storePathRootDir", root.as_str()), ("namesrvAddr", &addr)];
    overrides.extend(listen.iter().map(|port| ("listenPort", port.as_str())));
    let advertise = args.advertise.map(|ip| ip.to_string());
    overrides.extend(advertise.iter().map(|ip| ("brokerIP1", ip.as_str())));
    let settings = load(Role::Broker, args.config.as_deref(), &overrides, &env)?;
    run(async {
        let signals = Signals::listen()?;
        signals::on_hangup(args.config.clone())?;
        let health = Arc::<Health>::default();
        let http = Http::start(&settings, health.clone())?;
        // One configuration for both: the name server of a standalone server has no file.
        let tls = Tls::of(&settings)?;
        let name_server = NameServerRole::start(name_server, &tls)?;
        let reason = reason(&settings, "brokerIP1", &settings.broker.broker_ip1, &advertised);
        let broker = BrokerRole::start(settings, args.config, &tls).await?;
        health.watch(name_server.watched());
        health.watch(broker.watched());
        health.all_started();
        tell!("Skua {}: name server and broker are running.", env!("CARGO_PKG_VERSION"));
        tell!("  name server    listens on {}", name_server.local_addr());
        tell!("  broker         listens on {}", broker.listens_on());
        tell!("  for clients    {} ({reason})", broker.address());
        if let Some(http) = &http {
            tell!("  health         http://{}/health, /ready and /metrics", http.addr());
        }
        if let Some(listen) = args.console {
            let at = http::console::start(listen, addresses(&addr), tool_options()?).await?;
            tell!("  console        http://{at}/");
        }
        tell!("  data           {}", data.display());
        tell!("  first message  echo hello | skua produce -n {addr} -t Greetings");
        let again = until_signal_or(signals, broker.wants_restart()).await;
        // The broker takes itself off the name server first.
        let stopped = broker.stop().await;
        name_server.stop().await;
        stop_http(http);
        stopped.map(|()| again)
    })
    .and_then(start_again_if)
}

pub fn console(args: Console) -> anyhow::Result<()> {
    logging::start(&args.log)?;
    run(async {
        let signals = Signals::listen()?;
        let addr =
            http::console::start(args.listen, addresses(&args.namesrv_addr), tool_options()?)
                .await?;
        tell!("The console is at http://{addr}/ for {}", args.namesrv_addr);
        until_signal(signals).await;
        Ok(())
    })
}

fn addresses(list: &str) -> Vec<String> {
    let addrs = list.split(';').map(str::trim).filter(|addr| !addr.is_empty());
    addrs.map(str::to_owned).collect()
}

/// The options of a store that a tool works on.
pub fn store_options(place: &skua_storetool::Place) -> anyhow::Result<StoreOptions> {
    let (env, _) = surroundings(None, &LogArgs::default())?;
    // `standalone --data` keeps the store in a folder of its own.
    let dir = place.dir.as_ref().map(|dir| {
        let inner = dir.join("store");
        let is_root = dir.join("commitlog").is_dir() || !inner.join("commitlog").is_dir();
        if is_root { dir.clone() } else { inner }
    });
    let root = dir.map(|dir| dir.to_string_lossy().into_owned());
    let root = root.iter().map(|root| ("storePathRootDir", root.as_str()));
    let overrides: Vec<_> = root.collect();
    let settings = load(Role::Broker, place.config.as_deref(), &overrides, &env)?;
    crate::role::store_options::store_options(&settings)
}

/// Makes the member of a stopped broker its whole group.
pub fn restore_group(args: &RaftRestore) -> anyhow::Result<()> {
    let (env, _) = surroundings(None, &LogArgs::default())?;
    let settings = load(Role::Broker, Some(&args.config), &[], &env)?;
    let options = crate::role::group_options(&settings)?;
    let options = options.context("enableDLegerCommitLog is not true there")?;
    let name = format!("n{}", options.id.0 - 1);
    anyhow::ensure!(
        args.accept_loss,
        "nothing was done. {name} would be the only member of group {}: what the others had \
         acknowledged and {name} has not is lost, and the others must not be started again but \
         with empty stores, as new members. Say --accept-loss if that is wanted",
        options.group
    );
    let disk: Arc<dyn skua_store::Disk> = Arc::new(skua_store::RealDisk);
    let sole = skua_raft::make_sole(&options, &disk)?;
    tell!(
        "{name} is the only member of group {} from its next start on: {} entries, of which {} \
         were known to be agreed on",
        options.group,
        sole.last,
        sole.known
    );
    if sole.was_suspect {
        tell!("it had not found out whether it lost messages in a power cut before");
    }
    Ok(())
}

fn stop_http(http: Option<Http>) {
    if let Some(http) = http {
        http.stop();
    }
}

pub fn playground(args: Playground) -> anyhow::Result<()> {
    run(async { playground::run(args, Signals::listen()?).await })
}

/// Logs, and what the defaults depend on.
fn surroundings(
    advertise: Option<std::net::IpAddr>,
    log: &LogArgs,
) -> anyhow::Result<(Environment, Advertised)> {
    logging::start(log)?;
    let advertised = match advertise {
        Some(ip) => Advertised { ip, reason: "as --advertise says".into(), is_found: false },
        None => environment::advertised_ip(),
    };
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let env = Environment {
        host_name: environment::host_name(),
        ip: advertised.ip.to_string(),
        home: environment::home(),
        cores: i32::try_from(environment::cores()).unwrap_or(i32::MAX),
        rocketmq_home: variable("ROCKETMQ_HOME"),
        namesrv_addr: variable("NAMESRV_ADDR"),
        lookup: Arc::new(|name| std::env::var(name).ok()),
    };
    Ok((env, advertised))
}

/// Why others are given the address that they are, which is that of this key.
fn reason(settings: &Settings, key: &str, ip: &str, advertised: &Advertised) -> String {
    let is_said = advertised.is_found && settings.is_given(key);
    if is_said || ip != advertised.ip.to_string() {
        return format!("as {key} says");
    }
    advertised.reason.clone()
}

fn load(
    role: Role,
    file: Option<&Path>,
    overrides: &[(&str, &str)],
    env: &Environment,
) -> anyhow::Result<Settings> {
    let properties = match file {
        Some(path) => {
            let bytes = std::fs::read(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            Properties::parse(&bytes, &path.to_string_lossy())
        }
        None => Properties::default(),
    };
    let (settings, warnings) = Settings::load(role, &properties, overrides, env)?;
    logging::configured(&settings.server.log_level);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

async fn until_signal(mut signals: Signals) {
    let name = signals.next().await;
    tracing::info!(signal = name, "stopping");
    signals.exit_on_next();
}

/// True if the role asks to be started again before a signal comes.
async fn until_signal_or(mut signals: Signals, wants_restart: impl Future<Output = ()>) -> bool {
    let (again, cause) = tokio::select! {
        name = signals.next() => (false, name),
        () = wants_restart => (true, "starts again"),
    };
    tracing::info!(signal = cause, "stopping");
    signals.exit_on_next();
    again
}

/// This program in its own place, with its arguments: the process id stays, so that whoever
/// watches it sees no end.
fn start_again_if(again: bool) -> anyhow::Result<()> {
    if !again {
        return Ok(());
    }
    // Also if the file was replaced meanwhile.
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { own.to_owned() } else { std::env::current_exe()? };
    let mut args = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    Err(command.args(args).exec()).context("cannot start again")
}

fn run<T>(role: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    files::raise_open_file_limit();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(TASKS_PER_LOOK)
        .build()
        .context("cannot start the runtime")?
        .block_on(role)
}
