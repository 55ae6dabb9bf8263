//! Deleting what nobody needs: 306, 316, 329.

use skua_protocol::Command;
use skua_store::Store;

use super::Answer;
use crate::broker::Broker;

/// Topics under this prefix are queues inside others, and in no topic table.
const LMQ_PREFIX: &str = "%LMQ%";

/// Deletes expired files of the log soon, whatever the hour.
pub fn expired_commit_log(store: &Store) -> Answer {
    tracing::info!("expired files of the commit log are deleted by request");
    store.delete_expired();
    Ok(Command::success())
}

/// Deletes files of consume queues that point to nothing any more, soon.
pub fn expired_consume_queues(store: &Store) -> Answer {
    tracing::info!("expired files of consume queues are deleted by request");
    store.delete_expired_queue_files();
    Ok(Command::success())
}

/// Deletes the queues of topics that are in no table.
pub fn unused_topics(broker: &Broker) -> Answer {
    let mut topics: Vec<String> =
        broker.store.queue_list()?.into_iter().map(|(topic, _)| topic).collect();
    topics.dedup();
    for topic in topics {
        let is_kept = broker.topics.contains(&topic)
            || broker.system_topics.contains(&topic)
            || topic.starts_with(LMQ_PREFIX);
        if !is_kept {
            tracing::info!(topic, "queues of an unused topic are deleted by request");
            broker.store.delete_topic(&topic)?;
        }
    }
    Ok(Command::success())
}
