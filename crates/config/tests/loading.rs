//! From a file's bytes to a configuration, a warning or an error.

use std::sync::Arc;

use proptest::prelude::*;
use skua_config::{
    BrokerRole, ConfigError, Environment, FlushDiskType, Properties, Role, Settings, Warning,
    properties,
};

fn load(text: &str) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let file = Properties::parse(text.as_bytes(), "broker.conf");
    Settings::load(Role::Broker, &file, &[], &Environment::default())
}

fn loaded(text: &str) -> Settings {
    load(text).expect("a good file").0
}

#[test]
fn trailing_blanks_do_no_harm() {
    let settings =
        loaded("listenPort = 12345  \nenableDLegerCommitLog=true \nflushDiskType=SYNC_FLUSH\t\n");
    assert_eq!(settings.server.listen_port, 12345);
    assert_eq!(settings.broker.listen_port, 12345);
    assert!(settings.store.enable_dleger_commit_log);
    assert_eq!(settings.store.flush_disk_type, FlushDiskType::SyncFlush);
}

#[test]
fn a_bad_value_stops_with_file_line_key_given_and_accepted() {
    let error = load("# a comment\n\nlistenPort=1e4\n").expect_err("1e4 is no port");
    let text = error.to_string();
    for part in ["broker.conf:3", "listenPort", "1e4", "0 to 65535"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert!(load("brokerRole=sync_master").is_err());
    assert!(load("autoCreateTopicEnable=yes").is_err());
    assert!(load("listenPort=70000").is_err());
    assert!(load("storeType=defaultRocksDB").is_err());
    assert!(load("namesrvAddr=localhost").is_err());
    assert!(load("brokerRole=SLAVE\nbrokerId=0").is_err());
}

#[test]
fn an_unknown_key_warns_with_the_nearest_known_one() {
    let (settings, warnings) = load("brokerNmae=a").expect("unknown keys do not stop");
    let [Warning::Unknown { key, nearest, .. }] = &warnings[..] else { panic!("{warnings:?}") };
    assert_eq!((key.as_str(), nearest.as_deref()), ("brokerNmae", Some("brokerName")));
    assert_eq!(settings.pairs()["brokerNmae"], "a", "kept, as getBrokerConfig shows it");
}

#[test]
fn a_key_without_effect_warns() {
    let (_, warnings) = load("warmMapedFileEnable=true").expect("a known key");
    assert!(matches!(&warnings[..], [Warning::NoEffect { .. }]), "{warnings:?}");
}

#[test]
fn misspelt_keys_of_the_documentation_are_read() {
    let (settings, warnings) =
        load("mapedFileSizeCommitLog=65536\nfileReserverdTime=48").expect("a good file");
    assert_eq!(settings.store.mapped_file_size_commit_log, 65536);
    assert_eq!(settings.store.file_reserved_time, 48);
    assert!(warnings.iter().any(|w| matches!(w, Warning::Misspelt { .. })), "{warnings:?}");
    let settings = loaded("mappedFileSizeCommitLog=8192\nmapedFileSizeCommitLog=65536");
    assert_eq!(settings.store.mapped_file_size_commit_log, 8192, "the right spelling wins");
}

#[test]
fn derived_keys_follow_javas_rules() {
    let settings = loaded("listenPort=20911\nstorePathRootDir=/data/store/\nbrokerId=5");
    assert_eq!(settings.store.ha_listen_port, 20912);
    assert_eq!(settings.store.store_path_commit_log, "/data/store/commitlog");
    assert_eq!(settings.broker.broker_id, 0, "a master's id is 0");
    let settings = loaded("brokerRole=SLAVE\nbrokerId=2");
    assert_eq!((settings.store.broker_role, settings.broker.broker_id), (BrokerRole::Slave, 2));
}

#[test]
fn variables_are_expanded_and_unknown_ones_left() {
    let env = Environment {
        home: "/home/mq".into(),
        lookup: Arc::new(|name| (name == "DATA").then(|| "/data".into())),
        ..Environment::default()
    };
    for (given, expected) in [
        ("$HOME/store", "/home/mq/store"),
        ("${user.home}/store", "/home/mq/store"),
        ("${DATA}/a", "/data/a"),
        ("$HOMELESS/${NOT_SET}/$", "$HOMELESS/${NOT_SET}/$"),
    ] {
        assert_eq!(env.expand(given), expected);
    }
}

#[test]
fn javas_syntax_is_read() {
    let text = "! bang\n a : 1\nb 2\nc=x\\\n   y\nd=\\u4f60\\t!\ne\\ f=\\=\nempty\n\\u00zz=1\\";
    let properties = Properties::parse(text.as_bytes(), "f");
    let pairs: Vec<_> = properties.iter().map(|e| (e.key(), e.value(), e.line)).collect();
    assert_eq!(
        pairs,
        [
            ("a", "1", 2),
            ("b", "2", 3),
            ("c", "xy", 4),
            ("d", "你\t!", 6),
            ("e f", "=", 7),
            ("empty", "", 8),
            ("u00zz", "1", 9),
        ]
    );
    let latin = Properties::parse(b"k=\xe9", "f");
    assert_eq!(latin.get("k"), Some("é"));
}

#[test]
fn an_update_changes_what_it_may_and_nothing_when_a_key_is_wrong() {
    let settings = loaded("");
    let change = Properties::parse(b"autoCreateTopicEnable=false\nmaxMessageSize=1024", "request");
    let updated = settings.updated(&change).expect("known keys");
    assert!(!updated.broker.auto_create_topic_enable);
    assert_eq!(updated.store.max_message_size, 1024);
    let error = settings.updated(&Properties::parse(b"maxMesageSize=1", "request"));
    assert!(error.expect_err("misspelt").to_string().contains("maxMessageSize"));
}

proptest! {
    #[test]
    fn any_bytes_parse(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let properties = Properties::parse(&bytes, "f");
        prop_assert!(properties.iter().count() <= bytes.len());
    }

    #[test]
    fn written_pairs_read_back(pairs in proptest::collection::vec(("\\PC{1,12}", "\\PC{0,20}"), 0..8)) {
        let text = properties::write(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let read = Properties::parse(text.as_bytes(), "f");
        let read: Vec<_> = read.iter().map(|e| (e.key.clone(), e.value.clone())).collect();
        let expected: Vec<_> =
            pairs.iter().map(|(k, v)| (k.clone(), v.trim().to_owned())).collect();
        prop_assert_eq!(read, expected);
    }
}
