//! Every phrase about a verdict, and the report as text: what was found, and why the verdict is what it is. Words about the
//! acquisition come from `exam`.

use std::fmt::{Display, Formatter, Result};

use super::density::HIGH_OPACITY_HU;
use super::lesions::{Lesion, LesionSummary};
use super::pattern::{NAMED_SHARE, Pattern, PatternKind};
use super::reason::{Reason, Verdict};
use super::report::{CaseReport, SliceCounts};
use super::zones::{Side, Zone, ZoneScore};
use crate::exam::{QualityIssue, QualityKind};
use crate::texts::Phrase;
use crate::words::counted;

/// Lesions of which the text says each; the JSON has them all.
const LISTED_LESIONS: usize = 5;

impl Reason {
    #[must_use]
    pub fn phrase(&self) -> Phrase {
        let of = Phrase::new;
        let reason = match self {
            Self::Opacities { pattern, lesions, score } => opacities(pattern, lesions, *score),
            Self::Mass { volume_ml, side } => {
                of("reason.mass").figure("volume", *volume_ml, 0).with("side", side.phrase())
            }
            Self::DenseLung { side, aerated_ml, other_ml } => {
                let dense = of("reason.dense_lung").with("side", side.phrase());
                dense.figure("aerated", *aerated_ml, 0).figure("other", *other_ml, 0)
            }
            Self::DenseLungs { lung_ml, chest_share } => {
                of("reason.dense_lungs").figure("volume", *lung_ml, 0).figure("share", chest_share * 100.0, 0)
            }
            Self::DenseThird { zone, aerated_ml, other_ml } => {
                let dense = of("reason.dense_third").with("zone", zone.phrase());
                dense.figure("aerated", *aerated_ml, 0).figure("other", *other_ml, 0)
            }
            Self::NoOpacities { score, is_rim } => {
                let text = if *is_rim { "reason.no_opacities_but_rim" } else { "reason.no_opacities" };
                of(text).figure("score", *score, 2)
            }
            Self::AllObjectsRefused { count: 1, refusal } => {
                of("reason.only_object_refused").with("refusal", Phrase::english(refusal))
            }
            Self::AllObjectsRefused { count, refusal } => {
                of("reason.all_objects_refused").with("count", *count).with("refusal", Phrase::english(refusal))
            }
            Self::RefusedAndStoredSince { count: 1 } => of("reason.refused_object_stored"),
            Self::RefusedAndStoredSince { count } => of("reason.refused_objects_stored").with("count", *count),
            Self::NoUsableSlice { count: 1, defect } => {
                of("reason.only_slice_unusable").with("defect", Phrase::english(defect))
            }
            Self::NoUsableSlice { count, defect } => {
                of("reason.no_slice_usable").with("count", *count).with("defect", Phrase::english(defect))
            }
            Self::NoAxialSlice => of("reason.no_axial_slice"),
            Self::EngineFailure { failure } => Phrase::english(failure),
            Self::FewPositions { issue } => of("reason.few_positions").with("issue", issue.phrase()),
            Self::TooFewSlices { usable, at_least } => {
                of("reason.too_few_slices").with("count", *usable).with("at_least", *at_least)
            }
            Self::TooFewSlicesLeft { usable, refused } => {
                of("reason.too_few_slices_left").with("count", *usable).with("refused", refused.phrase())
            }
            Self::NoSlabJudged => of("reason.no_slab_judged"),
            Self::SpineInFront => of("reason.spine_in_front"),
            Self::NoLung { lung_ml } => of("reason.no_lung").figure("volume", *lung_ml, 0),
            Self::TooManyDefective { defective, slices, defect } => {
                let many = of("reason.too_many_defective").with("defective", *defective).with("slices", *slices);
                many.with("defect", Phrase::english(defect))
            }
            Self::MisleadingField { issue, is_above: false } => issue.phrase(),
            Self::MisleadingField { issue, is_above: true } => {
                of("reason.misleading_field").with("issue", issue.phrase())
            }
            Self::Quality { issue } => quality(issue),
            Self::UnknownChestShare => of("reason.unknown_chest_share"),
            Self::NoSpine => of("reason.no_spine"),
        };
        match self.verdict() {
            Verdict::Abnormal => of("reason.must_look").with("reason", reason),
            _ => reason,
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.phrase().fmt(f)
    }
}

/// COVID-19 cannot be told from another pneumonia: these words must never claim it.
fn opacities(pattern: &Pattern, lesions: &LesionSummary, score: f64) -> Phrase {
    let LesionSummary { count, volume_ml, lung_share, .. } = lesions;
    let opacities = match pattern.kind {
        PatternKind::None => Phrase::new("reason.opacities"),
        _ => Phrase::new("reason.opacities_of").with("pattern", pattern.phrase()),
    };
    let opacities = opacities.figure("score", score, 2).with("count", *count);
    opacities.figure("volume", *volume_ml, 0).figure("share", lung_share * 100.0, 1)
}

/// What an issue hides, where its own words do not say so.
fn quality(issue: &QualityIssue) -> Phrase {
    match issue.kind {
        QualityKind::Gap { from_z_mm, to_z_mm } => {
            let gap = Phrase::new("reason.gap").figure("width", to_z_mm - from_z_mm, 0);
            gap.figure("from", from_z_mm, 0).figure("to", to_z_mm, 0)
        }
        QualityKind::ApexCutOff { .. } | QualityKind::BaseCutOff { .. } => {
            Phrase::new("reason.cut_off").with("issue", issue.phrase())
        }
        _ => issue.phrase(),
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
            writeln!(f, "  pattern   {}", self.pattern.phrase())?;
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
    pub fn phrase(&self) -> Phrase {
        let side = match (self.bilateral, self.right_share > 0.5) {
            (true, _) => "pattern.bilateral",
            (false, true) => "pattern.right_lung",
            (false, false) => "pattern.left_lung",
        };
        let depth = if self.peripheral_share >= NAMED_SHARE {
            Some("pattern.peripheral")
        } else if self.peripheral_share <= 1.0 - NAMED_SHARE {
            Some("pattern.central")
        } else {
            None
        };
        let height = if self.basal_share >= NAMED_SHARE {
            Some("pattern.basal")
        } else if self.apical_share >= NAMED_SHARE {
            Some("pattern.apical")
        } else {
            None
        };
        let density = if self.consolidation_share >= NAMED_SHARE {
            "pattern.consolidation"
        } else if self.consolidation_share <= 1.0 - NAMED_SHARE {
            "pattern.ground_glass"
        } else {
            "pattern.mixed"
        };
        let named = [Some(side), depth, height, Some(density)];
        Phrase::joined("join.comma", named.into_iter().flatten().map(Phrase::new))
    }
}

impl Side {
    #[must_use]
    pub fn phrase(self) -> Phrase {
        Phrase::new(match self {
            Self::Left => "side.left",
            Self::Right => "side.right",
        })
    }
}

impl Display for Side {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.phrase().fmt(f)
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

impl Zone {
    #[must_use]
    pub fn phrase(self) -> Phrase {
        Phrase::new(match self {
            Self::RightUpper => "zone.right_upper",
            Self::RightMiddle => "zone.right_middle",
            Self::RightLower => "zone.right_lower",
            Self::LeftUpper => "zone.left_upper",
            Self::LeftMiddle => "zone.left_middle",
            Self::LeftLower => "zone.left_lower",
        })
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.phrase().fmt(f)
    }
}

impl Display for ZoneScore {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let of_side = |side| Zone::of_side(side).map(|zone| self.zones[zone as usize].score);
        let ([r1, r2, r3], [l1, l2, l3]) = (of_side(Side::Right), of_side(Side::Left));
        write!(f, "{} of 24; upper, middle, lower: right {r1} {r2} {r3}, left {l1} {l2} {l3}", self.total)
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
