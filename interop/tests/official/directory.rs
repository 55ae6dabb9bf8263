//! One directory, served in turn by the Java broker and by Skua: what one wrote the other serves in
//! full, extends, and gives back.

use std::time::Duration;

use skua_interop::{Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, check};

/// Level 2 of the delay levels, long enough for a stop and a start between.
const DELAY: Duration = Duration::from_secs(12);
const SETTINGS: [&str; 2] = ["mappedFileSizeCommitLog=262144", "messageDelayLevel=1s 12s"];
const TOPIC: &str = "moved";

/// How a broker ends before the other kind takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
}

/// The directory's broker, and the client that knows everything sent.
struct Move {
    end: End,
    broker: Broker,
    driver: Driver,
    /// Runs of a broker so far.
    turn: usize,
    _namesrv: Namesrv,
    scene: Scene,
}

impl Move {
    fn begin(end: End) -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let tuning = Tuning { settings: SETTINGS.to_vec(), ..Tuning::default() };
        let mut broker = Broker::start_tuned(&scene, Kind::Java, "broker-a", &namesrv.addr, tuning);
        broker.wait_registered();
        let driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
        Self { end, broker, driver, turn: 0, _namesrv: namesrv, scene }
    }

    /// Sends in every way; ends with messages that are still waiting.
    fn write(&mut self) {
        let turn = self.turn;
        let (topic, driver) = (TOPIC, &mut self.driver);
        driver.run("producer p group=producers");
        for mode in ["sync", "async", "oneway", "batch"] {
            driver.run(&format!(
                "send p topic={topic} mode={mode} count=40 prefix={turn}-{mode} tags=A,B size=3500"
            ));
        }
        driver.run(&format!("send p topic={topic} mode=sync count=4 prefix={turn}-big size=20000"));
        // One group reads all and stands at the end; another refuses all, which then wait.
        let sent = driver.sent(topic).len();
        self.catch_up("reader", sent);
        let driver = &mut self.driver;
        driver.run(&format!("send p topic=again mode=sync count=3 prefix={turn}-again"));
        let refused = |events: &[Event]| events.iter().filter(|e| e.word == "refused").count();
        let before = driver.told("refused").len();
        driver.run("consumer refuser group=refuser topic=again kind=concurrent fail=1 delay=2");
        driver.wait("three refusals", |events| refused(events) >= before + 3);
        driver.run("stop refuser");
        driver.run(&format!("send p topic=later mode=sync count=4 prefix={turn}-later delay=2"));
        driver.run("stop p");
    }

    /// A group that began at the first message and was away since its last turn gets what it lacks.
    fn catch_up(&mut self, group: &str, sent: usize) {
        let (turn, driver) = (self.turn, &mut self.driver);
        driver.run(&format!("consumer {group}-{turn} group={group} topic={TOPIC} kind=concurrent"));
        self.wait_distinct(&format!("{group}-"), sent);
        self.driver.run(&format!("stop {group}-{turn}"));
    }

    /// Waits until consumers whose names begin so have got that many different messages.
    fn wait_distinct(&self, by: &str, count: usize) -> Vec<Event> {
        let got_of = |events: &[Event]| -> Vec<Event> {
            let got = events.iter().filter(|e| e.word == "got" && e.get("by").starts_with(by));
            got.cloned().collect()
        };
        self.driver.wait(&format!("{count} messages at {by}"), |events| {
            check::first_deliveries(&got_of(events)).len() >= count
        });
        got_of(&self.driver.told("got"))
    }

    /// The other kind of broker takes over.
    fn hand_over(&mut self, kind: Kind) {
        match self.end {
            End::Stop => self.broker.stop(),
            End::Kill => self.broker.process.kill(),
        }
        self.broker.start_again(kind);
        self.broker.wait_registered();
        self.turn += 1;
    }

    /// Everything sent is there: by queue and offset, by group, by key, and in time.
    fn check(&mut self) {
        let turn = self.turn;
        let sent = self.driver.sent(TOPIC);
        let scanner = format!("scan-{turn}");
        self.driver.run(&format!("scan {scanner} topic={TOPIC} group=scanners"));
        let got = self.driver.got(&scanner);
        check::each_once(&sent, &got);
        check::dense(&got);
        let acknowledged: Vec<_> = sent.iter().filter(|e| e.has("queue")).cloned().collect();
        check::at_their_offsets(&acknowledged, &got);

        self.check_group(&sent);
        self.check_keys(&sent);
        self.check_waiting();
    }

    /// The group that had read everything gets nothing twice: its offsets moved with the files.
    fn check_group(&mut self, sent: &[Event]) {
        let turn = self.turn;
        self.driver.run("producer p group=producers");
        self.driver.run(&format!("send p topic={TOPIC} mode=sync count=8 prefix={turn}-fresh"));
        self.driver.run("stop p");
        self.catch_up("reader", sent.len() + 8);
        let here = self.driver.got(&format!("reader-{turn}"));
        // Offsets are saved every few seconds: a kill forgets the latest.
        if self.end == End::Stop {
            check::each_once(&self.driver.sent(TOPIC)[sent.len()..], &here);
        }
    }

    fn check_keys(&mut self, sent: &[Event]) {
        let turn = self.turn;
        self.driver.run("producer asker group=askers");
        // The body's first word is also the key.
        for nth in [0, 1, sent.len() / 3, sent.len() / 2, sent.len() - 1] {
            let (event, by) = (&sent[nth], format!("key-{turn}-{nth}"));
            let key = event.get("body");
            self.driver.run(&format!("query asker topic={TOPIC} key={key} by={by}"));
            check::each_once(std::slice::from_ref(event), &self.driver.got(&by));
        }
        self.driver.run("stop asker");
    }

    /// What was waiting when the broker ended comes from this one, not before its time.
    fn check_waiting(&mut self) {
        let turn = self.turn;
        let later = format!("later-{turn}");
        let delayed = self.driver.sent("later");
        self.driver.run(&format!("consumer {later} group={later} topic=later kind=concurrent"));
        let got = self.wait_distinct(&later, delayed.len());
        let again = format!("again-{turn}");
        self.driver
            .run(&format!("consumer {again} group=refuser topic=again kind=concurrent fail=1"));
        let retried = self.wait_distinct("again-", 3 * turn.min(2));
        for name in [&later, &again] {
            self.driver.run(&format!("stop {name}"));
        }
        let refused = self.driver.sent("again");
        match self.end {
            End::Stop => {
                check::each_once(&delayed, &got);
                check::each_once(&refused, &retried);
            }
            // How far delivery had come is saved every few seconds.
            End::Kill => {
                check::same_set(&delayed, &got);
                check::same_set(&refused, &retried);
            }
        }
        for event in &got {
            let sent = delayed.iter().find(|e| e.message() == event.message());
            let waited = event.at - sent.expect("it was sent").at;
            assert!(waited >= DELAY - Duration::from_millis(500), "{event:?} after {waited:?}");
        }
    }

    /// There are several commit log files, or the test does not test what it should.
    fn assert_files(&self, least: usize) {
        let files =
            std::fs::read_dir(self.broker.store().join("commitlog")).expect("a log").count();
        assert!(files >= least, "{files} files in {}", self.scene.path().display());
    }
}

fn there_and_back(end: End) {
    let mut this = Move::begin(end);
    this.write();
    this.assert_files(3);
    this.hand_over(Kind::Skua);
    this.check();
    this.write();
    this.assert_files(6);
    this.hand_over(Kind::Java);
    this.check();
    this.hand_over(Kind::Skua);
    this.check();
}

#[test]
fn a_directory_moves_to_skua_and_back_over_clean_stops() {
    there_and_back(End::Stop);
}

#[test]
fn a_directory_moves_to_skua_and_back_over_kills() {
    there_and_back(End::Kill);
}
