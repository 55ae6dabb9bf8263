//! Several masters under four name servers, most of which die; and the cluster in one command.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, skua, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(180);

fn sent(driver: &Driver) -> usize {
    driver.told("sent").len()
}

fn wait_sent(driver: &Driver, more: usize) {
    let before = sent(driver);
    driver.wait("more sends", |events| {
        events.iter().filter(|e| e.word == "sent").count() >= before + more
    });
}

#[test]
fn two_masters_under_four_name_servers_of_which_three_die() {
    let scene = Scene::new();
    let mut namesrvs: Vec<_> = (0..4).map(|_| Namesrv::start(&scene, Kind::Skua)).collect();
    let addrs: Vec<_> = namesrvs.iter().map(|namesrv| namesrv.addr.clone()).collect();
    let all = addrs.join(";");
    let start = |name| Broker::start_tuned(&scene, Kind::Skua, name, &all, Tuning::default());
    let (a, mut b) = (start("broker-a"), start("broker-b"));
    let known_everywhere = |broker: &Broker, addrs: &[String]| {
        wait_until("a broker at its name servers", LIMIT, || {
            let knows = |addr: &String| {
                wire::cluster_list(addr).is_some_and(|list| list.contains(&broker.addr))
            };
            addrs.iter().all(knows).then_some(())
        });
    };
    known_everywhere(&a, &addrs);
    known_everywhere(&b, &addrs);

    let mut driver = Driver::start(&scene, Client::Java5, &all);
    driver.run("producer p group=producers timeout=3000");
    driver.run("consumer c group=spread topic=spread kind=concurrent");
    driver.run("flood p topic=spread prefix=m threads=4 pause=2");
    wait_sent(&driver, 200);
    for namesrv in &mut namesrvs[1..] {
        namesrv.process.kill();
    }
    wait_sent(&driver, 500);
    b.process.kill();
    wait_sent(&driver, 500);
    b.launch_again();
    known_everywhere(&b, &addrs[..1]);
    wait_sent(&driver, 200);
    driver.run("halt p");
    let sent = driver.sent("spread");
    wait_until("all messages, the restarted master's too", LIMIT, || {
        check::has_all(&sent, &driver.got("c")).then_some(())
    });
}

/// Ends the playground, which ends its servers.
struct Playground(Child);

impl Playground {
    fn type_line(&mut self, line: &str) {
        let stdin = self.0.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("it reads");
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn a_playground_is_a_cluster_whose_servers_can_be_killed_and_started() {
    let scene = Scene::new();
    // Four brokers in steps of ten, and two name servers behind them; where no other test takes
    // ports, and below Linux's range for outgoing connections.
    let port = 31_002 + (std::process::id() % 20) as u16 * 80;
    let mut command = skua();
    command.args(["playground", "2m-2s-sync", "--dir"]).arg(scene.folder("playground"));
    command.args(["--listen-port", &port.to_string(), "--namesrv-port", &(port + 40).to_string()]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    let mut playground = Playground(child);
    let namesrv = format!("127.0.0.1:{}", port + 40);
    let brokers = |count: usize| {
        wait_until("the brokers", LIMIT, || {
            let list = wire::cluster_list(&namesrv)?;
            (list.matches("127.0.0.1:").count() == count).then_some(())
        });
    };
    brokers(4);
    wait_until("a send written twice", LIMIT, || {
        wire::send(&format!("127.0.0.1:{port}"), "played").then_some(())
    });
    playground.type_line("kill broker-a-s");
    brokers(3);
    playground.type_line("start broker-a-s");
    brokers(4);
}
