//! Which of several series of an exam is judged.
//!
//! Only axial slices make a series here. In this order:
//! 1. it shows the lungs along z as far as any series of the exam does, but for [`REACH_TOLERANCE_MM`] ([`shows_lung`] looks at each
//!    slice); where none shows any, it reaches as far as any. So neither a detail nor the abdomen is judged in the place of the
//!    chest, and a series that is still coming takes over only once it shows as much as the one before;
//! 2. it is no secondary one, made from others after the examination;
//! 3. its slices lie closer, down to [`CLOSE_ENOUGH_MM`]: the model sees slabs that are three times as thick;
//! 4. its kernel is not a sharp one: noise and overshoot change densities;
//! 5. it reaches further;
//! 6. its Series Instance UID comes first, and of the volumes of one series its part.
//!
//! So the choice depends on what has come, never on the order in which it came.

use std::cmp::Ordering;

use super::Part;
use crate::preprocess::{InputGeometry, Plane};

/// Reconstructions of one acquisition begin and end within a slice's thickness of each other, mm.
pub(super) const REACH_TOLERANCE_MM: f64 = 15.0;

/// Slices that lie closer than this show the model nothing more, mm.
pub(super) const CLOSE_ENOUGH_MM: f64 = 1.0;

/// What aerated lung measures, HU; air and dense tissue lie beyond.
const LUNG_HU: std::ops::RangeInclusive<f32> = -950.0..=-500.0;

/// Half width and half height of the box about the plane's centre in which lung is looked for, mm: mattress, blankets and the
/// scanner's table, which measure like lung, lie beyond it.
const CHEST_MM: [f64; 2] = [130.0, 70.0];

/// More than this in the box is lung, cm²; bowel and the rims of things show less.
const SHOWS_LUNG_CM2: f64 = 30.0;

/// Whether a slice shows enough lung to count for the choice of the series. The slice alone decides, before any engine runs:
/// this chooses and judges nothing.
#[must_use]
pub fn shows_lung(plane: &Plane, input: &InputGeometry) -> bool {
    let half = |pixels: usize| (pixels as f64 - 1.0) / 2.0;
    let is_near = |at: usize, centre: f64, limit_mm: f64| (at as f64 - centre).abs() * input.pixel_mm <= limit_mm;
    let [across_mm, down_mm] = CHEST_MM;
    let is_in_chest = |at: usize| {
        is_near(at / input.columns, half(input.rows), down_mm)
            && is_near(at % input.columns, half(input.columns), across_mm)
    };
    let is_lung = |value: f32| LUNG_HU.contains(&input.hounsfield(value));
    let lung = plane.values().enumerate().filter(|(at, value)| is_lung(*value) && is_in_chest(*at));
    lung.count() as f64 * input.pixel_cm2() > SHOWS_LUNG_CM2
}

/// A series as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconstruction<'a> {
    pub series_instance_uid: &'a str,
    /// Which volume of it.
    pub part: &'a Part,
    /// From the lowest to the uppermost slice that shows lung, mm.
    pub lung_mm: f64,
    /// From the lowest to the uppermost slice, mm.
    pub reach_mm: f64,
    /// Slices at positions of their own.
    pub slices: usize,
    pub is_sharp: bool,
}

impl Reconstruction<'_> {
    /// Mean distance of the slices in tenths of a millimetre; a series of one slice has none.
    fn distance(&self) -> i64 {
        if self.slices < 2 {
            return i64::MAX;
        }
        let mean_mm = self.reach_mm / (self.slices - 1) as f64;
        (mean_mm.max(CLOSE_ENOUGH_MM) * 10.0).round() as i64
    }
}

/// The series that is judged; `None` without any.
#[must_use]
pub fn best<'a>(series: &[Reconstruction<'a>]) -> Option<Reconstruction<'a>> {
    let any_lung = series.iter().any(|one| one.lung_mm > 0.0);
    let shown_mm = |one: &Reconstruction<'_>| if any_lung { one.lung_mm } else { one.reach_mm };
    let most_mm = series.iter().map(shown_mm).fold(0.0, f64::max);
    let falls_short = |one: &Reconstruction<'_>| shown_mm(one) < most_mm - REACH_TOLERANCE_MM;
    let compare = |one: &Reconstruction<'_>, other: &Reconstruction<'_>| -> Ordering {
        falls_short(one)
            .cmp(&falls_short(other))
            .then(one.part.is_secondary().cmp(&other.part.is_secondary()))
            .then(one.distance().cmp(&other.distance()))
            .then(one.is_sharp.cmp(&other.is_sharp))
            .then(other.reach_mm.total_cmp(&one.reach_mm))
            .then(one.series_instance_uid.cmp(other.series_instance_uid))
            .then(one.part.cmp(other.part))
    };
    series.iter().copied().min_by(compare)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::ModelPackage;

    /// A series that shows lung on all of its slices.
    fn series(uid: &str, slices: usize, spacing_mm: f64) -> Reconstruction<'_> {
        let reach_mm = spacing_mm * slices.saturating_sub(1) as f64;
        Reconstruction {
            series_instance_uid: uid,
            part: &Part::WHOLE,
            lung_mm: reach_mm,
            reach_mm,
            slices,
            is_sharp: false,
        }
    }

    fn chosen<'a>(series: &[Reconstruction<'a>]) -> &'a str {
        best(series).unwrap().series_instance_uid
    }

    #[test]
    fn the_thinner_of_two_whole_series_is_judged_once_it_is_whole() {
        let thick = series("1", 61, 5.0);
        assert_eq!(chosen(&[thick, series("2", 200, 1.0)]), "1");
        assert_eq!(chosen(&[thick, series("2", 290, 1.0)]), "2");
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn a_thin_detail_and_a_series_full_of_holes_are_not_judged_in_the_place_of_the_whole() {
        let whole = series("1", 61, 5.0);
        assert_eq!(chosen(&[whole, series("2", 60, 0.6)]), "1");
        let holes = Reconstruction { slices: 40, ..series("2", 301, 1.0) };
        assert_eq!(chosen(&[whole, holes]), "1");
    }

    #[test]
    fn the_chest_is_judged_and_not_the_longer_abdomen() {
        let chest = Reconstruction { lung_mm: 240.0, is_sharp: true, ..series("2", 301, 1.0) };
        let abdomen = Reconstruction { lung_mm: 60.0, ..series("1", 451, 1.0) };
        let both = Reconstruction { lung_mm: 236.0, ..series("3", 141, 5.0) };
        assert_eq!(chosen(&[chest, abdomen, both]), "2");
        assert_eq!(chosen(&[abdomen, both]), "3");
        let knees = [
            Reconstruction { lung_mm: 0.0, ..series("1", 2, 1.0) },
            Reconstruction { lung_mm: 0.0, ..series("2", 40, 5.0) },
        ];
        assert_eq!(chosen(&knees), "2");
    }

    #[test]
    fn lung_in_the_middle_of_the_image_counts_and_a_mattress_below_it_does_not() {
        let input =
            InputGeometry { rows: 64, columns: 64, pixel_mm: 6.0, ..ModelPackage::built_in().unwrap().manifest.input };
        let spacing = |along_columns| crate::preprocess::SourceAxis {
            along_columns,
            reversed: false,
            spacing_mm: 6.0,
            offset_mm: 0.0,
        };
        let in_plane = crate::preprocess::InPlane { x: spacing(true), y: spacing(false) };
        let shows = |rows: std::ops::Range<usize>, hu: f32| {
            let value = |at: usize| if rows.contains(&(at / 64)) && (16..48).contains(&(at % 64)) { hu } else { 40.0 };
            let image =
                crate::preprocess::HounsfieldImage { rows: 64, columns: 64, values: (0..64 * 64).map(value).collect() };
            shows_lung(&Plane::resample(&image, &in_plane, &input), &input)
        };
        assert!(shows(24..40, -850.0));
        assert!(!shows(24..40, -1000.0), "air");
        assert!(!shows(24..26, -850.0), "too little");
        assert!(!shows(48..60, -880.0), "the mattress");
    }

    #[test]
    fn slices_thinner_than_any_use_do_not_beat_a_soft_kernel() {
        let sharp = Reconstruction { is_sharp: true, ..series("1", 501, 0.6) };
        assert_eq!(chosen(&[sharp, series("2", 301, 1.0)]), "2");
        let sharp = Reconstruction { is_sharp: true, ..series("1", 301, 1.0) };
        assert_eq!(chosen(&[sharp, series("2", 61, 5.0)]), "1");
    }

    proptest! {
        #[test]
        fn the_choice_does_not_depend_on_the_order(
            sizes in prop::collection::vec((1..400_usize, 1..80_u32, any::<bool>()), 1..6),
            shift in 0..6_usize,
        ) {
            let uids: Vec<String> = (0..sizes.len()).map(|number| format!("1.{number}")).collect();
            let mut all: Vec<_> = uids.iter().zip(&sizes).map(|(uid, (slices, tenths, is_sharp))| Reconstruction {
                is_sharp: *is_sharp, ..series(uid, *slices, f64::from(*tenths) / 10.0)
            }).collect();
            let first = chosen(&all);
            let places = all.len();
            all.rotate_left(shift % places);
            prop_assert_eq!(chosen(&all), first);
            all.reverse();
            prop_assert_eq!(chosen(&all), first);
        }
    }
}
