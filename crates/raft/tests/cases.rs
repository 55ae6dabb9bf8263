//! Directed cases.

mod cluster;

use cluster::Cluster;
use skua_store::disk::Crash;

fn elected(cluster: &mut Cluster) -> u64 {
    cluster.run_until(20_000, "a leader", |cluster| cluster.leader().is_some());
    cluster.leader().expect("just seen")
}

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
