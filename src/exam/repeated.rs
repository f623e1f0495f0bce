//! Images that lie at several positions: a buffer that was not refilled, a range that was sent in another one's place. Noise alone makes
//! any two images differ, so that images which are the same show the place of one of them at most.

use std::collections::BTreeMap;

use super::PreparedSlice;
use super::spacing::SAME_PLACE_MM;

/// Neighbouring slices whose images lie elsewhere as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepeatedImages {
    pub slices: usize,
    pub from_z_mm: f64,
    pub to_z_mm: f64,
    /// The longest stretch that may lie between two places that are shown, mm.
    pub unseen_mm: f64,
}

/// All of them among slices of ascending z that usually stand so far apart.
#[must_use]
pub fn repeated_images<'a>(slices: impl Iterator<Item = &'a PreparedSlice>, usual_mm: f64) -> Vec<RepeatedImages> {
    let slices: Vec<&PreparedSlice> = slices.collect();
    let z_mm = |slice: &PreparedSlice| slice.header.geometry.z_mm;
    let mut reach: BTreeMap<_, [f64; 2]> = BTreeMap::new();
    for slice in slices.iter().copied() {
        let [_, highest] = reach.entry(&slice.thumbnail).or_insert([z_mm(slice); 2]);
        *highest = z_mm(slice);
    }
    let is_repeated = |slice: &PreparedSlice| {
        slice.noise_hu.is_some() && reach.get(&slice.thumbnail).is_some_and(|[low, high]| high - low > SAME_PLACE_MM)
    };
    let runs = slices.chunk_by(|one, other| is_repeated(one) == is_repeated(other));
    let repeated = runs.filter(|run| is_repeated(run[0])).map(|run| {
        let [from_z_mm, to_z_mm] = [run[0], run[run.len() - 1]].map(z_mm);
        // One image that is stuck shows one of its places; of several nobody knows whether they show any.
        let is_one = reach.get(&run[0].thumbnail) == Some(&[from_z_mm, to_z_mm])
            && run.iter().all(|slice| slice.thumbnail == run[0].thumbnail);
        let unshown = if is_one { 1.0 } else { 2.0 };
        RepeatedImages { slices: run.len(), from_z_mm, to_z_mm, unseen_mm: to_z_mm - from_z_mm + unshown * usual_mm }
    });
    repeated.collect()
}

#[cfg(test)]
mod tests {
    use super::super::made_slice;
    use super::*;
    use crate::engine::ModelPackage;
    use crate::preprocess::InputGeometry;

    /// What is told of images of these densities, 2 mm apart from 0 on.
    fn told(densities: &[i32]) -> Vec<RepeatedImages> {
        let input = InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input };
        let slice = |(place, hu): (usize, &i32)| {
            let (slice, _) =
                made_slice([0.0, 0.0, place as f64 * 2.0], *hu as f32 * 10.0, &format!("1.{place}"), &input);
            PreparedSlice { noise_hu: Some(20.0), ..slice }
        };
        let slices: Vec<PreparedSlice> = densities.iter().enumerate().map(slice).collect();
        repeated_images(slices.iter(), 2.0)
    }

    #[test]
    fn an_image_that_is_stuck_hides_all_its_places_but_one() {
        assert_eq!(told(&[-9, -8, -7, -6, -5, -4]), []);
        let [stuck] = told(&[-9, -8, -7, -7, -7, -4])[..] else { panic!("one run") };
        assert_eq!(stuck, RepeatedImages { slices: 3, from_z_mm: 4.0, to_z_mm: 8.0, unseen_mm: 6.0 });
    }

    #[test]
    fn a_range_that_lies_in_another_ones_place_hides_both() {
        let [low, high] = told(&[-9, -8, -7, -6, -9, -8, -7])[..] else { panic!("two runs") };
        assert_eq!((low.from_z_mm, low.to_z_mm, low.unseen_mm), (0.0, 4.0, 8.0));
        assert_eq!((high.from_z_mm, high.to_z_mm, high.unseen_mm), (8.0, 12.0, 8.0));
    }

    #[test]
    fn a_copy_at_the_place_of_its_original_hides_nothing() {
        let input = InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input };
        let slices = [0.0, 0.05, 2.0].map(|z_mm| {
            let (slice, _) = made_slice([0.0, 0.0, z_mm], if z_mm < 1.0 { 0.0 } else { -50.0 }, "1.2", &input);
            PreparedSlice { noise_hu: Some(20.0), ..slice }
        });
        assert_eq!(repeated_images(slices.iter(), 2.0), []);
    }
}
