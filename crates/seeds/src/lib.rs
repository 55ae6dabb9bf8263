//! For simulations: dice that follow from a seed, and runs of many seeds, each of which can be had
//! again.
//!
//! Every simulation takes the same environment variables: `SEED=n` runs one seed, `SEEDS=n` that
//! many from `FROM=n` on, on `THREADS=n` (as many as there are cores), and `FAILURES=n` goes on
//! until so many have failed (1).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// How often a long run tells where it is.
const TELL_EVERY: u64 = 10_000;

/// Splitmix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// Changes a few things, as fuzzers do: bits, bytes, ends and stretches, which may come again
    /// up to `repeats` times; and puts in what `insert` gives of the format at hand.
    pub fn mutate(
        &mut self,
        data: &mut Vec<u8>,
        repeats: u64,
        mut insert: impl FnMut(&mut Self) -> Vec<u8>,
    ) {
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() as u64 + 1) as usize;
            let end = at + self.below((data.len() - at) as u64 + 1).min(64) as usize;
            match self.below(7) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 if at < data.len() => data[at] = self.number() as u8,
                2 => data.truncate(at),
                3 => drop(data.drain(at..end)),
                4 => {
                    let part = data[at..end].repeat(1 + self.below(repeats) as usize);
                    data.splice(at..at, part);
                }
                _ => drop(data.splice(at..at, insert(self))),
            }
        }
    }
}

/// The number in an environment variable such as `SEED`.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs every seed asked for, `default` of them if nothing is, and gives what the runs gave.
///
/// Tells each seed whose run panics and, once all have ended, panics itself.
pub fn each<R: Send>(default: u64, run: impl Fn(u64) -> R + Sync) -> Vec<R> {
    let from = number("FROM").unwrap_or(0);
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => from..from + number("SEEDS").unwrap_or(default),
    };
    let cores = || thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let threads = number("THREADS").unwrap_or_else(cores);
    let most_failures = number("FAILURES").unwrap_or(1) as usize;
    let next = AtomicU64::new(seeds.start);
    let given = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    let work = || {
        while failed.lock().expect("nothing panics with it").len() < most_failures {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if seed > seeds.start && seed.is_multiple_of(TELL_EVERY) {
                eprintln!("at seed {seed}");
            }
            match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(result) => given.lock().expect("nothing panics with it").push(result),
                Err(_) => {
                    eprintln!("replay with SEED={seed}");
                    failed.lock().expect("nothing panics with it").push(seed);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner().expect("nothing panics with it");
    failed.sort_unstable();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    given.into_inner().expect("nothing panics with it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_are_those_of_splitmix64() {
        let mut random = Random(1_234_567);
        assert_eq!(random.number(), 6_457_827_717_110_365_317);
        assert_eq!(random.number(), 3_203_168_211_198_807_973);
    }

    #[test]
    #[should_panic(expected = "seeds that failed: [3")]
    fn a_seed_that_panics_is_told() {
        each(5, |seed| assert!(seed < 3));
    }
}
