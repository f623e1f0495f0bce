//! What goes wrong with the order of a scan: reversed, shuffled, slices missing, slices sent twice.

use rand::rngs::StdRng;
use rand::seq::{IteratorRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::{Instance, ScannerError};

/// The order in which slices leave the scanner. Scouts always come first, in their own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Order {
    /// As acquired: by series and instance number.
    #[default]
    Acquired,
    /// The last slice first.
    Reversed,
    /// Shuffled.
    Random,
}

/// Leaves out `count` slices at random, never the first or last of a series and never a scout: what is missing is a gap, not
/// a lung cut off.
///
/// # Errors
///
/// If there are not that many slices between the first and the last.
pub fn drop_slices(instances: &mut Vec<Instance>, count: usize, seed: u64) -> Result<(), ScannerError> {
    if count == 0 {
        return Ok(());
    }
    let inner: Vec<usize> = (0..instances.len()).filter(|index| is_inner_slice(instances, *index)).collect();
    if inner.len() < count {
        return Err(ScannerError::TooFewSlices { wanted: count, available: inner.len() });
    }
    let mut generator = StdRng::seed_from_u64(seed);
    let dropped = inner.into_iter().sample(&mut generator, count);
    let mut index = 0;
    instances.retain(|_| {
        let keep = !dropped.contains(&index);
        index += 1;
        keep
    });
    Ok(())
}

/// Whether an instance in order of acquisition has a slice of its own series before and after it.
fn is_inner_slice(instances: &[Instance], index: usize) -> bool {
    let here = &instances[index];
    let of_the_series = |other: &Instance| !other.scout && other.series_instance_uid == here.series_instance_uid;
    !here.scout && instances[..index].iter().any(of_the_series) && instances[index + 1..].iter().any(of_the_series)
}

/// Sorts what is in order of acquisition into another order.
pub fn reorder(instances: &mut [Instance], order: Order, seed: u64) {
    // A stable sort: scouts first, the rest as they are.
    instances.sort_by_key(|instance| !instance.scout);
    let scouts = instances.iter().take_while(|i| i.scout).count();
    let slices = &mut instances[scouts..];
    match order {
        Order::Acquired => {}
        Order::Reversed => slices.reverse(),
        Order::Random => slices.shuffle(&mut StdRng::seed_from_u64(seed)),
    }
}

/// Sends `count` slices a second time, unchanged, at a later moment.
///
/// # Errors
///
/// If there are fewer slices than that.
pub fn duplicate_slices(instances: &mut Vec<Instance>, count: usize, seed: u64) -> Result<(), ScannerError> {
    let slices: Vec<Instance> = instances.iter().filter(|i| !i.scout).cloned().collect();
    if slices.len() < count {
        return Err(ScannerError::TooFewSlices { wanted: count, available: slices.len() });
    }
    let mut generator = StdRng::seed_from_u64(seed);
    for slice in slices.into_iter().sample(&mut generator, count) {
        let first =
            instances.iter().position(|other| other.sop_instance_uid == slice.sop_instance_uid).map_or(0, |at| at + 1);
        let at = generator.random_range(first..=instances.len());
        instances.insert(at, slice);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::dicom::UidSource;
    use crate::scanner::phantom::{Phantom, PhantomKind, PhantomOptions};

    fn exam() -> Vec<Instance> {
        Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(20, 16))
            .instances(UidSource::seeded(1))
            .expect("encoded")
    }

    fn numbers(instances: &[Instance]) -> Vec<i32> {
        instances.iter().filter(|i| !i.scout).filter_map(|i| i.instance_number).collect()
    }

    #[test]
    fn dropped_slices_are_never_the_first_the_last_or_the_scout() {
        for seed in 0..20 {
            let mut instances = exam();
            drop_slices(&mut instances, 18, seed).expect("enough slices");
            assert_eq!(numbers(&instances), [1, 20]);
            assert!(instances[0].scout);
        }
    }

    #[test]
    fn dropping_more_than_there_is_says_how_many_there_are() {
        let error = drop_slices(&mut exam(), 19, 1).expect_err("too many");
        assert!(error.to_string().contains("18"), "{error}");
    }

    #[test]
    fn reversed_and_shuffled_scans_hold_the_same_slices_after_the_scout() {
        let mut reversed = exam();
        reorder(&mut reversed, Order::Reversed, 1);
        assert!(reversed[0].scout);
        assert_eq!(numbers(&reversed), (1..=20).rev().collect::<Vec<_>>());

        let (mut shuffled, mut again) = (exam(), exam());
        reorder(&mut shuffled, Order::Random, 5);
        reorder(&mut again, Order::Random, 5);
        assert!(shuffled[0].scout);
        assert_eq!(numbers(&shuffled), numbers(&again));
        assert_ne!(numbers(&shuffled), numbers(&exam()));
        assert_eq!(numbers(&shuffled).into_iter().collect::<HashSet<_>>(), (1..=20).collect());
    }

    #[test]
    fn a_duplicate_is_the_same_instance_later() {
        for seed in 0..20 {
            let mut instances = exam();
            duplicate_slices(&mut instances, 4, seed).expect("enough slices");
            assert_eq!(instances.len(), 25);
            let distinct: HashSet<_> = instances.iter().map(|i| &i.sop_instance_uid).collect();
            assert_eq!(distinct.len(), 21);
            assert!(instances[0].scout);
            let mut first_times = instances.clone();
            let mut seen = HashSet::new();
            first_times.retain(|i| seen.insert(i.sop_instance_uid.clone()));
            assert_eq!(numbers(&first_times), (1..=20).collect::<Vec<_>>());
        }
    }
}
