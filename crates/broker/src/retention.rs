//! What the store is told about old files: the rules from the configuration, and what groups
//! still need.

use skua_config::StoreConfig;
use skua_protocol::{PhysicalOffset, QueueId, QueueOffset};
use skua_store::RetentionRules;

use crate::broker::Broker;
use crate::names::SCHEDULE_TOPIC;

/// The rules that the configuration gives. Percents keep to Java's bounds (Java:
/// `CleanCommitLogService`, `MessageStoreConfig.getDiskMaxUsedSpaceRatio`).
pub fn retention_rules(store: &StoreConfig) -> RetentionRules {
    // The table's ranges keep all of them from being negative.
    let ms = |value: i32| u64::try_from(value).unwrap_or(0);
    let percent = |value: i32, least: i32, most: i32| value.clamp(least, most) as u8;
    RetentionRules {
        delete_hours: store.delete_when.split(';').filter_map(|h| h.trim().parse().ok()).collect(),
        reserved_ms: i64::from(store.file_reserved_time) * 3_600_000,
        max_used_percent: percent(store.disk_max_used_space_ratio, 10, 95),
        forcible_percent: percent(store.disk_space_clean_forcibly_ratio, 30, 85),
        refuse_percent: percent(store.disk_space_warning_level_ratio, 35, 90),
        forcible: store.clean_file_forcibly_enable,
        round_ms: ms(store.clean_resource_interval),
        round_files: u32::try_from(store.delete_file_batch_max).unwrap_or(1),
        log_pause_ms: ms(store.delete_commit_log_files_interval),
        queue_pause_ms: ms(store.delete_consume_queue_files_interval),
        protect_unconsumed: store.protect_unconsumed_data,
    }
}

impl Broker {
    /// The smallest physical offset that a known group, or the delivery of delayed messages, has
    /// not passed yet; `None` if all have everything. Reads the disk.
    pub fn needed_from(&self) -> Option<PhysicalOffset> {
        let mut needed: Option<PhysicalOffset> = None;
        let mut note = |topic: &str, queue: i32, next: i64| {
            let Ok(queue) = u32::try_from(queue) else { return };
            let next = QueueOffset(u64::try_from(next).unwrap_or(0));
            if let Some(at) = self.store.physical_offset(topic, QueueId(queue), next) {
                needed = Some(needed.map_or(at, |least| least.min(at)));
            }
        };
        for (topic, group) in self.offsets.committed_pairs() {
            if self.groups.contains(&group) {
                for (queue, next) in self.offsets.committed_queues(&group, &topic) {
                    note(&topic, queue, next);
                }
            }
        }
        for (level, next, _) in self.delay.progress(&self.store) {
            note(SCHEDULE_TOPIC, level as i32 - 1, next);
        }
        needed
    }
}

#[cfg(test)]
mod tests;
