//! From the state of the disk and the hour to what may be deleted.

use std::fmt;

use skua_protocol::Millis;

/// What is kept for how long. Percents are of the disk in use, compared by "more than".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRules {
    /// Hours of the day, local time, at which expired files are deleted (`deleteWhen`).
    pub delete_hours: Vec<u8>,
    /// Milliseconds since its last change after which a file has expired (`fileReservedTime`).
    pub reserved_ms: i64,
    /// From here on expired files are deleted at any hour (`diskMaxUsedSpaceRatio`).
    pub max_used_percent: u8,
    /// From here on files need not have expired (`diskSpaceCleanForciblyRatio`).
    pub forcible_percent: u8,
    /// From here on appends are refused (`diskSpaceWarningLevelRatio`).
    pub refuse_percent: u8,
    /// Whether files may go before they expire at all (`cleanFileForciblyEnable`).
    pub forcible: bool,
    /// Milliseconds between two rounds (`cleanResourceInterval`).
    pub round_ms: u64,
    /// Files of the log deleted in one round (`deleteFileBatchMax`).
    pub round_files: u32,
    /// Milliseconds between two files of the log (`deleteCommitLogFilesInterval`).
    pub log_pause_ms: u64,
    /// Milliseconds between two files of consume queues (`deleteConsumeQueueFilesInterval`).
    pub queue_pause_ms: u64,
    /// Files with messages that some group still needs stay until the disk is used to
    /// `forcible_percent` (`protectUnconsumedData`).
    pub protect_unconsumed: bool,
}

impl Default for RetentionRules {
    /// RocketMQ's.
    fn default() -> Self {
        Self {
            delete_hours: vec![4],
            reserved_ms: 72 * 3_600_000,
            max_used_percent: 75,
            forcible_percent: 85,
            refuse_percent: 90,
            forcible: true,
            round_ms: 10_000,
            round_files: 10,
            log_pause_ms: 100,
            queue_pause_ms: 100,
            protect_unconsumed: false,
        }
    }
}

/// Why the store takes no messages for now: how full the disk is, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is {used_percent} % full, diskSpaceWarningLevelRatio is {limit_percent}")]
pub struct DiskFull {
    pub used_percent: u8,
    pub limit_percent: u8,
}

/// Why a round deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Asked,
    Hour,
    Space,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked for",
            Self::Hour => "at its hour",
            Self::Space => "for want of space",
        })
    }
}

/// What matters at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Hour of the day, local time.
    pub hour: u8,
    /// `None` if the disk does not say.
    pub used_percent: Option<u8>,
    /// An operator asked for a deletion.
    pub asked: bool,
}

/// What follows from the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub full: Option<DiskFull>,
    pub reason: Option<Reason>,
    /// Files go though they have not expired.
    pub any_age: bool,
    /// What some group needs stays.
    pub protects: bool,
}

/// The oldest file of the log, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldestFile {
    /// First offset behind it.
    pub end: u64,
    pub modified: Millis,
    /// Everything below is in its queues, and the log goes on there.
    pub deletable_below: u64,
    /// The smallest offset that some group needs.
    pub needed_from: Option<u64>,
}

pub(crate) fn judge(rules: &RetentionRules, situation: Situation) -> Verdict {
    let used = situation.used_percent.unwrap_or(0);
    let is_over = |limit: u8| used > limit;
    // Whichever of the two an operator sets lower.
    let is_tight = is_over(rules.forcible_percent) || is_over(rules.refuse_percent);
    let reason = if situation.asked {
        Some(Reason::Asked)
    } else if is_tight || is_over(rules.max_used_percent) {
        Some(Reason::Space)
    } else if rules.delete_hours.contains(&situation.hour) {
        Some(Reason::Hour)
    } else {
        None
    };
    let limit_percent = rules.refuse_percent;
    Verdict {
        full: is_over(limit_percent).then_some(DiskFull { used_percent: used, limit_percent }),
        reason,
        any_age: is_tight && rules.forcible,
        protects: rules.protect_unconsumed && !is_tight,
    }
}

/// Whether the oldest file goes now.
pub(crate) fn deletes(
    rules: &RetentionRules,
    verdict: Verdict,
    file: OldestFile,
    now: Millis,
) -> bool {
    let has_expired = now.since(file.modified) >= rules.reserved_ms;
    let is_needed = file.needed_from.is_some_and(|from| from < file.end);
    verdict.reason.is_some()
        && file.end < file.deletable_below
        && (has_expired || verdict.any_age)
        && !(verdict.protects && is_needed)
}
