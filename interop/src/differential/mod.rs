//! One corpus of requests, played to Java's servers and to Skua, and the answers compared.
//!
//! - `corpus/<family>.txt`: the requests, grouped into scenes; see [`corpus`] for how they are
//!   written.
//! - `corpus/java/<family>.json`: what Java 5.5.0 answered, without what differs at each run.
//!   `cargo run -p skua-interop --bin record-java-answers [FAMILY …]` writes them anew.
//! - `corpus/differences.txt`: where Skua answers otherwise, each with its reason.

mod compare;
mod connection;
mod corpus;
mod normal;
mod player;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

pub use compare::{Difference, Expected, compare};
pub use corpus::Family;
pub use player::play;
pub use skua_protocol::command::HeaderCodec;

/// What was answered to each step, by `scene/step`.
pub type Answers = BTreeMap<String, Value>;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The names of all families.
pub fn families() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the corpus is a folder beside the sources");
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.expect("a readable folder").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
        .filter(|name| name != "differences")
        .collect();
    names.sort();
    names
}

fn golden(family: &str) -> PathBuf {
    folder().join("java").join(format!("{family}.json"))
}

/// Ends the name of an answer that Java gives only to binary headers.
const BINARY: &str = " with binary headers";

/// What Java answered when it was recorded.
pub fn recorded(family: &str, codec: HeaderCodec) -> Answers {
    let path = golden(family);
    let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let all: Answers =
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (binary, mut answers): (Answers, Answers) =
        all.into_iter().partition(|(name, _)| name.ends_with(BINARY));
    if codec == HeaderCodec::Binary {
        answers.extend(binary.into_iter().map(|(name, v)| (name.replace(BINARY, ""), v)));
    }
    answers
}

/// Writes what Java answered.
pub fn record(family: &str, json: &Answers, binary: &Answers) {
    let mut all = json.clone();
    let others = binary.iter().filter(|(name, _)| {
        let of = |answers: &Answers| Answers::from_iter(answers.get_key_value(*name).map(own));
        !compare(family, &of(json), &of(binary)).is_empty()
    });
    all.extend(others.map(|(name, answer)| (format!("{name}{BINARY}"), answer.clone())));
    let all: Answers =
        all.iter().map(|(name, answer)| (name.clone(), normal::rinse(answer))).collect();
    let mut text = serde_json::to_string_pretty(&all).expect("JSON values");
    text.push('\n');
    fs::write(golden(family), text).expect("a writable corpus");
}

fn own((name, answer): (&String, &Value)) -> (String, Value) {
    (name.clone(), answer.clone())
}
