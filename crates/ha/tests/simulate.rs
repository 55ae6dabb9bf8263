//! Both ends over a connection that delays, splits, cuts and loses, with clocks that are days apart
//! and set forth and back, with restarts, crashes and truncation, and with Java's end on either side as its recordings show it. `SEED=n` runs one
//! seed, `SEEDS=n` that many.

mod world;

use world::{Kind, World};

const SEEDS: u64 = 10_000;

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

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
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = outcome {
            eprintln!("SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
