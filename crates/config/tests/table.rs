//! The table against RocketMQ's own keys, and the page made from it.

use std::collections::{BTreeMap, BTreeSet};

use skua_config::table::classes;
use skua_config::{Effect, Environment, Key, Properties, Role, Settings, docs};

/// Keys of the table that are in no class of RocketMQ: two that its starter reads by itself, four
/// of its examples, and Skua's own.
const IN_NO_CLASS: [&str; 16] = [
    "abortFile",
    "advertisedPort",
    "haTlsEnable",
    "httpPort",
    "logLevel",
    "maxMessagesPerSecondOfGroup",
    "maxMessagesPerSecondOfTopic",
    "maxRequestsPerSecondOfConnection",
    "maxWaitingPullsOfGroup",
    "protectUnconsumedData",
    "rmqAddressServerDomain",
    "rmqAddressServerSubGroup",
    "slaveRefill",
    "storeCheckpoint",
    "storePathConsumerQueue",
    "storePathIndex",
];

fn rows() -> impl Iterator<Item = &'static Key> {
    classes().into_iter().flat_map(|(_, keys)| keys)
}

/// As Java 5.5.0's reflection gives them: class, key, type, default, settable from a file.
fn rocketmq_rows() -> Vec<[&'static str; 5]> {
    let listing = include_str!("fixtures/config-properties.tsv");
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        std::array::from_fn(|_| cells.next().expect("every row has five cells"))
    };
    listing.lines().skip(1).map(row).collect()
}

fn settings(role: Role, overrides: &[(&str, &str)]) -> Settings {
    let env = Environment { rocketmq_home: "/opt/rocketmq".into(), ..Environment::default() };
    let loaded = Settings::load(role, &Properties::default(), overrides, &env);
    loaded.expect("an empty file is a configuration").0
}

#[test]
fn every_key_of_rocketmq_is_in_the_table_with_its_type_and_default() {
    let rows: BTreeMap<_, _> = rows().map(|row| ((row.class, row.name), row)).collect();
    let wanted = rocketmq_rows();
    assert_eq!(wanted.len(), 613);
    for [class, key, java_type, default, settable] in wanted {
        let row = rows.get(&(class, key)).unwrap_or_else(|| panic!("{class}.{key} is missing"));
        match java_type {
            "boolean" | "int" | "long" | "double" | "String" => {
                assert_eq!(row.type_name, java_type, "{class}.{key}");
            }
            "enum(String setter)" => assert_eq!(row.type_name, "enum", "{class}.{key}"),
            // Java's own types; no file sets these keys.
            _ => assert_eq!(row.effect, Effect::Unset, "{class}.{key}"),
        }
        assert_eq!(row.default_text(), default, "{class}.{key}");
        assert_eq!(row.effect == Effect::Unset, settable == "no", "{class}.{key}");
    }
}

#[test]
fn no_other_key_is_in_the_table_but_those_with_a_reason() {
    let rocketmq: BTreeSet<_> = rocketmq_rows().iter().map(|row| (row[0], row[1])).collect();
    // Java has them as system properties, which are no fields of a class.
    let others = rows()
        .filter(|row| !rocketmq.contains(&(row.class, row.name)) && row.class != "TlsSystemConfig");
    let others: BTreeSet<_> = others.map(|row| row.name).collect();
    assert_eq!(others, BTreeSet::from(IN_NO_CLASS));
}

#[test]
fn every_row_stands_once_in_order_and_says_what_it_means() {
    for (title, keys) in classes() {
        for pair in keys.windows(2) {
            let [first, second] = [&pair[0], &pair[1]].map(|row| row.name.to_lowercase());
            assert!(first < second, "{title}: {first} stands before {second}");
        }
    }
    for row in rows() {
        assert!(row.doc.len() > 8 && row.doc.ends_with('.'), "{}: {}", row.name, row.doc);
    }
}

#[test]
fn every_default_is_accepted() {
    let env = Environment { rocketmq_home: "/opt/rocketmq".into(), ..Environment::default() };
    // storePathCommitLog is empty until the store's root is known.
    for row in rows().filter(|row| row.name != "storePathCommitLog") {
        if let Some(default) = row.default(&env) {
            assert_eq!(row.check(&default), Ok(()), "{}={default}", row.name);
        }
    }
}

/// The keys that Java 5.5.0 answers to codes 26 and 319, from a broker and a name server with few
/// keys given (mqadmin getBrokerConfig and getNamesrvConfig).
#[test]
fn listings_have_the_keys_that_javas_have() {
    let extra = |role, given: &[_], java: &str| {
        let ours: BTreeSet<_> = settings(role, given).pairs().into_keys().collect();
        let java: BTreeSet<_> = java.lines().map(str::to_owned).collect();
        assert_eq!(java.difference(&ours).collect::<Vec<_>>(), [""; 0]);
        ours.difference(&java).cloned().collect::<Vec<_>>()
    };
    let given = [
        ("namesrvAddr", "127.0.0.1:9876"),
        ("initAuthenticationUser", "{\"username\":\"secret\"}"),
    ];
    let listing = include_str!("fixtures/broker-listing-keys.txt");
    assert_eq!(
        extra(Role::Broker, &given, listing),
        [
            "advertisedPort",
            "haTlsEnable",
            "httpPort",
            "inBrokerContainer",
            "logLevel",
            "maxMessagesPerSecondOfGroup",
            "maxMessagesPerSecondOfTopic",
            "maxRequestsPerSecondOfConnection",
            "maxWaitingPullsOfGroup",
            "protectUnconsumedData",
            "scanAvailableNameSrv",
            "slaveRefill"
        ]
    );
    let listing = include_str!("fixtures/namesrv-listing-keys.txt");
    assert_eq!(extra(Role::NameServer, &[], listing), ["httpPort", "logLevel"]);
}

#[test]
fn the_page_of_keys_is_up_to_date() {
    let page = docs::page();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/configuration.md is stale: run this test with UPDATE=1");
}
