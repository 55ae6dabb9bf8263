//! Finding and reading the recorded frames.

use std::path::Path;

use bytes::BytesMut;
use serde_json::Value;
use skua_protocol::command::Command;
use skua_protocol::frame;

pub struct Fixture {
    pub name: String,
    pub frame: Vec<u8>,
    /// What the recorder's decoder made of it.
    pub view: Value,
}

impl Fixture {
    pub fn command(&self) -> Command {
        frame::decode(&mut BytesMut::from(&self.frame[..])).unwrap().unwrap()
    }
}

/// All recorded frames, by name.
pub fn all() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let mut fixtures: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| Fixture {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            frame: std::fs::read(&path).unwrap(),
            view: serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap())
                .unwrap(),
        })
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    fixtures
}
