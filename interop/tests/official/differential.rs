//! The corpus of requests: Skua answers what Java 5.5.0 answered, but for what is listed.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use skua_interop::Kind;
use skua_interop::differential::{self as d, Difference, Expected, Family, HeaderCodec};

/// How many pairs of servers are played to at a time.
const PLAYERS: usize = 4;

#[test]
fn skua_answers_as_java_did_but_for_what_is_listed() {
    let only = std::env::var("FAMILY").ok();
    let families: Vec<_> = d::families()
        .into_iter()
        .filter(|name| only.as_ref().is_none_or(|only| only == name))
        .map(|name| Family::load(&name))
        .collect();
    let requests: usize = families.iter().map(Family::requests).sum();
    let expected: Vec<_> = Expected::load()
        .into_iter()
        .filter(|e| only.as_ref().is_none_or(|only| only == e.family()))
        .collect();

    let found = differences(&families);

    let unlisted: Vec<_> = found
        .iter()
        .filter(|(codec, difference)| !expected.iter().any(|e| e.covers(*codec, difference)))
        .map(|(codec, difference)| format!("{codec:?} {difference}"))
        .collect();
    let gone: Vec<_> = expected
        .iter()
        .filter(|e| !e.is_of_the_run())
        .filter(|e| !found.iter().any(|(codec, difference)| e.covers(*codec, difference)))
        .map(|e| &*e.pattern)
        .collect();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "{} answers differ and are not listed in corpus/differences.txt:\n{}\n\nlisted there, but \
         no longer different:\n{}",
        unlisted.len(),
        unlisted.join("\n"),
        gone.join("\n")
    );
    assert!(only.is_some() || requests >= 400, "only {requests} requests");
}

/// Plays each family with both encodings: mostly waiting, so several at a time.
fn differences(families: &[Family]) -> Vec<(HeaderCodec, Difference)> {
    let codecs = [HeaderCodec::Json, HeaderCodec::Binary];
    let plays = codecs.into_iter().flat_map(|codec| families.iter().map(move |f| (codec, f)));
    let plays = Mutex::new(plays);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some((codec, family)) = { plays.lock().expect("no panic").next() } {
                    let java = d::recorded(&family.name, codec);
                    let skua = d::play(family, Kind::Skua, codec);
                    let differences = d::compare(&family.name, &java, &skua);
                    let mut found = found.lock().expect("no panic");
                    found.extend(differences.into_iter().map(|d| (codec, d)));
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

/// `docs: NAME` names a row of "What differs on purpose".
#[test]
fn what_differs_on_purpose_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let text = fs::read_to_string(path).expect("the compatibility table");
    for expected in Expected::load() {
        if let Some(row) = expected.reason.strip_prefix("docs: ") {
            assert!(text.contains(&format!("\n| {row} |")), "{}: no row `{row}`", expected.pattern);
        }
    }
}
