//! From configuration keys to the store's options.

use std::path::PathBuf;

use skua_broker::{batch_topics, parse_delay_levels, retention_rules};
use skua_config::{BrokerRole, FlushDiskType, Settings};
use skua_store::{
    FileSize, FlushRules, IndexOptions, MultiDispatch, StoreOptions, TimerOptions, TransferRules,
    WriteBy,
};

use crate::clock;

/// What a key with `,` between folders lists.
fn folders(list: &str) -> impl Iterator<Item = PathBuf> + '_ {
    list.split(',').map(str::trim).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

pub fn store_options(settings: &Settings) -> anyhow::Result<StoreOptions> {
    let store = &settings.store;
    // Where files exist and the key is not given, their size counts: a moved-in directory opens.
    let file_size = |key: &str, bytes: u64| {
        if settings.is_given(key) {
            FileSize::Exactly(bytes)
        } else {
            FileSize::AsFound { otherwise: bytes }
        }
    };
    let index = IndexOptions {
        hash_slots: positive(store.max_hash_slot_num) as u32,
        entries: positive(store.max_index_num) as u32,
    };
    let timer = TimerOptions {
        precision_ms: i64::from(store.timer_precision_ms),
        roll_window: positive(store.timer_roll_window_slot) as u32,
        log_file_size: file_size(
            "mappedFileSizeTimerLog",
            positive(store.mapped_file_size_timer_log),
        ),
        flush_interval_ms: i64::from(store.timer_flush_interval_ms),
        delivers: store.broker_role != BrokerRole::Slave && !store.enable_dleger_commit_log,
        ..TimerOptions::default()
    };
    let defaults = StoreOptions::new(&store.store_path_root_dir);
    let mut folders = folders(&store.store_path_commit_log);
    let commit_log = folders.next().unwrap_or_default();
    let commit_log_more: Vec<_> = folders.collect();
    // Java: of one folder alone the key for read-only ones is not looked at.
    let commit_log_read_only = match commit_log_more[..] {
        [] => Vec::new(),
        [..] => {
            let read_only = store.read_only_commit_log_store_paths.as_deref();
            self::folders(read_only.unwrap_or_default()).collect()
        }
    };
    Ok(StoreOptions {
        commit_log,
        commit_log_more,
        commit_log_read_only,
        commit_log_file_size: file_size(
            "mappedFileSizeCommitLog",
            positive(store.mapped_file_size_commit_log),
        ),
        consume_queue_file_size: file_size(
            "mappedFileSizeConsumeQueue",
            positive(store.mapped_file_size_consume_queue),
        ),
        consume_queue_ext: store.enable_consume_queue_ext,
        extension_file_size: file_size(
            "mappedFileSizeConsumeQueueExt",
            positive(store.mapped_file_size_consume_queue_ext),
        ),
        compaction_interval_ms: i64::from(store.compaction_schedule_internal),
        batch_topics: found_batch_topics(&store.store_path_root_dir),
        batch_queue_file_size: file_size(
            "mapperFileSizeBatchConsumeQueue",
            positive(store.mapper_file_size_batch_consume_queue),
        ),
        is_copy: store.broker_role == BrokerRole::Slave,
        index: store.message_index_enable.then_some(index),
        timer: store.timer_wheel_enable.then_some(timer),
        flush: FlushRules {
            log_interval_ms: positive(store.flush_interval_commit_log),
            // Java: messages that do not ask to wait for the disk are flushed at once, too.
            log_least_pages: match store.flush_disk_type {
                FlushDiskType::SyncFlush => 0,
                FlushDiskType::AsyncFlush => positive(store.flush_commit_log_least_pages),
            },
            log_thorough_ms: positive(store.flush_commit_log_thorough_interval),
            log_on_append: match store.flush_disk_type {
                FlushDiskType::SyncFlush => true,
                FlushDiskType::AsyncFlush => {
                    store.wake_flush_when_put_message && !store.flush_commit_log_timed
                }
            },
            queue_interval_ms: positive(store.flush_interval_consume_queue),
            queue_least_pages: positive(store.flush_consume_queue_least_pages),
            queue_thorough_ms: positive(store.flush_consume_queue_thorough_interval),
            ..defaults.flush
        },
        write_by: match store.flush_disk_type {
            FlushDiskType::SyncFlush => WriteBy::Call,
            FlushDiskType::AsyncFlush => WriteBy::Mapping,
        },
        transfer: TransferRules {
            count_in_memory: positive(store.max_transfer_count_on_message_in_memory) as u32,
            bytes_in_memory: positive(store.max_transfer_bytes_on_message_in_memory),
            count_on_disk: positive(store.max_transfer_count_on_message_in_disk) as u32,
            bytes_on_disk: positive(store.max_transfer_bytes_on_message_in_disk),
            memory_percent: positive(store.access_message_in_memory_max_ratio) as u32,
            physical_memory: physical_memory(),
            ..defaults.transfer
        },
        retention: retention_rules(store),
        local_hour: clock::local_hour,
        delay_levels: parse_delay_levels(&store.message_delay_level)?,
        check_crc_on_recover: store.check_crc_on_recover,
        append_prop_crc: store.enabled_append_prop_crc,
        force_verify_prop_crc: store.force_verify_prop_crc,
        multi_dispatch: MultiDispatch {
            lmq: store.enable_lmq,
            dispatch: store.enable_multi_dispatch,
        },
        ..defaults
    })
}

/// Topics that the last run had with batch queues; recovery is to know them.
fn found_batch_topics(root: &str) -> Vec<String> {
    let file = PathBuf::from(root).join("config").join("topics.json");
    let backup = file.with_extension("json.bak");
    let contents = [file, backup].into_iter().filter_map(|path| std::fs::read(path).ok());
    contents.flat_map(|content| batch_topics(&content)).collect()
}

/// Counts and sizes are ints in Java; below zero they mean nothing.
fn positive(value: i32) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn physical_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit.max(1))
}
