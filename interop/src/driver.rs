use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::check;
use crate::event::Event;
use crate::files;
use crate::process;
use crate::scene::Scene;

/// How long one command or one condition may take: far more than needed on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a command may take that goes on telling what it does, as a scan of a large topic.
const LIMIT_TELLING: Duration = Duration::from_secs(1200);
/// Pause after a look at all events, in times of what the look took: the reader needs the lock.
const LOOK_PAUSE: u32 = 4;

/// Which official client a driver uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Java5,
    Java4,
    Go,
    /// With Apache's C++ client inside.
    Python,
    /// `ali-ons`.
    Node,
    /// `rocketmq-client-rust`.
    Rust,
}

/// The header encoding of a Java client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Binary,
}

#[derive(Debug, Default)]
struct Told {
    events: Mutex<Vec<Event>>,
    counts: Mutex<BTreeMap<String, usize>>,
    more: Condvar,
}

/// An official client in its own process; the commands are those of `java/driver/Driver.java`.
#[derive(Debug)]
pub struct Driver {
    pub client: Client,
    namesrv: String,
    child: Child,
    stdin: Option<ChildStdin>,
    told: Arc<Told>,
    reader: Option<JoinHandle<()>>,
    commands: u32,
}

impl Driver {
    pub fn start(scene: &Scene, client: Client, namesrv: &str) -> Self {
        Self::start_with(scene, client, Encoding::Json, namesrv)
    }

    pub fn start_with(scene: &Scene, client: Client, encoding: Encoding, namesrv: &str) -> Self {
        Self::start_configured(scene, client, encoding, namesrv, &[])
    }

    /// With system properties for a Java client, `key=value`.
    pub fn start_configured(
        scene: &Scene,
        client: Client,
        encoding: Encoding,
        namesrv: &str,
        properties: &[String],
    ) -> Self {
        let home = scene.folder("client");
        let log = scene.unused(&format!("{client:?}.log"));
        let mut command = match client {
            Client::Java5 => java(scene, "client-5.5.0", encoding, properties),
            Client::Java4 => java(scene, "client-4.9.8", encoding, properties),
            Client::Python => {
                let [python, driver] = files::python_driver();
                let mut command = process::command(python);
                command.arg(driver).env("HOME", &home);
                command
            }
            Client::Node => {
                let [modules, driver] = files::node_driver();
                let mut command = process::command("node");
                command.arg(driver).env("NODE_PATH", modules).env("HOME", &home);
                command
            }
            Client::Rust => {
                let mut command = process::command(files::rust_driver());
                command.env("HOME", &home);
                command
            }
            Client::Go => {
                assert_eq!(encoding, Encoding::Json, "the Go client knows no other");
                let mut command = process::command(files::go_driver());
                command.env("HOME", &home).env("INTEROP_LOG", scene.unused("go-client.log"));
                command
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).expect("a log file"))
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let told = Arc::<Told>::default();
        let reader = thread::spawn({
            let (told, stdout) = (told.clone(), child.stdout.take().expect("piped above"));
            move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(line) = line.strip_prefix("@ ") {
                        let event = Event::parse(line);
                        let mut counts = told.counts.lock().expect("no panic under it");
                        *counts.entry(event.word.clone()).or_default() += 1;
                        drop(counts);
                        told.events.lock().expect("no panic under it").push(event);
                        told.more.notify_all();
                    }
                }
            }
        });
        let stdin = child.stdin.take();
        let namesrv = namesrv.to_owned();
        let driver =
            Self { client, namesrv, child, stdin, told, reader: Some(reader), commands: 0 };
        driver.wait("ready", |events| events.iter().any(|e| e.word == "ready"));
        driver
    }

    /// Runs one command (without its id; `namesrv=` is added) and returns when it has ended.
    ///
    /// # Panics
    /// When the client fails it.
    pub fn run(&mut self, command: &str) {
        let client = self.client;
        self.try_run(command).unwrap_or_else(|why| panic!("{client:?}: {command}: {why}"));
    }

    /// As [`Driver::run`], or why the client failed it.
    pub fn try_run(&mut self, command: &str) -> Result<(), String> {
        self.commands += 1;
        let id = self.commands.to_string();
        // Each event is looked at once, however many there are.
        let seen = Cell::new(self.events_told());
        let telling = Instant::now() + LIMIT_TELLING;
        let stdin = self.stdin.as_mut().expect("open until dropped");
        writeln!(stdin, "{id} {command} namesrv={}", self.namesrv).expect("a living driver");
        let find = |events: &[Event]| {
            let more = &events[seen.replace(events.len())..];
            let mut ends = more.iter().filter(|e| e.word == "end" || e.word == "fail");
            ends.find(|e| e.plain[0] == id).cloned()
        };
        let last = loop {
            let before = seen.get();
            match self.look_for(find) {
                Ok(found) => break found,
                Err(_) if seen.get() > before && Instant::now() < telling => {}
                Err(why) => self.give_up(command, why),
            }
        };
        if last.word == "end" { Ok(()) } else { Err(last.plain[1..].join(" ")) }
    }

    /// How much was told so far with this word: cheap, however much it is.
    pub fn counted(&self, word: &str) -> usize {
        let counts = self.told.counts.lock().expect("no panic under it");
        counts.get(word).copied().unwrap_or(0)
    }

    /// All that was told so far with this word.
    pub fn told(&self, word: &str) -> Vec<Event> {
        let events = self.told.events.lock().expect("no panic under it");
        events.iter().filter(|e| e.word == word).cloned().collect()
    }

    /// How much was told so far with this word, by the client of this name.
    pub fn count(&self, word: &str, by: &str) -> usize {
        let events = self.told.events.lock().expect("no panic under it");
        events.iter().filter(|e| e.word == word && e.get("by") == by).count()
    }

    /// All that the consumer of this name got so far.
    pub fn got(&self, by: &str) -> Vec<Event> {
        self.told("got").into_iter().filter(|e| e.get("by") == by).collect()
    }

    /// All acknowledged messages (one-way ones: handed to the client) of this topic so far.
    pub fn sent(&self, topic: &str) -> Vec<Event> {
        self.told("sent").into_iter().filter(|e| e.get("topic") == topic).collect()
    }

    /// Waits until the events told so far satisfy `enough`.
    pub fn wait(&self, what: &str, enough: impl Fn(&[Event]) -> bool) {
        self.wait_for(what, |events| enough(events).then_some(()));
    }

    /// Waits until the consumer of this name has got at least `count` messages in all.
    pub fn wait_got(&self, by: &str, count: usize) {
        self.wait(&format!("{count} messages at {by}"), |events| {
            events.iter().filter(|e| e.word == "got" && e.get("by") == by).count() >= count
        });
    }

    /// Waits until the clients of this driver have got all of these messages, some perhaps twice.
    pub fn wait_got_all(&self, sent: &[Event]) {
        let all = |events: &[Event]| {
            let got: Vec<_> = events.iter().filter(|e| e.word == "got").cloned().collect();
            check::has_all(sent, &got).then_some(())
        };
        if let Err(why) = self.look_for(all) {
            let shown = check::who_got_what(sent, &self.told("got"));
            panic!("{:?}: all of {} messages: {why}\n{shown}", self.client, sent.len());
        }
    }

    fn events_told(&self) -> usize {
        self.told.events.lock().expect("no panic under it").len()
    }

    fn wait_for<T>(&self, what: &str, find: impl Fn(&[Event]) -> Option<T>) -> T {
        self.look_for(find).unwrap_or_else(|why| self.give_up(what, why))
    }

    fn give_up(&self, what: &str, why: &str) -> ! {
        let events = self.told.events.lock().expect("no panic under it");
        let told: Vec<_> = events.iter().rev().take(5).cloned().collect();
        drop(events);
        panic!("{:?}: {what}: {why}; told last: {told:#?}", self.client);
    }

    /// Looks again and again at what was told, or says why no longer.
    fn look_for<T>(&self, find: impl Fn(&[Event]) -> Option<T>) -> Result<T, &'static str> {
        let deadline = Instant::now() + LIMIT;
        let mut events = self.told.events.lock().expect("no panic under it");
        loop {
            let looks = Instant::now();
            if let Some(found) = find(&events) {
                return Ok(found);
            }
            let took = looks.elapsed();
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            if left.is_zero() || ended {
                return Err(if ended { "the driver has ended" } else { "too long" });
            }
            if took > Duration::from_millis(1) {
                drop(events);
                thread::sleep(took * LOOK_PAUSE);
                events = self.told.events.lock().expect("no panic under it");
                continue;
            }
            // Not the whole time left: the end of the driver notifies nobody.
            let pause = left.min(Duration::from_millis(500));
            events = self.told.more.wait_timeout(events, pause).expect("no panic under it").0;
        }
    }

    /// As `kill -STOP` and `kill -CONT` of the client's process.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|s| s.success()), "kill {signal} {}", self.child.id());
    }

    /// Stops all clients in order and ends the process.
    pub fn finish(mut self) {
        self.stdin = None;
        let deadline = Instant::now() + LIMIT;
        while self.child.try_wait().expect("a child of this process").is_none() {
            assert!(Instant::now() < deadline, "{:?} does not end", self.client);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn java(scene: &Scene, set: &str, encoding: Encoding, properties: &[String]) -> Command {
    let home = scene.folder("client");
    let cache = files::cache().display();
    let mut command = process::command("java");
    command
        .args(["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .arg(format!("-Drmq.logback.configurationFile={}", files::logback().display()))
        .arg(format!("-Dinterop.log={}", scene.unused(&format!("{set}.client.log")).display()))
        .arg("-Dinterop.level=WARN")
        .args(properties.iter().map(|property| format!("-D{property}")))
        .arg(match encoding {
            Encoding::Json => "-Drocketmq.serialize.type=JSON",
            Encoding::Binary => "-Drocketmq.serialize.type=ROCKETMQ",
        })
        // The 4.x client logs by itself, and both keep broadcast offsets in the home folder.
        .arg(format!("-Drocketmq.client.logRoot={}", home.display()))
        .arg(format!("-Duser.home={}", home.display()))
        .args(["-cp", &format!("{cache}/{set}/driver:{cache}/{set}/lib/*"), "Driver"]);
    command
}
