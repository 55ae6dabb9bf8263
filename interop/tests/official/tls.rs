//! TLS with official clients and servers: who connects, who must not, certificates renewed without
//! a restart, servers among themselves.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use skua_interop::{
    Broker, Client, Driver, Encoding, Kind, Namesrv, Relay, Scene, Tuning, skua, wait_until, wire,
};

use crate::access::official_client;
use crate::authority::{Authority, EXPIRED, Issued, VALID};

const LIMIT: Duration = Duration::from_secs(60);
/// Keys of a server that shows `own` and asks for certificates of `trust`.
fn server(mode: &str, own: &Issued, trust: &Path) -> Vec<String> {
    vec![
        "tls.test.mode.enable=false".into(),
        format!("tls.server.mode={mode}"),
        format!("tls.server.keyPath={}", own.key.display()),
        format!("tls.server.certPath={}", own.cert.display()),
        "tls.server.need.client.auth=require".into(),
        "tls.server.authClient=true".into(),
        format!("tls.server.trustCertPath={}", trust.display()),
    ]
}

/// Keys of one that shows `own` to servers and believes those of `trust`.
fn caller(own: &Issued, trust: &Path) -> Vec<String> {
    vec![
        "tls.enable=true".into(),
        "tls.test.mode.enable=false".into(),
        format!("tls.client.keyPath={}", own.key.display()),
        format!("tls.client.certPath={}", own.cert.display()),
        "tls.client.authServer=true".into(),
        format!("tls.client.trustCertPath={}", trust.display()),
    ]
}

fn tuning(lines: &[String]) -> Tuning {
    let settings = lines.iter().map(|line| &*line.clone().leak()).collect();
    Tuning { settings, java_options: None }
}

/// As system properties of a Java server.
fn java(lines: &[String]) -> Tuning {
    let properties: Vec<_> = lines.iter().map(|line| format!("-D{line}")).collect();
    let options = format!(
        "-Xms128m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 {}",
        properties.join(" ")
    );
    Tuning { settings: Vec::new(), java_options: Some(options.leak()) }
}

fn client(scene: &Scene, client: Client, namesrv: &str, properties: &[String]) -> Driver {
    Driver::start_configured(scene, client, Encoding::Json, namesrv, properties)
}

/// Sends and consumes.
fn works(mut driver: Driver, topic: &str) {
    let group = format!("g{}", std::process::id());
    driver.run("producer p group=producers timeout=8000");
    // A JVM that has just started may take longer for its first handshake than its client waits.
    wait_until("a first send", LIMIT, || {
        driver.try_run(&format!("send p topic={topic} mode=sync count=1 prefix=first")).ok()
    });
    driver.run(&format!("send p topic={topic} mode=sync count=20 prefix=a size=3000"));
    driver.run(&format!("consumer c group={group}-{topic} topic={topic} kind=concurrent"));
    driver.wait_got("c", 20);
    driver.finish();
}

fn fails(mut driver: Driver, topic: &str, what: &str) {
    let sent = driver
        .try_run("producer p group=producers timeout=3000 retries=0")
        .and_then(|()| driver.try_run(&format!("send p topic={topic} mode=sync count=1 prefix=x")));
    assert!(sent.is_err() || !driver.told("lost").is_empty(), "{what} came through");
    assert!(driver.sent(topic).is_empty(), "{what} came through");
}

#[test]
fn a_server_without_configuration_serves_tls_on_its_port() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let broker = Broker::start(&scene, Kind::Skua, "broker-a", &namesrv.addr);
    assert!(wire::send(&broker.addr, "both"), "plain");
    let by_tls = ["tls.enable=true".to_owned()];
    let drivers = [
        (client(&scene, Client::Java5, &namesrv.addr, &by_tls), "five"),
        (client(&scene, Client::Java4, &namesrv.addr, &by_tls), "four"),
        (Driver::start(&scene, Client::Go, &namesrv.addr), "go"),
    ];
    for (_, topic) in &drivers {
        assert!(wire::send(&broker.addr, topic));
    }
    std::thread::scope(|scope| {
        for (driver, topic) in drivers {
            scope.spawn(move || works(driver, topic));
        }
    });
}

#[test]
fn an_enforcing_cluster_lets_in_whom_its_authority_knows() {
    let scene = Scene::new();
    let dir = scene.folder("certs");
    let (ours, theirs) = (Authority::new(&dir, "ours"), Authority::new(&dir, "theirs"));
    let own = ours.issue("server", VALID);
    let both = [server("enforcing", &own, &ours.trust()), caller(&own, &ours.trust())].concat();
    let namesrv = Namesrv::start_tuned(&scene, Kind::Skua, &tuning(&both));
    let broker = Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning(&both));
    wait_until("the broker's registration", LIMIT, || {
        broker.process.output().contains("registered").then_some(())
    });
    wait_until("the broker's port", LIMIT, || TcpStream::connect(&broker.addr).ok());
    let with = |properties: &[String]| client(&scene, Client::Java5, &namesrv.addr, properties);
    let good = caller(&ours.issue("client", VALID), &ours.trust());
    let expired = caller(&ours.issue("expired", EXPIRED), &ours.trust());
    let (good_one, plain_one, expired_one) = (with(&good), with(&[]), with(&expired));
    let four = client(&scene, Client::Java4, &namesrv.addr, &good);
    // It has no TLS. Nor has the C++ client, under Python, which gives up after a minute only.
    let go = Driver::start(&scene, Client::Go, &namesrv.addr);
    // A server whose certificate is over.
    let over = ours.issue("over", EXPIRED);
    let over = Namesrv::start_tuned(
        &scene,
        Kind::Skua,
        &tuning(&server("enforcing", &over, &ours.trust())),
    );
    let doubting_one = client(&scene, Client::Java5, &over.addr, &good);
    std::thread::scope(|scope| {
        scope.spawn(|| works(good_one, "mine"));
        scope.spawn(|| works(four, "four"));
        scope.spawn(|| fails(plain_one, "mine", "a plain connection"));
        scope.spawn(|| fails(expired_one, "mine", "an expired certificate"));
        scope.spawn(|| fails(go, "mine", "a plain connection of Go"));
        scope.spawn(|| fails(doubting_one, "mine", "a server's expired certificate"));
    });
    assert!(!wire::send(&broker.addr, "mine"), "a plain frame");

    // mqadmin, by the properties file and by Java's own way to give system properties.
    let file = dir.join("tls.properties");
    fs::write(&file, good.join("\n")).expect("a file");
    let mqadmin = |options: &str| {
        let output = skua()
            .args(["mqadmin", "clusterList", "-n", &namesrv.addr])
            .env("JAVA_OPT", options)
            .output()
            .expect("skua runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let listed = mqadmin(&format!("-Xmx1g -Dtls.config.file={}", file.display()));
    assert!(listed.0 && listed.1.contains("broker-a"), "{listed:?}");
    assert!(!mqadmin("").0, "a plain connection");
    let foreign = caller(&theirs.issue("foreign", VALID), &ours.trust());
    let doubting = caller(&ours.issue("doubting", VALID), &theirs.trust());
    for (what, lines) in [
        ("no certificate", vec!["tls.enable=true".to_owned()]),
        ("an expired certificate", expired),
        ("a certificate of another authority", foreign),
        ("a server that there is no reason to believe", doubting),
    ] {
        let other = dir.join("other.properties");
        fs::write(&other, lines.join("\n")).expect("a file");
        let refused = mqadmin(&format!("-Dtls.config.file={}", other.display()));
        assert!(!refused.0, "{what}: {refused:?}");
    }

    // Renewed, by another authority, while all goes on.
    let renewed = theirs.issue("renewed", VALID);
    for (from, to) in [(&renewed.key, &own.key), (&renewed.cert, &own.cert)] {
        fs::copy(from, to).expect("copied");
    }
    let believing = caller(&ours.issue("believing", VALID), &theirs.trust());
    fs::write(&file, believing.join("\n")).expect("a file");
    wait_until("the renewed certificate", LIMIT, || {
        mqadmin(&format!("-Dtls.config.file={}", file.display())).0.then_some(())
    });
}

/// TLS and access control at once: who passes the one is still stopped by the other.
#[test]
fn users_sign_over_tls() {
    let scene = Scene::new();
    let dir = scene.folder("certs");
    let ours = Authority::new(&dir, "ours");
    let own = ours.issue("server", VALID);
    let mut lines =
        [server("enforcing", &own, &ours.trust()), caller(&own, &ours.trust())].concat();
    let namesrv = Namesrv::start_tuned(&scene, Kind::Skua, &tuning(&lines));
    lines.extend(
        [
            "authenticationEnabled=true",
            "authorizationEnabled=true",
            r#"initAuthenticationUser={"username":"admin","password":"admin-secret"}"#,
        ]
        .map(str::to_owned),
    );
    let broker = Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning(&lines));
    wait_until("the broker's registration", LIMIT, || {
        broker.process.output().contains("registered").then_some(())
    });
    let good = caller(&ours.issue("client", VALID), &ours.trust());
    let file = dir.join("tls.properties");
    fs::write(&file, good.join("\n")).expect("a file");
    let mqadmin = |command: &str, secret: &str| {
        let output = skua()
            .arg("mqadmin")
            .args(command.split(' '))
            .args(["-b", &broker.addr])
            .env("JAVA_OPT", format!("-Dtls.config.file={}", file.display()))
            .env("SKUA_ACCESS_KEY", "admin")
            .env("SKUA_SECRET_KEY", secret)
            .output()
            .expect("skua runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let refused = mqadmin("listUser", "no-secret");
    assert!(!refused.0 && refused.1.contains("check signature failed"), "{refused:?}");
    for command in [
        "createUser -u ann -p ann-secret",
        "createAcl -s User:ann -r Topic:own-1,Topic:own-2,Group:own-1,Group:own-2 -a Pub,Sub -d Allow",
        "updateTopic -t own-1 -r 2 -w 2",
        "updateTopic -t own-2 -r 2 -w 2",
        "updateTopic -t others -r 2 -w 2",
    ] {
        let done = mqadmin(command, "admin-secret");
        assert!(done.0, "{command}: {}", done.1);
    }
    let drivers = [(Client::Java5, "own-1"), (Client::Java4, "own-2")]
        .map(|(kind, topic)| (client(&scene, kind, &namesrv.addr, &good), topic));
    let plain = client(&scene, Client::Java5, &namesrv.addr, &[]);
    std::thread::scope(|scope| {
        for (driver, topic) in drivers {
            scope.spawn(move || official_client(driver, topic, ("ann", "ann-secret")));
        }
        scope.spawn(|| fails(plain, "own-1", "a plain connection"));
    });
}

#[test]
fn servers_of_both_kinds_register_at_each_other_by_tls() {
    let scene = Scene::new();
    let dir = scene.folder("certs");
    let ours = Authority::new(&dir, "ours");
    let own = ours.issue("server", VALID);
    // Plain connections of the test itself still work.
    let mut serving = server("permissive", &own, &ours.trust());
    serving.extend(caller(&own, &ours.trust()));
    let namesrv = Namesrv::start_tuned(&scene, Kind::Java, &java(&serving));
    let mut broker =
        Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning(&serving));
    broker.wait_registered();
    let good = caller(&ours.issue("client", VALID), &ours.trust());
    works(client(&scene, Client::Java5, &namesrv.addr, &good), "mine");
    drop((broker, namesrv));

    let namesrv = Namesrv::start_tuned(&scene, Kind::Skua, &tuning(&serving));
    let mut broker =
        Broker::start_tuned(&scene, Kind::Java, "broker-b", &namesrv.addr, java(&serving));
    broker.wait_registered();
}

#[test]
fn replication_by_tls_follows_and_by_plain_connections_does_not() {
    let scene = Scene::new();
    let dir = scene.folder("certs");
    let ours = Authority::new(&dir, "ours");
    let own = ours.issue("server", VALID);
    let mut lines = server("permissive", &own, &ours.trust());
    lines.extend(caller(&own, &ours.trust()));
    lines.extend(["brokerIP2=127.0.0.1".to_owned(), "haTlsEnable=true".to_owned()]);
    let namesrv = Namesrv::start_tuned(&scene, Kind::Skua, &tuning(&lines));
    let start = |folder: &str, more: &[&str], lines: &[String]| {
        let more = more.iter().map(|line| (*line).to_owned());
        let lines: Vec<_> = lines.iter().cloned().chain(more).collect();
        let mut broker =
            Broker::start_tuned(&scene, Kind::Skua, folder, &namesrv.addr, tuning(&lines));
        broker.wait_registered();
        broker
    };
    let master = start("broker-a", &[], &lines);
    assert!(wire::send(&master.addr, "replicated"));
    let slave_of = ["brokerName=broker-a", "brokerRole=SLAVE", "brokerId=1"];
    let plain: Vec<String> =
        lines.iter().filter(|line| !line.starts_with("haTls")).cloned().collect();
    let stranger = start("stranger", &slave_of, &plain);
    wait_until("the stranger's failure", LIMIT, || {
        stranger.process.output().contains("no replication for now").then_some(())
    });
    let slaves = || {
        let (_, body) = wire::call(&master.addr, 907, json!({}), &[]).expect("an answer");
        let status: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        status["inSyncSlaveNums"].as_i64().expect("a number")
    };
    assert_eq!(slaves(), 0, "nobody follows by a plain connection");
    drop(stranger);
    let slave = start("slave", &slave_of, &lines);
    wait_until("the slave at its master", LIMIT, || (slaves() == 1).then_some(()));
    for _ in 0..50 {
        assert!(wire::send(&master.addr, "replicated"));
    }
    let length = |broker: &Broker| {
        let files = fs::read_dir(broker.commit_log()).expect("a log").flatten();
        let bytes: Vec<u8> =
            files.flat_map(|file| fs::read(file.path()).unwrap_or_default()).collect();
        bytes.iter().rposition(|byte| *byte != 0)
    };
    wait_until("the slave's log", LIMIT, || (length(&master) == length(&slave)).then_some(()));
}

/// Nothing but TLS on any port: the slave follows, has the tables, loses its connection, and finds
/// both again; then a consumer goes on from it alone.
#[test]
fn a_pair_that_speaks_tls_alone_copies_its_tables_and_comes_together_again() {
    let scene = Scene::new();
    let dir = scene.folder("certs");
    let ours = Authority::new(&dir, "ours");
    let own = ours.issue("server", VALID);
    let mut lines = server("enforcing", &own, &ours.trust());
    lines.extend(caller(&own, &ours.trust()));
    let namesrv = Namesrv::start_tuned(&scene, Kind::Skua, &tuning(&lines));
    lines.extend(["haTlsEnable=true", "slaveReadEnable=true"].map(str::to_owned));
    let start = |folder: &str, more: &[&str]| {
        let lines: Vec<_> =
            lines.iter().cloned().chain(more.iter().map(|line| (*line).to_owned())).collect();
        Broker::start_tuned(&scene, Kind::Skua, folder, &namesrv.addr, tuning(&lines))
    };
    let times_said = |broker: &Broker, text: &str| broker.process.output().matches(text).count();
    let wait_said = |broker: &Broker, text: &str, times: usize| {
        let what = format!("{text} {times} times");
        wait_until(&what, LIMIT, || (times_said(broker, text) >= times).then_some(()));
    };
    let mut master = start("broker-a", &["brokerRole=SYNC_MASTER", "brokerIP2=127.0.0.1"]);
    wait_said(&master, "registered", 1);
    let mut ha: std::net::SocketAddr = master.addr.parse().expect("ip:port");
    ha.set_port(ha.port() + 1);
    // The first byte of a TLS handshake, for each connection by which the slave follows.
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = heard.clone();
    let relay = Relay::start_heard(ha, move |bytes| {
        ear.lock().expect("no panic under it").extend_from_slice(bytes);
    });
    let at = format!("haMasterAddress={}", relay.addr);
    let slave = start("slave", &["brokerName=broker-a", "brokerRole=SLAVE", "brokerId=1", &at]);
    wait_said(&slave, "following", 1);
    assert_eq!(heard.lock().expect("no panic under it").first(), Some(&0x16), "a handshake");

    let good = caller(&ours.issue("client", VALID), &ours.trust());
    let mut driver = client(&scene, Client::Java5, &namesrv.addr, &good);
    driver.run("producer p group=producers timeout=10000");
    let send = |driver: &mut Driver, topic: &str, prefix: &str| {
        let send = format!("send p topic={topic} mode=sync count=20 prefix={prefix}");
        wait_until("sends with two copies", LIMIT, || driver.try_run(&send).ok());
    };
    send(&mut driver, "first", "a");
    driver.run("consumer c group=readers topic=first kind=concurrent");
    let all = |driver: &Driver, by: &str, topic: &str| {
        let sent: Vec<_> = driver.sent(topic).iter().map(|e| e.get("body").to_owned()).collect();
        let got: Vec<_> = driver.got(by).iter().map(|e| e.get("body").to_owned()).collect();
        sent.iter().all(|body| got.contains(body))
    };
    wait_until("all of the first topic", LIMIT, || all(&driver, "c", "first").then_some(()));
    // Its offsets are with the master then.
    driver.run("stop c");
    let table = |name: &str| {
        fs::read_to_string(slave.store().join("config").join(name)).unwrap_or_default()
    };
    let wait_table = |name: &str, holds: &str| {
        let what = format!("{holds} in the slave's {name}");
        wait_until(&what, LIMIT, || table(name).contains(holds).then_some(()));
    };
    wait_table("topics.json", "\"first\"");
    wait_table("subscriptionGroup.json", "\"readers\"");
    wait_table("consumerOffset.json", "\"first@readers\"");

    relay.cut();
    wait_said(&slave, "no replication for now", 1);
    assert!(driver.try_run("send p topic=second mode=sync count=1 prefix=alone").is_err());
    relay.pass();
    wait_said(&slave, "following", 2);
    send(&mut driver, "second", "b");
    wait_table("topics.json", "\"second\"");
    driver.run("consumer d group=readers-of-the-second topic=second kind=concurrent");
    wait_until("all of the second topic", LIMIT, || all(&driver, "d", "second").then_some(()));

    master.process.kill();
    fs::remove_dir_all(master.store()).expect("the master's store");
    let mut driver_of_slave = client(&scene, Client::Java5, &namesrv.addr, &good);
    driver_of_slave.run("consumer late group=late topic=second kind=concurrent");
    let sent: Vec<_> = driver.sent("second").iter().map(|e| e.get("body").to_owned()).collect();
    wait_until("all of it from the slave", LIMIT, || {
        let got: Vec<_> =
            driver_of_slave.got("late").iter().map(|e| e.get("body").to_owned()).collect();
        sent.iter().all(|body| got.contains(body)).then_some(())
    });
}
