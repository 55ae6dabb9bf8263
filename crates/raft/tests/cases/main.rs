//! Directed cases.

#[path = "../cluster/mod.rs"]
mod cluster;
mod frames;
mod leading;
mod members;

use cluster::Cluster;

fn elected(cluster: &mut Cluster) -> u64 {
    elected_within(cluster, 20_000)
}

fn elected_within(cluster: &mut Cluster, ms: i64) -> u64 {
    cluster.run_until(ms, "a leader", |cluster| cluster.leader().is_some());
    cluster.leader().expect("just seen")
}
