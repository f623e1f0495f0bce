//! Lesions: connected components of the slabs' lesion masks in three dimensions.

use serde::{Deserialize, Serialize};

use super::density::{Densities, percentile_hu};
use super::evidence::TableRow;
use super::extent::{Part, largest_extent_mm};
use super::lesion_region::LesionRegion;
use super::location::{PixelLocations, pixel_locations};
use super::lung_regions::LungRegions;
use super::lungs::Lungs;
use super::zones::{PerZone, Side, Zone};
use crate::exam::{Lps, SlabIndex};
use crate::preprocess::InputGeometry;
use crate::raster::{Layer, RegionAt, components};

/// Components smaller than this are noise of the segmentation and are not listed, ml.
pub const SMALLEST_LESION_ML: f64 = 0.1;

/// A 3D connected lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lesion {
    /// Volume, ml.
    pub volume_ml: f64,
    /// Mean Hounsfield units, clamped to the model's window.
    pub mean_hu: f64,
    /// 90 % of the volume are not denser than this, whole Hounsfield units rounded down, clamped likewise.
    pub p90_hu: f64,
    pub side: Side,
    /// Where on its side most of it lies.
    pub zone: Zone,
    /// The greatest distance between two of its points, voxels at their full size, mm.
    pub largest_extent_mm: f64,
    /// Centre of mass in LPS, mm.
    pub centre_mm: [f64; 3],
    /// Lowest and highest slab position, mm.
    pub z_mm: [f64; 2],
    /// The slab with the lesion's largest area.
    pub key_slab: SlabIndex,
    /// Share as dense as ground glass (`densities` of the report says what is), 0 to 1 as the other shares.
    pub ground_glass_share: f64,
    /// Share as dense as consolidation.
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
    /// long as wide, far less for what is flat, branched or in parts.
    pub compactness: f64,
}

/// All lesions of an exam together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LesionSummary {
    pub count: usize,
    pub volume_ml: f64,
    /// Share of the lungs that is lesion, 0 to 1.
    pub lung_share: f64,
    /// Share of the lungs that is lesion of -200 HU or more, 0 to 1: the percentage of high opacity of Chaganti et al.,
    /// "Automated quantification of CT patterns associated with COVID-19 from chest CT", Radiology: Artificial Intelligence
    /// 2020.
    pub high_opacity_share: f64,
}

/// Beside a lung that is dense or missing a score is a finding only if at least so much of its lesions lies in the lung that
/// is left, ml: models also see opacities in a dense lung's edges, which are no lung and reach over the midline.
pub(super) const MIN_FINDING_ML: f64 = 10.0;

/// A component of the lesion masks that counts: it lies in the lungs and is not smaller than [`SMALLEST_LESION_ML`].
pub(super) struct Component {
    pub regions: Vec<RegionAt>,
    pub volume_ml: f64,
}

/// The components of the lesion masks that count: a fold over regions.
pub(super) fn lesion_components(table: &[TableRow<'_>], lungs: &LungRegions, input: &InputGeometry) -> Vec<Component> {
    let stack: Vec<Layer<'_>> = table
        .iter()
        .map(|row| Layer {
            z_mm: row.z_mm,
            regions: row.evidence.lesion_regions.sums.len(),
            adjacencies: &row.adjacencies.lesion,
        })
        .collect();
    let region = |at: &RegionAt| &table[at.slab].evidence.lesion_regions.sums[at.region];
    // Lesion is lung, so that all its regions lie in one component of the lung masks.
    let is_in_lungs =
        |at: &RegionAt| region(at).lung.is_some_and(|lung| lungs.contain(RegionAt { region: lung, ..*at }));
    components(&stack)
        .into_iter()
        .filter(|regions| regions.first().is_some_and(is_in_lungs))
        .map(|regions| {
            let volume_ml = regions.iter().map(|at| region(at).pixels as f64 * table[at.slab].pixel_ml(input)).sum();
            Component { regions, volume_ml }
        })
        .filter(|component| component.volume_ml >= SMALLEST_LESION_ML)
        .collect()
}

/// The lesions that these components are, largest first, each with its component, and how much of them lies in each zone, ml.
/// `plane_centre` is the patient's position of the plane's centre.
pub(super) fn lesions<'a>(
    components: &'a [Component],
    table: &[TableRow<'_>],
    lungs: &Lungs<'_>,
    input: &InputGeometry,
    densities: Densities,
    plane_centre: Lps,
) -> (Vec<(Lesion, &'a Component)>, PerZone) {
    let locations = pixel_locations(table, lungs, input);
    let half_plane_mm = |pixels: usize| (pixels as f64 - 1.0) / 2.0 * input.pixel_mm;
    let frame = Frame {
        pixel_mm: input.pixel_mm,
        first_mm: [plane_centre[0] - half_plane_mm(input.columns), plane_centre[1] - half_plane_mm(input.rows)],
        densities,
    };
    let mut zones_ml = PerZone::default();
    let mut lesions: Vec<(Lesion, &Component)> = components
        .iter()
        .filter_map(|component| {
            let parts = component.regions.iter().map(|at| {
                let row = &table[at.slab];
                LesionPart {
                    row,
                    region: &row.evidence.lesion_regions.sums[at.region],
                    location: locations[at.slab][at.region],
                    height: lungs.height(at.slab),
                    pixel_ml: row.pixel_ml(input),
                }
            });
            let parts: Vec<LesionPart<'_>> = parts.collect();
            let sums = Sums::over(&parts, &frame);
            zones_ml += sums.zones;
            Some((sums.lesion(&parts, &frame)?, component))
        })
        .collect();
    lesions.sort_by(|(a, _), (b, _)| b.volume_ml.total_cmp(&a.volume_ml));
    (lesions, zones_ml)
}

/// What all lesions of a series are measured with.
struct Frame {
    pixel_mm: f64,
    /// The patient's position of the plane's first pixel, x and y, mm.
    first_mm: [f64; 2],
    densities: Densities,
}

/// A region of a lesion in its place.
struct LesionPart<'a> {
    row: &'a TableRow<'a>,
    region: &'a LesionRegion,
    location: PixelLocations,
    /// In the lungs, 0 at their lowest slab and 1 at their uppermost.
    height: f64,
    pixel_ml: f64,
}

/// Sums over one component, ml unless named otherwise.
#[derive(Default)]
struct Sums {
    volume: f64,
    zones: PerZone,
    ground_glass: f64,
    consolidation: f64,
    peripheral: f64,
    basal: f64,
    apical: f64,
    on_diaphragm: f64,
    left: f64,
    /// HU times ml.
    hu: f64,
    /// mm times ml.
    moment: [f64; 3],
    /// mm² times ml.
    second_moment: f64,
}

impl Sums {
    fn over(parts: &[LesionPart<'_>], frame: &Frame) -> Self {
        let mut sums = Self::default();
        for LesionPart { row, region, location, height, pixel_ml } in parts {
            let ml = |pixels: usize| pixels as f64 * pixel_ml;
            let from = |hu: i16| region.histogram.count_from(hu);
            sums.volume += ml(region.pixels);
            sums.left += ml(location.left);
            sums.zones[Zone::of(Side::Left, *height)] += ml(location.left);
            sums.zones[Zone::of(Side::Right, *height)] += ml(region.pixels - location.left);
            let consolidation = from(frame.densities.consolidation_hu);
            sums.consolidation += ml(consolidation);
            sums.ground_glass += ml(from(frame.densities.ground_glass_hu) - consolidation);
            sums.peripheral += ml(location.peripheral);
            sums.on_diaphragm += ml(location.on_diaphragm);
            sums.basal += if *height < 1.0 / 3.0 { ml(region.pixels) } else { 0.0 };
            sums.apical += if *height >= 2.0 / 3.0 { ml(region.pixels) } else { 0.0 };
            sums.hu += region.hu * pixel_ml;
            sums.add_moments(row, region, *pixel_ml, frame);
        }
        sums
    }

    fn add_moments(&mut self, row: &TableRow<'_>, region: &LesionRegion, pixel_ml: f64, frame: &Frame) {
        let Frame { pixel_mm, first_mm: [x_mm, y_mm], .. } = *frame;
        let (pixels, columns, rows) = (region.pixels as f64, region.columns as f64, region.rows as f64);
        self.moment[0] += (pixels * x_mm + columns * pixel_mm) * pixel_ml;
        self.moment[1] += (pixels * y_mm + rows * pixel_mm) * pixel_ml;
        self.moment[2] += pixels * row.z_mm * pixel_ml;
        // A cuboid's own second moment.
        let own_mm2 = (2.0 * pixel_mm.powi(2) + row.thickness_mm.powi(2)) / 12.0;
        let first_mm2 = x_mm.powi(2) + y_mm.powi(2) + row.z_mm.powi(2) + own_mm2;
        self.second_moment += (pixels * first_mm2
            + 2.0 * pixel_mm * (x_mm * columns + y_mm * rows)
            + pixel_mm.powi(2) * region.squares as f64)
            * pixel_ml;
    }

    fn lesion(&self, parts: &[LesionPart<'_>], frame: &Frame) -> Option<Lesion> {
        let centre_mm = self.moment.map(|moment| moment / self.volume);
        let share = |ml: f64| ml / self.volume;
        let side = if self.left > self.volume / 2.0 { Side::Left } else { Side::Right };
        let of_side = Zone::of_side(side).into_iter();
        let zone = of_side.reduce(|most, zone| if self.zones[zone] > self.zones[most] { zone } else { most })?;
        let histograms: Vec<_> = parts.iter().map(|part| (&part.region.histogram, part.pixel_ml)).collect();
        let extents: Vec<Part<'_>> = parts
            .iter()
            .map(|LesionPart { row, region, .. }| Part {
                spans: &region.spans,
                z_mm: row.z_mm,
                thickness_mm: row.thickness_mm,
            })
            .collect();
        Some(Lesion {
            volume_ml: self.volume,
            mean_hu: self.hu / self.volume,
            p90_hu: percentile_hu(&histograms, 0.9)?,
            side,
            zone,
            largest_extent_mm: largest_extent_mm(&extents, frame.pixel_mm),
            centre_mm,
            z_mm: [parts.first()?.row.z_mm, parts.last()?.row.z_mm],
            key_slab: key_slab(parts)?,
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

/// The slab with the most pixels; of equals the lowest.
fn key_slab(parts: &[LesionPart<'_>]) -> Option<SlabIndex> {
    let slabs = parts.chunk_by(|a, b| a.row.slab == b.row.slab);
    let areas = slabs.map(|slab| (slab[0].row.slab, slab.iter().map(|part| part.region.pixels).sum::<usize>()));
    areas.reduce(|best, slab| if slab.1 > best.1 { slab } else { best }).map(|(slab, _)| slab)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::evidence::tests::{masks, rows_at, table_of};
    use super::super::findings::Findings;
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
            p90_hu: -400.0,
            side,
            zone: Zone::of(side, 0.5),
            largest_extent_mm: 30.0,
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
        let table = table_of(slabs.iter().map(|lesion| masks(SIDE, &lung, lesion)));
        let z_mm: Vec<f64> = (0..slabs.len()).map(|at| at as f64 * 3.0).collect();
        Findings::of(&rows_at(&table, &z_mm), &input(), Densities::default(), plane_centre).lesions
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
        let slabs = z_mm.iter().map(|z| {
            let place = |at: usize| {
                let mm = |place: usize| (place as f64 - 19.5) * 6.0;
                [mm(at % SIDE), mm(at / SIDE), *z]
            };
            let is_lung = |at: &usize| (20.0..100.0).contains(&place(*at)[0].abs()) && place(*at)[1].abs() < 80.0;
            let lung: Vec<usize> = (0..SIDE * SIDE).filter(|at| is_lung(at) && !is_floor(place(*at))).collect();
            let lesion: Vec<usize> = lung.iter().copied().filter(|at| is_lesion(place(*at))).collect();
            masks(SIDE, &lung, &lesion)
        });
        let table = table_of(slabs);
        Findings::of(&rows_at(&table, &z_mm), &input, Densities::default(), [0.0; 3]).lesions
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
        assert_eq!((ball.basal_share, ball.side, ball.zone), (0.0, Side::Right, Zone::RightMiddle));
        // At most the ball and half a voxel's diagonal at either end.
        assert!((49.0..60.0).contains(&ball.largest_extent_mm), "{}", ball.largest_extent_mm);
        let layer = found_in_chest(|p| p[0] > 85.0 && p[2] < 60.0, |_| false);
        let [layer] = layer.as_slice() else { panic!("{layer:?}") };
        assert!(layer.compactness < 0.35, "{}", layer.compactness);
        assert_eq!((layer.peripheral_share, layer.basal_share, layer.zone), (1.0, 1.0, Zone::LeftLower));
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
