//! A mask in the patient: voxels on a grid that an affine map places in LPS.

use crate::exam::{Lps, cross, dot};

/// More voxels than this are taken for a damaged header: a chest CT has a tenth of it.
const MAX_VOXELS: usize = 1 << 30;

/// Where voxel numbers `(i, j, k)` lie: `origin + i * steps[0] + j * steps[1] + k * steps[2]`, mm in LPS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub size: [usize; 3],
    /// The centre of voxel (0, 0, 0).
    pub origin: Lps,
    pub steps: [Lps; 3],
}

/// A set of voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelMask {
    grid: Grid,
    /// Row `r` of this times an offset in mm is a voxel number along axis `r`.
    inverse: [[f64; 3]; 3],
    bits: Vec<u64>,
}

impl VoxelMask {
    /// No voxel is set yet.
    ///
    /// # Errors
    /// If the grid has no volume or absurdly many voxels.
    pub fn empty(grid: Grid) -> Result<Self, String> {
        let voxels = grid.size.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
        let voxels = voxels.filter(|voxels| (1..=MAX_VOXELS).contains(voxels));
        let voxels = voxels.ok_or_else(|| format!("its size of {:?} voxels makes no sense", grid.size))?;
        let inverse = inverse(grid.steps).ok_or("its voxels have no volume: the axes are parallel or zero")?;
        Ok(Self { grid, inverse, bits: vec![0; voxels.div_ceil(64)] })
    }

    /// Sets the voxel with this number, the first axis running fastest.
    pub fn set(&mut self, voxel: usize) {
        if let Some(word) = self.bits.get_mut(voxel / 64) {
            *word |= 1 << (voxel % 64);
        }
    }

    /// Whether the voxel nearest to a point in LPS is set; outside of all voxels none is.
    #[must_use]
    pub fn contains(&self, point: Lps) -> bool {
        let at = self.voxel_numbers(point);
        let mut voxel = 0;
        for axis in (0..3).rev() {
            let size = self.grid.size[axis];
            let number = (at[axis] + 0.5).floor();
            if !(0.0..size as f64).contains(&number) {
                return false;
            }
            voxel = voxel * size + number as usize;
        }
        self.bits[voxel / 64] >> (voxel % 64) & 1 == 1
    }

    /// Whether the voxels reach into the box between two points in LPS.
    #[must_use]
    pub fn overlaps(&self, low: Lps, high: Lps) -> bool {
        let corner = |number: usize| {
            self.voxel_numbers(std::array::from_fn(|axis| if number >> axis & 1 == 0 { low[axis] } else { high[axis] }))
        };
        let corners: Vec<[f64; 3]> = (0..8).map(corner).collect();
        (0..3).all(|axis| {
            let numbers = corners.iter().map(|corner| corner[axis]);
            let (first, last) = (numbers.clone().fold(f64::MAX, f64::min), numbers.fold(f64::MIN, f64::max));
            last >= -0.5 && first <= self.grid.size[axis] as f64 - 0.5
        })
    }

    /// Fractional numbers of the voxel at a point.
    fn voxel_numbers(&self, point: Lps) -> [f64; 3] {
        let offset: Lps = std::array::from_fn(|axis| point[axis] - self.grid.origin[axis]);
        self.inverse.map(|row| dot(row, offset))
    }
}

/// The inverse of the matrix with these columns: its rows are their cross products over the determinant.
fn inverse([a, b, c]: [Lps; 3]) -> Option<[[f64; 3]; 3]> {
    let determinant = dot(a, cross(b, c));
    let usable = determinant.is_finite() && determinant.abs() > 1e-9;
    usable.then(|| [cross(b, c), cross(c, a), cross(a, b)].map(|row| row.map(|value| value / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_voxel_is_found_at_its_place_on_an_oblique_grid() {
        let grid = Grid {
            size: [4, 5, 6],
            origin: [10.0, -20.0, 30.0],
            steps: [[0.0, 0.6, 0.8], [-2.0, 0.0, 0.0], [0.0, -2.4, 1.8]],
        };
        let mut mask = VoxelMask::empty(grid).unwrap();
        mask.set(3 + 4 * (2 + 5 * 4));
        let place = |i: f64, j: f64, k: f64| {
            std::array::from_fn(|axis| {
                grid.origin[axis] + i * grid.steps[0][axis] + j * grid.steps[1][axis] + k * grid.steps[2][axis]
            })
        };
        assert!(mask.contains(place(3.4, 1.6, 4.4)));
        assert!(!mask.contains(place(2.4, 2.0, 4.0)));
        assert!(!mask.contains(place(3.6, 2.0, 4.0)));
        let far = place(9.0, 2.0, 4.0);
        assert!(mask.overlaps(place(3.0, 2.0, 4.0), far) && !mask.overlaps(far, far));
    }

    #[test]
    fn a_grid_without_volume_or_end_is_refused() {
        let flat =
            Grid { size: [2, 2, 2], origin: [0.0; 3], steps: [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]] };
        assert!(VoxelMask::empty(flat).is_err());
        let steps = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        assert!(VoxelMask::empty(Grid { size: [usize::MAX, 2, 2], origin: [0.0; 3], steps }).is_err());
        assert!(VoxelMask::empty(Grid { size: [0, 2, 2], origin: [0.0; 3], steps }).is_err());
    }
}
