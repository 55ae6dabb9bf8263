//! Plays the corpus to Java's name server and broker and writes down what they answer.
//!
//! `cargo run -p skua-interop --bin record-java-answers [FAMILY …]`, all families without names.
//! Each is played with JSON headers and with binary ones, for which Java's answers are kept where
//! they are others.

use skua_interop::Kind;
use skua_interop::differential::{self as d, Family, HeaderCodec};

fn main() {
    let named: Vec<_> = std::env::args().skip(1).collect();
    let names = if named.is_empty() { d::families() } else { named };
    for name in names {
        let family = Family::load(&name);
        eprintln!("{name}: {} requests", family.requests());
        let json = d::play(&family, Kind::Java, HeaderCodec::Json);
        let binary = d::play(&family, Kind::Java, HeaderCodec::Binary);
        for difference in d::compare(&name, &json, &binary) {
            println!(
                "with JSON headers (told as Java) and binary ones (told as Skua) {difference}"
            );
        }
        d::record(&name, &json, &binary);
    }
}
