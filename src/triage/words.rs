//! Every sentence about a verdict, and the report as text: what was found, and why the verdict is what it is. Words about the
//! acquisition come from `exam`.

use std::fmt::{Display, Formatter, Result};

use super::density::HIGH_OPACITY_HU;
use super::lesions::{Lesion, LesionSummary};
use super::pattern::{NAMED_SHARE, Pattern, PatternKind};
use super::reason::{Reason, Verdict};
use super::report::{CaseReport, SliceCounts};
use super::zones::{Side, Zone, ZoneScore};
use crate::exam::{QualityIssue, QualityKind};
use crate::words::counted;

/// Lesions of which the text says each; the JSON has them all.
const LISTED_LESIONS: usize = 5;

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Opacities { pattern, lesions, score } => opacities(f, pattern, lesions, *score)?,
            Self::Mass { volume_ml, side } => {
                write!(f, "one mass-like lesion, {volume_ml:.0} ml, {side} lung: not the pattern of pneumonia")?;
            }
            Self::DenseLung { side, aerated_ml, other_ml } => write!(
                f,
                "{side} lung largely dense or missing, {aerated_ml:.0} ml against {other_ml:.0} ml of the other"
            )?,
            Self::DenseLungs { lung_ml, chest_share } => write!(
                f,
                "both lungs largely dense or hardly inflated, {lung_ml:.0} ml and {:.0} % of the chest",
                chest_share * 100.0
            )?,
            Self::DenseThird { zone, aerated_ml, other_ml } => write!(
                f,
                "{zone} zone largely dense or missing, {aerated_ml:.0} ml against {other_ml:.0} ml of the other side: a mass, a collapsed lobe or fluid?"
            )?,
            Self::NoOpacities { score, is_rim } => {
                let rim = if *is_rim { ", of a rim on the diaphragm alone" } else { "" };
                write!(f, "no pneumonia-like opacities found: probability {score:.2}{rim}")?;
            }
            Self::AllObjectsRefused { count: 1, refusal } => write!(f, "the only object was refused: {refusal}")?,
            Self::AllObjectsRefused { count, refusal } => write!(f, "all {count} objects were refused: {refusal}")?,
            Self::RefusedAndStoredSince { count: 1 } => {
                f.write_str("the object that was refused has been stored since, in its own exam")?;
            }
            Self::RefusedAndStoredSince { count } => {
                write!(f, "the {count} objects that were refused have been stored since, in their own exams")?;
            }
            Self::NoUsableSlice { count: 1, defect } => write!(f, "the only CT slice cannot be analysed: {defect}")?,
            Self::NoUsableSlice { count, defect } => {
                write!(f, "none of the {count} CT slices can be analysed: {defect}")?;
            }
            Self::NoAxialSlice => f.write_str("no axial CT slices were received")?,
            Self::EngineFailure { failure } => f.write_str(failure)?,
            Self::FewPositions { issue } => write!(f, "{issue}; correct and send again")?,
            Self::TooFewSlices { usable, at_least } => {
                write!(f, "{}, a chest CT has at least {at_least}", usable_slices(*usable))?;
            }
            Self::TooFewSlicesLeft { usable, refused } => write!(f, "{}, {refused}", usable_slices(*usable))?,
            Self::NoSlabJudged => f.write_str("no slab was judged")?,
            Self::SpineInFront => f.write_str("the spine lies in front: is the image's orientation right?")?,
            Self::NoLung { lung_ml } => write!(
                f,
                "no lung found ({lung_ml:.0} ml): is this a chest, and are its rescale intercept and orientation right?"
            )?,
            Self::TooManyDefective { defective, slices, defect } => {
                write!(f, "{defective} of {slices} slices cannot be analysed: {defect}")?;
            }
            Self::MisleadingField { issue, is_above: false } => write!(f, "{issue}")?,
            Self::MisleadingField { issue, is_above: true } => {
                write!(f, "{issue}; opacities were drawn at that border only, where there may be none")?;
            }
            Self::Quality { issue } => quality(f, issue)?,
            Self::UnknownChestShare => f.write_str(
                "the body is found on too few slabs to tell how much of the chest is lung: are its Hounsfield units right?",
            )?,
            Self::NoSpine => {
                f.write_str("no spine is found: are the image's orientation and its Hounsfield units right?")?;
            }
        }
        if self.verdict() == Verdict::Abnormal { f.write_str("; a radiologist must look") } else { Ok(()) }
    }
}

/// COVID-19 cannot be told from another pneumonia: these words must never claim it.
fn opacities(f: &mut Formatter<'_>, pattern: &Pattern, lesions: &LesionSummary, score: f64) -> Result {
    let LesionSummary { count, volume_ml, lung_share, .. } = lesions;
    let pattern = match pattern.kind {
        PatternKind::None => String::new(),
        _ => format!(", {}", pattern.words()),
    };
    write!(
        f,
        "pneumonia-like opacities{pattern}: COVID-19 possible (probability {score:.2}, {}, {volume_ml:.0} ml, {:.1} % of the lungs)",
        counted(*count, "lesion"),
        lung_share * 100.0
    )
}

fn usable_slices(usable: usize) -> String {
    format!("only {} came that can be analysed", counted(usable, "slice"))
}

/// What an issue hides, where its own words do not say so.
fn quality(f: &mut Formatter<'_>, issue: &QualityIssue) -> Result {
    match issue.kind {
        QualityKind::Gap { from_z_mm, to_z_mm } => write!(
            f,
            "{:.0} mm of the scan are missing between z = {from_z_mm:.0} mm and z = {to_z_mm:.0} mm",
            to_z_mm - from_z_mm
        ),
        QualityKind::ApexCutOff { .. } | QualityKind::BaseCutOff { .. } => {
            write!(f, "{issue}: the rest was not seen")
        }
        _ => write!(f, "{issue}"),
    }
}

impl Display for CaseReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let verdict = match self.verdict {
            Verdict::Suspected => "SUSPECTED: isolate",
            Verdict::Abnormal => "ABNORMAL, not assessed",
            Verdict::NotSuspected => "not suspected",
            Verdict::NotAnalysed => "NOT ANALYSED",
        };
        writeln!(f, "{verdict}")?;
        writeln!(f, "  {}{}", self.reason, if self.revised { " (revised)" } else { "" })?;
        if let Some(score) = self.score {
            writeln!(f, "  score     {score:.3} (suspected from {:.3})", self.thresholds.suspected)?;
        }
        match &self.early_flag {
            Some(flag) => {
                let slices = counted(flag.after_slices, "slice");
                writeln!(f, "  early     flagged after {slices}, {:.1} s", flag.after_s)?;
            }
            None => writeln!(f, "  early     no flag during the scan")?,
        }
        let SliceCounts { received, analysed, kept, failed, refused, .. } = self.slices;
        write!(f, "  slices    {received} received, {analysed} analysed, {kept} kept, {failed} failed")?;
        writeln!(f, "{}", if refused > 0 { format!(", {refused} refused") } else { String::new() })?;
        let LesionSummary { count, volume_ml, lung_share, high_opacity_share } = self.lesion_summary;
        writeln!(
            f,
            "  lesions   {count}, {volume_ml:.1} ml, {:.1} % of {:.0} ml lung, {:.1} % above {HIGH_OPACITY_HU} HU",
            lung_share * 100.0,
            self.lung_ml,
            high_opacity_share * 100.0
        )?;
        for lesion in self.lesions.iter().take(LISTED_LESIONS) {
            writeln!(f, "            {lesion}")?;
        }
        if let Some(zone_score) = &self.zone_score {
            writeln!(f, "  zones     {zone_score}")?;
        }
        if self.pattern.kind != PatternKind::None {
            writeln!(f, "  pattern   {}", self.pattern.words())?;
        }
        writeln!(f, "  lungs     right {:.0} ml, left {:.0} ml", self.lungs.right_ml, self.lungs.left_ml)?;
        for issue in &self.quality {
            writeln!(f, "  quality   {issue}")?;
        }
        writeln!(f, "  engine    {}, model {} {}", self.engine, self.model.name, self.model.version)?;
        writeln!(f, "  verdict   {:.0} ms after the last slice", self.timing.last_slice_to_verdict_ms)?;
        write!(f, "{}", self.intended_use)
    }
}

impl Pattern {
    /// Where the opacities are and how dense, such as "bilateral, peripheral, ground-glass".
    #[must_use]
    pub fn words(&self) -> String {
        let side = match (self.bilateral, self.right_share > 0.5) {
            (true, _) => "bilateral",
            (false, true) => "right lung",
            (false, false) => "left lung",
        };
        let depth = if self.peripheral_share >= NAMED_SHARE {
            "peripheral"
        } else if self.peripheral_share <= 1.0 - NAMED_SHARE {
            "central"
        } else {
            ""
        };
        let height = if self.basal_share >= NAMED_SHARE {
            "basal"
        } else if self.apical_share >= NAMED_SHARE {
            "apical"
        } else {
            ""
        };
        let density = if self.consolidation_share >= NAMED_SHARE {
            "consolidation"
        } else if self.consolidation_share <= 1.0 - NAMED_SHARE {
            "ground-glass"
        } else {
            "ground-glass and consolidation"
        };
        [side, depth, height, density].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

impl Display for Side {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

impl Display for Lesion {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { volume_ml, zone, largest_extent_mm, mean_hu, p90_hu, .. } = self;
        write!(
            f,
            "{volume_ml:.1} ml, {zone}, {largest_extent_mm:.0} mm, mean {mean_hu:.0} HU, 90 % up to {p90_hu:.0} HU"
        )
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::RightUpper => "right upper",
            Self::RightMiddle => "right middle",
            Self::RightLower => "right lower",
            Self::LeftUpper => "left upper",
            Self::LeftMiddle => "left middle",
            Self::LeftLower => "left lower",
        })
    }
}

impl Display for ZoneScore {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let of_side = |side| Zone::of_side(side).map(|zone| self.zones[zone as usize].score);
        let ([r1, r2, r3], [l1, l2, l3]) = (of_side(Side::Right), of_side(Side::Left));
        write!(f, "{} of 24; upper, middle, lower: right {r1} {r2} {r3}, left {l1} {l2} {l3}", self.total)
    }
}
