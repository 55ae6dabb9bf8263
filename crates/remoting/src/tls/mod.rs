//! TLS as RocketMQ configures it: one port for plain and TLS connections, told apart by the first
//! byte; certificates from PEM files, taken over anew when the files change.
//!
//! [`ServerTls`] accepts, [`ClientTls`] connects, [`Stream`] is what both make of a socket. Nothing
//! here decides who may do what.

mod files;
mod stream;
mod verify;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use files::FileError;
use files::Watched;
pub use stream::Stream;
use verify::{AnyClient, AnyServer, KnownClients, KnownServers};

/// The first byte of a TLS handshake; no frame begins with it, being too long then, and no PROXY
/// preamble.
pub const HANDSHAKE: u8 = 0x16;

/// `tls.server.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// TLS is refused.
    Disabled,
    /// Both are served.
    #[default]
    Permissive,
    /// Only TLS is served.
    Enforcing,
}

/// `tls.server.need.client.auth`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    Optional,
    Require,
}

/// A key and its certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFiles {
    pub key: Option<PathBuf>,
    pub password: Option<String>,
    pub cert: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub struct ServerTlsOptions {
    pub mode: Mode,
    /// A certificate of its own making, and nobody's is looked at (`tls.test.mode.enable`).
    pub test: bool,
    pub own: KeyFiles,
    pub client_auth: ClientAuth,
    /// Whether certificates of clients have to come from `trust` (`tls.server.authClient`).
    pub check_clients: bool,
    pub trust: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub struct ClientTlsOptions {
    pub test: bool,
    pub own: KeyFiles,
    /// Whether servers' certificates have to come from `trust` (`tls.client.authServer`).
    pub check_servers: bool,
    pub trust: Option<PathBuf>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{key} is needed")]
    Missing { key: &'static str },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} and {cert} do not belong together", path = key.display(), cert = cert.display())]
    Mismatch { key: PathBuf, cert: PathBuf },
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("cannot make a certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// What a server accepts TLS with.
pub struct ServerTls {
    options: ServerTlsOptions,
    config: ArcSwapOption<ServerConfig>,
    watched: Mutex<Watched>,
}

impl ServerTls {
    /// Reads the files. A certificate of its own is made when the first client wants TLS.
    pub fn new(options: ServerTlsOptions) -> Result<Arc<Self>, TlsError> {
        let watched = Watched::new([&options.own.key, &options.own.cert, &options.trust]);
        let tls = Self { config: ArcSwapOption::empty(), watched: Mutex::new(watched), options };
        if tls.options.mode != Mode::Disabled && !tls.options.test {
            tls.config.store(Some(Arc::new(tls.load()?)));
        }
        Ok(Arc::new(tls))
    }

    pub fn mode(&self) -> Mode {
        self.options.mode
    }

    /// Takes changed files over; `None` if none has changed. On failure the former ones stay.
    pub fn refresh(&self) -> Option<Result<(), TlsError>> {
        if self.options.mode == Mode::Disabled || self.options.test {
            return None;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.changed().then(|| {
            let loaded = self.load()?;
            self.config.store(Some(Arc::new(loaded)));
            Ok(())
        })
    }

    /// What a handshake is made with.
    pub(crate) fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        if let Some(config) = self.config.load_full() {
            return Ok(config);
        }
        let made = Arc::new(self.load()?);
        self.config.store(Some(made.clone()));
        Ok(made)
    }

    fn load(&self) -> Result<ServerConfig, TlsError> {
        let ServerTlsOptions { test, own, client_auth, check_clients, trust, .. } = &self.options;
        let own = match test {
            true => self_signed()?,
            false => files::certified(own, ["tls.server.keyPath", "tls.server.certPath"])?,
        };
        let client_auth = if *test { ClientAuth::Optional } else { *client_auth };
        let versions = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let mandatory = client_auth == ClientAuth::Require;
        let config = match (client_auth, check_clients, test) {
            (ClientAuth::None, ..) => versions.with_no_client_auth(),
            (_, true, false) => {
                let trust =
                    trust.as_ref().ok_or(TlsError::Missing { key: "tls.server.trustCertPath" })?;
                let roots = files::certs(trust)?;
                versions.with_client_cert_verifier(Arc::new(KnownClients::new(roots, mandatory)?))
            }
            _ => versions.with_client_cert_verifier(Arc::new(AnyClient { mandatory })),
        };
        Ok(config.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own))))
    }

    /// Shakes hands with who has connected; a plain connection is an error.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Stream> {
        let config = self.config().map_err(io::Error::other)?;
        let mut stream = Stream::accept(socket, Bytes::new(), config);
        stream.established().await?;
        Ok(stream)
    }
}

/// What a client connects by TLS with.
pub struct ClientTls {
    options: ClientTlsOptions,
    config: ArcSwapOption<ClientConfig>,
    watched: Mutex<Watched>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ClientTls {
    pub fn new(options: ClientTlsOptions) -> Result<Arc<Self>, TlsError> {
        let watched = Watched::new([&options.own.key, &options.own.cert, &options.trust]);
        let tls = Self { config: ArcSwapOption::empty(), watched: Mutex::new(watched), options };
        tls.config.store(Some(Arc::new(tls.load()?)));
        Ok(Arc::new(tls))
    }

    /// As [`ServerTls::refresh`].
    pub fn refresh(&self) -> Option<Result<(), TlsError>> {
        if self.options.test {
            return None;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.changed().then(|| {
            let loaded = self.load()?;
            self.config.store(Some(Arc::new(loaded)));
            Ok(())
        })
    }

    fn load(&self) -> Result<ClientConfig, TlsError> {
        let ClientTlsOptions { test, own, check_servers, trust } = &self.options;
        let versions = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn rustls::client::danger::ServerCertVerifier> = match check_servers
            & !test
        {
            true => {
                let trust =
                    trust.as_ref().ok_or(TlsError::Missing { key: "tls.client.trustCertPath" })?;
                Arc::new(KnownServers::new(files::certs(trust)?)?)
            }
            false => Arc::new(AnyServer),
        };
        let config = versions.dangerous().with_custom_certificate_verifier(verifier);
        if *test || *own == KeyFiles::default() {
            return Ok(config.with_no_client_auth());
        }
        let own = files::certified(own, ["tls.client.keyPath", "tls.client.certPath"])?;
        Ok(config.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own))))
    }

    /// Shakes hands on a connection to `addr`, `host:port`.
    pub async fn connect(&self, socket: TcpStream, addr: &str) -> io::Result<Stream> {
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let config = self.config.load_full().ok_or_else(|| io::Error::other("no TLS"))?;
        let stream = TlsConnector::from(config).connect(name, stream::Replay::new(socket)).await?;
        Ok(Stream::tls(stream.into()))
    }
}

/// As Netty's `SelfSignedCertificate`: nobody's, for tests and permissive ports.
fn self_signed() -> Result<CertifiedKey, TlsError> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|cause| rustls::Error::General(cause.to_owned()))?;
    let key = provider().key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(vec![made.cert.der().clone()], key))
}

fn roots(certs: &[rustls::pki_types::CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // One that is no authority may still be the very certificate that is shown.
    roots.add_parsable_certificates(certs.iter().cloned());
    roots
}
