//! The verdict on a finished exam. Whatever is missing or broken makes it "not analysed: why", lungs that are not what
//! a chest has "abnormal, not assessed: why"; neither is clear.
//!
//! [`judge`] is the one place that makes verdicts, so that no other path can read as clear. It asks in this order: is
//! there a result at all, was pneumonia found, does anything hide or falsify the lungs. "Not suspected" is what is left
//! when nothing speaks against it. What was found stands whatever else is missing, since the patient must be isolated
//! all the same; a negative verdict needs the whole lungs.

use super::dense_zone::{DenseZone, dense_zone};
use super::field_of_view::CutField;
use super::lesions::{Lesion, LesionSummary, MIN_FINDING_ML};
use super::lungs::LungSummary;
use super::pattern::{Pattern, PatternKind};
use super::reason::Reason;
use super::zones::{Side, ZoneScore};
use crate::exam::{QualityIssue, QualityKind, QualityLimits};

/// What a verdict is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Slices at positions of their own in the series that is judged.
    pub slices: usize,
    /// Slices of the exam that were received and cannot be analysed, and why the first of them cannot.
    pub defective: usize,
    pub defect: Option<&'a str>,
    pub engine_failure: Option<&'a str>,
    pub score: Option<f64>,
    /// The case probability from which an exam is suspected.
    pub suspected_from: f64,
    pub lungs: LungSummary,
    pub lesions: LesionSummary,
    pub zones: Option<&'a ZoneScore>,
    pub pattern: Pattern,
    /// The lesions, largest first.
    pub listed: &'a [Lesion],
    pub cut_field: Option<&'a CutField>,
    pub quality: &'a [QualityIssue],
    pub limits: &'a QualityLimits,
}

/// The share of defective slices from which the rest cannot stand for the exam.
const MAX_DEFECTIVE_SHARE: f64 = 0.1;

/// Beside a dense lung the other one holds at least this share of its lesions.
const LEAST_SHARE_BESIDE: f64 = 0.1;

/// With less of the volume that a chest has at least than this share, what was found is nothing in a lung.
const SOME_LUNG_SHARE: f64 = 0.25;

/// Judges a finished exam: the reason for the one verdict that it can have.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Reason {
    if let Some(reason) = why_not_analysed(facts) {
        return reason;
    }
    let score = facts.score.unwrap_or_default();
    let is_above = score >= facts.suspected_from;
    let abnormality = why_abnormal(facts);
    let is_whole = abnormality.is_none() && facts.lungs.volume_ml() >= facts.limits.min_lung_ml;
    let is_found = is_whole
        || facts.lesions.volume_ml >= MIN_FINDING_ML
            && facts.lungs.volume_ml() >= facts.limits.min_lung_ml * SOME_LUNG_SHARE
            && is_seen_beside_a_dense_lung(facts.lungs, facts.listed, facts.limits);
    let misleading_field = facts.cut_field.filter(|cut| !cut.shows_lesions());
    if is_above && facts.pattern.may_isolate() && is_found && misleading_field.is_none() {
        return Reason::Opacities { pattern: facts.pattern, lesions: facts.lesions, score };
    }
    if let Some(cut) = misleading_field {
        return Reason::MisleadingField { issue: cut.issue.clone(), is_above };
    }
    // What was found stands whatever else is missing; a negative verdict needs the whole lungs.
    let negative = Reason::NoOpacities { score, is_rim: is_above };
    why_no_chest(facts)
        .or(abnormality)
        .or_else(|| why_not_clear(facts))
        .or_else(|| why_uneven(facts))
        .unwrap_or(negative)
}

fn why_not_analysed(facts: &Facts<'_>) -> Option<Reason> {
    if facts.slices == 0 {
        return Some(why_no_slice(facts));
    }
    if let Some(failure) = facts.engine_failure {
        return Some(Reason::EngineFailure { failure: failure.to_owned() });
    }
    if let Some(issue) = issue_that(facts, |kind| matches!(kind, QualityKind::FewPositions { .. })) {
        return Some(Reason::FewPositions { issue });
    }
    if facts.slices < facts.limits.min_slices {
        return Some(why_few_slices(facts));
    }
    if facts.score.is_none() {
        return Some(Reason::NoSlabJudged);
    }
    if let Some(issue) = issue_that(facts, |kind| *kind == QualityKind::MixedAcquisitions) {
        return Some(Reason::Quality { issue });
    }
    // Upside down a model takes heart and vessels for disease: what it finds there means nothing either.
    facts.lungs.spine_in_front.then_some(Reason::SpineInFront)
}

/// The first issue of the kind that is meant.
fn issue_that(facts: &Facts<'_>, is_meant: impl Fn(&QualityKind) -> bool) -> Option<QualityIssue> {
    facts.quality.iter().find(|issue| is_meant(&issue.kind)).cloned()
}

fn why_no_slice(facts: &Facts<'_>) -> Reason {
    let refused = facts.quality.iter().find_map(|issue| match &issue.kind {
        QualityKind::RefusedObjects { count, reason } => {
            Some(Reason::AllObjectsRefused { count: *count, refusal: reason.clone() })
        }
        _ => None,
    });
    if let Some(refused) = refused.filter(|_| facts.defective == 0) {
        return refused;
    }
    if let Some(defect) = facts.defect {
        return Reason::NoUsableSlice { count: facts.defective, defect: defect.to_owned() };
    }
    let unfit = issue_that(facts, |kind| matches!(kind, QualityKind::UnfitSeries { .. }));
    unfit.map_or(Reason::NoAxialSlice, |issue| Reason::Quality { issue })
}

/// The reason names the fault that left so few, where one is known.
fn why_few_slices(facts: &Facts<'_>) -> Reason {
    if let Some(issue) = issue_that(facts, |kind| matches!(kind, QualityKind::SharedUid { .. })) {
        return Reason::Quality { issue };
    }
    let usable = facts.slices;
    match issue_that(facts, |kind| matches!(kind, QualityKind::RefusedObjects { .. })) {
        Some(refused) => Reason::TooFewSlicesLeft { usable, refused },
        None => Reason::TooFewSlices { usable, at_least: facts.limits.min_slices },
    }
}

fn why_no_chest(facts: &Facts<'_>) -> Option<Reason> {
    let lung_ml = facts.lungs.volume_ml();
    (lung_ml < facts.limits.min_lung_ml).then_some(Reason::NoLung { lung_ml })
}

fn why_abnormal(facts: &Facts<'_>) -> Option<Reason> {
    if let Some(mass) = facts.listed.first().filter(|_| facts.pattern.kind == PatternKind::MassLike) {
        let Lesion { volume_ml, side, .. } = *mass;
        return Some(Reason::Mass { volume_ml, side });
    }
    // What the field of view cuts is small for that.
    if facts.cut_field.is_some() {
        return None;
    }
    if let Some(DenseLung { side, aerated_ml, other_ml }) = dense_lung(facts.lungs, facts.listed, facts.limits) {
        return Some(Reason::DenseLung { side, aerated_ml, other_ml });
    }
    let chest_share = facts.lungs.chest_share.filter(|share| *share < facts.limits.min_chest_share)?;
    Some(Reason::DenseLungs { lung_ml: facts.lungs.volume_ml(), chest_share })
}

/// A part of a lung that is dense says nothing against pneumonia that was found: lobar pneumonia fills lobes.
fn why_uneven(facts: &Facts<'_>) -> Option<Reason> {
    // What the field of view cuts is small for that.
    let zones = facts.zones.filter(|_| facts.cut_field.is_none())?;
    let DenseZone { zone, aerated_ml, other_ml } = dense_zone(zones, facts.listed)?;
    Some(Reason::DenseThird { zone, aerated_ml, other_ml })
}

/// A lung with too little air in it against the other one, volumes without consolidation, ml.
struct DenseLung {
    side: Side,
    aerated_ml: f64,
    other_ml: f64,
}

/// Consolidation is no air: whether a model draws a dense lung as lesion or leaves it out, it is dense.
fn dense_lung(lungs: LungSummary, lesions: &[Lesion], limits: &QualityLimits) -> Option<DenseLung> {
    let consolidated_ml = |side: Side| -> f64 {
        let there = lesions.iter().filter(|lesion| lesion.side == side);
        there.map(|lesion| lesion.volume_ml * lesion.consolidation_share).sum()
    };
    let aerated = LungSummary {
        right_ml: (lungs.right_ml - consolidated_ml(Side::Right)).max(0.0),
        left_ml: (lungs.left_ml - consolidated_ml(Side::Left)).max(0.0),
        ..lungs
    };
    let (side, _) = aerated.smaller().filter(|(_, ratio)| *ratio < limits.min_lung_ratio)?;
    let (right, left) = (aerated.right_ml, aerated.left_ml);
    let (aerated_ml, other_ml) = if side == Side::Right { (right, left) } else { (left, right) };
    Some(DenseLung { side, aerated_ml, other_ml })
}

/// Whether there is nothing dense or missing, or enough of the lesions lies beside it: what a dense lung presses on or shifts is drawn too.
#[must_use]
pub fn is_seen_beside_a_dense_lung(lungs: LungSummary, lesions: &[Lesion], limits: &QualityLimits) -> bool {
    dense_lung(lungs, lesions, limits).is_none_or(|dense| {
        let (within, beside): (Vec<&Lesion>, Vec<&Lesion>) =
            lesions.iter().partition(|lesion| lesion.side == dense.side);
        let [within_ml, beside_ml] =
            [within, beside].map(|side| side.iter().map(|lesion| lesion.volume_ml).sum::<f64>());
        beside_ml >= MIN_FINDING_ML.max(LEAST_SHARE_BESIDE * within_ml)
    })
}

fn why_not_clear(facts: &Facts<'_>) -> Option<Reason> {
    let (defective, slices) = (facts.defective, facts.slices + facts.defective);
    if defective as f64 / slices as f64 > MAX_DEFECTIVE_SHARE {
        let defect = facts.defect.unwrap_or("unreadable").to_owned();
        return Some(Reason::TooManyDefective { defective, slices, defect });
    }
    let hiding = facts.quality.iter().find(|issue| issue.hides_lung(facts.limits)).cloned();
    hiding.map(|issue| Reason::Quality { issue }).or_else(|| why_not_measured(facts.lungs))
}

/// A figure that could not be computed passes no check.
fn why_not_measured(lungs: LungSummary) -> Option<Reason> {
    if lungs.chest_share.is_none() {
        Some(Reason::UnknownChestShare)
    } else if !lungs.spine_found {
        Some(Reason::NoSpine)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::reason::Verdict;
    use super::*;

    const LIMITS: QualityLimits = QualityLimits {
        max_gap_mm: 10.0,
        cut_off_lung_cm2: 25.0,
        min_lung_ml: 800.0,
        min_lung_ratio: 0.5,
        min_chest_share: 0.1,
        min_slices: 10,
        max_noise_hu: 60.0,
        max_thickness_mm: 10.0,
        max_cut_lung_cm2: 5.0,
        max_step: 1.5,
        max_lung_hu: -770.0,
    };
    const LUNGS: LungSummary = LungSummary {
        right_ml: 2200.0,
        left_ml: 1800.0,
        chest_share: Some(0.3),
        spine_in_front: false,
        spine_found: true,
        inflation: None,
    };

    fn clear() -> Facts<'static> {
        Facts {
            slices: 100,
            defective: 0,
            defect: None,
            engine_failure: None,
            score: Some(0.1),
            suspected_from: 0.5,
            lungs: LUNGS,
            zones: None,
            lesions: LesionSummary::default(),
            pattern: Pattern::default(),
            listed: &[],
            cut_field: None,
            quality: &[],
            limits: &LIMITS,
        }
    }

    fn of_series(kind: QualityKind) -> QualityIssue {
        QualityIssue::of_series(kind)
    }

    fn gap(to_z_mm: f64) -> QualityIssue {
        of_series(QualityKind::Gap { from_z_mm: 0.0, to_z_mm })
    }

    fn judged(facts: &Facts<'_>) -> (Verdict, String) {
        let reason = judge(facts);
        (reason.verdict(), reason.to_string())
    }

    fn verdict(facts: &Facts<'_>) -> Verdict {
        judge(facts).verdict()
    }

    #[test]
    fn a_whole_exam_below_the_threshold_is_not_suspected_and_above_it_is() {
        assert_eq!(verdict(&clear()), Verdict::NotSuspected);
        assert_eq!(verdict(&Facts { score: Some(0.5), ..clear() }), Verdict::Suspected);
    }

    #[test]
    fn what_is_drawn_only_where_the_field_cuts_the_lungs_is_no_finding() {
        let issue = of_series(QualityKind::FieldOfViewCut { border_cm2: 120.0 });
        let cut = |lesions_elsewhere_ml| CutField { issue: issue.clone(), lesions_elsewhere_ml };
        let (at_the_border, elsewhere) = (cut(4.0), cut(40.0));
        let quality = [issue.clone()];
        let seen = Facts { score: Some(0.99), quality: &quality, cut_field: Some(&elsewhere), ..clear() };
        assert_eq!(verdict(&seen), Verdict::Suspected);
        let (verdict, reason) = judged(&Facts { cut_field: Some(&at_the_border), ..seen });
        assert_eq!(verdict, Verdict::NotAnalysed);
        assert!(reason.starts_with(&issue.to_string()) && reason.contains("at that border only"), "{reason}");
        let lungs = LungSummary { left_ml: 300.0, ..LUNGS };
        let lacking = Facts { lungs, score: Some(0.1), ..seen };
        for cut in [&at_the_border, &elsewhere] {
            let (verdict, reason) = judged(&Facts { cut_field: Some(cut), ..lacking });
            assert_eq!(verdict, Verdict::NotAnalysed, "the lung is not small but cut: {reason}");
        }
    }

    #[test]
    fn nothing_that_is_missing_or_broken_reads_as_clear() {
        let hole = [gap(12.0)];
        let cut_off = [of_series(QualityKind::BaseCutOff { lung_cm2: 100.0 })];
        let noisy = [of_series(QualityKind::TooNoisy { noise_hu: 80.0, limit_hu: 60.0 })];
        let thick = [of_series(QualityKind::TooThick { thickness_mm: 20.0, limit_mm: 10.0 })];
        let mixed = [of_series(QualityKind::MixedAcquisitions)];
        let cut = [of_series(QualityKind::FieldOfViewCut { border_cm2: 20.0 })];
        let broken = [
            Facts { slices: 0, ..clear() },
            Facts { slices: 9, ..clear() },
            Facts { score: None, ..clear() },
            Facts { engine_failure: Some("the engine failed"), ..clear() },
            Facts { lungs: LungSummary { right_ml: 10.0, left_ml: 10.0, ..LUNGS }, ..clear() },
            Facts { lungs: LungSummary { spine_in_front: true, ..LUNGS }, ..clear() },
            Facts { lungs: LungSummary { spine_found: false, ..LUNGS }, ..clear() },
            Facts { lungs: LungSummary { chest_share: None, ..LUNGS }, ..clear() },
            Facts { quality: &mixed, ..clear() },
            Facts { quality: &mixed, score: Some(0.99), ..clear() },
            Facts { quality: &cut, ..clear() },
            Facts { defective: 20, defect: Some("no position"), ..clear() },
            Facts { quality: &hole, ..clear() },
            Facts { quality: &cut_off, ..clear() },
            Facts { quality: &noisy, ..clear() },
            Facts { quality: &thick, ..clear() },
        ];
        for facts in broken {
            assert_eq!(verdict(&facts), Verdict::NotAnalysed, "{facts:?}");
            assert!(!judge(&facts).to_string().is_empty());
        }
    }

    #[test]
    fn what_is_found_in_an_image_that_is_upside_down_means_nothing() {
        let lungs = LungSummary { spine_in_front: true, ..LUNGS };
        assert_eq!(verdict(&Facts { score: Some(0.99), lungs, ..clear() }), Verdict::NotAnalysed);
    }

    #[test]
    fn a_positive_finding_stands_although_slices_are_missing() {
        let hole = [gap(12.0)];
        assert_eq!(verdict(&Facts { score: Some(0.9), quality: &hole, ..clear() }), Verdict::Suspected);
    }

    #[test]
    fn a_lung_that_is_dense_or_missing_is_abnormal_and_named_and_no_negative() {
        let lungs = LungSummary { right_ml: 300.0, left_ml: 1800.0, ..LUNGS };
        let (verdict_on_right, reason) = judged(&Facts { lungs, ..clear() });
        assert_eq!(verdict_on_right, Verdict::Abnormal);
        assert!(reason.starts_with("right lung largely dense or missing, 300 ml"), "{reason}");
        let lungs = LungSummary { left_ml: 300.0, ..LUNGS };
        assert!(judge(&Facts { lungs, ..clear() }).to_string().starts_with("left lung"));
        let lungs = LungSummary { chest_share: Some(0.05), ..LUNGS };
        assert_eq!(verdict(&Facts { lungs, ..clear() }), Verdict::Abnormal);
    }

    #[test]
    fn a_positive_finding_stands_although_a_lung_is_missing_and_a_missing_lung_although_slices_are() {
        let lungs = LungSummary { right_ml: 300.0, left_ml: 1800.0, ..LUNGS };
        let found = LesionSummary { count: 3, volume_ml: 60.0, lung_share: 0.03, high_opacity_share: 0.0 };
        let beside = [super::super::lesions::tests::lesion(60.0, Side::Left)];
        let seen = Facts { lungs, score: Some(0.9), lesions: found, listed: &beside, ..clear() };
        assert_eq!(verdict(&seen), Verdict::Suspected);
        let within = [super::super::lesions::tests::lesion(60.0, Side::Right)];
        assert_eq!(verdict(&Facts { listed: &within, ..seen }), Verdict::Abnormal, "the dense lung's own lesions");
        let edges = LesionSummary { count: 3, volume_ml: 0.9, ..LesionSummary::default() };
        assert_eq!(verdict(&Facts { lungs, score: Some(0.6), lesions: edges, ..clear() }), Verdict::Abnormal);
        let hole = [gap(12.0)];
        assert_eq!(verdict(&Facts { lungs, quality: &hole, ..clear() }), Verdict::Abnormal);
    }

    #[test]
    fn a_lung_that_is_drawn_as_one_consolidation_is_dense_all_the_same() {
        let solid = Lesion { consolidation_share: 1.0, ..super::super::lesions::tests::lesion(1200.0, Side::Right) };
        let lungs = LungSummary { right_ml: 1800.0, left_ml: 1800.0, ..LUNGS };
        let lesions = LesionSummary { count: 1, volume_ml: 1200.0, lung_share: 0.33, high_opacity_share: 0.33 };
        let (verdict, reason) = judged(&Facts { lungs, score: Some(0.99), lesions, listed: &[solid], ..clear() });
        assert_eq!(verdict, Verdict::Abnormal);
        assert!(reason.starts_with("right lung largely dense or missing, 600 ml"), "{reason}");
    }

    #[test]
    fn a_lone_mass_is_abnormal_and_isolates_nobody_whatever_the_score() {
        let mass = [super::super::lesions::tests::lesion(34.0, Side::Right)];
        let pattern = Pattern { kind: PatternKind::MassLike, ..Pattern::default() };
        for score in [0.1, 0.99] {
            let (verdict, reason) = judged(&Facts { score: Some(score), pattern, listed: &mass, ..clear() });
            assert_eq!(verdict, Verdict::Abnormal);
            assert_eq!(
                reason,
                "one mass-like lesion, 34 ml, right lung: not the pattern of pneumonia; a radiologist must look"
            );
        }
    }

    #[test]
    fn a_rim_on_the_diaphragm_isolates_nobody_and_hides_nothing_that_is_missing() {
        let pattern = Pattern { kind: PatternKind::DiaphragmRim, ..Pattern::default() };
        let rim = Facts { score: Some(0.9), pattern, ..clear() };
        assert_eq!(verdict(&rim), Verdict::NotSuspected);
        assert!(judge(&rim).to_string().contains("diaphragm"));
        let cut_off = [of_series(QualityKind::BaseCutOff { lung_cm2: 100.0 })];
        assert_eq!(verdict(&Facts { quality: &cut_off, ..rim }), Verdict::NotAnalysed);
    }

    #[test]
    fn the_words_of_a_suspicion_say_what_was_seen_and_never_that_it_is_covid_19() {
        let pattern =
            Pattern { bilateral: true, kind: PatternKind::PneumoniaLike, peripheral_share: 0.8, ..Pattern::default() };
        let reason = judge(&Facts { score: Some(0.95), pattern, ..clear() }).to_string();
        assert!(
            reason.starts_with("pneumonia-like opacities, bilateral, peripheral, ground-glass: COVID-19 possible ("),
            "{reason}"
        );
    }

    #[test]
    fn what_hides_no_lung_does_not_forbid_a_verdict() {
        let spacing_mm = 5.0;
        for kind in [
            QualityKind::Gap { from_z_mm: 0.0, to_z_mm: 4.0 },
            QualityKind::SpacingChange { from_z_mm: 0.0, to_z_mm: 50.0, spacing_mm, usual_mm: 2.0 },
            QualityKind::DuplicatePosition,
            QualityKind::AnatomyStep { times_usual: 2.0 },
            QualityKind::BoneKernel { kernel: "B70f".to_owned() },
            QualityKind::UnusualPosture { posture: "prone".to_owned() },
            QualityKind::Contrast { agent: "APPLIED".to_owned() },
            QualityKind::GantryTilt { degrees: 5.0 },
        ] {
            assert_eq!(verdict(&Facts { quality: &[of_series(kind)], ..clear() }), Verdict::NotSuspected);
        }
    }

    #[test]
    fn an_exam_of_projections_alone_says_what_they_are() {
        let unfit = [of_series(QualityKind::UnfitSeries { count: 40, reason: "a projection".to_owned() })];
        let (verdict, reason) = judged(&Facts { slices: 0, score: None, quality: &unfit, ..clear() });
        assert_eq!(verdict, Verdict::NotAnalysed);
        assert!(reason.contains("a projection"), "{reason}");
    }

    #[test]
    fn what_was_refused_takes_a_negative_away_and_no_finding_and_is_the_reason_where_nothing_else_came() {
        let refused = |count| [of_series(QualityKind::RefusedObjects { count, reason: "it is cut off".to_owned() })];
        let quality = refused(3);
        let (negative, reason) = judged(&Facts { quality: &quality, ..clear() });
        assert_eq!((negative, reason.as_str()), (Verdict::NotAnalysed, "3 objects were refused: it is cut off"));
        let found = LesionSummary { count: 2, volume_ml: 100.0, ..LesionSummary::default() };
        assert_eq!(
            verdict(&Facts { quality: &quality, score: Some(0.9), lesions: found, ..clear() }),
            Verdict::Suspected
        );
        let reason = |slices, count| judge(&Facts { slices, quality: &refused(count), ..clear() }).to_string();
        assert_eq!(reason(0, 3), "all 3 objects were refused: it is cut off");
        assert_eq!(reason(0, 1), "the only object was refused: it is cut off");
        assert_eq!(reason(1, 3), "only 1 slice came that can be analysed, 3 objects were refused: it is cut off");
    }

    #[test]
    fn one_uid_for_all_images_is_the_reason_where_hardly_a_slice_is_left() {
        let quality = [of_series(QualityKind::SharedUid { count: 133 })];
        let (verdict, reason) = judged(&Facts { slices: 1, quality: &quality, ..clear() });
        assert_eq!(verdict, Verdict::NotAnalysed);
        assert!(reason.starts_with("133 images carry the same SOP Instance UID"), "{reason}");
    }
}
