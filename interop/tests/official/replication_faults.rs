//! Kills, freezes, and a link that stalls, is cut and is long, under load; then a look at whether
//! anything acknowledged is missing. `SEED=n` repeats a run, `FAULTS=n` makes it longer: 50 and
//! more are for a soak, a few run always.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Relay, Scene, Tuning, check, wait_until, wire,
};
use skua_seeds::{Random, number};

const LIMIT: Duration = Duration::from_secs(120);
const FAULTS: u64 = 6;

fn is_followed(master: &Broker) -> bool {
    wire::is_followed(&master.addr)
}

struct Pair {
    scene: Scene,
    namesrv: Namesrv,
    master: Broker,
    slave: Broker,
    relay: Relay,
    kills: u32,
}

impl Pair {
    fn start(role: &'static str, flush: &'static str) -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let tuning = |settings: Vec<&'static str>| Tuning { settings, java_options: None };
        let size = "mappedFileSizeCommitLog=4194304";
        let settings = vec![size, role, flush, "slaveTimeout=1000", "haHousekeepingInterval=2000"];
        let mut master =
            Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning(settings));
        master.wait_registered();
        let mut ha: SocketAddr = master.addr.parse().expect("ip:port");
        ha.set_port(ha.port() + 1);
        let relay = Relay::start(ha);
        // Tests end with their process.
        let through: &'static str = Box::leak(format!("haMasterAddress={}", relay.addr).into());
        let settings = vec![
            size,
            flush,
            "brokerName=broker-a",
            "brokerId=1",
            "brokerRole=SLAVE",
            "haSendHeartbeatInterval=500",
            "haHousekeepingInterval=7000",
            through,
        ];
        let mut slave =
            Broker::start_tuned(&scene, Kind::Skua, "slave", &namesrv.addr, tuning(settings));
        slave.wait_registered();
        wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
        Self { scene, namesrv, master, slave, relay, kills: 0 }
    }

    fn fault(&mut self, random: &mut Random) {
        let pause = |random: &mut Random| {
            std::thread::sleep(Duration::from_millis(random.below(1200)));
        };
        let fault = random.below(7);
        self.kills += u32::from(fault < 2);
        match fault {
            0 => self.master.crash(),
            1 => self.slave.crash(),
            2 => {
                self.slave.process.freeze();
                pause(random);
                self.slave.process.thaw();
            }
            3 => {
                self.master.process.freeze();
                pause(random);
                self.master.process.thaw();
            }
            4 => {
                self.relay.cut();
                pause(random);
                self.relay.pass();
            }
            5 => {
                self.relay.stall();
                pause(random);
                self.relay.pass();
            }
            _ => self.relay.delay(Duration::from_millis(random.below(20))),
        }
    }

    /// The slave becomes the master, as operators do it.
    fn promote_slave(&mut self) {
        self.slave.stop();
        let file = self.slave.store().with_file_name("broker.conf");
        let text = fs::read_to_string(&file).expect("its configuration");
        let text = text.replace("brokerRole=SLAVE", "brokerRole=ASYNC_MASTER");
        fs::write(&file, text.replace("brokerId=1", "brokerId=0")).expect("written");
        self.slave.start_again(Kind::Skua);
    }
}

fn run(role: &'static str, flush: &'static str, loses_master: bool) {
    let seed = number("SEED").unwrap_or(1);
    let faults = number("FAULTS").unwrap_or(FAULTS);
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let mut pair = Pair::start(role, flush);
    let mut driver = Driver::start(&pair.scene, Client::Java5, &pair.namesrv.addr);
    driver.run("producer p group=producers timeout=3000 retries=0");
    driver.run("flood p topic=faults prefix=m threads=8 size=300");
    for _ in 0..faults {
        let before = driver.told("sent").len();
        driver.wait("100 more acknowledged", |events| {
            events.iter().filter(|e| e.word == "sent").count() >= before + 100
        });
        pair.fault(&mut random);
    }
    pair.relay.delay(Duration::ZERO);
    let before = driver.told("sent").len();
    driver.wait("sends after the last fault", |events| {
        events.iter().filter(|e| e.word == "sent").count() > before + 100
    });
    if loses_master {
        // In the midst of sends, with its disk.
        pair.master.process.kill();
        fs::remove_dir_all(pair.master.store()).expect("the master's store");
        driver.run("halt p");
        pair.promote_slave();
    } else {
        driver.run("halt p");
        wait_until("the slave to have all", LIMIT, || is_followed(&pair.master).then_some(()));
    }
    let sent = driver.sent("faults");
    let mut scanner = Driver::start(&pair.scene, Client::Java5, &pair.namesrv.addr);
    scanner.run("scan s topic=faults");
    let got = scanner.got("s");
    check::dense(&got);
    check::at_their_offsets(&sent, &got);
    let (kills, lost) = (pair.kills + u32::from(loses_master), driver.told("lost").len());
    eprintln!(
        "SEED={seed} {role} {flush}: {faults} faults, {kills} of them kills; {} acknowledged, {lost} \
         not, {} stored",
        sent.len(),
        got.len()
    );
}

#[test]
fn what_was_written_twice_survives_the_loss_of_the_master_after_faults() {
    run("brokerRole=SYNC_MASTER", "flushDiskType=ASYNC_FLUSH", true);
}

#[test]
fn what_two_brokers_have_on_disk_survives_the_loss_of_the_master_after_faults() {
    run("brokerRole=SYNC_MASTER", "flushDiskType=SYNC_FLUSH", true);
}

#[test]
fn an_asynchronous_slave_catches_up_after_faults() {
    run("brokerRole=ASYNC_MASTER", "flushDiskType=ASYNC_FLUSH", false);
}
