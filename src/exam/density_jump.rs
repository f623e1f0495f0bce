//! Slices whose tissue, or whose lung and air, is all denser or all less dense than that of the slice beside them. A body's fat and
//! muscle go on from slice to slice, whether it breathes, moves, or takes up contrast agent, and so does the air around it: only
//! their Hounsfield units can change so. A slope that is wrong changes what lies far from 0 stored units: air, where those are
//! Hounsfield units.

use super::PreparedSlice;
use crate::preprocess::InputGeometry;

/// The median over a slice's tissue changes by 15 HU at most on 3,000 neighbours of 21 real series, 1 to 8 mm apart, that over its
/// lung and air by 5 HU.
const LEAST_JUMP_HU: f64 = 30.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DensityJump {
    pub below_z_mm: f64,
    pub above_z_mm: f64,
    /// How far it jumps, up or down, HU.
    pub jump_hu: f64,
}

/// All of them between slices of ascending z.
#[must_use]
pub fn density_jumps<'a>(slices: impl Iterator<Item = &'a PreparedSlice>, input: &InputGeometry) -> Vec<DensityJump> {
    let slices: Vec<&PreparedSlice> = slices.collect();
    let jump = |pair: &[&PreparedSlice]| {
        let (below, above) = (&pair[0].thumbnail, &pair[1].thumbnail);
        let rises = [below.tissue_rise_hu(above, input), below.air_rise_hu(above, input)];
        let jump_hu = rises.into_iter().flatten().map(f64::abs).reduce(f64::max)?;
        let [below_z_mm, above_z_mm] = [pair[0], pair[1]].map(|slice| slice.header.geometry.z_mm);
        (jump_hu >= LEAST_JUMP_HU).then_some(DensityJump { below_z_mm, above_z_mm, jump_hu })
    };
    slices.windows(2).filter_map(jump).collect()
}

#[cfg(test)]
mod tests {
    use super::super::made_image;
    use super::*;
    use crate::engine::ModelPackage;
    use crate::preprocess::HounsfieldImage;

    /// The jumps that are found in slices with this much lung beside tissue of this density.
    fn found(slices: &[(usize, f32)]) -> Vec<f64> {
        let with_lung: Vec<_> = slices.iter().map(|(rows, tissue_hu)| (*rows, -850.0, *tissue_hu)).collect();
        told_with_lung(&with_lung)
    }

    /// The same with lung of this density.
    fn told_with_lung(slices: &[(usize, f32, f32)]) -> Vec<f64> {
        let input = ModelPackage::built_in().unwrap().manifest.input;
        let slice = |(place, (lung_rows, lung_hu, tissue_hu)): (usize, &(usize, f32, f32))| {
            let hu = |at: usize| if at / 64 < *lung_rows { *lung_hu } else { *tissue_hu };
            let image = HounsfieldImage { rows: 64, columns: 64, values: (0..64 * 64).map(hu).collect() };
            made_image([0.0, 0.0, place as f64 * 2.0], &image, 6.0, &format!("1.{place}"), &input).0
        };
        let slices: Vec<PreparedSlice> = slices.iter().enumerate().map(slice).collect();
        density_jumps(slices.iter(), &input).iter().map(|jump| jump.jump_hu.round()).collect()
    }

    #[test]
    fn lungs_that_grow_at_once_are_no_jump_and_tissue_that_is_denser_at_once_is() {
        assert_eq!(found(&[(10, 40.0), (30, 40.0), (30, 50.0), (8, 45.0)]), Vec::<f64>::new());
        let [down, up] = found(&[(10, 40.0), (10, -40.0), (12, -40.0), (12, 60.0)])[..] else { panic!("two jumps") };
        assert!((75.0..85.0).contains(&down) && (95.0..106.0).contains(&up), "{down} {up}");
        assert_eq!(found(&[(63, 40.0), (63, -100.0)]), Vec::<f64>::new(), "too little tissue to tell");
    }

    #[test]
    fn lung_and_air_of_half_their_density_beside_tissue_that_hardly_changes_is_a_jump() {
        let [jump] = told_with_lung(&[(30, -850.0, 40.0), (32, -848.0, 38.0), (32, -425.0, 20.0)])[..] else {
            panic!("one jump")
        };
        assert!((415.0..431.0).contains(&jump), "{jump}");
    }
}
