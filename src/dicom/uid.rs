//! Unique identifiers derived from UUIDs (PS3.5 B.2).

use std::hash::{BuildHasher, RandomState};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Makes UIDs under `2.25.`, each from a random (version 4) UUID.
#[derive(Debug)]
pub struct UidSource(StdRng);

impl UidSource {
    /// UIDs that nobody has had before.
    #[must_use]
    pub fn fresh() -> Self {
        Self(StdRng::seed_from_u64(entropy()))
    }

    /// The same UIDs again for the same seed: sending them twice sends the same exam twice.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// The next UID, at most 44 characters.
    pub fn next_uid(&mut self) -> String {
        const VERSION_4: u128 = 0x4 << 76;
        const VARIANT: u128 = 0b10 << 62;
        let random: u128 = self.0.random();
        let uuid = random & !(0xF << 76) & !(0b11 << 62) | VERSION_4 | VARIANT;
        format!("2.25.{uuid}")
    }
}

/// A seed from the operating system, through the keys the standard library draws for its hash maps.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn uids_are_valid_and_different() {
        let mut source = UidSource::fresh();
        let uids: HashSet<String> = (0..1000).map(|_| source.next_uid()).collect();
        assert_eq!(uids.len(), 1000);
        for uid in &uids {
            assert!(uid.len() <= 64);
            let number = uid.strip_prefix("2.25.").expect("root");
            assert!(!number.starts_with('0'));
            let uuid: u128 = number.parse().expect("decimal");
            assert_eq!(uuid >> 76 & 0xF, 4);
            assert_eq!(uuid >> 62 & 0b11, 0b10);
        }
    }

    #[test]
    fn a_seed_gives_the_same_uids_again() {
        let (mut first, mut second) = (UidSource::seeded(9), UidSource::seeded(9));
        assert_eq!(first.next_uid(), second.next_uid());
        assert_ne!(UidSource::seeded(10).next_uid(), second.next_uid());
    }
}
