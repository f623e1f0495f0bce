//! For tests: lungs and lesions of a whole volume labelled at once, voxel by voxel, the slow and obvious way.

use std::collections::BTreeSet;

use super::density::{Densities, HIGH_OPACITY_HU};
use super::evidence::thicknesses_mm;

/// Row and column steps of the circle of 20 mm in which the outline is sought, in 16 directions.
fn circle(pixel_mm: f64) -> Vec<(i64, i64)> {
    let angles = (0..16).map(|number| std::f64::consts::TAU * f64::from(number) / 16.0);
    angles.map(|a| ((20.0 / pixel_mm * a.sin()).round() as i64, (20.0 / pixel_mm * a.cos()).round() as i64)).collect()
}

/// Slab, row, column.
pub(super) type Voxel = (usize, usize, usize);

/// A volume of square planes.
pub(super) struct Volume<'a> {
    pub side: usize,
    pub pixel_mm: f64,
    pub z_mm: &'a [f64],
    pub lung: &'a dyn Fn(Voxel) -> bool,
    pub lesion: &'a dyn Fn(Voxel) -> bool,
    pub hu: &'a dyn Fn(Voxel) -> f32,
}

/// What is measured of one lesion.
#[derive(Debug)]
pub(super) struct Reference {
    pub voxels: Vec<Voxel>,
    pub volume_ml: f64,
    pub mean_hu: f64,
    pub high_opacity_ml: f64,
    pub shares: [f64; 4],
    pub centre_mm: [f64; 3],
    pub compactness: f64,
    pub largest_extent_mm: f64,
}

impl Volume<'_> {
    fn voxels(&self) -> impl Iterator<Item = Voxel> {
        let side = self.side;
        let plane = move |slab| (0..side).flat_map(move |row| (0..side).map(move |column| (slab, row, column)));
        (0..self.z_mm.len()).flat_map(plane)
    }

    fn neighbours(&self, (slab, row, column): Voxel) -> Vec<Voxel> {
        let within = |at: usize| at.saturating_sub(1)..(at + 2).min(self.side);
        let mut found: Vec<Voxel> =
            within(row).flat_map(|row| within(column).map(move |column| (slab, row, column))).collect();
        let is_near = |a: usize, b: usize| self.z_mm[b] - self.z_mm[a] <= 10.0;
        found.extend((slab > 0 && is_near(slab - 1, slab)).then(|| (slab - 1, row, column)));
        found.extend((slab + 1 < self.z_mm.len() && is_near(slab, slab + 1)).then_some((slab + 1, row, column)));
        found
    }

    /// The components of a mask by flood fill.
    fn components(&self, is_set: &dyn Fn(Voxel) -> bool) -> Vec<Vec<Voxel>> {
        let mut seen = BTreeSet::new();
        let mut components = Vec::new();
        for start in self.voxels() {
            let (mut stack, mut component) = (vec![start], Vec::new());
            while let Some(voxel) = stack.pop() {
                if is_set(voxel) && seen.insert(voxel) {
                    component.push(voxel);
                    stack.extend(self.neighbours(voxel));
                }
            }
            components.extend((!component.is_empty()).then_some(component));
        }
        components
    }

    /// What one voxel of a slab stands for, ml.
    fn voxel_ml(&self, slab: usize) -> f64 {
        self.pixel_mm.powi(2) * thicknesses_mm(self.z_mm)[slab] / 1000.0
    }

    fn volume_ml(&self, voxels: &[Voxel]) -> f64 {
        self.ml_where(voxels, &|_| true)
    }

    /// The volume of those voxels for which it holds, ml.
    pub(super) fn ml_where(&self, voxels: &[Voxel], holds: &dyn Fn(Voxel) -> bool) -> f64 {
        voxels.iter().filter(|voxel| holds(**voxel)).map(|voxel| self.voxel_ml(voxel.0)).sum()
    }

    /// The components of the lung masks that have at least 15 % of the largest one's volume.
    pub(super) fn lungs(&self) -> BTreeSet<Voxel> {
        let thickness = thicknesses_mm(self.z_mm);
        let size = |voxels: &Vec<Voxel>| voxels.iter().map(|voxel| thickness[voxel.0]).sum::<f64>();
        let found = self.components(self.lung);
        let largest = found.iter().map(size).fold(0.0, f64::max);
        found.into_iter().filter(|voxels| size(voxels) >= largest * 0.15).flatten().collect()
    }

    pub(super) fn lungs_ml(&self) -> f64 {
        self.volume_ml(&self.lungs().into_iter().collect::<Vec<_>>())
    }

    /// The lesions of at least 0.1 ml in the lungs.
    pub(super) fn lesions(&self, densities: Densities) -> Vec<Reference> {
        let lungs = self.lungs();
        let found = self.components(self.lesion).into_iter();
        let listed = found.filter(|voxels| lungs.contains(&voxels[0]) && self.volume_ml(voxels) >= 0.1);
        listed.map(|voxels| self.measure(voxels, &lungs, densities)).collect()
    }

    fn measure(&self, voxels: Vec<Voxel>, lungs: &BTreeSet<Voxel>, densities: Densities) -> Reference {
        let volume_ml = self.volume_ml(&voxels);
        let ml_where = |holds: &dyn Fn(Voxel) -> bool| self.ml_where(&voxels, holds);
        let mean = |of: &dyn Fn(Voxel) -> f64| -> f64 {
            voxels.iter().map(|voxel| of(*voxel) * self.voxel_ml(voxel.0)).sum::<f64>() / volume_ml
        };
        let centre_mm: [f64; 3] = std::array::from_fn(|axis| mean(&|voxel| self.position_mm(voxel)[axis]));
        let (ground_glass, consolidation) =
            (f32::from(densities.ground_glass_hu), f32::from(densities.consolidation_hu));
        let shares = [
            ml_where(&|voxel| (ground_glass..consolidation).contains(&(self.hu)(voxel))) / volume_ml,
            ml_where(&|voxel| (self.hu)(voxel) >= consolidation) / volume_ml,
            ml_where(&|voxel| self.is_peripheral(voxel, lungs)) / volume_ml,
            ml_where(&|voxel| self.is_on_diaphragm(voxel, lungs)) / volume_ml,
        ];
        let gyration_mm2 = mean(&|voxel| {
            let from_centre = self.position_mm(voxel).into_iter().zip(centre_mm);
            let own = 2.0 * self.pixel_mm.powi(2) + thicknesses_mm(self.z_mm)[voxel.0].powi(2);
            from_centre.map(|(mm, centre)| (mm - centre).powi(2)).sum::<f64>() + own / 12.0
        });
        let ball_mm3 = 4.0 / 3.0 * std::f64::consts::PI * (5.0 / 3.0 * gyration_mm2).powf(1.5);
        Reference {
            volume_ml,
            mean_hu: mean(&|voxel| f64::from((self.hu)(voxel))),
            high_opacity_ml: ml_where(&|voxel| (self.hu)(voxel) >= f32::from(HIGH_OPACITY_HU)),
            shares,
            centre_mm,
            compactness: volume_ml * 1000.0 / ball_mm3,
            largest_extent_mm: self.largest_extent_mm(&voxels),
            voxels,
        }
    }

    /// From a plane whose centre is the patient's origin.
    fn position_mm(&self, (slab, row, column): Voxel) -> [f64; 3] {
        let along = |place: usize| (place as f64 - (self.side as f64 - 1.0) / 2.0) * self.pixel_mm;
        [along(column), along(row), self.z_mm[slab]]
    }

    /// A circle of 20 mm leaves what lies between the outermost pixels of lung of a row or a column.
    fn is_peripheral(&self, (slab, row, column): Voxel, lungs: &BTreeSet<Voxel>) -> bool {
        let is_lung = |row: i64, column: i64| {
            let place = usize::try_from(row).ok().zip(usize::try_from(column).ok());
            place.is_some_and(|(row, column)| lungs.contains(&(slab, row, column)))
        };
        let is_enclosed = |row: i64, column: i64| {
            let side = self.side as i64;
            let (before, after) = ((0..=column), (column..side));
            let (above, below) = ((0..=row), (row..side));
            before.into_iter().any(|c| is_lung(row, c)) && after.into_iter().any(|c| is_lung(row, c))
                || above.into_iter().any(|r| is_lung(r, column)) && below.into_iter().any(|r| is_lung(r, column))
        };
        circle(self.pixel_mm).iter().any(|(down, right)| !is_enclosed(row as i64 + down, column as i64 + right))
    }

    /// Not more than 8 mm below there is no lung, on a slab that was seen.
    fn is_on_diaphragm(&self, (slab, row, column): Voxel, lungs: &BTreeSet<Voxel>) -> bool {
        let near = (0..slab).filter(|lower| self.z_mm[slab] - self.z_mm[*lower] <= 8.0);
        near.into_iter().any(|lower| !lungs.contains(&(lower, row, column)))
    }

    /// The greatest distance between two corners of voxels.
    fn largest_extent_mm(&self, voxels: &[Voxel]) -> f64 {
        let corners: Vec<[f64; 3]> = voxels
            .iter()
            .flat_map(|voxel| {
                let [x, y, z] = self.position_mm(*voxel);
                let (half_pixel, half_slab) = (self.pixel_mm / 2.0, thicknesses_mm(self.z_mm)[voxel.0] / 2.0);
                let either = |at: f64, half: f64| [at - half, at + half];
                let (xs, ys, zs) = (either(x, half_pixel), either(y, half_pixel), either(z, half_slab));
                (0..8).map(move |corner| [xs[corner & 1], ys[corner >> 1 & 1], zs[corner >> 2]])
            })
            .collect();
        let distance = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        corners.iter().flat_map(|a| corners.iter().map(move |b| distance(a, b))).fold(0.0, f64::max)
    }
}
