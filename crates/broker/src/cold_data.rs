//! Consumers of cold data are slowed down (Java: `ColdDataCgCtrService`): a group that has read
//! more bytes from the disk in a period than it may, or while all groups together have, waits for
//! the next period. What the page cache holds is never cold.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use skua_protocol::{Millis, json};

/// A period; what was read is counted anew after it.
const PERIOD_MS: i64 = 5_000;
/// A group that has read nothing cold for so long is forgotten.
const FORGET_AFTER_MS: i64 = 60_000;
/// Most groups that an operator may give thresholds to.
const CONFIGURED_MAX: usize = 10_000;
/// Groups whose thresholds are lowered in a period.
const LOWERED_MAX: usize = 3;
/// Periods that the control loop looks back on.
const HISTORY: usize = 10;

/// The configuration as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `coldDataFlowControlEnable`
    pub enabled: bool,
    /// `cgColdReadThreshold`: bytes of a group in a period.
    pub group_bytes: i64,
    /// `globalColdReadThreshold`: bytes of all groups in a period.
    pub all_bytes: i64,
    /// `coldCtrStrategyEnable`: thresholds follow what is read.
    pub adaptive: bool,
    /// `usePIDColdCtrStrategy`: by a control loop, rather than by simple steps.
    pub by_control_loop: bool,
}

/// What a group has read.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ColdReads {
    cold_acc: i64,
    create_time_mills: i64,
    last_cold_read_time_mills: i64,
}

/// The table has no lock of its own.
#[derive(Debug, Default)]
pub struct ColdData {
    /// Thresholds set by an operator.
    configured: BTreeMap<String, i64>,
    /// Thresholds that follow what is read.
    adapted: BTreeMap<String, i64>,
    reads: BTreeMap<String, ColdReads>,
    all: i64,
    /// How far below four fifths of the limit all groups together were, by period.
    errors: VecDeque<i64>,
    period_ends: Option<Millis>,
}

/// Java: the object of 2003's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    cg_cold_read_threshold: i64,
    config_table: BTreeMap<String, i64>,
    global_acc: i64,
    global_cold_read_threshold: i64,
    runtime_table: &'a BTreeMap<String, ColdReads>,
}

/// As many groups have thresholds of their own as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{CONFIGURED_MAX} groups have thresholds for cold data, no more may")]
pub struct TooMany;

impl ColdData {
    pub fn set(&mut self, group: &str, bytes: i64) -> Result<(), TooMany> {
        if self.configured.len() >= CONFIGURED_MAX && !self.configured.contains_key(group) {
            return Err(TooMany);
        }
        self.configured.insert(group.to_owned(), bytes);
        Ok(())
    }

    pub fn unset(&mut self, group: &str) {
        self.configured.remove(group);
    }

    pub fn to_json(&self, rules: &Rules) -> Vec<u8> {
        let adapted = self.adapted.iter();
        // Java keeps both in one table.
        let adapted = adapted.map(|(group, bytes)| (format!("{group}||adaptive"), *bytes));
        let shown = Shown {
            cg_cold_read_threshold: rules.group_bytes,
            config_table: self.configured.clone().into_iter().chain(adapted).collect(),
            global_acc: self.all,
            global_cold_read_threshold: rules.all_bytes,
            runtime_table: &self.reads,
        };
        json::to_vec(&shown)
    }

    fn threshold(&self, group: &str, rules: &Rules) -> i64 {
        let adapted = || self.adapted.get(group).filter(|_| rules.adaptive);
        self.configured.get(group).or_else(adapted).copied().unwrap_or(rules.group_bytes)
    }

    /// Whether the group has to wait with reading cold data.
    pub fn is_slowed(&self, group: &str, rules: &Rules) -> bool {
        let Some(reads) = self.reads.get(group).filter(|_| rules.enabled) else { return false };
        reads.cold_acc >= self.threshold(group, rules) || self.all >= rules.all_bytes
    }

    /// The group has read cold data. Returns when the period ends.
    pub fn add(&mut self, group: &str, bytes: u64, now: Millis) -> Millis {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.all = self.all.saturating_add(bytes);
        let fresh =
            ColdReads { cold_acc: 0, create_time_mills: now.0, last_cold_read_time_mills: 0 };
        let reads = self.reads.entry(group.to_owned()).or_insert(fresh);
        reads.cold_acc = reads.cold_acc.saturating_add(bytes);
        reads.last_cold_read_time_mills = now.0;
        *self.period_ends.get_or_insert(now.plus(PERIOD_MS))
    }

    /// Ends the period when it is time. Returns when to come again.
    pub fn run_due(&mut self, rules: &Rules, now: Millis) -> Option<Millis> {
        if self.period_ends.is_some_and(|at| at <= now) {
            if rules.adaptive {
                self.adapt(rules);
            } else {
                self.adapted.clear();
            }
            self.reads.retain(|group, reads| {
                let kept = now.0 < reads.last_cold_read_time_mills.saturating_add(FORGET_AFTER_MS);
                if !kept {
                    self.adapted.remove(group);
                }
                reads.cold_acc = 0;
                kept
            });
            self.all = 0;
            self.period_ends = (!self.reads.is_empty()).then(|| now.plus(PERIOD_MS));
        }
        self.period_ends
    }

    /// Groups at their limit get half as much again while all together are below theirs; the
    /// greatest thresholds fall by a fifth where all together are above.
    fn adapt(&mut self, rules: &Rules) {
        self.errors.push_back(rules.all_bytes / 5 * 4 - self.all);
        if self.errors.len() > HISTORY {
            self.errors.pop_front();
        }
        let beyond = self.all > rules.all_bytes;
        let (raise, lower) = match self.control() {
            _ if !rules.by_control_loop => (true, beyond),
            control => (control > 0.0, control < 0.0),
        };
        if raise && !beyond {
            let full = |(group, reads): (&String, &ColdReads)| {
                let threshold = self.threshold(group, rules);
                let own = self.configured.contains_key(group);
                let raised = (threshold as f64 * 1.5) as i64;
                (!own && reads.cold_acc >= threshold).then(|| (group.clone(), raised))
            };
            let raised: Vec<_> = self.reads.iter().filter_map(full).collect();
            self.adapted.extend(raised);
        }
        if lower {
            let mut greatest: Vec<_> = self.adapted.values_mut().collect();
            greatest.sort_unstable_by(|a, b| b.cmp(a));
            for threshold in greatest.into_iter().take(LOWERED_MAX) {
                *threshold = ((*threshold as f64 * 0.8) as i64).max(rules.group_bytes);
            }
        }
    }

    /// Proportional, integral and derivative part; 0 until there is a whole history.
    fn control(&self) -> f64 {
        let mut latest = self.errors.iter().rev();
        let (Some(last), Some(before)) = (latest.next(), latest.next()) else { return 0.0 };
        if self.errors.len() < HISTORY {
            return 0.0;
        }
        let sum: f64 = self.errors.iter().map(|error| *error as f64).sum();
        0.5 * *last as f64 + 0.3 * sum + 0.2 * (last - before) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        enabled: true,
        group_bytes: 100,
        all_bytes: 1000,
        adaptive: false,
        by_control_loop: false,
    };

    #[test]
    fn a_group_waits_for_the_next_period_once_it_has_read_its_bytes() {
        let mut cold = ColdData::default();
        assert!(!cold.is_slowed("g", &RULES));
        let ends = cold.add("g", 99, Millis(0));
        assert!(!cold.is_slowed("g", &RULES));
        cold.add("g", 1, Millis(1));
        assert!(cold.is_slowed("g", &RULES));
        assert!(!cold.is_slowed("g", &Rules { enabled: false, ..RULES }));
        assert_eq!(cold.run_due(&RULES, ends), Some(ends.plus(PERIOD_MS)));
        assert!(!cold.is_slowed("g", &RULES));
        cold.set("g", 10).expect("room");
        cold.add("g", 10, ends);
        assert!(cold.is_slowed("g", &RULES));
        cold.unset("g");
        assert!(!cold.is_slowed("g", &RULES));
    }

    #[test]
    fn all_groups_together_have_a_limit() {
        let mut cold = ColdData::default();
        cold.set("greedy", 5000).expect("room");
        cold.add("greedy", 1000, Millis(0));
        cold.add("other", 1, Millis(0));
        assert!(cold.is_slowed("greedy", &RULES));
        assert!(cold.is_slowed("other", &RULES));
        assert!(!cold.is_slowed("has read nothing cold", &RULES));
    }

    #[test]
    fn a_group_without_cold_reads_is_forgotten() {
        let mut cold = ColdData::default();
        cold.add("g", 1, Millis(0));
        let mut due = Some(Millis(0));
        let mut last = Millis(0);
        while let Some(at) = due {
            last = at;
            due = cold.run_due(&RULES, at.plus(PERIOD_MS));
        }
        assert!(cold.reads.is_empty());
        assert!(last.0 >= FORGET_AFTER_MS - PERIOD_MS);
    }

    #[test]
    fn thresholds_follow_what_is_read() {
        for by_control_loop in [false, true] {
            let rules = Rules { adaptive: true, by_control_loop, ..RULES };
            let mut cold = ColdData::default();
            let mut now = Millis(0);
            for _ in 0..12 {
                now = now.plus(PERIOD_MS);
                let most = cold.threshold("g", &rules).min(400);
                cold.add("g", most as u64, now);
                cold.run_due(&rules, now.plus(PERIOD_MS));
            }
            let raised = cold.threshold("g", &rules);
            assert!(raised > 100, "{by_control_loop} {raised}");
            for _ in 0..30 {
                now = now.plus(PERIOD_MS);
                cold.add("g", 5000, now);
                cold.run_due(&rules, now.plus(PERIOD_MS));
            }
            assert!(cold.threshold("g", &rules) < raised, "{by_control_loop}");
        }
    }

    #[test]
    fn the_table_is_shown_as_java_does() {
        let mut cold = ColdData::default();
        cold.set("h", 7).expect("room");
        cold.add("g", 5, Millis(3));
        let text = String::from_utf8(cold.to_json(&RULES)).expect("JSON");
        assert_eq!(
            text,
            "{\"cgColdReadThreshold\":100,\"configTable\":{\"h\":7},\"globalAcc\":5,\
             \"globalColdReadThreshold\":1000,\"runtimeTable\":{\"g\":{\"coldAcc\":5,\
             \"createTimeMills\":3,\"lastColdReadTimeMills\":3}}}"
        );
    }
}
