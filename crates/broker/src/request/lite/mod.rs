//! Lite topics: subscriptions (200071), pops (200070), what is known of them (200074 to 200079).

mod info;
mod pop;

use std::sync::Arc;

use skua_protocol::body::{
    LiteSubscription, LiteSubscriptionAction as Action, LiteSubscriptions, OffsetOption,
    OffsetOptionType,
};
use skua_protocol::service::Peer;
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;
use crate::lite::board::{Start, Subscriber};
use crate::lite::queue_name;

pub use info::{broker_info, client_info, group_info, parent_info, topic_info, trigger_dispatch};
pub use pop::{ack, change_invisible_time, pop};

/// What clients subscribe to. Entries that name no client, group or topic are passed over.
pub fn subscribe(broker: &Broker, peer: &Arc<dyn Peer>, request: &Command, now: Millis) -> Answer {
    if request.body.is_empty() {
        return Err(RequestError::LiteRequest("Request body is null."));
    }
    let body: LiteSubscriptions = json::from_slice(&request.body)?;
    let entries = body.subscription_set.unwrap_or_default();
    if entries.is_empty() {
        return Err(RequestError::LiteRequest("LiteSubscriptionCtlRequestBody is empty."));
    }
    for entry in &entries {
        subscribe_one(broker, peer, entry, now)?;
    }
    Ok(Command::success())
}

fn subscribe_one(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    entry: &LiteSubscription,
    now: Millis,
) -> Result<(), RequestError> {
    let named = |name: &'_ Option<String>| {
        name.as_deref().filter(|name| !name.trim().is_empty()).map(str::to_owned)
    };
    let names = (named(&entry.client_id), named(&entry.group), named(&entry.topic));
    let (Some(client), Some(group), Some(parent)) = names else {
        tracing::debug!(?entry, "a lite subscription without client, group or topic");
        return Ok(());
    };
    let queues = entry.lite_topic_set.iter().flatten();
    let queues: Vec<Arc<str>> =
        queues.filter_map(|lite| queue_name(&parent, lite)).map(Into::into).collect();
    let adds = matches!(entry.action, Action::PartialAdd | Action::CompleteAdd);
    let may_consume = || broker.groups.get(&group).is_some_and(|group| group.consume_enable);
    if adds && !may_consume() {
        return Err(RequestError::LiteGroupForbidden);
    }
    let of = Subscriber { client: &client, group: &group, parent: &parent };
    broker.with_lite(now, |board, at| {
        if adds {
            board.connect(&client, peer.clone());
        }
        match entry.action {
            Action::PartialAdd => board.add(of, queues, start(entry.offset_option), at)?,
            Action::PartialRemove => board.remove(of, &queues, at),
            Action::CompleteAdd => board.replace(of, queues, at),
            Action::CompleteRemove => board.remove_client(&client, at),
        }
        Ok(())
    })
}

/// Java passes over times, and over policies that it does not know.
fn start(option: Option<OffsetOption>) -> Start {
    let Some(OffsetOption { kind, value }) = option else { return Start::Stay };
    match (kind, value) {
        (OffsetOptionType::Policy, OffsetOption::POLICY_MIN) => Start::Min,
        (OffsetOptionType::Policy, OffsetOption::POLICY_MAX) => Start::Max,
        (OffsetOptionType::Offset, offset) => Start::At(offset),
        (OffsetOptionType::TailN, messages) => Start::Back(messages),
        _ => Start::Stay,
    }
}
