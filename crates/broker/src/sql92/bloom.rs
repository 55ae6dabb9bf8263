//! Bit maps over consumer groups, one beside each consume queue entry: which groups' filters took
//! the message. A group is some bits of the map, found by hash (Java: `BloomFilter`).
//!
//! ```text
//! k = ceil(log2(1 / error rate))                     bits of a group
//! m = n * log2(1 / error rate) * log2(e), up to 8s   bits of the map, for n groups
//! bit i of the map is bit i % 8 of byte i / 8, counted from the least
//! ```

use serde::{Deserialize, Serialize};
use skua_protocol::Millis;

/// The map's measures; both ends of a store's life must agree on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bloom {
    bits: i32,
    hashes: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BloomError {
    #[error("an error rate of {0} % is not between 1 and 99")]
    ErrorRate(i32),
    #[error("{0} consumers are not between 1 and {max}", max = CONSUMERS_MAX)]
    Consumers(i32),
}

/// Most consumers that a map is made for: 960 KB beside each entry, more than anybody wants.
pub const CONSUMERS_MAX: i32 = 1 << 20;

/// A group's bits (Java: `BloomFilterData`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BloomBits {
    /// Bits of the map that these are meant for.
    pub bit_num: i32,
    pub bit_pos: Vec<i32>,
}

/// What a group's filter finds of itself in a bit map.
#[derive(Clone, Debug)]
pub struct GroupBits {
    pub bloom: Bloom,
    pub bits: BloomBits,
    /// Maps of messages stored before cannot know of it.
    pub born_time: Millis,
}

impl GroupBits {
    /// Whether a message may match; its properties are only to be read if it may.
    pub fn may_match(&self, store_time: Millis, bit_map: &[u8]) -> bool {
        store_time <= self.born_time || self.bloom.may_have(bit_map, &self.bits)
    }
}

impl Bloom {
    /// By `maxErrorRateOfBloomFilter`, in percent, and `expectConsumerNumUseFilter`.
    pub fn new(error_rate: i32, consumers: i32) -> Result<Self, BloomError> {
        if !(1..100).contains(&error_rate) {
            return Err(BloomError::ErrorRate(error_rate));
        }
        if !(1..=CONSUMERS_MAX).contains(&consumers) {
            return Err(BloomError::Consumers(consumers));
        }
        // In Java's steps, so that rounding falls alike.
        let log = |base: f64, value: f64| value.ln() / base.ln();
        let rate = f64::from(error_rate) / 100.0;
        let hashes = log(0.5, rate).ceil();
        let bits = f64::from(consumers) * log(2.0, 1.0 / rate) * log(2.0, std::f64::consts::E);
        let bits = 8.0 * (bits.ceil() / 8.0).ceil();
        Ok(Self { bits: bits as i32, hashes: hashes as i32 })
    }

    /// Bits of a map, a multiple of 8.
    pub fn bits(self) -> i32 {
        self.bits
    }

    /// The bits of a group's subscription to a topic.
    pub fn bits_of(self, group: &str, topic: &str) -> BloomBits {
        let hash = murmur3(format!("{group}#{topic}").as_bytes());
        let (first, second) = (hash as i32, (hash >> 32) as i32);
        let bit = |i: i32| {
            let hash = first.wrapping_add(i.wrapping_mul(second));
            (if hash < 0 { !hash } else { hash }) % self.bits
        };
        BloomBits { bit_num: self.bits, bit_pos: (1..=self.hashes).map(bit).collect() }
    }

    /// Whether the bits were made for maps of these measures.
    pub fn fits(self, bits: &BloomBits) -> bool {
        bits.bit_num == self.bits
            && bits.bit_pos.len() as i32 == self.hashes
            && bits.bit_pos.iter().all(|bit| (0..self.bits).contains(bit))
    }

    pub fn empty_map(self) -> Vec<u8> {
        vec![0; self.bits as usize / 8]
    }

    /// Sets a group's bits; those of other measures change nothing.
    pub fn set(self, map: &mut [u8], bits: &BloomBits) {
        if self.is_for(map, bits) {
            for &bit in &bits.bit_pos {
                map[bit as usize / 8] |= 1 << (bit % 8);
            }
        }
    }

    /// Whether the group may have taken the message; what has other measures does not tell.
    pub fn may_have(self, map: &[u8], bits: &BloomBits) -> bool {
        !self.is_for(map, bits)
            || bits.bit_pos.iter().all(|&bit| map[bit as usize / 8] & 1 << (bit % 8) != 0)
    }

    fn is_for(self, map: &[u8], bits: &BloomBits) -> bool {
        self.fits(bits) && map.len() * 8 == self.bits as usize
    }
}

/// The first half of MurmurHash3's x64 128-bit variant with seed 0 (Java: Guava's `murmur3_128`).
fn murmur3(bytes: &[u8]) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |k, &byte| k << 8 | u64::from(byte));

    let (mut h1, mut h2) = (0u64, 0u64);
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        h1 ^= mix1(word(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(word(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    h1 ^= mix1(word(&tail[..tail.len().min(8)]));
    h2 ^= mix2(word(&tail[tail.len().min(8)..]));
    h1 ^= bytes.len() as u64;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn finish(mut k: u64) -> u64 {
    k = (k ^ k >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    k = (k ^ k >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ k >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Java 5.5's `BloomFilter.createByFn(rate, consumers)` for `group#topic`.
    #[test]
    fn bits_are_those_of_java() {
        let cases = [
            (20, 32, 112, "CG_sql", "TopicA", vec![105, 88, 26]),
            (20, 4, 16, "CG_sql", "TopicA", vec![9, 8, 10]),
            (1, 1, 16, "CG_sql", "TopicA", vec![9, 8, 10, 12, 1, 15, 2]),
            (20, 32, 112, "组", "主题", vec![38, 9, 19]),
            (10, 128, 616, "CG", "T", vec![168, 17, 482, 331]),
            (
                3,
                1000,
                7304,
                "%RETRY%g",
                "t_0123456789abcdef_0123456789abcdef",
                vec![175, 677, 2300, 1798, 6007, 6509],
            ),
        ];
        for (rate, consumers, bits, group, topic, expected) in cases {
            let bloom = Bloom::new(rate, consumers).expect("measures in range");
            assert_eq!(bloom.bits(), bits, "{rate} % {consumers}");
            let found = bloom.bits_of(group, topic);
            assert_eq!(found, BloomBits { bit_num: bits, bit_pos: expected });
        }
    }

    #[test]
    fn measures_out_of_range_are_refused() {
        assert_eq!(Bloom::new(0, 32), Err(BloomError::ErrorRate(0)));
        assert_eq!(Bloom::new(100, 32), Err(BloomError::ErrorRate(100)));
        assert_eq!(Bloom::new(20, 0), Err(BloomError::Consumers(0)));
        assert!(Bloom::new(1, CONSUMERS_MAX).is_ok_and(|bloom| bloom.bits() > 0));
    }

    #[test]
    fn a_map_has_the_groups_that_were_set_and_says_nothing_of_other_measures() {
        let bloom = Bloom::new(20, 32).expect("measures in range");
        let (a, b) = (bloom.bits_of("CG_sql", "TopicA"), bloom.bits_of("CG", "T"));
        let mut map = bloom.empty_map();
        bloom.set(&mut map, &a);
        assert_eq!((map.len(), map[3], map[11], map[13]), (14, 4, 1, 2));
        assert!(bloom.may_have(&map, &a));
        assert!(!bloom.may_have(&map, &b));
        assert!(bloom.may_have(&map[1..], &b));
        let strange = BloomBits { bit_num: 112, bit_pos: vec![1, 2, 112] };
        bloom.set(&mut map, &strange);
        assert!(bloom.may_have(&map, &strange));
    }
}
