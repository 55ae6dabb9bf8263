//! The sample configurations of `packaging/config`: every key is known, right, and does something.

use std::path::{Path, PathBuf};

use skua_config::{BrokerRole, Environment, Properties, Role, Settings};

fn samples(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            samples(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn every_key_of_the_samples_is_known_and_obeyed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/config");
    let mut files = Vec::new();
    samples(&folder, &mut files);
    assert!(files.len() >= 12, "{files:?}");
    for path in files {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let role = if name.starts_with("namesrv") { Role::NameServer } else { Role::Broker };
        let text = std::fs::read(&path).expect("readable");
        let properties = Properties::parse(&text, &name);
        let (settings, warnings) = Settings::load(role, &properties, &[], &Environment::default())
            .unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
        assert_eq!(warnings, [], "{}", path.display());
        // A slave's file says that it is one, in its name too.
        let is_slave = settings.broker.broker_id > 0;
        assert_eq!(is_slave, name.contains("-s."), "{}", path.display());
        assert_eq!(is_slave, settings.store.broker_role == BrokerRole::Slave, "{}", path.display());
    }
}
