//! Access control: what Skua refuses, and in which words, beside what Java 5.5.0 refuses with the
//! same configuration and the same users; and official clients with their own hooks.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use skua_interop::{
    Broker, Client, Driver, Encoding, Kind, Namesrv, Scene, Tuning, wait_until, wire,
};

pub(super) const ACCESS: [&str; 6] = [
    "authenticationEnabled=true",
    "authorizationEnabled=true",
    "authenticationMetadataProvider=org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider",
    "authorizationMetadataProvider=org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider",
    r#"initAuthenticationUser={"username":"admin","password":"admin-secret"}"#,
    r#"innerClientAuthenticationCredentials={"accessKey":"inner","secretKey":"inner-secret"}"#,
];
pub(super) const ADMIN: (&str, &str) = ("admin", "admin-secret");
pub(super) const ANN: (&str, &str) = ("ann", "ann-secret");

fn broker(
    scene: &Scene,
    kind: Kind,
    folder: &str,
    namesrv: &Namesrv,
    own: &[&'static str],
) -> Broker {
    let settings = own.to_vec();
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(scene, kind, folder, &namesrv.addr, tuning);
    broker.wait_registered();
    broker
}

/// Signed as the official hook signs.
pub(super) fn signed(fields: Value, body: &[u8], (user, secret): (&str, &str)) -> Value {
    let mut fields: BTreeMap<String, String> = serde_json::from_value(fields).expect("texts only");
    fields.insert("AccessKey".into(), user.into());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let mut content = hmac::Context::with_key(&key);
    for value in fields.values() {
        content.update(value.as_bytes());
    }
    content.update(body);
    fields.insert("Signature".into(), BASE64_STANDARD.encode(content.sign()));
    json!(fields)
}

type Answer = (i64, String, String);

/// Code, remark and body of the answer.
fn ask(addr: &str, code: i32, fields: Value, body: &[u8]) -> Answer {
    let (header, body) = wire::call(addr, code, fields, body).expect("an answer");
    let remark = header["remark"].as_str().unwrap_or_default().to_owned();
    (header["code"].as_i64().expect("a code"), remark, String::from_utf8_lossy(&body).into_owned())
}

pub(super) fn as_user(
    addr: &str,
    user: (&str, &str),
    code: i32,
    fields: Value,
    body: &str,
) -> Answer {
    ask(addr, code, signed(fields, body.as_bytes(), user), body.as_bytes())
}

pub(super) fn send_fields(topic: &str) -> Value {
    json!({
        "a": "producers", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "l": "0", "m": "false",
    })
}

fn rule(resource: &str, actions: &[&str], decision: &str, ips: &[&str]) -> Value {
    json!({"resource": resource, "actions": actions, "decision": decision, "sourceIps": ips})
}

/// The users and rules of both servers.
pub(super) fn people(addr: &str) {
    let user = |name: &str, info: Value| {
        let made = as_user(addr, ADMIN, 3001, json!({"username": name}), &info.to_string());
        assert_eq!(made.0, 0, "{name}: {made:?}");
    };
    user("ann", json!({"password": "ann-secret"}));
    user("bob", json!({"password": "bob-secret", "userStatus": "disable"}));
    user("dave", json!({"password": "dave-secret", "userType": "Normal"}));
    let acl = |name: &str, entries: Value| {
        let body = json!({"policies": [{"policyType": "Custom", "entries": entries}]});
        let subject = json!({"subject": format!("User:{name}")});
        let made = as_user(addr, ADMIN, 3006, subject, &body.to_string());
        assert_eq!(made.0, 0, "{name}: {made:?}");
    };
    acl(
        "ann",
        json!([
            rule("Topic:mine", &["Pub", "Sub"], "Allow", &[]),
            rule("Topic:far", &["Pub"], "Allow", &["10.9.9.9", "10.8.0.0/16"]),
            rule("Topic:near", &["Pub"], "Allow", &["127.0.0.0/8"]),
            rule("Topic:pre-*", &["Pub"], "Allow", &[]),
            rule("Topic:pre-no*", &["All"], "Deny", &[]),
            rule("Group:mine", &["Sub"], "Allow", &[]),
            rule("Topic:own-*", &["Pub", "Sub"], "Allow", &[]),
            rule("Group:own-*", &["Sub"], "Allow", &[]),
        ]),
    );
    acl("dave", json!([rule("Cluster:*", &["All"], "Allow", &[])]));
    let topic = |topic: &str| {
        let fields = json!({
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1",
            "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        });
        let made = as_user(addr, ADMIN, 17, fields, "");
        assert_eq!(made.0, 0, "{topic}: {made:?}");
    };
    [
        "mine", "others", "far", "near", "pre-yes", "pre-no", "own-1", "own-2", "own-3", "own-4",
        "own-5",
    ]
    .into_iter()
    .for_each(topic);
}

/// Every attempt, by name, with what became of it.
fn attempts(addr: &str) -> Vec<(&'static str, Answer)> {
    let mut done = Vec::new();
    let mut note = |name, answer| done.push((name, answer));
    let dave = ("dave", "dave-secret");
    let send = |user, topic: &str| as_user(addr, user, 310, send_fields(topic), "hello");

    note("nobody sends", ask(addr, 310, send_fields("mine"), b"hello"));
    note("an unknown user sends", send(("eve", "eve-secret"), "mine"));
    note("a wrong key", send(("ann", "wrong-secret"), "mine"));
    note("a disabled user", send(("bob", "bob-secret"), "mine"));
    note("another user's topic", send(ANN, "others"));
    note("a topic that does not exist", send(ANN, "nowhere"));
    note("from the wrong address", send(ANN, "far"));
    note("under a denied prefix", send(ANN, "pre-no"));
    let fields = signed(send_fields("mine"), b"hello", ANN);
    note("a replay with another body", ask(addr, 310, fields.clone(), b"jello"));
    let mut changed = fields.clone();
    changed["b"] = json!("near");
    note("a replay with another topic", ask(addr, 310, changed, b"hello"));
    let mut renamed = fields.clone();
    renamed["AccessKey"] = json!("admin");
    note("signed by one, sent as another", ask(addr, 310, renamed, b"hello"));
    let mut unsigned = fields;
    unsigned.as_object_mut().expect("fields").remove("Signature");
    note("no signature", ask(addr, 310, unsigned, b"hello"));

    let pull = |group: &str, topic: &str| {
        let fields = json!({
            "consumerGroup": group, "topic": topic, "queueId": "0", "queueOffset": "0",
            "maxMsgNums": "1", "sysFlag": "0", "commitOffset": "0", "suspendTimeoutMillis": "0",
            "subVersion": "0", "subscription": "*", "expressionType": "TAG",
        });
        as_user(addr, ANN, 11, fields, "")
    };
    note("pull from another user's topic", pull("mine", "others"));
    note("pull as another user's group", pull("others", "mine"));
    let beat = |group: &str, topic: &str| {
        let body = json!({"clientID": "c", "producerDataSet": [], "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": false,
            "subscriptionDataSet": [{"topic": topic, "subString": "*", "expressionType": "TAG",
                "tagsSet": [], "codeSet": [], "subVersion": 1, "classFilterMode": false}],
        }]});
        as_user(addr, ANN, 34, json!({}), &body.to_string())
    };
    note("heartbeat of another user's group", beat("others", "mine"));
    note("heartbeat with another user's topic", beat("mine", "others"));
    note("a heartbeat that cannot be read", as_user(addr, ANN, 34, json!({}), "{"));
    note(
        "offset of another user's group",
        as_user(
            addr,
            ANN,
            14,
            json!({"consumerGroup": "others", "topic": "mine", "queueId": "0"}),
            "",
        ),
    );
    note(
        "commit for another user's group",
        as_user(
            addr,
            ANN,
            15,
            json!({"consumerGroup": "others", "topic": "mine", "queueId": "0", "commitOffset": "0"}),
            "",
        ),
    );
    note(
        "the greatest offset of a topic",
        as_user(addr, ANN, 30, json!({"topic": "mine", "queueId": "0"}), ""),
    );
    note(
        "a message back for another group",
        as_user(addr, ANN, 36, json!({"group": "others", "offset": "0", "delayLevel": "0"}), ""),
    );
    note(
        "messages by key of another topic",
        as_user(
            addr,
            ANN,
            12,
            json!({"topic": "others", "key": "k", "maxNum": "1", "beginTimestamp": "0", "endTimestamp": "1"}),
            "",
        ),
    );
    note("to delete a topic", as_user(addr, ANN, 215, json!({"topic": "mine"}), ""));
    note("to delete a group", as_user(addr, ANN, 207, json!({"groupName": "mine"}), ""));
    note(
        "to make a user",
        as_user(addr, ANN, 3001, json!({"username": "x"}), r#"{"password":"p"}"#),
    );
    note("to list users", as_user(addr, ANN, 3005, json!({}), ""));
    note("recall", as_user(addr, ANN, 370, json!({"topic": "others", "recallHandle": "x"}), ""));

    // What administrators are refused.
    note(
        "a user twice",
        as_user(addr, ADMIN, 3001, json!({"username": "ann"}), r#"{"password":"p"}"#),
    );
    note("a user without a name", as_user(addr, ADMIN, 3001, json!({"username": ""}), "{}"));
    note("a user without a password", as_user(addr, ADMIN, 3001, json!({"username": "x"}), "{}"));
    note(
        "a super user by another",
        as_user(
            addr,
            dave,
            3001,
            json!({"username": "x"}),
            r#"{"password":"p","userType":"Super"}"#,
        ),
    );
    note(
        "promotion by another",
        as_user(addr, dave, 3002, json!({"username": "dave"}), r#"{"userType":"Super"}"#),
    );
    note(
        "a super user changed by another",
        as_user(addr, dave, 3002, json!({"username": "admin"}), r#"{"password":"x"}"#),
    );
    note(
        "a super user deleted by another",
        as_user(addr, dave, 3003, json!({"username": "admin"}), ""),
    );
    note("an unknown user changed", as_user(addr, ADMIN, 3002, json!({"username": "x"}), "{}"));
    note("an unknown user deleted", as_user(addr, ADMIN, 3003, json!({"username": "x"}), ""));
    note("an unknown user asked for", as_user(addr, ADMIN, 3004, json!({"username": "x"}), ""));
    let acl = |subject: &str, entry: Value| {
        let body = json!({"policies": [{"policyType": "Custom", "entries": [entry]}]});
        as_user(addr, ADMIN, 3007, json!({"subject": subject}), &body.to_string())
    };
    note("rules for nobody", acl("User:x", rule("*", &["All"], "Allow", &[])));
    note("a rule about nothing", acl("User:ann", rule("Tropic:x", &["All"], "Allow", &[])));
    note("a rule without actions", acl("User:ann", rule("*", &[], "Allow", &[])));
    note("a rule for Any", acl("User:ann", rule("*", &["Any"], "Allow", &[])));
    note("a rule without a decision", acl("User:ann", rule("*", &["All"], "Perhaps", &[])));
    note("a rule for no address", acl("User:ann", rule("*", &["All"], "Allow", &["1.2.3"])));
    note("rules of nobody", as_user(addr, ADMIN, 3009, json!({"subject": "User:x"}), ""));
    note(
        "rules deleted of one who has none",
        as_user(addr, ADMIN, 3008, json!({"subject": "User:bob"}), ""),
    );
    done
}

/// Those that must come through.
fn permitted(addr: &str) -> Vec<(&'static str, Answer)> {
    let send = |topic: &str| as_user(addr, ANN, 310, send_fields(topic), "hello");
    vec![
        ("her topic", send("mine")),
        ("from the right address", send("near")),
        ("under a prefix", send("pre-yes")),
        ("an administrator", as_user(addr, ADMIN, 310, send_fields("others"), "hello")),
        ("one user", as_user(addr, ADMIN, 3004, json!({"username": "bob"}), "")),
        ("all users", as_user(addr, ADMIN, 3005, json!({}), "")),
        ("some users", as_user(addr, ADMIN, 3005, json!({"filter": "a"}), "")),
        ("her rules", as_user(addr, ADMIN, 3009, json!({"subject": "User:ann"}), "")),
        ("all rules", as_user(addr, ADMIN, 3010, json!({}), "")),
        ("rules by resource", as_user(addr, ADMIN, 3010, json!({"resourceFilter": "pre"}), "")),
        (
            "a rule deleted",
            as_user(
                addr,
                ADMIN,
                3008,
                json!({"subject": "User:ann", "policyType": "Custom", "resource": "Topic:far"}),
                "",
            ),
        ),
        ("rules of dave deleted", as_user(addr, ADMIN, 3008, json!({"subject": "User:dave"}), "")),
        ("what is left", as_user(addr, ADMIN, 3010, json!({}), "")),
    ]
}

/// Without what nobody can compare: empty lists are left out by one and written by the other.
fn comparable(body: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|_, value| *value != json!([]));
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(body).unwrap_or(Value::String(body.to_owned()));
    strip(&mut value);
    value
}

#[test]
fn refusals_are_those_of_java() {
    let scene = Scene::new();
    let start = |kind, folder| {
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let broker = broker(&scene, kind, folder, &namesrv, &ACCESS);
        (namesrv, broker)
    };
    let (_java_namesrv, java) = start(Kind::Java, "java");
    let (_skua_namesrv, skua) = start(Kind::Skua, "skua");
    people(&java.addr);
    people(&skua.addr);
    let mut different = Vec::new();
    for ((name, java), (_, skua)) in attempts(&java.addr).into_iter().zip(attempts(&skua.addr)) {
        println!("{name}: {} {} | {} {}", java.0, java.1, skua.0, skua.1);
        // Where Java tells of an exception the exception's words are compared.
        let same = java.0 == 0
            || java.1 == skua.1
            || java.1.contains("Exception") && java.1.contains(&skua.1);
        if java.0 != skua.0 || !same {
            different.push(format!("{name}: Java {java:?}, Skua {skua:?}"));
        }
    }
    for ((name, java), (_, skua)) in permitted(&java.addr).into_iter().zip(permitted(&skua.addr)) {
        println!("{name}: {} {} | {} {}", java.0, java.2, skua.0, skua.2);
        if (java.0, skua.0) != (0, 0) || comparable(&java.2) != comparable(&skua.2) {
            different.push(format!("{name}: Java {java:?}, Skua {skua:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Sends and consumes with its client's own hook; with another key, or to the topic `others`,
/// nothing is sent.
pub(super) fn official_client(mut driver: Driver, topic: &str, (user, secret): (&str, &str)) {
    let client = driver.client;
    driver.run(&format!("producer p group=producers ak={user} sk={secret} timeout=8000"));
    driver.run(&format!("send p topic={topic} mode=sync count=20 prefix={client:?}"));
    driver.run(&format!(
        "producer wrong group=others ak={user} sk=wrong-secret retries=0 timeout=3000"
    ));
    assert!(
        driver.try_run(&format!("send wrong topic={topic} mode=sync count=1 prefix=x")).is_err()
            || !driver.told("lost").is_empty(),
        "{client:?}: a wrong key"
    );
    let lost = driver.told("lost").len();
    assert!(
        driver.try_run("send p topic=others mode=sync count=1 prefix=y").is_err()
            || driver.told("lost").len() > lost,
        "{client:?}: another user's topic"
    );
    assert!(driver.sent("others").is_empty(), "{client:?}: another user's topic");
    assert_eq!(driver.sent(topic).len(), 20, "{client:?}");
    driver.run(&format!(
        "consumer c group={topic} topic={topic} kind=concurrent ak={user} sk={secret}"
    ));
    driver.wait_got("c", 20);
    driver.finish();
}

/// All clients whose makers have a hook, each with a topic `own-N` of its own, side by side.
fn official_clients(scene: &Scene, namesrv: &str, account: (&str, &str)) {
    let start = |client, encoding| Driver::start_with(scene, client, encoding, namesrv);
    let drivers = [
        (start(Client::Java5, Encoding::Json), "own-1"),
        (start(Client::Java5, Encoding::Binary), "own-2"),
        (start(Client::Go, Encoding::Json), "own-3"),
        (start(Client::Python, Encoding::Json), "own-4"),
        (start(Client::Java4, Encoding::Json), "own-5"),
    ];
    std::thread::scope(|threads| {
        for (driver, topic) in drivers {
            threads.spawn(move || official_client(driver, topic, account));
        }
    });
}

#[test]
fn official_clients_with_their_hooks_are_let_in() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let own = [&ACCESS[..], &["brokerName=broker-a", "brokerIP2=127.0.0.1"]].concat();
    let broker = broker(&scene, Kind::Skua, "skua", &namesrv, &own);
    people(&broker.addr);
    official_clients(&scene, &namesrv.addr, ANN);

    // A slave signs with the broker's own account, and copies what the master has.
    let own = [&ACCESS[..], &["brokerName=broker-a", "brokerRole=SLAVE", "brokerId=1"]].concat();
    let slave = self::broker(&scene, Kind::Skua, "slave", &namesrv, &own);
    wait_until("the topics at the slave", std::time::Duration::from_secs(60), || {
        (as_user(&slave.addr, ADMIN, 351, json!({"topic": "pre-yes"}), "").0 == 0).then_some(())
    });
}

pub(super) const PLAIN: &str = "
globalWhiteRemoteAddresses:
accounts:
  - accessKey: account1
    secretKey: secret-of-1
    topicPerms: ['mine=PUB|SUB', 'read=SUB', 'own-1=PUB|SUB', 'own-2=PUB|SUB', 'own-3=PUB|SUB', 'own-4=PUB|SUB', 'own-5=PUB|SUB']
    groupPerms: ['mine=SUB', 'own-1=SUB', 'own-2=SUB', 'own-3=SUB', 'own-4=SUB', 'own-5=SUB']
  - accessKey: account2
    secretKey: secret-of-2
    admin: true
";

#[test]
fn access_control_lists_of_rocketmq_4_are_obeyed_and_followed() {
    let scene = Scene::new();
    let home = scene.folder("home");
    let file = scene.folder("home/conf").join("plain_acl.yml");
    fs::write(&file, PLAIN).expect("a file");
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let home: &'static str = format!("rocketmqHome={}", home.display()).leak();
    let broker = broker(&scene, Kind::Skua, "skua", &namesrv, &["aclEnable=true", home]);
    let addr = &broker.addr;
    let (one, admin) = (("account1", "secret-of-1"), ("account2", "secret-of-2"));
    for topic in ["mine", "read", "others", "own-1", "own-2", "own-3", "own-4", "own-5"] {
        let fields = json!({
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1",
            "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        });
        assert_eq!(as_user(addr, admin, 17, fields.clone(), "").0, 0);
        let refused = as_user(addr, one, 17, fields, "");
        assert!(refused.1.contains("Need admin permission for request code=17"), "{refused:?}");
    }
    let send = |user, topic: &str| as_user(addr, user, 310, send_fields(topic), "hello");
    assert_eq!(send(one, "mine").0, 0);
    let refusals = [
        (send(one, "read"), "No default permission for topic:read"),
        (send(one, "others"), "No default permission for topic:others"),
        (
            send(("account1", "wrong-secret"), "mine"),
            "Check signature failed for accessKey=account1",
        ),
        (send(("account9", "secret-of-9"), "mine"), "No acl config for account9"),
        (ask(addr, 310, send_fields("mine"), b"hello"), "No accessKey is configured"),
    ];
    for ((code, remark, _), words) in refusals {
        let java = format!("org.apache.rocketmq.acl.common.AclException: {words}");
        assert_eq!((code, remark), (1, java));
    }
    // A request replayed with another body, another topic, under another name.
    let replayed = |change: &dyn Fn(&mut Value), body: &[u8]| {
        let mut fields = signed(send_fields("mine"), b"hello", one);
        change(&mut fields);
        ask(addr, 310, fields, body)
    };
    assert_eq!(replayed(&|_| {}, b"hello").0, 0, "as it was signed");
    for refused in [
        replayed(&|_| {}, b"jello"),
        replayed(&|fields| fields["b"] = json!("own-1"), b"hello"),
        replayed(&|fields| fields["AccessKey"] = json!("account2"), b"hello"),
        replayed(
            &|fields| drop(fields.as_object_mut().expect("fields").remove("Signature")),
            b"hello",
        ),
    ] {
        assert!(refused.0 == 1 && refused.1.contains("Check signature failed"), "{refused:?}");
    }
    official_clients(&scene, &namesrv.addr, one);

    // The file changes: what it says counts soon, and what is wrong with it changes nothing.
    fs::write(&file, PLAIN.replace("'mine=PUB|SUB'", "'mine=SUB'")).expect("a file");
    wait_until("the new list", std::time::Duration::from_secs(30), || {
        (send(one, "mine").0 != 0).then_some(())
    });
    fs::write(&file, "accounts: [").expect("a file");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(send(admin, "mine").0, 0, "the former list stays");
    fs::write(
        &file,
        PLAIN.replace("globalWhiteRemoteAddresses:", "globalWhiteRemoteAddresses: ['127.0.0.*']"),
    )
    .expect("a file");
    wait_until("the white list", std::time::Duration::from_secs(30), || {
        (ask(addr, 310, send_fields("mine"), b"hello").0 == 0).then_some(())
    });
}

/// Rights of lite topics, of which Java 5.5.0 asks for none: those of the parent topic and of the
/// group, as where messages are popped.
#[test]
fn lite_topics_need_the_rights_of_their_parent_and_group() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let own = [&ACCESS[..], &["enableLmq=true", "enableMultiDispatch=true"]].concat();
    let broker = broker(&scene, Kind::Skua, "skua", &namesrv, &own);
    let addr = &broker.addr;
    people(addr);
    for topic in ["own-lite", "foreign"] {
        let fields = json!({
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1",
            "writeQueueNums": "1", "perm": "6", "topicFilterType": "SINGLE_TAG",
            "topicSysFlag": "0", "order": "false", "attributes": "+message.type=LITE",
        });
        assert_eq!(as_user(addr, ADMIN, 17, fields, "").0, 0, "{topic}");
        let group = json!({"groupName": topic, "attributes": {"+lite.bind.topic": topic}});
        assert_eq!(as_user(addr, ADMIN, 200, json!({}), &group.to_string()).0, 0, "{topic}");
    }
    let send = |topic: &str| {
        let mut fields = send_fields(topic);
        fields["i"] = json!("UNIQ_KEY\u{1}u1\u{2}__LITE_TOPIC\u{1}a\u{2}");
        as_user(addr, ANN, 310, fields, "hello")
    };
    let subscribe = |group: &str, topic: &str| {
        let body = json!({"subscriptionSet": [{
            "action": "PARTIAL_ADD", "clientId": "c1", "group": group, "topic": topic,
            "liteTopicSet": ["a"], "version": 1,
        }]});
        as_user(addr, ANN, 200_071, json!({}), &body.to_string())
    };
    let pop = |group: &str, topic: &str| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let fields = json!({
            "clientId": "c1", "consumerGroup": group, "topic": topic, "maxMsgNum": "8",
            "invisibleTime": "60000", "pollTime": "0", "bornTime": since.as_millis().to_string(), "attemptId": "a1",
        });
        as_user(addr, ANN, 200_070, fields, "")
    };
    let info = |code: i32, fields: Value| as_user(addr, ANN, code, fields, "");
    let others = [
        ("send", send("foreign")),
        ("subscribe to a topic", subscribe("own-lite", "foreign")),
        ("subscribe as a group", subscribe("foreign", "own-lite")),
        ("pop from a topic", pop("own-lite", "foreign")),
        ("pop as a group", pop("foreign", "own-lite")),
        ("parent", info(200_075, json!({"topic": "own-lite"}))),
        ("lite topic", info(200_076, json!({"parentTopic": "own-lite", "liteTopic": "a"}))),
        ("group", info(200_078, json!({"group": "own-lite", "topK": "1"}))),
        ("dispatch", info(200_079, json!({"group": "own-lite"}))),
        ("broker", info(200_074, json!({}))),
    ];
    for (name, (code, remark, _)) in others {
        assert_eq!(code, 16, "{name}: {remark}");
    }
    assert_eq!(send("own-lite").0, 0);
    assert_eq!(subscribe("own-lite", "own-lite").0, 0);
    let came = wait_until("the message", std::time::Duration::from_secs(60), || {
        let came = pop("own-lite", "own-lite");
        assert_ne!(came.0, 16, "{came:?}");
        (came.0 == 0).then_some(came.2)
    });
    assert!(came.contains("hello"), "{came}");
    // Nothing unsigned comes through either.
    let unsigned = ask(addr, 200_070, json!({"topic": "own-lite"}), b"");
    assert_eq!(unsigned.0, 16, "{unsigned:?}");
}
