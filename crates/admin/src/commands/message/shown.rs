//! A message as it is printed: what is in it, where its body was put, and who has consumed it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use skua_protocol::body::{ConsumeType, ConsumerConnection, MessageModel};
use skua_protocol::code::ResponseCode;
use skua_protocol::record::Message;
use skua_protocol::request::GetConsumerConnectionList;

use crate::client::route;
use crate::commands::consumer::consume_stats;
use crate::commands::topic::{RETRY_PREFIX, groups_of};
use crate::failure::Failure;
use crate::mqadmin::Context;
use crate::{text, time};

/// A message and who has consumed it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(rename = "offsetID")]
    offset_id: String,
    topic: String,
    tags: Option<String>,
    keys: Option<String>,
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: i64,
    reconsume_times: i32,
    born_timestamp: i64,
    store_timestamp: i64,
    born_host: String,
    store_host: String,
    system_flag: i32,
    properties: BTreeMap<String, String>,
    body_path: String,
    /// Shown when `-f` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    tracks: Vec<Track>,
    #[serde(skip)]
    with_offset_id: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Track {
    consumer_group: String,
    track_type: &'static str,
    exception_desc: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "null".to_owned();
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<20} {value}");
        if self.with_offset_id {
            line("OffsetID:", &self.offset_id)?;
        }
        line("Topic:", &self.topic)?;
        line("Tags:", &format!("[{}]", self.tags.clone().unwrap_or_else(none)))?;
        line("Keys:", &format!("[{}]", self.keys.clone().unwrap_or_else(none)))?;
        line("Queue ID:", &self.queue_id)?;
        line("Queue Offset:", &self.queue_offset)?;
        line("CommitLog Offset:", &self.commit_log_offset)?;
        line("Reconsume Times:", &self.reconsume_times)?;
        let moment = |at| time::with_millis(skua_protocol::Millis(at));
        line("Born Timestamp:", &moment(self.born_timestamp))?;
        line("Store Timestamp:", &moment(self.store_timestamp))?;
        line("Born Host:", &self.born_host)?;
        line("Store Host:", &self.store_host)?;
        line("System Flag:", &self.system_flag)?;
        line("Properties:", &text::java_map(&self.properties))?;
        line("Message Body Path:", &self.body_path)?;
        if let Some(body) = &self.body {
            line("Message Body:", body)?;
        }
        if self.tracks.is_empty() {
            return writeln!(f, "\n\nWARN: No Consumer");
        }
        write!(f, "\n\n")?;
        self.tracks.iter().try_for_each(|track| {
            writeln!(
                f,
                "MessageTrack [consumerGroup={}, trackType={}, exceptionDesc={}]",
                track.consumer_group,
                track.track_type,
                track.exception_desc.as_deref().unwrap_or("null")
            )
        })
    }
}

pub(super) async fn show(
    context: &Context<'_>,
    message: &Message,
    with_offset_id: bool,
) -> Result<(), Failure> {
    let body = crate::body::plain(message).unwrap_or_else(|cause| {
        context.complain(&Failure::other(format!("message {}: {cause}", message.offset_id())));
        message.body.clone()
    });
    let properties = message.properties().iter();
    let tracks = match tracks(context, message).await {
        Ok(tracks) => tracks,
        Err(failure) => {
            context.complain(&failure);
            Vec::new()
        }
    };
    context.print(&Found {
        offset_id: message.offset_id(),
        topic: message.topic.to_string(),
        tags: message.tags().map(str::to_owned),
        keys: message.keys().map(str::to_owned),
        queue_id: message.queue_id,
        queue_offset: message.queue_offset,
        commit_log_offset: message.physical_offset,
        reconsume_times: message.reconsume_times,
        born_timestamp: message.born_timestamp.0,
        store_timestamp: message.store_timestamp.0,
        born_host: message.born_host.to_string(),
        store_host: message.store_host.to_string(),
        system_flag: message.sys_flag,
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body_path: save_body(message, &body)?.display().to_string(),
        body: context.get("f").map(|_| String::from_utf8_lossy(&body).into_owned()),
        tracks,
        with_offset_id,
    })
}

/// Writes the body where Java's tool writes it.
fn save_body(message: &Message, body: &[u8]) -> Result<PathBuf, Failure> {
    let folder = std::env::temp_dir().join("rocketmq").join("msgbodys");
    // The unique id comes from a producer; only a plain one may name a file.
    let id = message
        .unique_id()
        .filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .map_or_else(|| message.offset_id(), str::to_owned);
    let path = folder.join(id);
    let write = || {
        fs::create_dir_all(&folder)?;
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        // Made anew, so that nobody's link in this shared folder is followed.
        fs::OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(body)
    };
    match write() {
        Ok(()) => Ok(path),
        Err(cause) => Err(Failure::File { path: path.display().to_string(), cause }),
    }
}

/// What each group has done with the message (Java: `messageTrackDetail`).
async fn tracks(context: &Context<'_>, message: &Message) -> Result<Vec<Track>, Failure> {
    let route = context.cluster.route(&message.topic).await?;
    let mut tracks = Vec::new();
    for group in groups_of(context, &route, &message.topic).await? {
        let (track_type, exception_desc) = match track(context, message, &group).await {
            Ok(kind) => (kind, None),
            Err(failure) if failure.is_code(ResponseCode::ConsumerNotOnline) => {
                let desc = format!("CODE:206 DESC:the consumer group[{group}] not online");
                ("NOT_ONLINE", Some(desc))
            }
            Err(failure) => ("UNKNOWN", Some(failure.to_string())),
        };
        tracks.push(Track { consumer_group: group, track_type, exception_desc });
    }
    Ok(tracks)
}

async fn track(
    context: &Context<'_>,
    message: &Message,
    group: &str,
) -> Result<&'static str, Failure> {
    let retry = format!("{RETRY_PREFIX}{group}");
    let route = context.cluster.route(&retry).await?;
    let addrs = route::broker_addrs(&route);
    let addr = addrs.first().ok_or_else(|| Failure::other(format!("no broker has {retry}")))?;
    let header = GetConsumerConnectionList { consumer_group: group.into() };
    let clients: ConsumerConnection = context.cluster.broker(addr, &header).await?.json()?;
    if clients.consume_type == ConsumeType::Actively {
        return Ok("PULL");
    }
    if clients.message_model == MessageModel::Broadcasting {
        return Ok("CONSUME_BROADCASTING");
    }
    let stats = consume_stats(context, &retry, group, None).await?;
    let consumed = stats.offset_table.iter().any(|(queue, offsets)| {
        *queue.topic == *message.topic
            && queue.queue_id == message.queue_id
            && offsets.consumer_offset > message.queue_offset
    });
    if !consumed {
        return Ok("NOT_CONSUME_YET");
    }
    let subscribed = clients.subscription_table.get(&*message.topic).is_none_or(|data| {
        data.tags_set.is_empty()
            || data.sub_string == "*"
            || message.tags().is_some_and(|tag| data.tags_set.contains(tag))
    });
    Ok(if subscribed { "CONSUMED" } else { "CONSUMED_BUT_FILTERED" })
}
