//! Which places of a store of fixed size are free.

/// Places by number. However many exams there are, there are never more.
#[derive(Debug)]
pub struct Places {
    free: Vec<usize>,
    count: usize,
}

impl Places {
    /// So many places, all free.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { free: (0..count).rev().collect(), count }
    }

    /// A place that nobody has; `None` when all are taken.
    pub fn take(&mut self) -> Option<usize> {
        self.free.pop()
    }

    /// Gives a place back that was taken.
    pub fn give_back(&mut self, place: usize) {
        debug_assert!(place < self.count && !self.free.contains(&place));
        self.free.push(place);
    }

    #[must_use]
    pub fn taken(&self) -> usize {
        self.count - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nobody_gets_a_place_that_somebody_has_and_none_is_lost(takes in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut places = Places::new(8);
            let mut taken = BTreeSet::new();
            for take in takes {
                if take {
                    let place = places.take();
                    prop_assert_eq!(place.is_none(), taken.len() == 8);
                    prop_assert!(place.is_none_or(|place| place < 8 && taken.insert(place)));
                } else if let Some(place) = taken.pop_first() {
                    places.give_back(place);
                }
                prop_assert_eq!(places.taken(), taken.len());
            }
        }
    }
}
