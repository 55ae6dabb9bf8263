//! The regression gate, run by `./test` on its own: Skua's rates as shares of the floor's.

use std::process::Command;

#[test]
#[ignore = "measures: needs the release build and a machine that does nothing else"]
fn rates_have_their_share_of_the_floor() {
    let status = Command::new(env!("CARGO_BIN_EXE_skua-bench"))
        .args(["--gate", "--seconds", "2", "--rounds", "2"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .expect("the benchmark starts");
    assert!(status.success(), "{status}");
}
