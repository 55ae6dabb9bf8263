//! The HTTP port for operators: `/health` (the process lives), `/ready` (with reasons if not) and
//! `/metrics` in the OpenMetrics text format. It answers from the start, also while a role is
//! still recovering its store.

pub mod console;
mod figures;
pub mod metric;
pub mod process;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use skua_config::{MetricsExporterType, Settings};
use skua_remoting::{BindOptions, Listener};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use figures::Family;

/// Scrapers and probes at a time; who comes later waits to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// Time for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest head of a request.
const HEAD_MAX: usize = 64 * 1024;
/// After this time a connection takes no further request, and after as much again it is closed:
/// places are few, and who reads or sends a byte now and then must not keep one.
const KEPT: Duration = Duration::from_secs(60);
/// `httpPort` of a process without the port.
const HTTP_PORT_NONE: i32 = -1;
/// From the listening port to the HTTP port, unless that is given.
const PORT_STEP: u16 = 3;

/// What the HTTP port tells of a role.
pub trait Watched: Send + Sync + 'static {
    /// Why the role cannot do its work now; nothing if it can.
    fn why_not_ready(&self) -> Vec<String>;

    /// Its figures now. May wait for the disk.
    fn figures(&self) -> Vec<Family>;
}

/// The roles of this process, as far as they have started.
#[derive(Default)]
pub struct Health {
    roles: Mutex<Vec<Arc<dyn Watched>>>,
    started: std::sync::atomic::AtomicBool,
}

impl Health {
    pub fn watch(&self, role: Arc<dyn Watched>) {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).push(role);
    }

    /// Every role has been added.
    pub fn all_started(&self) {
        self.started.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn roles(&self) -> Vec<Arc<dyn Watched>> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn why_not_ready(&self) -> Vec<String> {
        let mut reasons: Vec<_> =
            self.roles().iter().flat_map(|role| role.why_not_ready()).collect();
        if !self.started.load(std::sync::atomic::Ordering::SeqCst) {
            reasons.push("starting".into());
        }
        reasons
    }
}

/// The port's listener.
pub struct Http {
    addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Http {
    /// Listens where the configuration says; `None` if that is nowhere. That the port is taken is
    /// an error only if it was given: brokers side by side must not fail for it.
    pub fn start(settings: &Settings, health: Arc<Health>) -> anyhow::Result<Option<Self>> {
        let Some((host, port, given)) = address(settings)? else { return Ok(None) };
        let listener = match Listener::bind(&host, port, &BindOptions::default()) {
            Ok(listener) => listener.into_socket(),
            Err(cause) if given => return Err(cause).context("HTTP"),
            Err(cause) => {
                tracing::warn!(cause = %cause.source, "no /health and /metrics: {host}:{port} is not to be had; httpPort chooses another");
                return Ok(None);
            }
        };
        let addr = listener.local_addr()?;
        Ok(Some(Self { addr, accepting: tokio::spawn(accept(listener, routes(health))) }))
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn stop(self) {
        self.accepting.abort();
    }
}

/// Host, port, and whether the configuration gave the port.
fn address(settings: &Settings) -> anyhow::Result<Option<(String, u16, bool)>> {
    let server = &settings.server;
    let exporter = settings.broker.metrics_exporter_type;
    let (host, given) = match (server.http_port, exporter) {
        (HTTP_PORT_NONE, _) => return Ok(None),
        (0, MetricsExporterType::Prom) => {
            let host = &settings.broker.metrics_prom_exporter_host;
            let host = if host.is_empty() { &server.bind_address } else { host };
            (host, settings.broker.metrics_prom_exporter_port)
        }
        (0, _) => {
            let port = server.listen_port.checked_add(PORT_STEP);
            return Ok(port.map(|port| (server.bind_address.clone(), port, false)));
        }
        (port, _) => (&server.bind_address, port),
    };
    let port = u16::try_from(given).with_context(|| format!("{given} is not a port (HTTP)"))?;
    Ok(Some((host.clone(), port, true)))
}

/// What the port serves.
pub fn routes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/health", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn accept(listener: TcpListener, routes: Router) {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Never closed.
        let Ok(place) = free.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept on the HTTP port");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let routes = routes.clone();
        tokio::spawn(async move {
            connection(socket, routes, KEPT).await;
            drop(place);
        });
    }
}

/// Serves one connection for twice `kept` at most.
pub async fn connection(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    kept: Duration,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
    let service = TowerToHyperService::new(routes);
    let mut served = pin!(http.serve_connection(TokioIo::new(socket), service));
    // What a client does wrong here concerns nobody else.
    if timeout(kept, served.as_mut()).await.is_err() {
        served.as_mut().graceful_shutdown();
        let _ = timeout(kept, served).await;
    }
}

async fn live(State(health): State<Arc<Health>>) -> Response {
    let reasons = health.why_not_ready();
    let status = if reasons.is_empty() { "up" } else { "degraded" };
    Json(json!({ "status": status, "reasons": reasons })).into_response()
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let reasons = health.why_not_ready();
    let code = match reasons.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let page = tokio::task::spawn_blocking(move || {
        let mut families = process::figures();
        families.extend(health.roles().iter().flat_map(|role| role.figures()));
        figures::page(families)
    });
    match page.await {
        Ok(page) => ([(header::CONTENT_TYPE, figures::CONTENT_TYPE)], page).into_response(),
        Err(cause) => (StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()).into_response(),
    }
}
