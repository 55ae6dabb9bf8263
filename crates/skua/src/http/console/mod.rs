//! The web console: a page, and the JSON that it asks for. Its own port, and none unless asked for.
//!
//! Each request calls the cluster in the name of its visitor (HTTP Basic: user and password are
//! those of the cluster's access control), never in the name of this process; where the cluster
//! checks nobody, nobody is checked here. A broker is asked first who the visitor is, since name
//! servers do not care.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use skua_acl::Credentials;
use skua_admin::console::{Console, Kind, Wanted};
use skua_admin::failure::Failure;
use skua_protocol::code::ResponseCode;
use skua_remoting::ClientOptions;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::security::signing;

/// Requests that call the cluster at a time; the others wait.
const CALLS_MAX: usize = 8;
const BODY_MAX: usize = 64 * 1024;
/// Before a refused visitor is answered: passwords are not tried by the thousand.
const REFUSAL_TIME: Duration = Duration::from_millis(500);
const ACL_EXCEPTION: &str = "org.apache.rocketmq.acl.common.AclException";
/// Present in every request of the page that changes something; another site cannot send it.
const OWN_HEADER: &str = "x-skua-console";

const PAGE: &str = include_str!("index.html");
const SCRIPT: &str = include_str!("console.js");
const STYLE: &str = include_str!("console.css");

struct Served {
    name_servers: Vec<String>,
    options: ClientOptions,
    calls: Semaphore,
}

/// Serves the console until the process ends; tells where it listens. `options` are those of the
/// process, whose account is not used.
pub async fn start(
    listen: SocketAddr,
    name_servers: Vec<String>,
    options: ClientOptions,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen} (console)"))?;
    let addr = listener.local_addr()?;
    if !addr.ip().is_loopback() {
        tracing::warn!(%addr, "the console is on the network: unless the cluster checks users, whoever reaches it may do what mqadmin may");
    }
    tokio::spawn(super::accept(listener, routes(name_servers, options)));
    Ok(addr)
}

/// The page and what it asks for.
pub fn routes(name_servers: Vec<String>, options: ClientOptions) -> Router {
    let options = ClientOptions { hook: None, ..options };
    let served = Arc::new(Served { name_servers, options, calls: Semaphore::new(CALLS_MAX) });
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", PAGE)))
        .route("/console.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/console.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route("/api/clusters", get(clusters))
        .route("/api/broker", get(broker))
        .route("/api/topics", get(topics))
        .route("/api/topic", get(topic).post(make_topic))
        .route("/api/groups", get(groups))
        .route("/api/group", get(group))
        .route("/api/offset", post(reset_offset))
        .route("/api/messages", get(messages))
        .route("/api/dead-letters", get(dead_letters).post(resend))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(guarded))
        .with_state(served)
}

async fn file(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], content).into_response()
}

/// Refuses changes that another site asks a visitor's browser for, and tells browsers to load
/// nothing from elsewhere.
async fn guarded(request: Request, next: Next) -> Response {
    let changes = request.method() != axum::http::Method::GET;
    let mut response = if changes && !request.headers().contains_key(OWN_HEADER) {
        refusal(StatusCode::FORBIDDEN, format!("a change needs the header {OWN_HEADER}"))
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(status: StatusCode, cause: String) -> Response {
    (status, Json(json!({ "error": cause }))).into_response()
}

/// Who is asking, if that is said. `Err`: it is said in a way that cannot be read.
fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, ()> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(drop)?;
    let encoded = text.strip_prefix("Basic ").ok_or(())?;
    let decoded = STANDARD.decode(encoded.trim()).map_err(drop)?;
    let pair = String::from_utf8(decoded).map_err(drop)?;
    let (user, password) = pair.split_once(':').ok_or(())?;
    Ok(Some(Credentials::new(user, password)))
}

/// Does `work` in the visitor's name, on a thread that may wait.
async fn answer(
    served: Arc<Served>,
    headers: HeaderMap,
    work: impl FnOnce(&Console) -> Result<Value, Failure> + Send + 'static,
) -> Response {
    let Ok(credentials) = credentials(&headers) else {
        return unknown("the Authorization header is not HTTP Basic".to_owned()).await;
    };
    // Never closed.
    let Ok(_place) = served.calls.acquire().await else { return unknown(String::new()).await };
    let hook = signing(credentials);
    let console = Console {
        name_servers: served.name_servers.clone(),
        options: ClientOptions { hook, ..served.options.clone() },
    };
    let done = tokio::task::spawn_blocking(move || {
        console.may_look()?;
        work(&console)
    });
    match done.await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(failure)) if is_unknown(&failure) => unknown(failure.to_string()).await,
        Ok(Err(failure)) => {
            let status = match failure {
                Failure::Usage(_) | Failure::BadValue { .. } => StatusCode::BAD_REQUEST,
                Failure::Refused { .. } | Failure::Other(_) => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::BAD_GATEWAY,
            };
            refusal(status, failure.to_string())
        }
        Err(cause) => refusal(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()),
    }
}

/// ACL 1.0 has no code of its own.
fn is_unknown(failure: &Failure) -> bool {
    failure.is_code(ResponseCode::NoPermission)
        || matches!(failure, Failure::Refused { remark, .. } if remark.starts_with(ACL_EXCEPTION))
}

/// The browser asks for user and password.
async fn unknown(cause: String) -> Response {
    tokio::time::sleep(REFUSAL_TIME).await;
    let mut response = refusal(StatusCode::UNAUTHORIZED, cause);
    let asks = HeaderValue::from_static("Basic realm=\"Skua\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, asks);
    response
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Asked {
    name: String,
    addr: String,
    kind: String,
    search: String,
    page: usize,
    topic: String,
    group: String,
    id: String,
    key: String,
    from: Option<i64>,
    to: Option<i64>,
}

type Serving = State<Arc<Served>>;

async fn clusters(State(served): Serving, headers: HeaderMap) -> Response {
    answer(served, headers, |console| console.clusters()).await
}

async fn broker(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    answer(served, headers, move |console| console.broker(&asked.addr)).await
}

async fn topics(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    answer(served, headers, move |console| {
        console.topics(Kind::of(&asked.kind), &asked.search, asked.page)
    })
    .await
}

async fn topic(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    answer(served, headers, move |console| console.topic(&asked.name)).await
}

async fn groups(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    answer(served, headers, move |console| console.groups(&asked.search, asked.page)).await
}

async fn group(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    answer(served, headers, move |console| console.group(&asked.name)).await
}

async fn messages(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    let Query(asked) = asked;
    let wanted = match (asked.id.as_str(), asked.key.as_str(), asked.from) {
        ("", "", Some(from)) => Wanted::Time(from, asked.to.unwrap_or(i64::MAX)),
        ("", "", None) => Wanted::Latest,
        ("", key, _) => Wanted::Key(key.to_owned()),
        (id, _, _) => Wanted::Id(id.to_owned()),
    };
    answer(served, headers, move |console| console.messages(&asked.topic, &wanted)).await
}

async fn dead_letters(State(served): Serving, headers: HeaderMap, asked: Query<Asked>) -> Response {
    answer(served, headers, move |console| console.dead_letters(&asked.group)).await
}

#[derive(Deserialize)]
struct NewTopic {
    name: String,
    cluster: String,
    queues: u32,
    perm: u32,
}

async fn make_topic(
    State(served): Serving,
    headers: HeaderMap,
    Json(new): Json<NewTopic>,
) -> Response {
    answer(served, headers, move |console| {
        console.make_topic(&new.name, &new.cluster, new.queues, new.perm)
    })
    .await
}

#[derive(Deserialize)]
struct Reset {
    group: String,
    topic: String,
    /// `now`, milliseconds since 1970, or a date and time.
    time: String,
}

async fn reset_offset(
    State(served): Serving,
    headers: HeaderMap,
    Json(reset): Json<Reset>,
) -> Response {
    answer(served, headers, move |console| {
        console.reset_offset(&reset.group, &reset.topic, &reset.time)
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    group: String,
    broker: String,
    queue_id: i32,
    queue_offset: i64,
}

async fn resend(
    State(served): Serving,
    headers: HeaderMap,
    Json(letter): Json<Letter>,
) -> Response {
    answer(served, headers, move |console| {
        console.resend(&letter.group, &letter.broker, letter.queue_id, letter.queue_offset)
    })
    .await
}
