//! A cluster on which mqadmin's commands have something to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Line;
use crate::admin::Admin;
use crate::driver::{Client, Driver};
use crate::scene::Scene;
use crate::server::{Cluster, Kind};
use crate::wait::wait_until;

/// A cluster with a topic, messages, a producer and a consumer.
pub struct Place {
    cluster: Cluster,
    broker_name: String,
    values: BTreeMap<&'static str, String>,
    _scene: Scene,
    driver: Driver,
}

impl Place {
    pub fn start(kind: Kind) -> Self {
        let scene = Scene::new();
        let cluster = Cluster::start_of(&scene, kind);
        let namesrv = cluster.namesrv().to_owned();
        let mut admin = Admin::Skua;
        let listed = admin.run(&["clusterList", "-n", &namesrv, "--json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
        let broker_name = listed[0]["brokerName"].as_str().expect("a broker").to_owned();
        let broker = listed[0]["addr"].as_str().expect("an address").to_owned();
        for topic in ["TopicA", "TopicLive"] {
            let made = admin.run(&[
                "updateTopic",
                "-n",
                &namesrv,
                "-b",
                &broker,
                "-t",
                topic,
                "-r",
                "4",
                "-w",
                "4",
            ]);
            assert_eq!(made.status, 0, "{}", made.err);
        }
        let mut driver = Driver::start(&scene, Client::Java5, &namesrv);
        driver.run("producer p group=PG");
        for queue in 0..4 {
            driver.run(&format!(
                "send p{queue} topic=TopicA mode=sync count=3 prefix=m{queue} tags=TagA queue={queue}"
            ).replacen(&format!("p{queue}"), "p", 1));
        }
        driver.run("send p topic=TopicLive mode=sync count=2 prefix=l queue=0");
        driver.run("consumer c group=CG topic=TopicLive kind=concurrent");
        driver.wait_got("c", 2);
        let id = driver.got("c")[0].get("id").to_owned();
        let mut place = Self {
            cluster,
            broker_name: broker_name.clone(),
            values: BTreeMap::from([
                ("@NS@", namesrv),
                ("@BROKER@", broker),
                ("@NAME@", broker_name),
                ("@ID@", id),
            ]),
            _scene: scene,
            driver,
        };
        place.learn(&mut admin);
        place
    }

    /// Ids that only the server can tell.
    fn learn(&mut self, admin: &mut Admin) {
        let line =
            ["queryMsgByOffset", "-t", "TopicA", "-b", &self.broker_name, "-i", "1", "-o", "0"];
        let with = [&line[..], &["-n", self.cluster.namesrv(), "--json"]].concat();
        let told = admin.run(&with);
        let found: serde_json::Value = serde_json::from_str(&told.out).expect("a message");
        let offset_id = found["offsetID"].as_str().expect("its id").to_owned();
        self.values.insert("@OFFSETID@", offset_id);
        // The client commits every five seconds.
        wait_until("the consumer's offset", Duration::from_secs(60), || {
            let told = admin.run(&["consumerProgress", "-g", "CG", "-n", self.cluster.namesrv()]);
            let ends = told.out.lines().any(|line| line.contains("Consume Inflight Total: 0"));
            (told.status == 0 && ends && told.out.contains("TopicLive")).then_some(())
        });
        let client = admin.run(&["consumerConnection", "-g", "CG", "-n", self.cluster.namesrv()]);
        let client = client.out.split_whitespace().find(|word| word.contains("@c"));
        self.values.insert("@CLIENT@", client.expect("a client id").to_owned());
    }

    /// The words of a line with what is filled in.
    pub fn arguments(&self, line: &Line) -> Vec<String> {
        let mut words: Vec<String> = line.words().map(|word| self.fill(word)).collect();
        if !words.iter().any(|word| word == "-n") {
            words.extend(["-n".to_owned(), self.cluster.namesrv().to_owned()]);
        }
        words
    }

    fn fill(&self, text: &str) -> String {
        let values = self.values.iter();
        values.fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// Lets the consumer go.
    pub fn stop(&mut self) {
        self.driver.run("stop c");
    }
}
