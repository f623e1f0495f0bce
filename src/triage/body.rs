//! Where the patient's body is on a slab, from the slab's own values alone: what lies outside of it is no lung, whatever
//! the model draws.

use crate::preprocess::InputGeometry;
use crate::raster::Regions;
use crate::raster::{Mask, Neighbours};

/// What is denser than this is tissue: half way between soft tissue and lung or air, HU.
pub const TISSUE_HU: f32 = -400.0;

/// Tissue thinner than this is taken away before the body is sought: shells of tables, blankets and tubes are thinner,
/// the chest wall of a wasted patient is not, mm.
const THINNEST_MM: f64 = 7.5;

/// A body smaller than this is none that a mask may rely on: the slimmest neck has half as much again, cm².
const MIN_BODY_CM2: f64 = 50.0;

/// How far a lung may reach beyond the last wall in front of and behind it where a round field of view cuts its side, mm.
const CUT_REACH_MM: f64 = 30.0;

/// What is denser than this is bone; the threshold of calcium scoring (Agatston et al. 1990), HU.
pub const BONE_HU: f32 = 130.0;

/// The spine is sought within this distance on either side of the midline, mm.
const SPINE_REACH_MM: f64 = 30.0;

/// Less bone than this at the midline is no spine, cm².
const MIN_SPINE_CM2: f64 = 2.0;

/// Where a slab shows tissue and bone: the body is found from these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tissue {
    /// Where the slab is denser than [`TISSUE_HU`].
    pub tissue: Mask,
    /// Where it is denser than [`BONE_HU`].
    pub bone: Mask,
}

impl Tissue {
    /// The tissue on a slab's plane of values in 0..=1.
    #[must_use]
    pub fn on(plane: &[f32], input: &InputGeometry) -> Self {
        let denser_than = |hu: f32| Mask::of(plane, input.columns, |value| input.hounsfield(*value) > hu);
        Self { tissue: denser_than(TISSUE_HU), bone: denser_than(BONE_HU) }
    }
}

/// The body of the patient on one slab, lungs and all.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    mask: Mask,
    pub section: CrossSection,
}

/// What the body's cross-section says of the patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossSection {
    /// Lungs and all, cm².
    pub area_cm2: f64,
    /// Mean column: the patient's midline, in plane pixels.
    pub middle_column: f64,
    /// Where the spine seems to be; `None` where bone does not tell.
    pub spine: Option<SpinePlace>,
}

/// Where the spine lies in a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpinePlace {
    Front,
    Back,
}

impl Body {
    /// Finds the body on a slab: the largest connected region of tissue, once what is thin has
    /// been taken away, all that has it in front and behind, and what it and thinner tissue shut off from the air around.
    /// So a lung that the field of view cuts at its side stays in, a lung behind the thin wall of a wasted chest too, and
    /// the air beside the chest and above a table stays out.
    ///
    /// `None` where there is too little tissue to tell. A slab without a body keeps what the model found: to take lung
    /// away on no evidence could hide a lesion.
    #[must_use]
    pub fn find(found: &Tissue, input: &InputGeometry) -> Option<Self> {
        let tissue = &found.tissue;
        let side = (THINNEST_MM / input.pixel_mm).round().max(1.0) as usize;
        let regions = Regions::of(&tissue.opened(side));
        let (largest, _) = regions.sizes().iter().enumerate().max_by_key(|(_, pixels)| **pixels)?;
        let mut trunk = Mask::empty(input.rows, input.columns);
        for run in regions.runs().iter().filter(|run| run.region == largest) {
            run.columns.clone().for_each(|column| trunk.insert(run.row * input.columns + column));
        }
        let reach = (CUT_REACH_MM / input.pixel_mm).round() as usize;
        let mask = enclosed(&trunk, tissue, reach, input).with(&shut_off(&trunk, tissue, side, input));
        let count = mask.count();
        let area_cm2 = count as f64 * input.pixel_cm2();
        let columns: usize = mask.pixels().map(|at| at % input.columns).sum();
        (area_cm2 >= MIN_BODY_CM2).then(|| {
            let middle_column = columns as f64 / count as f64;
            let spine = spine(&mask, middle_column, &found.bone, input);
            Self { mask, section: CrossSection { area_cm2, middle_column, spine } }
        })
    }

    /// Where it is.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Whether the pixel at `row * columns + column` is body.
    #[must_use]
    pub fn contains(&self, at: usize) -> bool {
        self.mask.contains(at)
    }
}

/// The trunk with all that has it above and below. Where that ends at a side in air instead of tissue there is no wall:
/// the field of view cuts a lung, whose rest is let in as far as `reach` pixels.
fn enclosed(trunk: &Mask, tissue: &Mask, reach: usize, input: &InputGeometry) -> Mask {
    let within = trunk.enclosed_in_columns();
    let mut enclosed = within.clone();
    for row in 0..input.rows {
        let Some((first, last)) = within.span_in_row(row) else { continue };
        let pixel = |column: usize| row * input.columns + column;
        if !tissue.contains(pixel(first)) {
            (first.saturating_sub(reach)..first).for_each(|column| enclosed.insert(pixel(column)));
        }
        if !tissue.contains(pixel(last)) {
            (last + 1..input.columns.min(last + 1 + reach)).for_each(|column| enclosed.insert(pixel(column)));
        }
    }
    enclosed
}

/// What hangs together with the trunk and cannot be reached from the plane's border through air, less what is thin even so,
/// such as a table's shell; on the trunk's rows: the air between a table and the back lies below them.
fn shut_off(trunk: &Mask, tissue: &Mask, side: usize, input: &InputGeometry) -> Mask {
    let border = Mask::border(input.rows, input.columns);
    let open = tissue.clone().complement().reached(&border, Neighbours::Sides);
    let closed = open.complement().reached(trunk, Neighbours::Sides).opened(side);
    let (first, last) = trunk.span_of_rows().unwrap_or((0, 0));
    closed.in_rows(first..=last)
}

/// Where near the midline there is at least twice as much bone in the front or the back third of the body as in the other:
/// the sternum is thin. A heart full of contrast medium deceives on its own slabs, not on all.
fn spine(mask: &Mask, middle_column: f64, bone: &Mask, input: &InputGeometry) -> Option<SpinePlace> {
    let reach = SPINE_REACH_MM / input.pixel_mm;
    let near: Vec<usize> =
        mask.pixels().filter(|at| ((at % input.columns) as f64 - middle_column).abs() <= reach).collect();
    let (top, bottom) = (near.first()? / input.columns, near.last()? / input.columns);
    let third = (bottom - top) / 3;
    let bone = |rows: std::ops::RangeInclusive<usize>| {
        let is_bone = |at: &&usize| rows.contains(&(**at / input.columns)) && bone.contains(**at);
        near.iter().filter(is_bone).count() as f64 * input.pixel_cm2()
    };
    let (front, back) = (bone(top..=top + third), bone(bottom - third..=bottom));
    if front.max(back) < MIN_SPINE_CM2 {
        None
    } else if back >= 2.0 * front {
        Some(SpinePlace::Back)
    } else {
        (front >= 2.0 * back).then_some(SpinePlace::Front)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::ModelPackage;

    const SIDE: usize = 256;

    fn input() -> InputGeometry {
        static INPUT: std::sync::LazyLock<InputGeometry> =
            std::sync::LazyLock::new(|| ModelPackage::built_in().unwrap().manifest.input);
        INPUT.clone()
    }

    /// Half axes, mm, and centre, mm from the plane's, of an ellipse.
    #[derive(Clone, Copy)]
    struct Ellipse(f64, f64, f64, f64);

    const TRUNK: Ellipse = Ellipse(150.0, 105.0, 0.0, 0.0);
    const LUNGS: [Ellipse; 2] = [Ellipse(50.0, 75.0, -70.0, 0.0), Ellipse(50.0, 75.0, 70.0, 0.0)];

    impl Ellipse {
        fn holds(self, (x, y): (f64, f64)) -> bool {
            ((x - self.2) / self.0).powi(2) + ((y - self.3) / self.1).powi(2) <= 1.0
        }
    }

    fn place(at: usize) -> (f64, f64) {
        let mm = |place: usize| (place as f64 - 127.5) * 1.5;
        (mm(at % SIDE), mm(at / SIDE))
    }

    fn is_lung(at: usize) -> bool {
        LUNGS.iter().any(|lung| lung.holds(place(at)))
    }

    /// A plane of a chest, with `extra` drawn over it where it says so.
    fn chest(extra: impl Fn((f64, f64)) -> Option<f32>) -> Vec<f32> {
        let hu = |at| match place(at) {
            p if let Some(hu) = extra(p) => hu,
            _ if is_lung(at) => -850.0,
            p if TRUNK.holds(p) => 30.0,
            _ => -1000.0,
        };
        let [low, high] = input().hu_window;
        (0..SIDE * SIDE).map(|at| ((hu(at) - low) / (high - low)).clamp(0.0, 1.0)).collect()
    }

    fn body(plane: &[f32]) -> Body {
        Body::find(&Tissue::on(plane, &input()), &input()).unwrap()
    }

    /// Share of the lungs' pixels, among those for which `is_seen` holds, that are body.
    fn lung_inside(body: &Body, is_seen: impl Fn((f64, f64)) -> bool) -> f64 {
        let lung: Vec<usize> = (0..SIDE * SIDE).filter(|at| is_lung(*at) && is_seen(place(*at))).collect();
        lung.iter().filter(|at| body.contains(**at)).count() as f64 / lung.len() as f64
    }

    #[test]
    fn the_body_holds_the_lungs_and_neither_the_table_nor_the_air_on_it_nor_the_arms() {
        let table = |(x, y): (f64, f64)| ((105.0..108.0).contains(&y) && f64::abs(x) < 185.0).then_some(0.0);
        let arms = [Ellipse(14.0, 30.0, -172.0, 20.0), Ellipse(14.0, 30.0, 172.0, 20.0)];
        let plane = chest(|p| arms.iter().any(|arm| arm.holds(p)).then_some(40.0).or_else(|| table(p)));
        let body = body(&plane);
        assert_eq!(lung_inside(&body, |_| true), 1.0);
        let outside = (0..SIDE * SIDE).filter(|at| body.contains(*at) && !TRUNK.holds(place(*at))).count();
        let trunk = (0..SIDE * SIDE).filter(|at| TRUNK.holds(place(*at))).count();
        assert!(outside * 50 < trunk, "{outside} of {trunk} pixels too many");
        assert!((body.section.middle_column - 127.5).abs() < 0.5, "{}", body.section.middle_column);
        assert!(
            (body.section.area_cm2 / (std::f64::consts::PI * 15.0 * 10.5) - 1.0).abs() < 0.02,
            "{}",
            body.section.area_cm2
        );
    }

    #[test]
    fn lungs_that_a_circular_field_of_view_cuts_stay_in_the_body() {
        for padding in [-1024.0, -3024.0] {
            let in_field = |(x, y): (f64, f64)| f64::hypot(x, y) < 110.0;
            let body = body(&chest(|p| (!in_field(p)).then_some(padding)));
            assert!(lung_inside(&body, in_field) > 0.95, "{}", lung_inside(&body, in_field));
        }
    }

    #[test]
    fn lungs_that_reach_the_border_of_the_image_stay_in_the_body() {
        let in_image = |(x, _): (f64, f64)| x > -100.0;
        let body = body(&chest(|p| (!in_image(p)).then_some(-1150.0)));
        assert!(lung_inside(&body, in_image) > 0.99, "{}", lung_inside(&body, in_image));
    }

    #[test]
    fn the_lungs_stay_in_a_body_whose_chest_wall_is_thinner_than_what_is_taken_away() {
        let inner = Ellipse(TRUNK.0 - 5.0, TRUNK.1 - 5.0, 0.0, 0.0);
        let lung = |p: (f64, f64)| inner.holds(p) && p.0.abs() > 30.0;
        let body = body(&chest(|p| if lung(p) { Some(-850.0) } else { TRUNK.holds(p).then_some(30.0) }));
        let pixels: Vec<usize> = (0..SIDE * SIDE).filter(|at| lung(place(*at))).collect();
        let inside = pixels.iter().filter(|at| body.contains(**at)).count();
        assert_eq!(inside, pixels.len());
    }

    #[test]
    fn a_plane_of_air_has_no_body_and_one_of_bone_is_all_body() {
        let air = Tissue::on(&vec![0.1; SIDE * SIDE], &input());
        assert_eq!(Body::find(&air, &input()), None);
        assert_eq!(body(&vec![1.0; SIDE * SIDE]).mask.count(), SIDE * SIDE);
    }

    #[test]
    fn the_spine_is_told_from_the_sternum_and_from_a_plane_without_bone() {
        let chest_with_bones = |back: f64| {
            let spine = Ellipse(20.0, 28.0, 0.0, 65.0 * back);
            let sternum = Ellipse(18.0, 5.0, 0.0, -90.0 * back);
            chest(move |p| (spine.holds(p) || sternum.holds(p)).then_some(300.0))
        };
        assert_eq!(body(&chest_with_bones(1.0)).section.spine, Some(SpinePlace::Back));
        assert_eq!(body(&chest_with_bones(-1.0)).section.spine, Some(SpinePlace::Front));
        assert_eq!(body(&chest(|_| None)).section.spine, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_lungs_stay_in_the_body_under_noise_and_an_offset(
            noise_hu in 0.0_f32..90.0, offset_hu in -40.0_f32..40.0, seed in 1_u32..1000,
        ) {
            let state = std::cell::Cell::new(seed);
            // The mean of four uniform numbers is normal enough.
            let normal = || {
                let uniform = || {
                    state.set(state.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
                    (state.get() >> 8) as f32 / (1 << 24) as f32 - 0.5
                };
                (uniform() + uniform() + uniform() + uniform()) * 3.0_f32.sqrt()
            };
            let noisy: Vec<f32> = chest(|_| None)
                .into_iter()
                .map(|value| (value + (normal() * noise_hu + offset_hu) / 1300.0).clamp(0.0, 1.0))
                .collect();
            let found = body(&noisy);
            prop_assert_eq!(lung_inside(&found, |_| true), 1.0);
            prop_assert!((found.section.middle_column - 127.5).abs() < 1.0, "{}", found.section.middle_column);
        }
    }
}
