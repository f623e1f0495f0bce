//! Lesions: connected components of the slabs' lesion masks in three dimensions.

use serde::{Deserialize, Serialize};

use super::components::{Run, components};
use super::evidence::{Mask, TableRow};
use super::location::Location;
use super::lungs::Lungs;
use crate::exam::{Lps, SlabIndex};
use crate::preprocess::InputGeometry;

/// Components smaller than this are noise of the segmentation and are not listed, ml.
pub const SMALLEST_LESION_ML: f64 = 0.1;

/// Ground glass is denser than healthy lung and lets vessels be seen; consolidation hides them. The limits usual in
/// quantitative CT of pneumonia, HU.
const GROUND_GLASS_HU: f32 = -750.0;
const CONSOLIDATION_HU: f32 = -300.0;

/// A 3D connected lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lesion {
    /// Volume, ml.
    pub volume_ml: f64,
    /// Mean Hounsfield units, clamped to the model's window.
    pub mean_hu: f64,
    pub side: Side,
    /// Centre of mass in LPS, mm.
    pub centre_mm: [f64; 3],
    /// Lowest and highest slab position, mm.
    pub z_mm: [f64; 2],
    /// The slab with the lesion's largest area.
    pub key_slab: SlabIndex,
    /// Share from -750 to -300 HU, 0 to 1 as the other shares.
    pub ground_glass_share: f64,
    /// Share from -300 HU on.
    pub consolidation_share: f64,
    /// Share within 20 mm of the lungs' outline in its plane; the mediastinum is no outline.
    pub peripheral_share: f64,
    /// Share in the lowest third of the lungs' height.
    pub basal_share: f64,
    /// Share in the uppermost third of the lungs' height.
    pub apical_share: f64,
    /// Share within 8 mm above the end of the lung.
    pub on_diaphragm_share: f64,
    /// Volume as a share of that of the ball with the same radius of gyration: 1 for a ball, 0.7 for an ellipsoid twice as
    /// long as wide, far less for what is flat, branched or in pieces.
    pub compactness: f64,
}

/// The lung a lesion lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Left,
    Right,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

/// All lesions in the lungs of at least [`SMALLEST_LESION_ML`], largest first. `plane_centre` is the patient's position of
/// the plane's centre.
#[must_use]
pub fn lesions(table: &[TableRow<'_>], lungs: &Lungs, input: &InputGeometry, plane_centre: Lps) -> Vec<Lesion> {
    let masks: Vec<&Mask> = table.iter().map(|row| &row.evidence.lesion).collect();
    let z_mm: Vec<f64> = table.iter().map(|row| row.z_mm).collect();
    let location = Location::new(table, lungs, input, plane_centre);
    let mut lesions: Vec<Lesion> = components(&masks, &z_mm)
        .into_iter()
        // A lesion's pixels are lung: one of them tells for all in which component of the lung masks they lie.
        .filter(|runs| {
            runs.first().is_some_and(|run| lungs.contain(run.slab, run.row * input.columns + run.columns.start))
        })
        .map(|runs| Sums::over(&runs, table, lungs, &location, input))
        .filter(|sums| sums.volume >= SMALLEST_LESION_ML)
        .filter_map(|sums| sums.lesion(table))
        .collect();
    lesions.sort_by(|a, b| b.volume_ml.total_cmp(&a.volume_ml));
    lesions
}

/// Sums over one component, ml unless named otherwise.
#[derive(Default)]
struct Sums {
    volume: f64,
    left: f64,
    ground_glass: f64,
    consolidation: f64,
    peripheral: f64,
    basal: f64,
    apical: f64,
    on_diaphragm: f64,
    /// HU times ml.
    hu: f64,
    /// mm times ml.
    moment: [f64; 3],
    /// mm² times ml.
    second_moment: f64,
    /// Slabs in ascending z with the lesion's pixels on each.
    slabs: Vec<(usize, usize)>,
}

impl Sums {
    fn over(
        runs: &[Run],
        table: &[TableRow<'_>],
        lungs: &Lungs,
        location: &Location<'_>,
        input: &InputGeometry,
    ) -> Self {
        let mut sums = Self::default();
        for run in runs {
            let row = &table[run.slab];
            let pixel_ml = input.pixel_cm2() * row.thickness_mm / 10.0;
            // A cuboid's own second moment.
            let own_mm2 = (2.0 * input.pixel_mm.powi(2) + row.thickness_mm.powi(2)) / 12.0;
            let height = location.height(run.slab);
            let first = run.row * input.columns;
            let hu = row.evidence.lesion_hu_of(first + run.columns.start..first + run.columns.end);
            for (column, hu) in run.columns.clone().zip(hu) {
                let add = |sum: &mut f64, counts: bool| *sum += if counts { pixel_ml } else { 0.0 };
                add(&mut sums.volume, true);
                add(&mut sums.left, lungs.side(run.slab, column) == Side::Left);
                add(&mut sums.ground_glass, (GROUND_GLASS_HU..CONSOLIDATION_HU).contains(hu));
                add(&mut sums.consolidation, *hu >= CONSOLIDATION_HU);
                add(&mut sums.peripheral, location.is_peripheral(run.slab, run.row, column));
                add(&mut sums.basal, height < 1.0 / 3.0);
                add(&mut sums.apical, height >= 2.0 / 3.0);
                add(&mut sums.on_diaphragm, location.is_on_diaphragm(run.slab, first + column));
                sums.hu += f64::from(*hu) * pixel_ml;
                let position_mm = location.position_mm(run.slab, run.row, column);
                for (moment, position) in sums.moment.iter_mut().zip(position_mm) {
                    *moment += position * pixel_ml;
                }
                sums.second_moment += (position_mm.iter().map(|mm| mm * mm).sum::<f64>() + own_mm2) * pixel_ml;
            }
            match sums.slabs.last_mut() {
                Some((slab, pixels)) if *slab == run.slab => *pixels += run.columns.len(),
                _ => sums.slabs.push((run.slab, run.columns.len())),
            }
        }
        sums
    }

    fn lesion(&self, table: &[TableRow<'_>]) -> Option<Lesion> {
        let centre_mm = self.moment.map(|moment| moment / self.volume);
        let (first, last) = (self.slabs.first()?.0, self.slabs.last()?.0);
        let (key, _) = self.slabs.iter().copied().reduce(|best, slab| if slab.1 > best.1 { slab } else { best })?;
        let share = |ml: f64| ml / self.volume;
        Some(Lesion {
            volume_ml: self.volume,
            mean_hu: self.hu / self.volume,
            side: if self.left > self.volume / 2.0 { Side::Left } else { Side::Right },
            centre_mm,
            z_mm: [table[first].z_mm, table[last].z_mm],
            key_slab: table[key].slab,
            ground_glass_share: share(self.ground_glass),
            consolidation_share: share(self.consolidation),
            peripheral_share: share(self.peripheral),
            basal_share: share(self.basal),
            apical_share: share(self.apical),
            on_diaphragm_share: share(self.on_diaphragm),
            compactness: self.compactness(centre_mm),
        })
    }

    /// The radius of gyration of a ball of radius r is r * sqrt(3/5).
    fn compactness(&self, centre_mm: [f64; 3]) -> f64 {
        let centre_mm2: f64 = centre_mm.iter().map(|mm| mm * mm).sum();
        let gyration_mm2 = (self.second_moment / self.volume - centre_mm2).max(f64::MIN_POSITIVE);
        let ball_mm3 = 4.0 / 3.0 * std::f64::consts::PI * (5.0 / 3.0 * gyration_mm2).powf(1.5);
        self.volume * 1000.0 / ball_mm3
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::evidence::tests::{masks, table_of};
    use super::*;
    use crate::engine::ModelPackage;

    const SIDE: usize = 12;

    fn input() -> InputGeometry {
        InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 10.0, ..ModelPackage::built_in().unwrap().manifest.input }
    }

    /// A lesion of ground glass in the middle of a lung.
    pub(crate) fn lesion(volume_ml: f64, side: Side) -> Lesion {
        Lesion {
            volume_ml,
            mean_hu: -500.0,
            side,
            centre_mm: [0.0; 3],
            z_mm: [0.0, 9.0],
            key_slab: SlabIndex(1),
            ground_glass_share: 1.0,
            consolidation_share: 0.0,
            peripheral_share: 0.0,
            basal_share: 0.0,
            apical_share: 0.0,
            on_diaphragm_share: 0.0,
            compactness: 0.3,
        }
    }

    fn found(slabs: &[&[usize]], plane_centre: Lps) -> Vec<Lesion> {
        let lung: Vec<usize> = (0..SIDE * SIDE).collect();
        let evidence: Vec<_> = slabs.iter().map(|lesion| masks(SIDE, &lung, lesion)).collect();
        let z_mm: Vec<f64> = (0..slabs.len()).map(|at| at as f64 * 3.0).collect();
        let table = table_of(&evidence, &z_mm);
        lesions(&table, &Lungs::find(&table, &input()), &input(), plane_centre)
    }

    #[test]
    fn volume_density_place_and_side_are_those_of_the_drawn_lesion() {
        let found = found(&[&[], &[14, 15], &[14, 15, 27], &[]], [100.0, 0.0, 0.0]);
        let [lesion] = found.as_slice() else { panic!("{found:?}") };
        assert!((lesion.volume_ml - 5.0 * 0.3).abs() < 1e-9, "{}", lesion.volume_ml);
        assert!((lesion.mean_hu - -(14.0 + 15.0 + 14.0 + 15.0 + 27.0) / 5.0).abs() < 1e-6);
        assert_eq!(lesion.side, Side::Right);
        assert_eq!(lesion.z_mm, [3.0, 6.0]);
        assert_eq!(lesion.key_slab, SlabIndex(2));
        let x_mm = 100.0 + 10.0 * ((2.0 + 3.0 + 2.0 + 3.0 + 3.0) / 5.0 - 5.5);
        assert!((lesion.centre_mm[0] - x_mm).abs() < 1e-9, "{:?}", lesion.centre_mm);
    }

    /// Lesions of a chest of two lungs, 200 mm high, in a plane of 40 x 40 pixels of 6 mm; positions from its centre, mm.
    fn found_in_chest(is_lesion: impl Fn([f64; 3]) -> bool, is_floor: impl Fn([f64; 3]) -> bool) -> Vec<Lesion> {
        const SIDE: usize = 40;
        let input = InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 6.0, ..input() };
        let z_mm: Vec<f64> = (0..50).map(|at| f64::from(at) * 4.0).collect();
        let evidence: Vec<_> = z_mm
            .iter()
            .map(|z| {
                let place = |at: usize| {
                    let mm = |place: usize| (place as f64 - 19.5) * 6.0;
                    [mm(at % SIDE), mm(at / SIDE), *z]
                };
                let is_lung = |at: &usize| (20.0..100.0).contains(&place(*at)[0].abs()) && place(*at)[1].abs() < 80.0;
                let lung: Vec<usize> = (0..SIDE * SIDE).filter(|at| is_lung(at) && !is_floor(place(*at))).collect();
                let lesion: Vec<usize> = lung.iter().copied().filter(|at| is_lesion(place(*at))).collect();
                masks(SIDE, &lung, &lesion)
            })
            .collect();
        let table = table_of(&evidence, &z_mm);
        lesions(&table, &Lungs::find(&table, &input), &input, [0.0; 3])
    }

    fn is_near(a: [f64; 3], b: [f64; 3], radius: f64) -> bool {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() <= radius * radius
    }

    #[test]
    fn a_ball_is_compact_and_a_layer_on_the_chest_wall_is_not_but_peripheral() {
        let ball = found_in_chest(|p| is_near(p, [-60.0, 0.0, 100.0], 25.0), |_| false);
        let [ball] = ball.as_slice() else { panic!("{ball:?}") };
        assert!((ball.compactness - 1.0).abs() < 0.05, "{}", ball.compactness);
        assert!(ball.peripheral_share < 0.1, "{}", ball.peripheral_share);
        assert_eq!((ball.basal_share, ball.side), (0.0, Side::Right));
        let layer = found_in_chest(|p| p[0] > 85.0 && p[2] < 60.0, |_| false);
        let [layer] = layer.as_slice() else { panic!("{layer:?}") };
        assert!(layer.compactness < 0.35, "{}", layer.compactness);
        assert_eq!((layer.peripheral_share, layer.basal_share, layer.side), (1.0, 1.0, Side::Left));
    }

    #[test]
    fn what_lies_beside_the_mediastinum_is_not_peripheral() {
        let hilar = found_in_chest(|p| is_near(p, [30.0, 0.0, 100.0], 12.0), |_| false);
        assert_eq!(hilar[0].peripheral_share, 0.0);
    }

    #[test]
    fn a_thin_cap_on_a_dome_lies_on_the_diaphragm_and_a_ball_above_it_does_not() {
        let dome = |p: [f64; 3]| is_near(p, [-60.0, 0.0, -10.0], 60.0);
        let cap = found_in_chest(|p| is_near(p, [-60.0, 0.0, -10.0], 66.0), dome);
        assert!(cap[0].on_diaphragm_share > 0.7, "{:?}", cap[0]);
        let ball = found_in_chest(|p| is_near(p, [-60.0, 0.0, 70.0], 20.0), dome);
        assert!(ball[0].on_diaphragm_share < 0.2, "{:?}", ball[0]);
        let on_lowest_slab_seen = found_in_chest(|p| p[0] > 60.0 && p[2] < 8.0, |_| false);
        assert_eq!(on_lowest_slab_seen[0].on_diaphragm_share, 0.0, "what is below was not seen");
    }

    #[test]
    fn lesions_come_largest_first() {
        let volumes: Vec<f64> = found(&[&[0, 60, 61, 62]], [0.0; 3]).iter().map(|lesion| lesion.volume_ml).collect();
        assert!(volumes.is_sorted_by(|a, b| a >= b), "{volumes:?}");
    }
}
