//! What is wrong with an acquisition, from its slices' positions and headers, its noise, and what the slabs show.

use super::aeration::Inflation;
use super::anatomy_jumps::{AnatomyJump, JUMP_NEIGHBOURS, anatomy_jumps};
use super::around::{Explanation, explanation};
use super::cut_off::{End, EndOfLungs};
use super::evidence::TableRow;
use super::field_of_view::CutField;
use super::key_slice::issue;
use super::lung_regions::LungRegions;
use super::lungs::Lungs;
use super::transfer::{Transfer, numbers_begin_late};
use crate::exam::{
    Kernel, MIN_TILT_DEGREES, PreparedSlice, QualityIssue, QualityKind, QualityLimits, RepeatedImages, ScanDirection,
    Series, Spacing, are_interleaved, density_jumps, repeated_images, sum_up,
};
use crate::preprocess::InputGeometry;

/// Fewer slices with a figure than this say nothing of the series' noise.
const MIN_NOISE_SLICES: usize = 5;

/// Where less lung than this lies the noise does not matter: shoulders are noisier than the lungs between them, cm².
const MIN_LUNG_CM2: f64 = 10.0;

/// Slices further apart than this show less than the model was tried with, mm: lesions of their distance lie between them.
const FAR_APART_MM: f64 = 5.5;

/// What there is to say of a series as an acquisition, what can be mended first. `rows` are those of its evidence table,
/// `transfer` says how its images came.
#[must_use]
pub fn acquisition_issues(
    series: &Series,
    rows: &[TableRow<'_>],
    lungs: &Lungs<'_>,
    transfer: &Transfer<'_>,
    cut_field: Option<&CutField>,
    input: &InputGeometry,
    limits: &QualityLimits,
) -> Vec<QualityIssue> {
    // Of so few slices nothing can be said but why they are few.
    if series.len() < limits.min_slices {
        return few_positions(series, limits).into_iter().collect();
    }
    let spacing = series.spacing(limits.max_gap_mm);
    let repeated = repeated_images(series.slices(), spacing.usual_mm, input);
    let jumps = density_jumps(series.slices(), input);
    // Where images are repeated nothing changes, and beside it more than is usual; where the density jumps everything does.
    let no_anatomy: Vec<[f64; 2]> = repeated
        .iter()
        .map(|run| [run.from_z_mm, run.to_z_mm])
        .chain(jumps.iter().map(|jump| [jump.below_z_mm, jump.above_z_mm]))
        .collect();
    let found = [
        cut_off(series, rows, lungs, input, limits),
        anatomy(series, rows, lungs, (&spacing, &no_anatomy), [input.slab_mm, limits.max_step]),
        positions(series, &spacing),
        repeated.iter().map(|run| repetition(run, series, lungs, limits)).collect(),
        jumps
            .iter()
            .map(|jump| issue_at(QualityKind::DensityJump { jump_hu: jump.jump_hu }, jump.above_z_mm, series))
            .collect(),
        hardly_inflated(lungs, limits).into_iter().collect(),
        too_noisy(series, lungs, &spacing, input, limits).into_iter().collect(),
        too_thick(series, limits).into_iter().collect(),
        far_apart(&spacing, limits).into_iter().collect(),
        cut_field.map(|cut| cut.issue.clone()).into_iter().collect(),
        mixed(series, input).into_iter().collect(),
        worth_knowing(series),
    ];
    sum_up(transfer.doubt(found.concat(), series, limits))
}

/// The issue with the slice nearest to a position.
fn issue_at(kind: QualityKind, z_mm: f64, series: &Series) -> QualityIssue {
    let distance = |slice: &&PreparedSlice| (slice.header.geometry.z_mm - z_mm).abs();
    issue(kind, series.slices().min_by(|a, b| distance(a).total_cmp(&distance(b))))
}

fn cut_off(
    series: &Series,
    rows: &[TableRow<'_>],
    lungs: &Lungs<'_>,
    input: &InputGeometry,
    limits: &QualityLimits,
) -> Vec<QualityIssue> {
    let is_lung = |at| lungs.contain_region(rows, at);
    let lungs = EndOfLungs { series, rows, is_lung: &is_lung, input, limits };
    [End::Apex, End::Base].into_iter().filter_map(|end| lungs.cut_off(end)).collect()
}

/// So many slices must have come before the scan's direction is taken for clear.
const MIN_SLICES_OF_A_DIRECTION: usize = 24;

/// Where a scan began.
#[derive(Debug, Clone, PartialEq)]
pub enum Beginning {
    /// Too little has come to tell.
    Unclear,
    /// Within the lungs at their apex, which is cut off.
    InTheApex(QualityIssue),
    /// Anywhere else.
    Elsewhere,
}

/// Where the scan began, known while it runs, from the direction in which its slices come. What may have been lost on its way or
/// be no lung is left for the verdict.
#[must_use]
pub fn beginning(
    series: &Series,
    rows: &[TableRow<'_>],
    direction: Option<ScanDirection>,
    input: &InputGeometry,
    limits: &QualityLimits,
) -> Beginning {
    match direction.filter(|_| series.len() >= MIN_SLICES_OF_A_DIRECTION) {
        None => return Beginning::Unclear,
        // Gas in the bowel looks like a base that is cut off, until it is told from the lungs by its volume.
        Some(ScanDirection::TowardsHead) => return Beginning::Elsewhere,
        Some(ScanDirection::TowardsFeet) => {}
    }
    let slabs: Vec<_> = series.slab_indices().collect();
    let [.., below, uppermost] = slabs[..] else { return Beginning::Unclear };
    let Some(top) = rows.last().filter(|row| row.slab == uppermost) else { return Beginning::Unclear };
    if top.evidence.lung_cm2 <= limits.cut_off_lung_cm2 {
        return Beginning::Elsewhere;
    }
    if rows.iter().nth_back(1).is_none_or(|row| row.slab != below) {
        return Beginning::Unclear;
    }
    let lungs = LungRegions::find(rows, input);
    let is_lung = |at| lungs.contain(at);
    let cut_off = EndOfLungs { series, rows, is_lung: &is_lung, input, limits }.cut_off(End::Apex);
    let certain = cut_off.filter(|issue| issue.doubt.is_none() && numbers_begin_late(End::Apex, series).is_none());
    certain.map_or(Beginning::Elsewhere, Beginning::InTheApex)
}

fn anatomy(
    series: &Series,
    rows: &[TableRow<'_>],
    lungs: &Lungs<'_>,
    (spacing, no_anatomy): (&Spacing, &[[f64; 2]]),
    [slab_mm, max_step]: [f64; 2],
) -> Vec<QualityIssue> {
    let reach_mm = (JUMP_NEIGHBOURS + 1) as f64 * slab_mm.max(spacing.usual_mm);
    let is_anatomy =
        |z_mm: f64| !no_anatomy.iter().any(|[from_mm, to_mm]| (from_mm - reach_mm..=to_mm + reach_mm).contains(&z_mm));
    let jumps = anatomy_jumps(rows, max_step).into_iter().filter(|jump| is_anatomy(rows[jump.row].z_mm));
    let jumps = jumps.filter_map(|AnatomyJump { row, times_usual }| {
        // A jump shows on the slabs beside it as well.
        let [below, above] = [row.saturating_sub(1), (row + 1).min(rows.len() - 1)].map(|row| rows[row].z_mm);
        let doubt = match explanation(series, spacing, [below - slab_mm, above + slab_mm]) {
            None => None,
            Some(Explanation::Doubt(doubt)) => Some(doubt),
            Some(Explanation::OtherFrame) => return None,
        };
        let slice = series.middle_slice(rows[row].slab);
        Some(issue(QualityKind::AnatomyStep { times_usual }, slice).doubted(doubt))
    });
    let most_lung = rows.iter().max_by(|a, b| a.evidence.lung_cm2.total_cmp(&b.evidence.lung_cm2));
    let mismatch = lungs.summary.spine_in_front.then(|| {
        let slice = most_lung.and_then(|row| series.middle_slice(row.slab));
        let patient_position = slice.map(|slice| slice.header.acquisition.patient_position.clone());
        issue(QualityKind::OrientationMismatch { patient_position: patient_position.unwrap_or_default() }, slice)
    });
    mismatch.into_iter().chain(jumps).collect()
}

/// Where all images claim one position, or a few.
fn few_positions(series: &Series, limits: &QualityLimits) -> Option<QualityIssue> {
    let (images, positions) = (series.received(), series.len());
    (images >= limits.min_slices.max(2 * positions)).then(|| {
        let lowest = series.slices().next();
        let at_z_mm = lowest.map_or(0.0, |slice| slice.header.geometry.z_mm);
        issue(QualityKind::FewPositions { images, positions, at_z_mm }, lowest)
    })
}

/// Where the image of an outermost slice beyond the lungs is stuck, the scan is shorter than it says and hides nothing.
fn repetition(run: &RepeatedImages, series: &Series, lungs: &Lungs<'_>, limits: &QualityLimits) -> QualityIssue {
    let RepeatedImages { slices, from_z_mm, to_z_mm, is_stuck, unseen_mm } = *run;
    let is_there = |z_mm: f64| (from_z_mm - unseen_mm..=to_z_mm + unseen_mm).contains(&z_mm);
    let z_mm = |slice: &PreparedSlice| slice.header.geometry.z_mm;
    let is_outermost =
        series.slices().next().map(z_mm) == Some(from_z_mm) || series.slices().next_back().map(z_mm) == Some(to_z_mm);
    let mut there = lungs.areas.iter().filter(|area| is_there(area.z_mm)).peekable();
    let is_beyond_lungs = there.peek().is_some() && there.all(|area| area.lung_cm2 <= limits.cut_off_lung_cm2);
    let unseen_mm = if is_stuck && is_outermost && is_beyond_lungs { 0.0 } else { unseen_mm };
    issue_at(QualityKind::RepeatedImages { slices, from_z_mm, to_z_mm, unseen_mm }, from_z_mm, series)
}

fn positions(series: &Series, spacing: &Spacing) -> Vec<QualityIssue> {
    let gaps = spacing
        .gaps
        .iter()
        .map(|(from_z_mm, to_z_mm)| (QualityKind::Gap { from_z_mm: *from_z_mm, to_z_mm: *to_z_mm }, *from_z_mm));
    let changes = spacing.changes.iter().map(|change| {
        let kind = QualityKind::SpacingChange {
            from_z_mm: change.from_z_mm,
            to_z_mm: change.to_z_mm,
            spacing_mm: change.spacing_mm,
            usual_mm: spacing.usual_mm,
        };
        (kind, change.from_z_mm)
    });
    let doubles = [series.double_positions_mm(), spacing.doubles.clone()].concat();
    let doubles = doubles.into_iter().map(|z_mm| (QualityKind::DuplicatePosition, z_mm));
    gaps.chain(changes).chain(doubles).map(|(kind, z_mm)| issue_at(kind, z_mm, series)).collect()
}

fn hardly_inflated(lungs: &Lungs<'_>, limits: &QualityLimits) -> Option<QualityIssue> {
    let Inflation { median_hu, gradient_hu } = lungs.summary.inflation?;
    let limit_hu = limits.max_lung_hu;
    let kind = QualityKind::HardlyInflated { median_hu, gradient_hu, limit_hu };
    (median_hu > limit_hu).then(|| QualityIssue::of_series(kind))
}

/// The median noise of the slices with lung, once those of a slab are averaged; slices that overlap share their noise.
fn too_noisy(
    series: &Series,
    lungs: &Lungs<'_>,
    spacing: &Spacing,
    input: &InputGeometry,
    limits: &QualityLimits,
) -> Option<QualityIssue> {
    let mut chest = lungs.areas.iter().filter(|area| area.lung_cm2 >= MIN_LUNG_CM2).map(|area| area.z_mm);
    let low = chest.next()?;
    let high = chest.next_back().unwrap_or(low);
    let is_chest = |slice: &&PreparedSlice| (low..=high).contains(&slice.header.geometry.z_mm);
    let mut measured: Vec<(f64, &PreparedSlice)> =
        series.slices().filter(is_chest).filter_map(|slice| Some((f64::from(slice.noise_hu?), slice))).collect();
    let all = series.slices().filter(is_chest).count();
    if measured.len() < MIN_NOISE_SLICES.min(all) || 2 * measured.len() < all {
        let share = 1.0 - measured.len() as f64 / all as f64;
        return Some(issue(QualityKind::NoiseUnknown { share }, None));
    }
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median_hu, slice) = measured[measured.len() / 2];
    let distance_mm = spacing.usual_mm.max(slice.header.thickness_mm.unwrap_or(0.0));
    let in_slab = if distance_mm > 0.0 { (input.slab_mm / distance_mm).max(1.0) } else { 1.0 };
    let (noise_hu, limit_hu) = (median_hu / in_slab.sqrt(), limits.max_noise_hu);
    (noise_hu > limit_hu).then(|| issue(QualityKind::TooNoisy { noise_hu, limit_hu }, Some(slice)))
}

/// Whether the slices are of acquisitions that lie between each other.
#[must_use]
pub fn mixed(series: &Series, input: &InputGeometry) -> Option<QualityIssue> {
    let thumbnails = series.slices().map(|slice| &slice.thumbnail);
    are_interleaved(thumbnails, input).then(|| issue(QualityKind::MixedAcquisitions, None))
}

fn too_thick(series: &Series, limits: &QualityLimits) -> Option<QualityIssue> {
    let thickness = |slice: &PreparedSlice| slice.header.thickness_mm.unwrap_or(0.0);
    let thickest = series.slices().max_by(|a, b| thickness(a).total_cmp(&thickness(b)))?;
    let (thickness_mm, limit_mm) = (thickness(thickest), limits.max_thickness_mm);
    (thickness_mm > limit_mm).then(|| issue(QualityKind::TooThick { thickness_mm, limit_mm }, Some(thickest)))
}

fn far_apart(spacing: &Spacing, limits: &QualityLimits) -> Option<QualityIssue> {
    let (spacing_mm, limit_mm) = (spacing.usual_mm, limits.max_thickness_mm);
    (spacing_mm > FAR_APART_MM).then(|| QualityIssue::of_series(QualityKind::FarApart { spacing_mm, limit_mm }))
}

/// What the first slice's header says for all.
fn worth_knowing(series: &Series) -> Vec<QualityIssue> {
    let Some(slice) = series.slices().next() else { return Vec::new() };
    let acquisition = &slice.header.acquisition;
    let has_bone_kernel = Kernel::of(&acquisition.kernel) == Kernel::Bone;
    let kernel = has_bone_kernel.then(|| QualityKind::BoneKernel { kernel: acquisition.kernel.clone() });
    let posture = acquisition.unusual_posture();
    let posture = posture.map(|posture| QualityKind::UnusualPosture { posture: posture.to_owned() });
    let contrast = acquisition.contrast().map(|agent| QualityKind::Contrast { agent: agent.to_owned() });
    let degrees = acquisition.gantry_tilt_degrees.abs();
    let tilt = (degrees > MIN_TILT_DEGREES).then_some(QualityKind::GantryTilt { degrees });
    [kernel, posture, contrast, tilt].into_iter().flatten().map(QualityIssue::of_series).collect()
}

#[cfg(test)]
mod tests {
    use super::super::evidence::SlabEvidence;
    use super::super::evidence::tests::{loose_rows, masks};
    use super::*;
    use crate::engine::ModelPackage;
    use crate::exam::{LungArea, Remedy, made_image, made_slice};
    use crate::preprocess::HounsfieldImage;

    const SLICES: usize = 30;

    fn input() -> InputGeometry {
        InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input }
    }

    /// Slices 3 mm apart from 0 on, each with a noise of 30 HU and changed otherwise.
    fn series(change: impl Fn(usize, &mut PreparedSlice)) -> Series {
        let mut series = Series::default();
        for number in 0..SLICES {
            let uid = format!("1.{number}");
            let (mut slice, plane) = made_slice([0.0, 0.0, number as f64 * 3.0], number as f32 * -10.0, &uid, &input());
            slice.noise_hu = Some(30.0);
            change(number, &mut slice);
            series.add(slice, &plane, &input(), |_| Err("no slice comes twice".to_owned())).unwrap();
        }
        series
    }

    /// Lung on all slabs but those at the ends.
    fn lungs() -> Lungs<'static> {
        let area = |at: usize| if (1..SLICES - 1).contains(&at) { 100.0 } else { 0.0 };
        let areas = (0..SLICES).map(|at| LungArea { z_mm: at as f64 * 3.0, lung_cm2: area(at) }).collect();
        let mut lungs = Lungs::default();
        lungs.areas = areas;
        lungs
    }

    fn issues(series: &Series, lungs: &Lungs<'_>) -> Vec<QualityIssue> {
        acquisition_issues(series, &[], lungs, &Transfer::default(), None, &input(), &QualityLimits::default())
    }

    #[test]
    fn a_series_without_fault_has_no_issue() {
        assert_eq!(issues(&series(|_, _| {}), &lungs()), []);
        assert_eq!(issues(&Series::default(), &Lungs::default()), []);
    }

    /// The images from this slice on are one.
    fn stuck_from(first: usize) -> Series {
        let (stuck, _) = made_slice([0.0; 3], 50.0, "1.0", &input());
        series(|number, slice| {
            if number >= first {
                slice.thumbnail = stuck.thumbnail.clone();
            }
        })
    }

    #[test]
    fn an_image_that_is_stuck_hides_lung_but_at_the_end_of_the_scan_beyond_the_lungs() {
        let limits = QualityLimits::default();
        let mut short_lungs = lungs();
        short_lungs.areas.iter_mut().filter(|area| area.z_mm > 40.0).for_each(|area| area.lung_cm2 = 0.0);
        let hide = |lungs: &Lungs<'_>| {
            let found = issues(&stuck_from(20), lungs);
            let [QualityIssue { kind: QualityKind::RepeatedImages { slices: 10, .. }, .. }] = &found[..] else {
                panic!("{found:?}")
            };
            found[0].hides_lung(&limits)
        };
        assert!(hide(&lungs()));
        assert!(hide(&Lungs::default()), "where the lungs lie is not known");
        assert!(hide(&short_lungs), "lung lies nearer than what may be unseen is long");
        short_lungs.areas.iter_mut().for_each(|area| area.lung_cm2 = if area.z_mm > 20.0 { 0.0 } else { 100.0 });
        assert!(!hide(&short_lungs));
    }

    #[test]
    fn noise_counts_where_the_lungs_are_and_in_the_middle_of_the_slices() {
        let noisy_shoulders = series(|number, slice| {
            if !(8..28).contains(&number) {
                slice.noise_hu = Some(200.0);
            }
        });
        assert_eq!(issues(&noisy_shoulders, &lungs()), []);
        let noisy = issues(&series(|number, slice| slice.noise_hu = Some(70.0 + number as f32)), &lungs());
        let [QualityIssue { kind: QualityKind::TooNoisy { noise_hu, .. }, slice, .. }] = noisy.as_slice() else {
            panic!("{noisy:?}")
        };
        assert_eq!((*noise_hu, slice.as_ref().unwrap().sop_instance_uid.as_str()), (85.0, "1.15"));
    }

    #[test]
    fn slices_of_a_slab_share_its_noise_unless_they_overlap() {
        let thin = |thickness_mm: f64| {
            let mut series = Series::default();
            for number in 0..90 {
                let (mut slice, plane) =
                    made_slice([0.0, 0.0, f64::from(number)], number as f32 * -10.0, &format!("1.{number}"), &input());
                slice.noise_hu = Some(90.0);
                slice.header.thickness_mm = Some(thickness_mm);
                series.add(slice, &plane, &input(), |_| Err("no slice comes twice".to_owned())).unwrap();
            }
            issues(&series, &lungs()).len()
        };
        assert_eq!((thin(1.0), thin(3.0)), (0, 1));
    }

    const SIDE: usize = 20;

    fn wide_input() -> InputGeometry {
        InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 5.0, ..ModelPackage::built_in().unwrap().manifest.input }
    }

    /// Slices 3 mm apart, each with this density in the middle of a plane of tissue.
    fn chest(hu: f32, number: impl Fn(usize) -> i32) -> Series {
        let mut series = Series::default();
        let value = |at: usize| if is_in_the_middle(at) { hu } else { 40.0 };
        let image = HounsfieldImage { rows: SIDE, columns: SIDE, values: (0..SIDE * SIDE).map(value).collect() };
        for place in 0..SLICES {
            let at = [0.0, 0.0, place as f64 * 3.0];
            let (mut slice, plane) = made_image(at, &image, 5.0, &format!("1.{place}"), &wide_input());
            slice.header.acquisition.instance_number = Some(number(place));
            series.add(slice, &plane, &wide_input(), |_| Err("no slice comes twice".to_owned())).unwrap();
        }
        series
    }

    /// 49 cm² of it.
    fn is_in_the_middle(at: usize) -> bool {
        (3..17).contains(&(at / SIDE)) && (3..17).contains(&(at % SIDE))
    }

    #[test]
    fn the_beginning_of_a_scan_is_told_from_its_direction_and_its_uppermost_slabs() {
        let limits = QualityLimits::default();
        let z_mm: Vec<f64> = (0..SLICES).map(|at| at as f64 * 3.0).collect();
        let lung: Vec<usize> = (0..SIDE * SIDE).filter(|at| is_in_the_middle(*at)).collect();
        let slab = |lung_cm2: f64| SlabEvidence { lung_cm2, ..masks(SIDE, &lung, &[]) };
        let from_the_head = |place: usize| (SLICES - place) as i32;
        let downwards = Some(ScanDirection::TowardsFeet);
        let told = |series: &Series, uppermost_cm2: f64, direction: Option<ScanDirection>| {
            let mut evidence = vec![slab(49.0); SLICES];
            evidence[SLICES - 1] = slab(uppermost_cm2);
            beginning(series, &loose_rows(&evidence, &z_mm), direction, &wide_input(), &limits)
        };
        let cut = chest(-850.0, from_the_head);
        let Beginning::InTheApex(issue) = told(&cut, 49.0, downwards) else { panic!("the apex is cut off") };
        assert_eq!(issue.slice.unwrap().sop_instance_uid, "1.29");
        assert_eq!(told(&cut, 10.0, downwards), Beginning::Elsewhere);
        assert_eq!(told(&cut, 49.0, Some(ScanDirection::TowardsHead)), Beginning::Elsewhere);
        assert_eq!(told(&cut, 49.0, None), Beginning::Unclear);
        assert_eq!(told(&chest(-1000.0, from_the_head), 49.0, downwards), Beginning::Elsewhere, "air between the arms");
        let not_sent = chest(-850.0, |place| from_the_head(place) + 12);
        assert_eq!(told(&not_sent, 49.0, downwards), Beginning::Elsewhere, "twelve images before were not sent");
        let unjudged = loose_rows(&[], &[]);
        let nothing = Series::default();
        assert_eq!(beginning(&cut, &unjudged, downwards, &wide_input(), &limits), Beginning::Unclear);
        assert_eq!(beginning(&nothing, &unjudged, downwards, &wide_input(), &limits), Beginning::Unclear);
    }

    #[test]
    fn all_images_at_one_position_are_one_fault_and_named() {
        let mut heap = Series::default();
        for number in 0..154 {
            let (slice, plane) = made_slice([0.0, 0.0, 12.0], 0.0, &format!("1.{}", 200 + number), &input());
            heap.add(slice, &plane, &input(), |_| Ok::<_, std::convert::Infallible>(plane.clone())).unwrap();
        }
        let found = issues(&heap, &Lungs::default());
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert!(
            one.text.starts_with("all 154 images claim one position, z = 12.0 mm: their positions are wrong"),
            "{one}"
        );
        assert_eq!(one.remedy(&QualityLimits::default()), Some(Remedy::CorrectAndSendAgain));
    }

    /// Slices at this distance.
    fn spaced(distance_mm: f64) -> Vec<QualityIssue> {
        let mut series = Series::default();
        for number in 0..20 {
            let (slice, plane) =
                made_slice([0.0, 0.0, f64::from(number) * distance_mm], 0.0, &format!("1.{number}"), &input());
            series.add(slice, &plane, &input(), |_| Err("no slice comes twice".to_owned())).unwrap();
        }
        issues(&series, &Lungs::default())
    }

    #[test]
    fn slices_far_apart_say_so_and_beyond_what_the_model_was_tried_with_hide_lung() {
        let limits = QualityLimits::default();
        assert_eq!(spaced(5.0), []);
        let [ten] = &spaced(10.0)[..] else { panic!("one issue") };
        assert_eq!(ten.text, "slices are 10.0 mm apart: lesions smaller than that can lie between them unseen");
        assert_eq!((ten.hides_lung(&limits), ten.remedy(&limits)), (false, None));
        let [twelve] = &spaced(12.0)[..] else { panic!("one issue") };
        assert_eq!((twelve.hides_lung(&limits), twelve.remedy(&limits)), (true, Some(Remedy::ReconstructAgain)));
    }
}
