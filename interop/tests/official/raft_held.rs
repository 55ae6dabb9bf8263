//! What clients hold of a group's queues when its leader is killed: orderly consumers their locks,
//! and ordered pops what is hidden for a time.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{Client, Driver, check, wait_until, wire};

use super::pop::{Popper, bodies};
use super::raft::Group;

const LIMIT: Duration = Duration::from_secs(120);
const TOPIC: &str = "held";

/// Kills the leader; gives the next one, to which clients are sent.
fn kill_leader(group: &mut Group) -> (usize, usize) {
    let leader = group.wait_leader();
    group.nodes[leader].process.kill();
    let next =
        wait_until("another leader", LIMIT, || group.leader().filter(|next| *next != leader));
    group.wait_master(next);
    (leader, next)
}

/// Whether the client has the queue then.
fn locks(addr: &str, client: &str) -> bool {
    let queue = json!({ "topic": TOPIC, "brokerName": "group", "queueId": 0 });
    let body = json!({ "clientId": client, "consumerGroup": "orderly", "mqSet": [queue] });
    let answer = wire::call(addr, 41, json!({}), body.to_string().as_bytes());
    let (header, body) = answer.expect("an answer");
    assert_eq!(header["code"], 0, "{header}");
    let granted: Value = serde_json::from_slice(&body).expect("JSON");
    granted["lockOKMQSet"].as_array().is_some_and(|queues| !queues.is_empty())
}

fn give_back(addr: &str, client: &str) {
    let queue = json!({ "topic": TOPIC, "brokerName": "group", "queueId": 0 });
    let body = json!({ "clientId": client, "consumerGroup": "orderly", "mqSet": [queue] });
    let (header, _) =
        wire::call(addr, 42, json!({}), body.to_string().as_bytes()).expect("an answer");
    assert_eq!(header["code"], 0, "{header}");
}

#[test]
fn locks_and_ordered_pops_stand_when_the_leader_is_killed() {
    let mut group = Group::start(3, "");
    let leader = group.wait_leader();
    let addr = group.nodes[leader].addr.clone();
    let mut popper = Popper::new(&addr, TOPIC);
    (0..4).for_each(|nth| popper.send(&format!("m{nth}")));
    assert!(locks(&addr, "one"));
    assert!(!locks(&addr, "two"));
    let pop = |popper: &Popper, invisible: u32| {
        let mut fields = popper.fields(2, invisible, 0);
        fields["order"] = "true".into();
        popper.pop_with(fields)
    };
    let first = wait_until("the first two", LIMIT, || {
        let (_, popped) = pop(&popper, 60_000);
        (!popped.is_empty()).then_some(popped)
    });
    assert_eq!(bodies(&first), ["m0", "m1"]);
    popper.ack(&first[0]);

    let (killed, next) = kill_leader(&mut group);
    let addr = group.nodes[next].addr.clone();
    popper.broker.clone_from(&addr);
    assert!(!locks(&addr, "two"), "the next leader knows whose it is");
    assert!(locks(&addr, "one"), "and lets it go on");
    give_back(&addr, "one");
    assert!(locks(&addr, "two"), "nobody waits for what is free");
    assert_eq!(bodies(&pop(&popper, 1000).1), [""; 0], "m1 is hidden");
    popper.ack(&first[1]);
    let began = Instant::now();
    let second = pop(&popper, 8000).1;
    assert_eq!(bodies(&second), ["m2", "m3"]);
    group.restart(killed);
    wait_until("it has everything", LIMIT, || {
        let status = group.status(next)?;
        let members = status["members"].as_array()?;
        let is_even = |member: &Value| member["lagBytes"].as_u64().unwrap_or(0) == 0;
        (members.len() == 3 && members.iter().all(is_even)).then_some(())
    });

    let (_, last) = kill_leader(&mut group);
    popper.broker.clone_from(&group.nodes[last].addr);
    assert!(!locks(&popper.broker, "one"));
    assert!(locks(&popper.broker, "two"));
    let (header, again) = wait_until("both again", LIMIT, || {
        let (header, popped) = pop(&popper, 60_000);
        (!popped.is_empty()).then_some((header, popped))
    });
    assert!(began.elapsed() >= Duration::from_secs(8), "after {:?}", began.elapsed());
    assert_eq!(bodies(&again), ["m2", "m3"]);
    // Counted as delivered once before.
    let counts = header["extFields"]["orderCountInfo"].as_str().expect("a text");
    assert!(counts.contains("0 qo0%2 1") && counts.contains("0 qo0%3 1"), "{counts}");
    again.iter().for_each(|popped| popper.ack(popped));
    let fields = json!({ "consumerGroup": popper.group, "topic": TOPIC, "queueId": "0" });
    let (header, _) = wire::call(&popper.broker, 14, fields, &[]).expect("an answer");
    assert_eq!(header["extFields"]["offset"], "4", "{header}");
}

/// Two of one group, in processes of their own: each believes in its queues while the leader
/// changes, and the next one sees the heartbeats of one before the other's.
#[test]
fn orderly_consumers_keep_the_order_when_the_leader_is_killed() {
    let mut group = Group::start(3, "");
    let leader = group.wait_leader();
    wire::make_topic(&group.nodes[leader].addr, TOPIC, 4);
    let namesrv = group.namesrv.addr.clone();
    let mut sender = Driver::start(&group.scene, Client::Java5, &namesrv);
    sender.run("producer p group=producers timeout=3000 retries=0 poll=500");
    let mut consumers: Vec<Driver> =
        (0..2).map(|_| Driver::start(&group.scene, Client::Java5, &namesrv)).collect();
    for (nth, consumer) in consumers.iter_mut().enumerate() {
        consumer.run(&format!("consumer c{nth} group=orderly topic={TOPIC} kind=orderly poll=500"));
    }
    sender.run(&format!("flood p topic={TOPIC} prefix=m threads=1 pause=5"));
    let got_more = |consumers: &mut [Driver]| {
        for consumer in consumers {
            let before = consumer.told("got").len();
            consumer.wait("more", |events| {
                events.iter().filter(|event| event.word == "got").count() >= before + 30
            });
        }
    };
    got_more(&mut consumers);
    for _ in 0..2 {
        let (killed, _) = kill_leader(&mut group);
        got_more(&mut consumers);
        group.restart(killed);
        thread::sleep(Duration::from_secs(1));
        group.wait_leader();
    }
    sender.run("halt p");
    let sent = sender.sent(TOPIC);
    wait_until("every message", LIMIT, || {
        let got: Vec<_> = consumers.iter().flat_map(|consumer| consumer.told("got")).collect();
        check::has_all(&sent, &got).then_some(())
    });
    // Of each queue, whoever has it then.
    let mut got: Vec<_> = consumers.iter().flat_map(|consumer| consumer.told("got")).collect();
    got.sort_by_key(|event| event.at);
    let first = check::first_deliveries(&got);
    eprintln!("{} sent, {} got, {} again", sent.len(), got.len(), got.len() - first.len());
    check::in_order(&first);
}
