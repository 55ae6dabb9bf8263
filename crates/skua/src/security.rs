//! How this process shows itself to others, and how it lets them in: accounts, and TLS as
//! RocketMQ's system properties, `tls.properties` and the role's own file want it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use skua_acl::Credentials;
use skua_config::{Properties, Settings, TlsConfig};
use skua_remoting::tls::{
    ClientAuth, ClientTls, ClientTlsOptions, KeyFiles, Mode, ServerTls, ServerTlsOptions, TlsError,
};
use skua_remoting::{ClientOptions, Hook};
use tokio::task::JoinHandle;

/// How often certificates are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Where Java's starters take system properties from.
const JAVA_OPTIONS: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JAVA_OPT", "JAVA_OPT_EXT"];

/// Signs everything with these credentials.
pub fn signing(credentials: Option<Credentials>) -> Option<Hook> {
    credentials.map(|credentials| Hook(Arc::new(move |request| credentials.sign(request))))
}

/// What mqadmin and the small clients call others with: the account of `SKUA_ACCESS_KEY` and
/// `SKUA_SECRET_KEY`, or of RocketMQ's `conf/tools.yml` under `ROCKETMQ_HOME`.
pub fn tool_options() -> anyhow::Result<ClientOptions> {
    let wanted = Wanted::of(None)?;
    let tls = wanted.client(wanted.said.enable)?;
    Ok(ClientOptions { hook: signing(tool_credentials()?), tls, ..ClientOptions::default() })
}

/// TLS of one role, for those who call it and for those it calls.
#[derive(Clone)]
pub struct Tls {
    pub server: Arc<ServerTls>,
    /// If the role calls others by TLS.
    pub client: Option<Arc<ClientTls>>,
    /// If it follows its master by TLS.
    pub replication: Option<Arc<ClientTls>>,
}

impl Tls {
    pub fn of(settings: &Settings) -> anyhow::Result<Self> {
        let wanted = Wanted::of(Some(settings))?;
        let server = wanted.server()?;
        // Java: as useTLS says, else tls.enable, else as the own port is.
        let by_tls = match (settings.given("useTLS"), wanted.enable_said) {
            (Some(_), _) => settings.client.use_tls,
            (None, true) => wanted.said.enable,
            (None, false) => server.mode() == Mode::Enforcing,
        };
        let replicates = settings.store.ha_tls_enable;
        if replicates && server.mode() == Mode::Disabled {
            bail!("haTlsEnable=true, and TLS is disabled");
        }
        let client = wanted.client(by_tls || replicates)?;
        Ok(Self {
            server,
            replication: client.clone().filter(|_| replicates),
            client: client.filter(|_| by_tls),
        })
    }

    /// Takes renewed certificates over, for as long as the task lives.
    pub fn follow(&self) -> JoinHandle<()> {
        let tls = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                tell("server", tls.server.refresh());
                if let Some(client) = tls.client.as_ref().or(tls.replication.as_ref()) {
                    tell("client", client.refresh());
                }
            }
        })
    }
}

fn tell(side: &str, refreshed: Option<Result<(), TlsError>>) {
    match refreshed {
        None => {}
        Some(Ok(())) => tracing::info!(side, "renewed certificates are in force"),
        Some(Err(error)) => {
            tracing::error!(side, %error, "certificates not read, the former ones stay in force");
        }
    }
}

/// The keys of TLS from all places, those that count more after those that count less.
struct Wanted {
    said: TlsConfig,
    /// Whether anybody said anything about `tls.enable`.
    enable_said: bool,
}

impl Wanted {
    fn of(settings: Option<&Settings>) -> anyhow::Result<Self> {
        let mut wanted = Self { said: TlsConfig::default(), enable_said: false };
        for variable in JAVA_OPTIONS {
            let options = std::env::var(variable).unwrap_or_default();
            for option in options.split_whitespace() {
                let given = option.strip_prefix("-D").and_then(|rest| rest.split_once('='));
                if let Some((key, value)) = given {
                    wanted.take(key, value.trim_matches(['"', '\'']), variable)?;
                }
            }
        }
        for row in TlsConfig::KEYS {
            if let Some(value) = settings.and_then(|settings| settings.given(row.name)) {
                wanted.take(row.name, value, "the configuration")?;
            }
        }
        let path = wanted.said.config_file.clone();
        match std::fs::read(&path) {
            Ok(bytes) => {
                for entry in Properties::parse(&bytes, &path).iter() {
                    wanted.take(&entry.key, &entry.value, &path)?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        }
        Ok(wanted)
    }

    fn take(&mut self, key: &str, value: &str, place: &str) -> anyhow::Result<()> {
        self.enable_said |= key == "tls.enable";
        self.said
            .take(key, value)
            .map_err(|accepted| anyhow::anyhow!("{place}: {key}={value}: accepted is {accepted}"))
    }

    fn server(&self) -> anyhow::Result<Arc<ServerTls>> {
        let said = &self.said;
        let mut mode = match said.server_mode.to_ascii_lowercase().as_str() {
            "disabled" => Mode::Disabled,
            "enforcing" => Mode::Enforcing,
            _ => Mode::Permissive,
        };
        let own =
            key_files(&said.server_key_path, &said.server_key_password, &said.server_cert_path);
        if mode != Mode::Disabled && !said.test_mode && own.key.is_none() && own.cert.is_none() {
            if mode == Mode::Enforcing {
                bail!("tls.server.mode=enforcing needs tls.server.keyPath and tls.server.certPath");
            }
            tracing::warn!("no tls.server.keyPath and tls.server.certPath: TLS is refused");
            mode = Mode::Disabled;
        }
        if said.test_mode && own.cert.is_some() {
            tracing::warn!(
                "tls.server.certPath is without effect: tls.test.mode.enable is true, so that a \
                 certificate is made at the start and nobody's is looked at"
            );
        }
        let client_auth = match said.need_client_auth.to_ascii_lowercase().as_str() {
            "require" => ClientAuth::Require,
            "optional" => ClientAuth::Optional,
            _ => ClientAuth::None,
        };
        ServerTls::new(ServerTlsOptions {
            mode,
            test: said.test_mode,
            own,
            client_auth,
            check_clients: said.server_auth_client,
            trust: path(&said.server_trust_cert_path),
        })
        .context("TLS cannot be served")
    }

    fn client(&self, by_tls: bool) -> anyhow::Result<Option<Arc<ClientTls>>> {
        if !by_tls {
            return Ok(None);
        }
        let said = &self.said;
        let options = ClientTlsOptions {
            test: said.test_mode,
            own: key_files(
                &said.client_key_path,
                &said.client_key_password,
                &said.client_cert_path,
            ),
            check_servers: said.client_auth_server,
            trust: path(&said.client_trust_cert_path),
        };
        Ok(Some(ClientTls::new(options).context("no TLS to others")?))
    }
}

fn path(given: &Option<String>) -> Option<PathBuf> {
    given.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn key_files(key: &Option<String>, password: &Option<String>, cert: &Option<String>) -> KeyFiles {
    let password = password.clone().filter(|password| !password.is_empty());
    KeyFiles { key: path(key), password, cert: path(cert) }
}

fn tool_credentials() -> anyhow::Result<Option<Credentials>> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("SKUA_ACCESS_KEY"), variable("SKUA_SECRET_KEY")) {
        (Some(access_key), Some(secret)) => {
            return Ok(Some(Credentials::new(&access_key, &secret)));
        }
        (None, None) => {}
        _ => anyhow::bail!("SKUA_ACCESS_KEY and SKUA_SECRET_KEY are needed together"),
    }
    let Some(home) = variable("ROCKETMQ_HOME") else { return Ok(None) };
    let path = Path::new(&home).join("conf/tools.yml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let credentials = Credentials::from_yaml(&text).with_context(|| path.display().to_string())?;
    Ok(Some(credentials))
}
