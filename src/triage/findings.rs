//! What the evidence so far amounts to: lungs, lesions, their pattern. A fold over the table, like the score.

use super::density::{Densities, HIGH_OPACITY_HU};
use super::evidence::TableRow;
use super::lesions::{Component, Lesion, LesionSummary, lesion_components, lesions};
use super::lung_regions::LungRegions;
use super::lungs::Lungs;
use super::pattern::Pattern;
use super::zones::ZoneScore;
use crate::exam::Lps;
use crate::preprocess::InputGeometry;
use crate::raster::RegionAt;

/// What was found in a series, whole or so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings<'a> {
    pub lungs: Lungs<'a>,
    /// Largest first.
    pub lesions: Vec<Lesion>,
    /// Which regions of the table's lesion masks each of the lesions is made of.
    pub lesion_regions: Vec<Vec<RegionAt>>,
    pub lesion_summary: LesionSummary,
    /// `None` without lungs.
    pub zone_score: Option<ZoneScore>,
    pub pattern: Pattern,
}

impl<'a> Findings<'a> {
    /// What the rows show; `plane_centre` is the patient's position of the plane's centre.
    #[must_use]
    pub fn of(table: &[TableRow<'a>], input: &InputGeometry, densities: Densities, plane_centre: Lps) -> Self {
        let regions = LungRegions::find(table, input);
        let components = lesion_components(table, &regions, input);
        let lesion_summary = LesionSummary::sum(&components, regions.volume_ml, table, input);
        let lungs = Lungs::of(regions, table, input);
        let (lesions, zones_ml) = lesions(&components, table, &lungs, input, densities, plane_centre);
        let zone_score = ZoneScore::of(&lungs.zones_ml, &zones_ml);
        let lesion_regions = lesions.iter().map(|(_, component)| component.regions.clone()).collect();
        let lesions: Vec<Lesion> = lesions.into_iter().map(|(lesion, _)| lesion).collect();
        let pattern = Pattern::of(&lesions);
        Self { lungs, lesions, lesion_regions, lesion_summary, zone_score, pattern }
    }
}

impl LesionSummary {
    /// What the rows amount to, without measuring each lesion: cheap enough for each row that comes.
    #[must_use]
    pub fn of(table: &[TableRow<'_>], input: &InputGeometry) -> Self {
        let lungs = LungRegions::find(table, input);
        Self::sum(&lesion_components(table, &lungs, input), lungs.volume_ml, table, input)
    }

    fn sum(components: &[Component], lung_ml: f64, table: &[TableRow<'_>], input: &InputGeometry) -> Self {
        // The sum of nothing is -0.0.
        let volume_ml = components.iter().map(|component| component.volume_ml).sum::<f64>() + 0.0;
        let regions = components.iter().flat_map(|component| &component.regions);
        let high_opacity_ml: f64 = regions
            .map(|at| {
                let row = &table[at.slab];
                let histogram = &row.evidence.lesion_regions.sums[at.region].histogram;
                histogram.count_from(HIGH_OPACITY_HU) as f64 * row.pixel_ml(input)
            })
            .sum();
        let share = |ml: f64| if lung_ml > 0.0 { ml / lung_ml } else { 0.0 };
        Self {
            count: components.len(),
            volume_ml,
            lung_share: share(volume_ml),
            high_opacity_share: share(high_opacity_ml),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Zone;
    use super::super::evidence::EvidenceTable;
    use super::super::evidence::tests::{evidence_of, put, rows_at, table_of};
    use super::super::reference::{Reference, Volume, Voxel};
    use super::super::zones::Side;
    use super::*;
    use crate::engine::ModelPackage;

    const SIDE: usize = 14;
    const SLABS: usize = 7;
    const DENSITIES: Densities = Densities { ground_glass_hu: -700, consolidation_hu: -350 };

    fn input() -> InputGeometry {
        static INPUT: std::sync::LazyLock<InputGeometry> = std::sync::LazyLock::new(|| InputGeometry {
            rows: SIDE,
            columns: SIDE,
            pixel_mm: 3.1,
            ..ModelPackage::built_in().unwrap().manifest.input
        });
        INPUT.clone()
    }

    /// Rows and columns from and to.
    type Block = (usize, usize, usize, usize);

    /// One version of a slab.
    #[derive(Debug, Clone)]
    struct Slab {
        lung: Vec<Block>,
        lesion: Vec<Block>,
        seed: usize,
    }

    impl Slab {
        fn is_in(blocks: &[Block], at: usize) -> bool {
            let (row, column) = (at / SIDE, at % SIDE);
            blocks.iter().any(|(top, bottom, left, right)| {
                (top.min(bottom)..=top.max(bottom)).contains(&&row)
                    && (left.min(right)..=left.max(right)).contains(&&column)
            })
        }

        fn is_lung(&self, at: usize) -> bool {
            Self::is_in(&self.lung, at)
        }

        fn is_lesion(&self, at: usize) -> bool {
            self.is_lung(at) && Self::is_in(&self.lesion, at)
        }

        fn hu(&self, at: usize) -> f32 {
            100.0 - ((at * 37 + self.seed * 101) % 1100) as f32 - 0.25
        }

        fn evidence(&self) -> super::super::SlabEvidence {
            let pixels = |is_set: &dyn Fn(usize) -> bool| (0..SIDE * SIDE).filter(|at| is_set(*at)).collect::<Vec<_>>();
            let (lung, lesion) = (pixels(&|at| self.is_lung(at)), pixels(&|at| self.is_lesion(at)));
            evidence_of(SIDE, &lung, &lesion, |at| self.hu(at))
        }
    }

    fn block() -> impl Strategy<Value = Block> {
        (0..SIDE, 0..SIDE, 0..SIDE, 0..SIDE)
    }

    fn slab() -> impl Strategy<Value = Slab> {
        let small = (0..SIDE, 0..SIDE, 0..5_usize, 0..5_usize).prop_map(|(row, column, down, right)| {
            (row, (row + down).min(SIDE - 1), column, (column + right).min(SIDE - 1))
        });
        (prop::collection::vec(block(), 0..4), prop::collection::vec(small, 0..5), 0..1000_usize)
            .prop_map(|(lung, lesion, seed)| Slab { lung, lesion, seed })
    }

    fn z_mm() -> impl Strategy<Value = Vec<f64>> {
        let gaps = prop::collection::vec(prop::sample::select(vec![2.0, 3.0, 3.0, 4.0, 12.0]), SLABS);
        gaps.prop_map(|gaps| {
            gaps.iter()
                .scan(-50.0, |z, gap| {
                    *z += gap;
                    Some(*z)
                })
                .collect()
        })
    }

    /// Rows come in this order; a later one replaces an earlier one.
    fn arrivals() -> impl Strategy<Value = Vec<(usize, Slab)>> {
        prop::collection::vec((0..SLABS, slab()), 1..16)
    }

    fn found<'a>(table: &'a EvidenceTable, z_mm: &[f64]) -> Findings<'a> {
        Findings::of(&rows_at(table, z_mm), &input(), DENSITIES, [0.0; 3])
    }

    /// What identifies a lesion: no two have the same voxels.
    fn key(centre_mm: [f64; 3], volume_ml: f64) -> [i64; 4] {
        let [x, y, z] = centre_mm;
        [x, y, z, volume_ml].map(|value| (value * 1e5).round() as i64)
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-7 * expected.abs().max(1.0)
    }

    fn assert_equal(
        found: &Lesion,
        reference: &Reference,
        volume: &Volume<'_>,
        lungs: &Lungs<'_>,
    ) -> Result<(), TestCaseError> {
        let shares =
            [found.ground_glass_share, found.consolidation_share, found.peripheral_share, found.on_diaphragm_share];
        let numbers =
            [found.volume_ml, found.mean_hu, found.compactness].into_iter().chain(found.centre_mm).chain(shares);
        let expected = [reference.volume_ml, reference.mean_hu, reference.compactness];
        let expected = expected.into_iter().chain(reference.centre_mm).chain(reference.shares);
        for (found, expected) in numbers.zip(expected) {
            prop_assert!(is_near(found, expected), "{found} {expected}\n{reference:?}");
        }
        let (extent, exact) = (found.largest_extent_mm, reference.largest_extent_mm);
        prop_assert!(extent <= exact * (1.0 + 1e-9) && extent >= exact * 0.99, "{extent} {exact}");
        let share = |holds: &dyn Fn(Voxel) -> bool| volume.ml_where(&reference.voxels, holds) / reference.volume_ml;
        let whole = |voxel: Voxel| f64::from((volume.hu)(voxel).floor());
        let (below, up_to) =
            (share(&|voxel| whole(voxel) < found.p90_hu), share(&|voxel| whole(voxel) <= found.p90_hu));
        prop_assert!(below < 0.9 + 1e-9 && up_to > 0.9 - 1e-9, "{below} {up_to}");
        let left = share(&|voxel| voxel.2 >= lungs.left_from(voxel.0));
        let side = if left > 0.5 { Side::Left } else { Side::Right };
        prop_assert!(found.side == side || is_near(left, 0.5), "{left}");
        prop_assert!(Zone::of_side(found.side).contains(&found.zone));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn rows_that_come_in_any_order_and_again_give_what_the_last_ones_give_at_once(
            arrivals in arrivals(), all_z_mm in z_mm()
        ) {
            let mut growing = EvidenceTable::default();
            let mut last: BTreeMap<usize, Slab> = BTreeMap::new();
            for (at, slab) in arrivals {
                put(&mut growing, at, slab.evidence());
                last.insert(at, slab);
                let mut at_once = EvidenceTable::default();
                for (at, slab) in &last {
                    put(&mut at_once, *at, slab.evidence());
                }
                // Not only at the end: an early flag looks at what there is.
                prop_assert_eq!(found(&growing, &all_z_mm), found(&at_once, &all_z_mm));
            }
        }

        #[test]
        fn lungs_and_lesions_are_those_of_the_whole_volume_labelled_voxel_by_voxel(
            arrivals in arrivals(), all_z_mm in z_mm()
        ) {
            let mut table = EvidenceTable::default();
            for (at, slab) in &arrivals {
                put(&mut table, *at, slab.evidence());
            }
            let slabs: BTreeMap<usize, &Slab> = arrivals.iter().map(|(at, slab)| (*at, slab)).collect();
            let z_mm: Vec<f64> = slabs.keys().map(|at| all_z_mm[*at]).collect();
            let slabs: Vec<&Slab> = slabs.into_values().collect();
            let pixel = |(_, row, column): Voxel| row * SIDE + column;
            let volume = Volume {
                side: SIDE,
                pixel_mm: input().pixel_mm,
                z_mm: &z_mm,
                lung: &|voxel| slabs[voxel.0].is_lung(pixel(voxel)),
                lesion: &|voxel| slabs[voxel.0].is_lesion(pixel(voxel)),
                hu: &|voxel| slabs[voxel.0].hu(pixel(voxel)),
            };
            let found = found(&table, &all_z_mm);

            let lungs = volume.lungs();
            for slab in 0..z_mm.len() {
                for at in 0..SIDE * SIDE {
                    prop_assert_eq!(found.lungs.contain(slab, at), lungs.contains(&(slab, at / SIDE, at % SIDE)));
                }
            }
            let lungs_ml = volume.lungs_ml();
            prop_assert!(is_near(found.lungs.volume_ml, lungs_ml) && is_near(found.lungs.summary.volume_ml(), lungs_ml));

            let mut expected = volume.lesions(DENSITIES);
            expected.sort_by_key(|lesion| key(lesion.centre_mm, lesion.volume_ml));
            let mut lesions = found.lesions.clone();
            lesions.sort_by_key(|lesion| key(lesion.centre_mm, lesion.volume_ml));
            prop_assert_eq!(lesions.len(), expected.len());
            for (lesion, expected) in lesions.iter().zip(&expected) {
                assert_equal(lesion, expected, &volume, &found.lungs)?;
            }

            let summary = found.lesion_summary;
            let lesions_ml: f64 = expected.iter().map(|lesion| lesion.volume_ml).sum();
            let high_opacity_ml: f64 = expected.iter().map(|lesion| lesion.high_opacity_ml).sum();
            prop_assert_eq!(summary.count, expected.len());
            prop_assert!(is_near(summary.volume_ml, lesions_ml));
            prop_assert!(is_near(summary.lung_share * lungs_ml, lesions_ml));
            prop_assert!(is_near(summary.high_opacity_share * lungs_ml, high_opacity_ml));
            prop_assert_eq!(summary, LesionSummary::of(&rows_at(&table, &all_z_mm), &input()));
            let zones = found.zone_score.map(|score| score.zones).into_iter().flatten();
            let sums = zones.fold((0.0, 0.0), |sums, zone| (sums.0 + zone.lung_ml, sums.1 + zone.lesion_ml));
            prop_assert!(is_near(sums.0, lungs_ml) && is_near(sums.1, lesions_ml), "{sums:?}");
        }
    }

    #[test]
    fn a_lesion_that_fills_the_right_lower_zone_scores_four_there_and_nothing_elsewhere() {
        let lung = vec![(0, SIDE - 1, 0, 4), (0, SIDE - 1, 9, SIDE - 1)];
        let slab = |lesion: Vec<Block>| Slab { lung: lung.clone(), lesion, seed: 0 };
        let filled = slab(vec![(0, SIDE - 1, 0, 4)]);
        let table = table_of((0..9).map(|at| if at < 3 { filled.evidence() } else { slab(vec![]).evidence() }));
        let z_mm: Vec<f64> = (0..9).map(|at| f64::from(at) * 3.0).collect();
        let found = found(&table, &z_mm);
        let score = found.zone_score.unwrap();
        assert_eq!(score.to_string(), "4 of 24; upper, middle, lower: right 0 0 4, left 0 0 0");
        assert_eq!((found.lesions[0].side, found.lesions[0].zone), (Side::Right, Zone::RightLower));
    }

    #[test]
    fn without_lungs_nothing_is_scored() {
        assert_eq!(found(&EvidenceTable::default(), &[]).zone_score, None);
    }
}
