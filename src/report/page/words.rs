//! Every sentence and figure on the pages. The verdict's reason and the issues of the acquisition have their own words.
//!
//! Nothing here names the patient, and nothing but the reason names COVID-19.

use crate::exam::{QualityIssue, SourceImage};
use crate::report::Exam;
use crate::triage::{CaseReport, HIGH_OPACITY_HU, Lesion, SliceCounts, Verdict, ZoneScore};
use crate::words::counted;

pub(super) const NOT_FOR_DIAGNOSIS: &str = "Research use only. Not for diagnosis.";

/// What the pages show and what not.
pub(super) const LIMITS: &str =
    "Looks for opacities like those of pneumonia and nothing else. Cannot tell one pneumonia from another.";

/// The verdict's reason as a sentence begins.
pub(super) fn reason(report: &CaseReport) -> String {
    let mut letters = report.reason.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Stands where there is no figure: never nought.
const NO_VALUE: &str = "-";

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suspected => "SUSPECTED",
        Verdict::Abnormal => "ABNORMAL, NOT ASSESSED",
        Verdict::NotSuspected => "NOT SUSPECTED",
        Verdict::NotAnalysed => "NOT ANALYSED",
    }
}

/// What to know or to do.
pub(super) fn advice(report: &CaseReport) -> String {
    match report.verdict {
        Verdict::Suspected => "Opacities like those of pneumonia: isolate the patient.".to_owned(),
        Verdict::Abnormal => "This is not a negative. A radiologist must look.".to_owned(),
        Verdict::NotSuspected => {
            format!("On the {} analysed. Nothing else is looked for.", counted(report.slices.analysed, "slice"))
        }
        Verdict::NotAnalysed => "This is not a negative. Nothing is ruled out.".to_owned(),
    }
}

/// Something that a reader of the verdict must not miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    Warning(String),
    Changed(String),
}

pub(super) fn notices(exam: &Exam<'_>) -> Vec<Notice> {
    let report = exam.report;
    let lost = lost(&report.slices).filter(|_| report.verdict == Verdict::NotSuspected);
    let lost = lost.map(|lost| Notice::Warning(format!("Check the scan: {lost}.")));
    lost.into_iter().chain(early_suspicion(report)).chain(revision(exam)).collect()
}

/// What keeps "not suspected" from being the word on all of the scan.
fn lost(slices: &SliceCounts) -> Option<String> {
    let missing = slices.expected.map_or(0, |expected| expected.saturating_sub(slices.received));
    let parts = [
        (slices.failed, format!("{} could not be analysed", counted(slices.failed, "slice"))),
        (slices.refused, format!("{} refused", counted(slices.refused, "object"))),
        (missing, format!("{} missing", counted(missing, "image"))),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn early_suspicion(report: &CaseReport) -> Option<Notice> {
    let after = counted(report.early_flag.as_ref()?.after_slices, "slice");
    match report.verdict {
        Verdict::Suspected => None,
        Verdict::NotSuspected | Verdict::Abnormal => {
            Some(Notice::Changed(format!("It was suspected early, after {after}: that is withdrawn.")))
        }
        Verdict::NotAnalysed => {
            Some(Notice::Warning(format!("It was suspected early, after {after}: neither confirmed nor withdrawn.")))
        }
    }
}

fn revision(exam: &Exam<'_>) -> Option<Notice> {
    let replaced = exam.replaces.map(|replaced| format!(" Takes the place of report {}", replaced.sop_instance_uid));
    let is_revised = exam.report.revised || replaced.is_some();
    let words = || format!("Revised: an earlier verdict does not count any more.{}", replaced.unwrap_or_default());
    is_revised.then(|| Notice::Changed(words()))
}

/// What the figures are.
pub(super) fn figures_title(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suspected | Verdict::NotSuspected => "Measured",
        Verdict::Abnormal => "Measured in the lung that was found: not a negative",
        Verdict::NotAnalysed => "Measured in what could be analysed: not a negative",
    }
}

/// A figure with its name and what it is of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub name: &'static str,
    pub value: String,
    pub note: String,
    pub warns: bool,
    /// The value and the limit from which it counts, as shares of the whole.
    pub gauge: Option<[f64; 2]>,
}

impl Figure {
    fn new(name: &'static str, value: Option<String>, note: String) -> Self {
        let (value, note) =
            value.map_or_else(|| (NO_VALUE.to_owned(), "not assessed".to_owned()), |value| (value, note));
        Self { name, value, note, warns: false, gauge: None }
    }
}

/// Whether anything was measured at all.
pub(super) fn is_measured(report: &CaseReport) -> bool {
    report.lung_ml > 0.0 || report.score.is_some()
}

pub(super) fn figures(report: &CaseReport) -> [Figure; 6] {
    let has_lung = report.lung_ml > 0.0;
    let summary = &report.lesion_summary;
    // Where nothing was analysed, what was not found is not known.
    let is_known = has_lung && (report.verdict != Verdict::NotAnalysed || summary.count > 0);
    let suspected_from = report.thresholds.suspected;
    let score = report.score.filter(|score| report.verdict != Verdict::NotAnalysed || *score >= suspected_from);
    let share = |share: f64| number(share * 100.0, 1, " %").filter(|_| is_known);
    [
        Figure {
            gauge: score.map(|score| [score, suspected_from]),
            ..Figure::new(
                "Probability",
                score.and_then(|score| number(score, 3, "")),
                format!("suspected from {suspected_from:.3}"),
            )
        },
        Figure::new(
            "Lesions",
            is_known.then(|| summary.count.to_string()),
            format!("{:.1} ml in all", summary.volume_ml),
        ),
        Figure::new("Lesion share", share(summary.lung_share), "of the lungs".to_owned()),
        Figure::new("High opacity", share(summary.high_opacity_share), format!("of lungs, from {HIGH_OPACITY_HU} HU")),
        Figure::new(
            "Lungs",
            number(report.lung_ml, 0, " ml").filter(|_| has_lung),
            format!("right {:.0}, left {:.0} ml", report.lungs.right_ml, report.lungs.left_ml),
        ),
        Figure {
            warns: lost(&report.slices).is_some(),
            ..Figure::new("Slices analysed", Some(report.slices.analysed.to_string()), slices_note(&report.slices))
        },
    ]
}

fn slices_note(SliceCounts { received, failed, refused, .. }: &SliceCounts) -> String {
    let some = |count: usize, word: &str| if count > 0 { format!(", {count} {word}") } else { String::new() };
    format!("of {received} received{}{}", some(*failed, "failed"), some(*refused, "refused"))
}

fn number(value: f64, decimals: usize, unit: &str) -> Option<String> {
    value.is_finite().then(|| format!("{value:.decimals$}{unit}"))
}

/// The zone score where it says something.
pub(super) fn zone_score(report: &CaseReport) -> Option<&ZoneScore> {
    report.zone_score.as_ref().filter(|score| report.verdict != Verdict::NotAnalysed || score.total > 0)
}

/// A row of the table of lesions; its columns are as wide in every row.
pub(super) fn lesion_row(number: usize, lesion: &Lesion) -> String {
    let Lesion { volume_ml, zone, largest_extent_mm, mean_hu, .. } = lesion;
    format!("{number:>2} {volume_ml:>7.1} ml  {:<12} {largest_extent_mm:>4.0} mm {mean_hu:>5.0} HU", zone.to_string())
}

pub(super) const LESION_TITLE: &str = "Largest lesions: volume, zone, extent, mean";

/// An issue; reports from before issues had words have their kind alone.
pub(super) fn issue(issue: &QualityIssue) -> String {
    if issue.text.is_empty() { issue.kind.to_string() } else { issue.text.clone() }
}

/// What became of the images.
pub(super) fn slices(slices: &SliceCounts) -> String {
    let SliceCounts { received, analysed, kept, failed, refused, replaced, expected, .. } = slices;
    let always =
        [(*received, "images received"), (*analysed, "slices analysed"), (*failed, "failed"), (*refused, "refused")];
    let sometimes = [(*kept, "kept aside"), (*replaced, "replaced"), (expected.unwrap_or(0), "announced")];
    let said = always.into_iter().chain(sometimes.into_iter().filter(|(count, _)| *count > 0));
    said.map(|(count, words)| format!("{count} {words}")).collect::<Vec<_>>().join(", ")
}

/// The slice of a picture: which one it is, counted from the lowest.
pub(super) fn place_of(image: &SourceImage, number: usize, of: usize) -> String {
    let frame = image.frame_number.map(|frame| format!(", frame {frame}")).unwrap_or_default();
    format!("z = {:.1} mm, slice {number} of {of} from the feet{frame}", image.geometry.z_mm)
}

/// What a picture shows.
pub(super) fn shown(lesions: &[Lesion], lesion: Option<usize>) -> String {
    let Some((place, lesion)) = lesion.and_then(|place| Some((place, lesions.get(place)?))) else {
        return "No lesion is drawn on this slice".to_owned();
    };
    let Lesion { volume_ml, zone, largest_extent_mm, mean_hu, .. } = lesion;
    format!(
        "Lesion {} of {}: {volume_ml:.1} ml, {zone}, {largest_extent_mm:.0} mm across, mean {mean_hu:.0} HU",
        place + 1,
        lesions.len()
    )
}

/// When the verdict was given and by what program, and what judged.
pub(super) fn made_by(exam: &Exam<'_>) -> [String; 2] {
    let CaseReport { tableside, engine, model, .. } = exam.report;
    let at = exam.offset().to_datetime(exam.basis.concluded).strftime("%Y-%m-%d %H:%M:%S");
    let offset = exam.offset();
    let weights: String = model.sha256.chars().take(16).collect();
    let weights = if weights.is_empty() { weights } else { format!(" (weights {weights})") };
    [
        format!("Verdict of {at} (UTC{offset}) by Tableside {tableside}"),
        format!("Model {} {}{weights}, engine {engine}", model.name, model.version),
    ]
}
