//! Both ends over a connection that delays, splits, cuts and loses, with clocks that are days apart
//! and set forth and back, with restarts, crashes and truncation, and with Java's end on either side as its recordings show it. `SEED=n` runs one
//! seed, `SEEDS=n` that many.

mod world;

use skua_seeds::Random;
use world::{Kind, World};

const SEEDS: u64 = 10_000;

fn run(seed: u64) {
    let mut random = Random(seed);
    let kind = match random.below(4) {
        0 => Kind { java_master: true, java_slave: false },
        1 => Kind { java_master: false, java_slave: true },
        _ => Kind { java_master: false, java_slave: false },
    };
    let mut world = World::new(kind, random.one_in(4), &mut random);
    for _ in 0..20 + random.below(80) {
        world.step(&mut random);
        world.check();
    }
    world.settle(&mut random);
}

#[test]
fn the_slaves_log_is_a_prefix_of_the_masters_whatever_happens() {
    skua_seeds::each(SEEDS, run);
}
