//! The exam as a whole: a group of measurements, the verdict and what it rests on (TID 1501). It stands in every report, so that an
//! exam that was not analysed has one as well: with a verdict and a reason, and no figures.

use super::super::Exam;
use super::super::uids::Uids;
use super::concepts::{self, MEASUREMENT_GROUP};
use super::content_item::ContentItem;
use super::lesion_groups::tracked;
use super::measurements::{DensityShare, count, in_lung, in_zone, percent, probability, volume};
use crate::triage::{CaseReport, HIGH_OPACITY_HU, LesionSummary, Side};

pub(super) fn exam_group(exam: &Exam<'_>, uids: &Uids<'_>) -> ContentItem {
    let report = exam.report;
    let group = ContentItem::container_by_template(&MEASUREMENT_GROUP, "1501");
    let mut group = tracked(group, "exam", &uids.of("exam", "tracking"));
    if let Some(score) = report.score {
        group = group.containing(probability(&concepts::PROBABILITY, score));
    }
    group = group
        .containing(probability(&concepts::SUSPECTED_FROM, report.thresholds.suspected))
        .containing(probability(&concepts::EARLY_FLAG_FROM, report.thresholds.early));
    // Without a judged slab the report's volumes are zeros that nobody measured.
    if report.score.is_some() {
        group = group.containing_all(lungs(report)).containing_all(lesions(report)).containing_all(zones(report));
    }
    group
        .containing(ContentItem::code(&concepts::VERDICT, &concepts::verdict(report.verdict)))
        .containing(ContentItem::text(&concepts::REASON, &report.reason))
        .containing_all(quality(report))
        .containing(ContentItem::text(&concepts::INTENDED_USE, &report.intended_use))
}

fn lungs(report: &CaseReport) -> [ContentItem; 2] {
    let of = |side, ml| volume(&concepts::VOLUME, ml).modified_by(in_lung(side));
    [of(Side::Right, report.lungs.right_ml), of(Side::Left, report.lungs.left_ml)]
}

fn lesions(report: &CaseReport) -> [ContentItem; 4] {
    let LesionSummary { count: lesions, volume_ml, lung_share, high_opacity_share } = report.lesion_summary;
    let high_opacity = DensityShare { share: high_opacity_share, from_hu: HIGH_OPACITY_HU, below_hu: None };
    [
        count(&concepts::LESION_COUNT, lesions),
        volume(&concepts::LESION_VOLUME, volume_ml),
        percent(&concepts::LESION_SHARE, lung_share),
        high_opacity.named(&concepts::HIGH_OPACITY_SHARE),
    ]
}

/// Issues in words; reports from before issues had words say nothing here.
fn quality(report: &CaseReport) -> impl Iterator<Item = ContentItem> {
    let texts = report.quality.iter().map(|issue| &issue.text).filter(|text| !text.is_empty());
    texts.map(|text| ContentItem::text(&concepts::QUALITY_FINDING, text))
}

fn zones(report: &CaseReport) -> Vec<ContentItem> {
    let Some(score) = &report.zone_score else { return Vec::new() };
    let zones = score
        .zones
        .iter()
        .map(|involved| count(&concepts::ZONE_SCORE, usize::from(involved.score)).modified_by(in_zone(involved.zone)));
    std::iter::once(count(&concepts::ZONE_SCORE_TOTAL, usize::from(score.total))).chain(zones).collect()
}
