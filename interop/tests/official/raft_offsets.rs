//! Consumer offsets, topics and groups of a group of brokers whose leader dies: what was answered
//! stands at the next one, from its first answer on. `FAULTS=n` makes it longer, `SEED=n` repeats.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use skua_interop::{skua, wait_until, wire};
use skua_seeds::{Random, number};

use super::raft::Group;

const LIMIT: Duration = Duration::from_secs(120);
/// Shorter than a follower looks for the leader before it tells what it knows itself.
const ANSWER: Duration = Duration::from_secs(2);
const FAULTS: u64 = 5;
const QUEUES: i32 = 4;
const TOPIC: &str = "marked";
const GROUP: &str = "TOOLS_CONSUMER";

/// One who consumes a queue: commits offsets and asks for them, at any member.
struct Consumer {
    queue: i32,
    dice: Random,
    addrs: Vec<String>,
    came_to: i64,
    /// The furthest that was acknowledged, or told.
    known: i64,
    acknowledged: u64,
    told: u64,
}

impl Consumer {
    fn run(mut self, over: &AtomicBool, seen: &Mutex<Vec<String>>) -> (u64, u64) {
        while !over.load(Ordering::SeqCst) {
            if let Err(what) = self.step() {
                seen.lock().expect("nobody panics with it").push(what);
                break;
            }
        }
        (self.acknowledged, self.told)
    }

    fn step(&mut self) -> Result<(), String> {
        let addr = self.dice.pick(&self.addrs).clone();
        let mut fields = json!({
            "consumerGroup": GROUP, "topic": TOPIC, "queueId": self.queue.to_string(),
        });
        if self.dice.one_in(2) {
            self.came_to += 1;
            fields["commitOffset"] = self.came_to.to_string().into();
            let answer = wire::call_within(ANSWER, &addr, 15, fields, &[]);
            if answer.is_some_and(|(header, _)| header["code"] == 0) {
                self.known = self.came_to;
                self.acknowledged += 1;
            }
            return Ok(());
        }
        let answer = wire::call_within(ANSWER, &addr, 14, fields, &[]);
        let Some((header, _)) = answer else { return Ok(()) };
        let told = match header["code"].as_i64() {
            Some(0) => header["extFields"]["offset"].as_str().and_then(|text| text.parse().ok()),
            // There is none.
            Some(22) => Some(-1),
            _ => return Ok(()),
        };
        let told: i64 = told.ok_or("an offset without a number")?;
        if told < self.known || told > self.came_to {
            let (queue, known, came_to) = (self.queue, self.known, self.came_to);
            return Err(format!("queue {queue}: {told} of {known} to {came_to} at {addr}"));
        }
        self.known = told;
        self.told += 1;
        Ok(())
    }
}

fn mqadmin(group: &Group, words: &[&str]) -> bool {
    let mut command = skua();
    command.arg("mqadmin").args(words).args(["-n", &group.namesrv.addr]);
    command.output().is_ok_and(|made| made.status.success())
}

#[test]
fn what_was_answered_of_offsets_topics_and_groups_stands_at_the_next_leader() {
    let seed = number("SEED").unwrap_or(1);
    eprintln!("SEED={seed}");
    let mut dice = Random(seed);
    let mut group = Group::start(3, "");
    group.make_topic(TOPIC);
    let addrs: Vec<String> = group.nodes.iter().map(|node| node.addr.clone()).collect();
    let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let consumers: Vec<_> = (0..QUEUES)
        .map(|queue| {
            let dice = Random(dice.number());
            let (addrs, over, seen) = (addrs.clone(), over.clone(), seen.clone());
            let consumer =
                Consumer { queue, dice, addrs, came_to: -1, known: -1, acknowledged: 0, told: 0 };
            thread::spawn(move || consumer.run(&over, &seen))
        })
        .collect();
    for nth in 0..number("FAULTS").unwrap_or(FAULTS) {
        let leader = group.wait_leader();
        thread::sleep(Duration::from_millis(300 + dice.below(700)));
        // Answered just before it ends.
        let (topic, readers) = (format!("made-{nth}"), format!("readers-{nth}"));
        let at = &addrs[leader];
        let made = mqadmin(&group, &["updateTopic", "-b", at, "-t", &topic, "-r", "3", "-w", "3"]);
        let made = made && mqadmin(&group, &["updateSubGroup", "-b", at, "-g", &readers]);
        let freezes = dice.one_in(3);
        match freezes {
            true => group.nodes[leader].process.freeze(),
            false => group.nodes[leader].process.kill(),
        }
        let began = Instant::now();
        let next = wait_until("another leader", LIMIT, || {
            let others = (0..3).filter(|node| *node != leader);
            let leads =
                |node: &usize| group.status(*node).is_some_and(|status| status["role"] == "leader");
            others.into_iter().find(leads)
        });
        eprintln!("fault {nth}: n{next} leads after {} ms", began.elapsed().as_millis());
        if made {
            // Who leads reads what the one before has agreed on, and registers then.
            group.wait_master(next);
            let code = |code: i32, fields| {
                let (header, _) = wire::call(&addrs[next], code, fields, &[])?;
                header["code"].as_i64()
            };
            assert_eq!(code(351, json!({ "topic": topic, "lo": "false" })), Some(0), "{topic}");
            // Asked by another group's existence, lest the question makes it.
            let (_, body) = wire::call(&addrs[next], 201, json!({}), &[]).expect("groups");
            assert!(String::from_utf8_lossy(&body).contains(&readers), "{readers}");
        }
        match freezes {
            true => group.nodes[leader].process.thaw(),
            false => group.restart(leader),
        }
        if !seen.lock().expect("nobody panics with it").is_empty() {
            break;
        }
    }
    over.store(true, Ordering::SeqCst);
    let counts: Vec<_> = consumers.into_iter().map(|one| one.join().expect("it ends")).collect();
    eprintln!("acknowledged and told: {counts:?}");
    let seen = seen.lock().expect("nobody panics with it");
    assert!(seen.is_empty(), "{seen:?}");
    assert!(counts.iter().all(|(acknowledged, told)| *acknowledged > 20 && *told > 20));
    group.wait_same_logs();
}
