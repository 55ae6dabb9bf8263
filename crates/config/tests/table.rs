//! The table against RocketMQ's own keys, and the page made from it.

use std::collections::BTreeMap;

use skua_config::{Environment, Properties, Role, Settings, docs};

/// (class, key) to (type, default) as Java 5.5.0's reflection gives them.
fn rocketmq_keys() -> BTreeMap<(String, String), (String, String)> {
    let listing = include_str!("fixtures/config-properties.tsv");
    listing
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split('\t').map(str::to_owned);
            let mut cell = || cells.next().unwrap_or_default();
            ((cell(), cell()), (cell(), cell()))
        })
        // The client library's own class; no server reads it.
        .filter(|((class, _), _)| class != "ClientConfig")
        .collect()
}

fn settings(role: Role) -> Settings {
    let loaded = Settings::load(role, &Properties::default(), &[], &Environment::default());
    loaded.expect("an empty file is a configuration").0
}

#[test]
fn every_key_of_rocketmq_is_in_the_table_with_its_type_and_default() {
    let broker = settings(Role::Broker);
    let namesrv = settings(Role::NameServer);
    let rows: BTreeMap<_, _> = broker
        .keys()
        .chain(namesrv.keys())
        .map(|key| ((key.class.to_owned(), key.name.to_owned()), *key))
        .collect();
    let mut values = namesrv.pairs();
    values.extend(broker.pairs());
    // What follows from the role or from other keys rather than from Java's class.
    let derived = ["listenPort", "haListenPort", "storePathCommitLog", "configStorePath"];
    for ((class, key), (java_type, default)) in rocketmq_keys() {
        let row = rows.get(&(class.clone(), key.clone()));
        let row = row.unwrap_or_else(|| panic!("{class}.{key} is not in the table"));
        if matches!(java_type.as_str(), "boolean" | "int" | "long" | "double") {
            assert_eq!(row.type_name, java_type, "{class}.{key}");
        }
        let machine = default.contains(['<', '$']) || default.contains("cores");
        if machine || derived.contains(&key.as_str()) {
            continue;
        }
        let shared_with_other_class = broker.keys().filter(|row| row.name == key).count() > 1
            || namesrv.keys().filter(|row| row.name == key).count() > 1;
        if shared_with_other_class {
            continue;
        }
        let expected = if default == "null" { "" } else { default.as_str() };
        assert_eq!(values[&key], expected, "{class}.{key}");
    }
}

#[test]
fn the_page_of_keys_is_up_to_date() {
    let page = docs::page(&Environment::default());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/configuration.md is stale: run this test with UPDATE=1");
}
