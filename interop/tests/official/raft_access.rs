//! A group with access control: who has an old route is served by a member that does not lead, with
//! the rights that he has, and no send fails while the leadership moves.

use std::fs;
use std::time::Duration;

use serde_json::json;
use skua_interop::{Client, Driver, Scene, check, wait_until, wire};

use super::access::{ACCESS, ADMIN, ANN, PLAIN, as_user, people, send_fields};
use super::raft::{Group, Plan, wait_sent};

const LIMIT: Duration = Duration::from_secs(120);
const TOPIC: &str = "own-1";

fn guarded(operator: (&'static str, &'static str)) -> Plan {
    Plan { operator: Some(operator), ..Plan::default() }
}

/// What each member answers to a send.
fn codes(group: &Group, user: (&str, &str), topic: &str) -> Vec<i64> {
    let nodes = group.nodes.iter();
    nodes.map(|node| as_user(&node.addr, user, 310, send_fields(topic), "hello").0).collect()
}

fn no_send_fails(group: &Group, user: (&'static str, &'static str), refusal: i64) {
    let (name, secret) = user;
    // At the leader and at those that send on.
    wait_until("the topic everywhere", LIMIT, || {
        (codes(group, user, TOPIC) == [0; 3]).then_some(())
    });
    assert_eq!(codes(group, (name, "wrong-secret"), TOPIC), [refusal; 3]);
    assert_eq!(codes(group, ("nobody", secret), TOPIC), [refusal; 3]);
    assert_eq!(codes(group, user, "others"), [refusal; 3]);
    for node in &group.nodes {
        let (header, _) = wire::call(&node.addr, 310, send_fields(TOPIC), b"hello").expect("asked");
        assert_eq!(header["code"], refusal, "unsigned");
    }

    let mut driver = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    let account = format!("ak={name} sk={secret}");
    driver.run(&format!("producer p group=producers {account} timeout=3000 retries=0"));
    driver.run(&format!("consumer c group={TOPIC} topic={TOPIC} kind=concurrent {account}"));
    driver.run(&format!("flood p topic={TOPIC} prefix=m threads=3 size=300 pause=1"));
    wait_sent(&driver, 100);
    for _ in 0..2 {
        let leader = group.wait_leader();
        let to = (leader + 1) % 3;
        group.change(&["transfer", &format!("n{to}")]);
        // The client has the old route for half a minute.
        wait_sent(&driver, 300);
        assert_eq!(group.wait_leader(), to);
    }
    driver.run("halt p");
    assert_eq!(driver.told("lost").len(), 0, "{:?}", driver.told("lost"));
    let sent = driver.sent(TOPIC);
    wait_until("all is consumed", LIMIT, || check::has_all(&sent, &driver.got("c")).then_some(()));
    group.wait_same_logs();
}

#[test]
fn with_users_and_rules_no_send_fails_while_another_member_takes_the_lead() {
    // With an account of the members' own, and without one: then the client's signature stays.
    for settings in [&ACCESS[..], &ACCESS[..5]] {
        let group = Group::start_as(3, &settings.join("\n"), guarded(ADMIN));
        // Each keeps its own users; the topics are the group's.
        for node in &group.nodes {
            people(&node.addr);
        }
        no_send_fails(&group, ANN, 16);
        // As the users' book has it: from one topic to the other with another's rights, no.
        let follower = (group.wait_leader() + 1) % 3;
        let fields = json!({ "topic": TOPIC });
        assert_eq!(as_user(&group.nodes[follower].addr, ANN, 215, fields, "").0, 16);
    }
}

#[test]
fn with_access_control_lists_no_send_fails_while_another_member_takes_the_lead() {
    let files = Scene::new();
    let home = files.folder("home");
    let own = "  - accessKey: members\n    secretKey: members-secret\n    admin: true\n";
    fs::write(files.folder("home/conf").join("plain_acl.yml"), format!("{PLAIN}{own}"))
        .expect("a file");
    let account = r#"{"accessKey":"members","secretKey":"members-secret"}"#;
    for inner in [&*format!("innerClientAuthenticationCredentials={account}"), ""] {
        let settings = format!("aclEnable=true\nrocketmqHome={}\n{inner}", home.display());
        let operator = ("account2", "secret-of-2");
        let group = Group::start_as(3, &settings, guarded(operator));
        for topic in [TOPIC, "others"] {
            group.make_topic(topic);
        }
        no_send_fails(&group, ("account1", "secret-of-1"), 1);
    }
}
