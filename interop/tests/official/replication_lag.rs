//! How far a slave is behind, as metrics and `mqadmin haStatus` tell it; a pair on IPv6; a name
//! server that was frozen while the pair changed.

use std::time::Duration;

use serde_json::json;
use skua_interop::{Broker, Kind, Namesrv, Scene, Tuning, mqadmin, wait_until, wire};

const LIMIT: Duration = Duration::from_secs(60);
const SLAVE: [&str; 3] = ["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];

fn member(scene: &Scene, folder: &str, namesrv: &str, own: &[&'static str]) -> Broker {
    let tuning = Tuning { settings: own.to_vec(), java_options: None };
    Broker::start_tuned(scene, Kind::Skua, folder, namesrv, tuning)
}

fn wait_followed(master: &str) {
    wait_until("the slave at its master", LIMIT, || wire::is_followed(master).then_some(()));
}

/// The master's row of this name for its one slave.
fn metric(master: &Broker, name: &str) -> Option<f64> {
    let (_, page) = wire::http(&master.addr, "/metrics")?;
    let line = page.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_frozen_slave_lags_in_bytes_and_milliseconds_until_it_goes_on() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let own = ["brokerRole=ASYNC_MASTER", "brokerIP2=127.0.0.1"];
    let mut master = member(&scene, "broker-a", &namesrv.addr, &own);
    master.wait_registered();
    let slave = member(&scene, "slave", &namesrv.addr, &SLAVE);
    assert_eq!(wire::send_code(&master.addr), 0);
    wait_followed(&master.addr);
    let bytes = || metric(&master, "skua_replication_lag_bytes");
    let millis = || metric(&master, "skua_replication_lag_milliseconds");
    wait_until("no lag", LIMIT, || (bytes()? == 0.0).then_some(()));

    slave.process.freeze();
    (0..20).for_each(|_| assert_eq!(wire::send_body(&master.addr, &[b'x'; 1000]), 0));
    let before =
        wait_until("a lag of all that was sent", LIMIT, || bytes().filter(|lag| *lag > 20_000.0));
    assert_eq!(wire::send_body(&master.addr, &[b'x'; 1000]), 0);
    wait_until("more bytes", LIMIT, || (bytes()? > before).then_some(()));
    // Nothing but time passes.
    wait_until("more milliseconds", LIMIT, || (millis()? > 2_000.0).then_some(()));
    let status = mqadmin(&["haStatus", "-n", &namesrv.addr, "-b", &master.addr]);
    let told = bytes().expect("a lag");
    assert!(status.contains(&format!("{told}")), "{told} in {status}");

    slave.process.thaw();
    wait_followed(&master.addr);
    wait_until("no lag", LIMIT, || (bytes()? == 0.0).then_some(()));
    assert_eq!(wire::send_code(&master.addr), 0);
    wait_until("as few milliseconds as before", LIMIT, || (millis()? < 1_000.0).then_some(()));
}

#[test]
fn a_pair_and_its_name_server_work_by_ipv6_alone() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("NOTICE: no IPv6 here: nothing was tried");
        return;
    }
    let six = |addr: &str| addr.replace("127.0.0.1", "[::1]");
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let names = six(&namesrv.addr);
    let place = ["brokerIP1=::1", "brokerIP2=::1"];
    let master = ["brokerRole=SYNC_MASTER", "haSendHeartbeatInterval=500"];
    let master = member(&scene, "broker-a", &names, &[&place[..], &master].concat());
    let slave = member(&scene, "slave", &names, &[&place[..], &SLAVE].concat());
    let [master, slave] = [&master, &slave].map(|broker| six(&broker.addr));
    wait_until("both in the cluster list", LIMIT, || {
        let list = wire::cluster_list(&names)?;
        (list.contains(&master) && list.contains(&slave)).then_some(())
    });
    wait_until("a send with two copies", LIMIT, || (wire::send_code(&master) == 0).then_some(()));
    wait_followed(&master);
    let (_, status) = wire::call(&slave, 907, json!({}), &[]).expect("an answer");
    let status = String::from_utf8_lossy(&status);
    assert!(status.contains("\"masterAddr\":\"[::1]:"), "{status}");
}

#[test]
fn a_name_server_that_was_frozen_while_the_pair_changed_catches_up() {
    let scene = Scene::new();
    let place = skua_interop::Place::default();
    let sees = Namesrv::start(&scene, Kind::Skua);
    let stale = Namesrv::start_at(&scene, Kind::Skua, "stale", &place);
    let both = format!("{};{}", sees.addr, stale.addr);
    let mut master = member(&scene, "broker-a", &both, &["brokerIP2=127.0.0.1"]);
    master.wait_registered();
    let mut slave = member(&scene, "slave", &both, &SLAVE);
    slave.wait_registered();
    let lists = |namesrv: &Namesrv, broker: &Broker| {
        wire::cluster_list(&namesrv.addr).map(|list| list.contains(&broker.addr))
    };
    wait_until("the slave at both", LIMIT, || lists(&stale, &slave)?.then_some(()));

    stale.process.freeze();
    slave.process.kill();
    assert!(wire::send(&master.addr, "MadeMeanwhile"));
    wait_until("the slave gone at the other", LIMIT, || (!lists(&sees, &slave)?).then_some(()));
    stale.process.thaw();
    wait_until("the slave gone at the stale one", LIMIT, || {
        (!lists(&stale, &slave)?).then_some(())
    });
    wait_until("the new topic's route at the stale one", LIMIT, || {
        let fields = json!({ "topic": "MadeMeanwhile" });
        let (header, _) = wire::call(&stale.addr, 105, fields, &[])?;
        (header["code"] == 0).then_some(())
    });
}
