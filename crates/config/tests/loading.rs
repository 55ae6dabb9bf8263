//! From a file's bytes to a configuration, a warning or an error.

use std::sync::Arc;

use proptest::prelude::*;
use skua_config::{
    BrokerRole, ConfigError, Effect, Environment, FlushDiskType, Properties, Role, Settings,
    Warning, properties,
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
        loaded("listenPort = 12345  \nautoCreateTopicEnable=false \nflushDiskType=SYNC_FLUSH\t\n");
    assert_eq!(settings.server.listen_port, 12345);
    assert_eq!(settings.broker.listen_port, 12345);
    assert!(!settings.broker.auto_create_topic_enable);
    assert_eq!(settings.store.flush_disk_type, FlushDiskType::SyncFlush);
}

#[test]
fn a_bad_value_stops_with_file_line_key_given_and_accepted() {
    let error = load("# a comment\n\nlistenPort=1e4\n").expect_err("1e4 is no port");
    let text = error.to_string();
    for part in ["broker.conf:3", "listenPort", "1e4", "0 to 65535"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    for (file, part) in [
        ("autoCreateTopicEnable=yes", "true or false"),
        ("brokerRole=MASTER", "ASYNC_MASTER or SYNC_MASTER or SLAVE"),
        ("listenPort=70000", "0 to 65535"),
        ("listenPort=65535", "below 65535"),
        ("maxMessageSize=-1", "from 1 to 2147483647"),
        ("mappedFileSizeCommitLog=1G", "from 4096 to 2147483647"),
        ("maxIndexNum=2147483648", "from 2 to 2147483647"),
        ("accessMessageInMemoryMaxRatio=101", "from 0 to 100"),
        ("storeType=defaultRocksDB", "default only: Skua keeps"),
        ("transRocksDBEnable=true", "false only: Skua keeps"),
        ("namesrvAddr=localhost", "host:port;host:port"),
        ("messageDelayLevel=1s 5x", "with s, m, h or d"),
        ("messageDelayLevel=1s 5é", "with s, m, h or d"),
        ("storePathCommitLog=/a,,/b", "several with , between"),
        ("brokerIP1=192.168.0", "an IP address or a host's name"),
        ("brokerName=", "a text of 1 to 255 bytes"),
        ("brokerRole=SLAVE\nbrokerId=0", "above 0"),
        ("enableControllerMode=true", "false only: Skua does not serve this yet"),
        ("authorizationProvider=com.example.Own", "Skua runs no Java classes"),
        ("initAuthenticationUser=admin", "a JSON object"),
    ] {
        let text = load(file).expect_err(file).to_string();
        assert!(text.contains(part) && text.contains("broker.conf"), "{file}: {text}");
    }
}

#[test]
fn a_bad_value_of_a_key_without_effect_stops_too() {
    assert!(matches!(load("accountStatsEnable=on"), Err(ConfigError::BadValue { .. })));
}

#[test]
fn a_bad_name_server_in_the_environment_stops_unless_the_file_names_others() {
    let env = Environment { namesrv_addr: "nowhere".into(), ..Environment::default() };
    let load = |text: &str| {
        Settings::load(Role::Broker, &Properties::parse(text.as_bytes(), "f"), &[], &env)
    };
    let error = load("").expect_err("no port").to_string();
    assert!(error.contains("NAMESRV_ADDR"), "{error}");
    let (settings, _) = load("namesrvAddr=a:1;b:2").expect("the file wins");
    assert_eq!(settings.broker.namesrv_addr, "a:1;b:2");
}

#[test]
fn the_command_line_wins_over_the_file() {
    let file = Properties::parse(b"namesrvAddr=a:1", "f");
    let env = Environment::default();
    let load = |value: &str| Settings::load(Role::Broker, &file, &[("namesrvAddr", value)], &env);
    let (settings, _) = load("b:2").expect("an address");
    assert_eq!(settings.broker.namesrv_addr, "b:2");
    let error = load("b").expect_err("no port").to_string();
    assert!(error.starts_with("command line: namesrvAddr=b "), "{error}");
}

#[test]
fn enum_values_are_read_in_any_case() {
    let settings = loaded("brokerRole=sync_master\nflushDiskType=Sync_Flush");
    assert_eq!(settings.store.broker_role, BrokerRole::SyncMaster);
    assert_eq!(settings.pairs()["flushDiskType"], "SYNC_FLUSH");
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
    let (settings, warnings) = load("warmMapedFileEnable=true").expect("a known key");
    assert!(matches!(&warnings[..], [Warning::NoEffect { .. }]), "{warnings:?}");
    assert_eq!(settings.pairs()["warmMapedFileEnable"], "true", "listed as given");
}

#[test]
fn a_key_of_another_program_warns_whose_it_is() {
    let (_, warnings) = load("kvConfigPath=/a\nvipChannelEnabled=true").expect("known keys");
    let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("broker.conf:1") && said[0].contains("NamesrvConfig"), "{said:?}");
    assert!(said[1].contains("broker.conf:2") && said[1].contains("ClientConfig"), "{said:?}");
}

#[test]
fn a_key_that_no_file_sets_warns_and_is_not_taken() {
    let (settings, warnings) = load("timerWarmEnable=true").expect("a known key");
    assert!(matches!(&warnings[..], [Warning::NotSettable { .. }]), "{warnings:?}");
    assert_eq!(settings.pairs()["timerWarmEnable"], "false");
}

#[test]
fn of_a_key_given_twice_the_last_line_counts_and_the_first_warns() {
    let (settings, warnings) = load("maxMessageSize=x\nmaxMessageSize=9").expect("9 is a size");
    assert_eq!(settings.store.max_message_size, 9);
    assert_eq!(
        warnings,
        [Warning::Repeated { place: "broker.conf:1".into(), key: "maxMessageSize".into() }]
    );
}

#[test]
fn a_variable_that_is_not_set_warns() {
    let (settings, warnings) = load("storePathRootDir=${NOT_SET}/a").expect("left as it stands");
    assert_eq!(settings.store.store_path_root_dir, "${NOT_SET}/a");
    let [Warning::UnknownVariable { variable, .. }] = &warnings[..] else { panic!("{warnings:?}") };
    assert_eq!(variable, "NOT_SET");
}

#[test]
fn misspelt_keys_of_the_documentation_are_read() {
    let (settings, warnings) =
        load("mapedFileSizeCommitLog=65536\nfileReserverdTime=48").expect("a good file");
    assert_eq!(settings.store.mapped_file_size_commit_log, 65536);
    assert_eq!(settings.pairs()["fileReservedTime"], "48");
    assert!(warnings.iter().any(|w| matches!(w, Warning::Misspelt { .. })), "{warnings:?}");
    assert!(!settings.is_given("mappedFileSizeCommitLog"), "existing files win over it");
    let settings = loaded("mappedFileSizeCommitLog=8192\nmapedFileSizeCommitLog=65536");
    assert_eq!(settings.store.mapped_file_size_commit_log, 8192, "the right spelling wins");
    for key in ["storePathConsumerQueue", "storePathConsumeQueue"] {
        let settings = loaded(&format!("{key}=/data/queues"));
        assert_eq!(settings.pairs()["storePathConsumerQueue"], "/data/queues");
    }
}

#[test]
fn derived_keys_follow_javas_rules() {
    let settings = loaded("listenPort=20911\nstorePathRootDir=/data/store/\nbrokerId=5");
    assert_eq!(settings.store.ha_listen_port, 20912);
    assert_eq!(settings.store.store_path_commit_log, "/data/store/commitlog");
    assert_eq!(settings.broker.broker_id, 0, "a master's id is 0");
    assert_eq!(settings.pairs()["brokerId"], "0");
    let (_, warnings) = load("brokerId=5").expect("overruled");
    assert!(matches!(&warnings[..], [Warning::Overruled { key: "brokerId", .. }]), "{warnings:?}");
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
    for (change, part) in [
        ("maxMesageSize=1", "did you mean maxMessageSize?"),
        ("maxMessageSize=0", "the request: maxMessageSize=0"),
        ("storeType=defaultRocksDB", "default only"),
    ] {
        let change = Properties::parse(change.as_bytes(), "request");
        let error = settings.updated(&change).expect_err("wrong").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_update_of_a_key_that_waits_for_the_next_start_is_listed_but_not_obeyed_yet() {
    let mut settings = loaded("brokerName=a");
    assert_eq!(settings.update("brokerName", "b"), Ok(Effect::Restart));
    assert_eq!(settings.update("fileReserverdTime", "9"), Ok(Effect::Live));
    assert_eq!(settings.broker.broker_name, "a");
    assert_eq!(settings.pairs()["brokerName"], "b");
    assert_eq!(settings.pairs()["fileReservedTime"], "9");
    let changes: Vec<_> = settings.changes().collect();
    assert_eq!(changes, [("brokerName", "b"), ("fileReservedTime", "9")]);
    let file = b"# ours\nbrokerName : a\n\nlistenPort=1";
    let file = properties::edit(file, changes);
    assert_eq!(file, "# ours\nbrokerName=b\n\nlistenPort=1\nfileReservedTime=9\n");
}

#[test]
fn a_name_server_writes_changes_to_the_file_it_was_started_with() {
    let env = Environment::default();
    let load = |file: &Properties| Settings::load(Role::NameServer, file, &[], &env).unwrap().0;
    let with_file = load(&Properties::parse(b"configStorePath=/x", "/etc/namesrv.conf"));
    assert_eq!(with_file.namesrv.config_store_path, "/etc/namesrv.conf");
    assert_eq!(with_file.server.listen_port, 9876);
    let without = load(&Properties::default());
    assert_eq!(without.namesrv.config_store_path, "/root/namesrv/namesrv.properties");
}

#[test]
fn the_important_listing_is_a_part_of_the_whole_one() {
    let settings = loaded("");
    let (all, important) = (settings.listing(false), settings.listing(true));
    assert!(all.lines().any(|line| line == "haMasterAddress="), "null is nothing after the sign");
    assert!(important.lines().any(|line| line == "flushDiskType=ASYNC_FLUSH"));
    assert!(important.lines().all(|line| all.lines().any(|other| other == line)));
    assert!(important.lines().count() < all.lines().count() / 3);
}

#[test]
fn a_line_added_after_an_unfinished_one_is_a_line_of_its_own() {
    for file in ["a=1\\", "a=1\\\n", "a=1\\\n  b\\"] {
        let edited = properties::edit(file.as_bytes(), [("c", "2")]);
        let read = Properties::parse(edited.as_bytes(), "f");
        assert_eq!(read.get("c"), Some("2"), "{edited:?}");
        assert_eq!(read.get("a"), Properties::parse(file.as_bytes(), "f").get("a"));
    }
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

    #[test]
    fn an_edited_file_says_what_it_said_but_for_the_changes(
        file in proptest::collection::vec("[ \\t]{0,1}([a-c]{1,2}[=: ][ \\t]?[a-z=#é]{0,4}(\\\\\r?\n *[xyz])?|#[a-c=]{0,4}|)", 0..8),
        end in "(\r\n|\n|\r)",
        changes in proptest::collection::btree_map("[a-d]{1,2}", "[A-Z\\\\#= é]{0,5}", 0..4),
    ) {
        let file = file.join(&end);
        let edited = properties::edit(file.as_bytes(), changes.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let (before, after) = (Properties::parse(file.as_bytes(), "f"), Properties::parse(edited.as_bytes(), "f"));
        for (key, value) in &changes {
            prop_assert_eq!(after.get(key), Some(value.trim()));
        }
        for entry in before.iter().filter(|entry| !changes.contains_key(&entry.key)) {
            prop_assert_eq!(after.get(&entry.key), before.get(&entry.key));
        }
        let comments = |text: &str| text.split(['\n', '\r']).filter(|l| l.trim().starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(comments(&file), comments(&edited));
    }

    #[test]
    fn any_bytes_can_be_edited(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let edited = properties::edit(&bytes, [("some.key", "v")]);
        let read = Properties::parse(edited.as_bytes(), "f");
        prop_assert_eq!(read.get("some.key"), Some("v"));
    }
}
