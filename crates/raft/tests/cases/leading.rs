//! Who leads, what that one acknowledges, and what outlives it.

use skua_store::disk::Crash;

use crate::cluster::Cluster;
use crate::elected;

#[test]
fn one_two_and_three_members_elect_and_agree() {
    for members in 1..=3 {
        for sync in [false, true] {
            let mut cluster = Cluster::new(members, members, sync);
            cluster.start_all();
            let leader = elected(&mut cluster);
            for _ in 0..100 {
                assert!(cluster.send(leader));
                cluster.run(10);
            }
            cluster.run_until(5000, "all are answered", |cluster| cluster.awaited() == 0);
            assert_eq!(cluster.truth.acknowledged(), 100);
            let all: Vec<u64> = (1..=members).collect();
            cluster.heal_and_check(&all);
        }
    }
}

#[test]
fn when_the_leader_dies_another_goes_on_with_everything() {
    for crash in [Crash::Process, Crash::Power] {
        let mut cluster = Cluster::new(11, 3, true);
        cluster.start_all();
        for _ in 0..5 {
            let leader = elected(&mut cluster);
            cluster.run(1000);
            for _ in 0..20 {
                cluster.send(leader);
                cluster.run(10);
            }
            cluster.nodes.get_mut(&leader).expect("there").up_at = cluster.now + 400;
            cluster.crash(leader, crash);
            let at = cluster.now;
            elected(&mut cluster);
            assert!(cluster.now - at < 1500, "elected after {} ms", cluster.now - at);
        }
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// The kernel closes the connections of a process that dies: nobody waits for the timeout.
#[test]
fn a_leader_whose_process_dies_is_followed_at_once() {
    let mut cluster = Cluster::new(12, 3, false);
    cluster.start_all();
    for _ in 0..5 {
        let leader = elected(&mut cluster);
        cluster.run(2000);
        assert_eq!(cluster.leader(), Some(leader));
        cluster.nodes.get_mut(&leader).expect("there").up_at = cluster.now + 1000;
        cluster.crash(leader, Crash::Process);
        let at = cluster.now;
        elected(&mut cluster);
        let took = cluster.now - at;
        assert!(took < 250, "elected after {took} ms, the least timeout is 300");
    }
    cluster.heal_and_check(&[1, 2, 3]);
}

#[test]
fn a_connection_that_flaps_deposes_no_leader_that_others_hear() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(600 + seed, 3, seed % 2 == 0);
        cluster.start_all();
        let leader = elected(&mut cluster);
        cluster.run(1000);
        let term = |cluster: &Cluster| {
            cluster.nodes[&leader].life.as_ref().map(|life| life.group.status().term)
        };
        let before = term(&cluster);
        let flaps = (1..=3).find(|id| *id != leader).expect("there are three");
        for nth in 0..100 {
            cluster.end_connection(leader, flaps);
            // Now and then it does not come back for a while.
            if nth % 10 == 0 {
                cluster.cut.insert((leader, flaps));
                cluster.run(700);
                cluster.cut.clear();
            }
            cluster.run(90);
            assert!(cluster.send(leader), "it leads still");
        }
        assert_eq!((cluster.leader(), term(&cluster)), (Some(leader), before), "seed {seed}");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// What RocketMQ's users lost with two masters (#6468) and a master that came back: a frozen
/// leader goes on as if nothing had happened, and must not be believed.
#[test]
fn what_a_frozen_leader_took_is_neither_acknowledged_nor_seen() {
    for sync in [false, true] {
        let mut cluster = Cluster::new(21, 3, sync);
        cluster.start_all();
        let old = elected(&mut cluster);
        cluster.run(500);
        // Nobody hears it any more; clients do.
        let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
        for other in &others {
            cluster.cut.extend([(old, *other), (*other, old)]);
        }
        for _ in 0..10 {
            assert!(cluster.send(old), "it does not know yet");
        }
        cluster.nodes.get_mut(&old).expect("there").paused_until = cluster.now + 3000;
        let new = others[0];
        cluster.run_until(2500, "another leader", |cluster| {
            cluster.leader().is_some_and(|leader| leader != old)
        });
        let new = cluster.leader().unwrap_or(new);
        for _ in 0..10 {
            assert!(cluster.send(new));
            cluster.run(20);
        }
        cluster.cut.clear();
        cluster.run(3000);
        assert_eq!(cluster.truth.acknowledged(), 10, "those of the new leader");
        assert_eq!(cluster.awaited(), 0, "the others were told that nobody knows");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// A question costs no entry, and a round of frames answers all that wait.
#[test]
fn who_asks_whether_a_member_leads_still_writes_nothing() {
    for (members, sync) in [(1, false), (3, false), (3, true)] {
        let mut cluster = Cluster::new(700 + members, members, sync);
        cluster.start_all();
        let leader = elected(&mut cluster);
        cluster.run(1000);
        let entries = |cluster: &Cluster| {
            let life = cluster.nodes[&leader].life.as_ref().expect("it lives");
            (life.group.status().last, life.store.appended())
        };
        let before = entries(&cluster);
        cluster.seen = Some(Vec::new());
        for _ in 0..100 {
            assert!(cluster.ask(leader));
        }
        cluster.run_until(100, "all are answered", |cluster| cluster.open_questions() == 0);
        assert_eq!((cluster.led, entries(&cluster)), (100, before));
        let frames = cluster.seen.take().map_or(0, |seen| seen.len());
        assert!(frames < 40, "{frames} frames");
    }
}

/// A leader that others have left behind is not believed, nor one that was frozen meanwhile.
#[test]
fn a_leader_that_is_cut_off_or_frozen_answers_no_question() {
    for freezes in [false, true] {
        let mut cluster = Cluster::new(710, 3, false);
        cluster.start_all();
        let old = elected(&mut cluster);
        cluster.run(500);
        // Lost frames are repeated.
        let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
        let cut: Vec<_> = others.iter().flat_map(|id| [(old, *id), (*id, old)]).collect();
        cluster.cut.extend(cut.clone());
        assert!(cluster.ask(old));
        cluster.run(100);
        assert_eq!((cluster.open_questions(), cluster.led), (1, 0));
        cluster.cut.clear();
        cluster.run(150);
        assert_eq!((cluster.open_questions(), cluster.led), (0, 1));

        cluster.cut.extend(cut);
        if freezes {
            cluster.nodes.get_mut(&old).expect("there").paused_until = cluster.now + 2500;
        }
        assert!(freezes || cluster.ask(old), "it does not know yet");
        cluster.run_until(2400, "another leader", |cluster| {
            cluster.leader().is_some_and(|leader| leader != old)
        });
        cluster.cut.clear();
        if freezes {
            // It wakes, and hears a client before it hears the others.
            cluster.nodes.get_mut(&old).expect("there").paused_until = 0;
            assert!(cluster.ask(old), "it does not know yet");
        }
        cluster.run(1000);
        assert_eq!((cluster.open_questions(), cluster.led), (0, 1), "freezes: {freezes}");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// A lagging copy became master (#6316, #7689): here it cannot, whoever asks first.
#[test]
fn a_member_that_lags_is_not_elected() {
    let mut cluster = Cluster::new(31, 3, true);
    cluster.start_all();
    let leader = elected(&mut cluster);
    let behind = if leader == 1 { 2 } else { 1 };
    for other in (1..=3).filter(|id| *id != behind) {
        cluster.cut.extend([(behind, other), (other, behind)]);
    }
    for _ in 0..30 {
        assert!(cluster.send(leader));
        cluster.run(10);
    }
    cluster.run(200);
    assert_eq!(cluster.truth.acknowledged(), 30);
    cluster.cut.clear();
    // The leader goes for good; the one behind has waited for long and asks at once.
    cluster.nodes.get_mut(&leader).expect("there").is_wanted = false;
    cluster.crash(leader, Crash::Power);
    let new = elected(&mut cluster);
    assert_ne!(new, behind, "or it is so only after it has everything");
    let all: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    cluster.heal_and_check(&all);
}

/// The power fails for all at once (#9717): with synchronous flushing nothing is missing.
#[test]
fn everything_acknowledged_outlives_a_power_cut_of_all() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(100 + seed, 3, true);
        cluster.start_all();
        let leader = elected(&mut cluster);
        for _ in 0..40 {
            cluster.send(leader);
            cluster.run(5);
        }
        assert!(cluster.truth.acknowledged() > 0);
        for id in 1..=3 {
            cluster.crash(id, Crash::Power);
        }
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// With asynchronous flushing a member may forget what it acknowledged. It must not help to elect
/// somebody who does not have it (#6662).
#[test]
fn a_member_that_forgot_its_tail_does_not_vote_it_away() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(200 + seed, 3, false);
        cluster.start_all();
        let leader = elected(&mut cluster);
        let (forgets, behind) = match leader {
            1 => (2, 3),
            2 => (1, 3),
            _ => (1, 2),
        };
        cluster.run(200);
        // One follower hears nothing, so that two have what is acknowledged.
        for other in [leader, forgets] {
            cluster.cut.extend([(behind, other), (other, behind)]);
        }
        for _ in 0..30 {
            cluster.send(leader);
            cluster.run(5);
        }
        cluster.run(100);
        let before = cluster.truth.acknowledged();
        assert!(before >= 29);
        // One of the two loses its memory, the other is away for a while: the remaining two are
        // enough for an election, and do not have the messages.
        cluster.cut.clear();
        cluster.crash(forgets, Crash::Power);
        cluster.nodes.get_mut(&leader).expect("there").up_at = cluster.now + 4000;
        cluster.crash(leader, Crash::Process);
        cluster.run(3500);
        cluster.heal_and_check(&[1, 2, 3]);
        assert!(cluster.truth.acknowledged() > before);
    }
}

/// An entry without bytes ends where the one before it does: that the log is durable up to there
/// says nothing of it.
#[test]
fn an_election_right_behind_a_checkpoint_outlives_two_crashes() {
    // What a power cut takes is by chance.
    (0..20).for_each(|seed| elect_and_crash_twice(2 * seed + 1));
}

fn elect_and_crash_twice(seed: u64) {
    let mut cluster = Cluster::new(seed, 3, false);
    cluster.start_all();
    let first = elected(&mut cluster);
    // The entry of the election is the last in its file of the index: nothing else syncs that.
    let last = |cluster: &Cluster| {
        cluster.nodes[&first].life.as_ref().map_or(0, |life| life.group.status().last)
    };
    while last(&cluster) % 16 != 15 {
        cluster.send(first);
        cluster.run(10);
    }
    cluster.run(500);
    for node in cluster.nodes.values_mut() {
        while node.life.as_ref().is_some_and(|life| life.store.dispatch() > 0) {}
        node.work(cluster.now, 17);
    }
    cluster.nodes.get_mut(&first).expect("there").up_at = cluster.now + 400;
    cluster.crash(first, Crash::Process);
    cluster.run_until(5000, "another leader", |cluster| {
        cluster.leader().is_some_and(|leader| leader != first)
    });
    let second = cluster.leader().expect("just seen");
    for _ in 0..5 {
        cluster.send(second);
        cluster.run(10);
    }
    cluster.crash(second, Crash::Process);
    cluster.run(50);
    let leader = elected(&mut cluster);
    // So that something behind is agreed on, too, and the checkpoint says so.
    cluster.send(leader);
    cluster.run(200);
    let node = cluster.nodes.get_mut(&second).expect("there");
    while node.life.as_ref().is_some_and(|life| life.store.dispatch() > 0) {}
    node.work(cluster.now, 17);
    cluster.crash(second, Crash::Power);
    cluster.run(500);
    cluster.heal_and_check(&[1, 2, 3]);
}
