//! Unique identifiers derived from UUIDs (PS3.5 B.2).

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Builder;

/// Makes UIDs under `2.25.`, each from a random (version 4) UUID.
#[derive(Debug)]
pub struct UidSource(StdRng);

impl UidSource {
    /// UIDs that nobody has had before.
    #[must_use]
    pub fn fresh() -> Self {
        Self(StdRng::from_rng(&mut rand::rng()))
    }

    /// The same UIDs again for the same seed: sending them twice sends the same exam twice.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// The next UID, at most 44 characters.
    pub fn next_uid(&mut self) -> String {
        let random: u128 = self.0.random();
        let uuid = Builder::from_random_bytes(random.to_be_bytes()).into_uuid();
        format!("2.25.{}", uuid.as_u128())
    }
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

    /// What was sent under a seed before must be the same exam when it is sent again by a later version.
    #[test]
    fn a_seeded_uid_is_the_seeds_random_number_with_version_and_variant_in_their_places() {
        for seed in 0..100 {
            let random: u128 = StdRng::seed_from_u64(seed).random();
            let uuid = random & !(0xF << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
            assert_eq!(UidSource::seeded(seed).next_uid(), format!("2.25.{uuid}"));
        }
    }

    #[test]
    fn a_seed_gives_the_same_uids_again() {
        let (mut first, mut second) = (UidSource::seeded(9), UidSource::seeded(9));
        assert_eq!(first.next_uid(), second.next_uid());
        assert_ne!(UidSource::seeded(10).next_uid(), second.next_uid());
    }
}
