use skua_protocol::Millis;

use super::decide::{DiskFull, OldestFile, Reason, RetentionRules, Situation, deletes, judge};
use super::forecast::Forecast;

const HOUR: i64 = 3_600_000;
const NOW: Millis = Millis(1_700_000_000_000);

fn rules() -> RetentionRules {
    RetentionRules { delete_hours: vec![4, 16], ..RetentionRules::default() }
}

fn file(age_hours: i64) -> OldestFile {
    OldestFile {
        end: 1000,
        modified: NOW.plus(-age_hours * HOUR),
        deletable_below: 5000,
        needed_from: None,
    }
}

/// The reason to delete, and whether files of 10 and of 80 hours go.
fn verdict(rules: &RetentionRules, situation: Situation) -> (Option<Reason>, bool, bool) {
    let verdict = judge(rules, situation);
    let goes = |age| deletes(rules, verdict, file(age), NOW);
    (verdict.reason, goes(10), goes(80))
}

#[test]
fn hours_and_ratios_decide_what_goes() {
    let quiet = Situation { hour: 12, used_percent: Some(50), asked: false };
    let unforced = RetentionRules { forcible: false, ..rules() };
    let cases = [
        ("nothing is due", quiet, (None, false, false)),
        ("its hour", Situation { hour: 4, ..quiet }, (Some(Reason::Hour), false, true)),
        ("its other hour", Situation { hour: 16, ..quiet }, (Some(Reason::Hour), false, true)),
        ("asked", Situation { asked: true, ..quiet }, (Some(Reason::Asked), false, true)),
        ("at 75", Situation { used_percent: Some(75), ..quiet }, (None, false, false)),
        (
            "over 75",
            Situation { used_percent: Some(76), ..quiet },
            (Some(Reason::Space), false, true),
        ),
        (
            "at 85",
            Situation { used_percent: Some(85), ..quiet },
            (Some(Reason::Space), false, true),
        ),
        (
            "over 85",
            Situation { used_percent: Some(86), ..quiet },
            (Some(Reason::Space), true, true),
        ),
        (
            "over 90",
            Situation { used_percent: Some(91), ..quiet },
            (Some(Reason::Space), true, true),
        ),
        ("unknown use", Situation { used_percent: None, ..quiet }, (None, false, false)),
    ];
    for (what, situation, expected) in cases {
        assert_eq!(verdict(&rules(), situation), expected, "{what}");
        let (reason, young, old) = verdict(&unforced, situation);
        assert_eq!((reason, young, old), (expected.0, false, expected.2), "{what}, not forcibly");
    }
}

#[test]
fn appends_are_refused_over_their_limit_only() {
    let full =
        |used| judge(&rules(), Situation { hour: 0, used_percent: Some(used), asked: false }).full;
    assert_eq!(full(90), None);
    assert_eq!(full(91), Some(DiskFull { used_percent: 91, limit_percent: 90 }));
    assert_eq!(
        full(97).map(|full| full.to_string()).as_deref(),
        Some("the disk is 97 % full, diskSpaceWarningLevelRatio is 90")
    );
}

#[test]
fn a_file_stays_until_its_time_to_the_millisecond_and_while_the_log_needs_it() {
    let rules = rules();
    let verdict = judge(&rules, Situation { hour: 4, used_percent: Some(10), asked: false });
    let aged = |ms: i64| OldestFile { modified: NOW.plus(-ms), ..file(0) };
    assert!(deletes(&rules, verdict, aged(72 * HOUR), NOW));
    assert!(!deletes(&rules, verdict, aged(72 * HOUR - 1), NOW));
    // A clock that was set back makes it young.
    assert!(!deletes(&rules, verdict, aged(-HOUR), NOW));
    // What is not in the queues yet, and the last record's file.
    for below in [0, 999, 1000] {
        let file = OldestFile { deletable_below: below, ..file(100) };
        assert!(!deletes(&rules, verdict, file, NOW), "{below}");
    }
    let full = judge(&rules, Situation { hour: 4, used_percent: Some(99), asked: false });
    let active = OldestFile { deletable_below: 1000, ..file(100) };
    assert!(!deletes(&rules, full, active, NOW));
}

#[test]
fn what_a_group_needs_stays_up_to_the_hard_limit() {
    let rules = RetentionRules { protect_unconsumed: true, ..rules() };
    let goes = |used, needed_from| {
        let verdict = judge(&rules, Situation { hour: 4, used_percent: Some(used), asked: false });
        deletes(&rules, verdict, OldestFile { needed_from, ..file(100) }, NOW)
    };
    for used in [10, 80, 85] {
        assert!(!goes(used, Some(0)));
        assert!(!goes(used, Some(999)));
        assert!(goes(used, Some(1000)));
        assert!(goes(used, None));
    }
    assert!(goes(86, Some(0)));
    let unprotected = RetentionRules { protect_unconsumed: false, ..rules };
    let verdict = judge(&unprotected, Situation { hour: 4, used_percent: None, asked: false });
    assert!(deletes(&unprotected, verdict, OldestFile { needed_from: Some(0), ..file(100) }, NOW));
}

#[test]
fn the_forecast_follows_the_rate() {
    let mut forecast = Forecast::default();
    assert_eq!(forecast.seconds_for(1000), None);
    for second in 0..60 {
        forecast.note(NOW.plus(second * 1000), 2000 * second as u64);
    }
    assert_eq!(forecast.bytes_per_second(), 2000);
    assert_eq!(forecast.seconds_for(10_000_000), Some(5000));
    // It stops: after some time constants there is next to no growth left.
    for second in 60..2000 {
        forecast.note(NOW.plus(second * 1000), 2000 * 59);
    }
    assert!(forecast.bytes_per_second() < 20, "{forecast:?}");
    // A clock set back neither panics nor makes it jump.
    forecast.note(NOW, 1 << 40);
    assert!(forecast.bytes_per_second() < 20);
}
