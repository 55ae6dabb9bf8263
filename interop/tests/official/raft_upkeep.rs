//! What operators do to a group while clients send: a leader moved, a member replaced, every member
//! restarted in turn. No send fails: each producer tries thrice, as clients do unless told
//! otherwise, and waits for 3 s. The Go client looks up routes every 30 s and cannot be told
//! otherwise; a stopped member waits for it. It takes part with `GO=1`.

use std::time::Duration;

use skua_interop::{Client, Driver, wait_until};
use skua_seeds::number;

use super::raft::{Group, check_history};

const LIMIT: Duration = Duration::from_secs(120);

fn wait_sent(drivers: &[Driver]) {
    for driver in drivers {
        let before = driver.counted("sent");
        wait_until("more sends", LIMIT, || (driver.counted("sent") >= before + 50).then_some(()));
    }
}

fn wait_caught_up(group: &Group) {
    wait_until("all members near", LIMIT, || {
        let status = group.status(group.leader()?)?;
        let members = status["members"].as_array()?;
        let is_near = |member: &serde_json::Value| {
            let heard = member["heardMillis"].as_u64().is_some_and(|ms| ms < 1000);
            let near = member["lagBytes"].as_u64().is_some_and(|bytes| bytes < 100_000);
            member["isLeader"] == true || (heard && near)
        };
        members.iter().all(is_near).then_some(())
    });
}

#[test]
fn no_send_fails_while_members_are_moved_replaced_and_restarted() {
    let mut group = Group::start(3, "");
    group.make_topic("upkeep");
    let mut clients = vec![Client::Java5];
    clients.extend(number("GO").map(|_| Client::Go));
    let start = |client| Driver::start(&group.scene, client, &group.namesrv.addr);
    let mut drivers: Vec<_> = clients.into_iter().map(start).collect();
    for (driver, prefix) in drivers.iter_mut().zip(["j", "g"]) {
        driver.run("producer p group=producers timeout=3000 retries=2 poll=1000");
        driver.run(&format!("flood p topic=upkeep prefix={prefix} threads=2 size=300 pause=2"));
    }
    wait_sent(&drivers);

    let leader = group.wait_leader();
    let next = (leader + 1) % 3;
    group.change(&["transfer", &format!("n{next}")]);
    wait_sent(&drivers);
    assert_eq!(group.wait_leader(), next);

    // One is gone; another with an empty disk comes, is filled and votes.
    let gone = (next + 1) % 3;
    assert_eq!(group.change(&["remove", &format!("n{gone}")]), 2);
    let address = group.newcomer(3);
    wait_sent(&drivers);
    assert_eq!(group.change(&["add", "n3", &address]), 3);
    group.nodes[gone].process.terminate();
    group.nodes[gone].process.wait(LIMIT);
    group.nodes.remove(gone);
    wait_sent(&drivers);

    for node in 0..3 {
        wait_caught_up(&group);
        group.nodes[node].process.terminate();
        group.nodes[node].process.wait(LIMIT);
        wait_sent(&drivers);
        group.restart(node);
        wait_until("the member back", LIMIT, || group.status(node));
        wait_sent(&drivers);
    }
    for driver in &mut drivers {
        driver.run("halt p");
        assert_eq!(driver.told("lost").len(), 0, "{:?}", driver.told("lost"));
    }
    check_history(&group, &drivers.iter().collect::<Vec<_>>(), "upkeep");
}
