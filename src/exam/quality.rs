//! Acquisition quality: what the technician can still mend while the patient lies on the table.

use serde::{Deserialize, Serialize};

/// When an acquisition is found wanting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QualityLimits {
    /// A distance between neighbouring slices beyond this hides lesions that matter: no negative verdict over it, mm.
    pub max_gap_mm: f64,
    /// More lung than this on the outermost slab means that the scan begins or ends inside the lungs, cm².
    pub cut_off_lung_cm2: f64,
    /// Less lung than this is not a chest CT that can be judged, ml.
    pub min_lung_ml: f64,
    /// A lung with less than this share of the other's volume is dense, collapsed or gone: no negative verdict without it.
    /// A healthy left lung has about 0.85 of the right one.
    pub min_lung_ratio: f64,
    /// Lungs that fill less than this share of the chest, from their lowest to their uppermost slab, are largely dense or
    /// hardly inflated: no negative verdict on what is left.
    pub min_chest_share: f64,
    /// Fewer slices than this are not judged.
    pub min_slices: usize,
}

impl Default for QualityLimits {
    fn default() -> Self {
        Self {
            max_gap_mm: 10.0,
            cut_off_lung_cm2: 25.0,
            min_lung_ml: 800.0,
            min_lung_ratio: 0.5,
            min_chest_share: 0.12,
            min_slices: 10,
        }
    }
}

/// Something about the acquisition that a person should know of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QualityIssue {
    /// The uppermost slab shows lung: the apex was not scanned.
    ApexCutOff { lung_cm2: f64, z_mm: f64 },
    /// The lowest slab shows lung: the base was not scanned.
    BaseCutOff { lung_cm2: f64, z_mm: f64 },
    /// Slices are missing between two positions.
    Gap { from_z_mm: f64, to_z_mm: f64 },
    /// More than one instance at a position.
    DuplicatePosition { z_mm: f64 },
    /// Slices that were received and cannot be analysed.
    DefectiveSlices { count: usize, reason: String },
}

impl std::fmt::Display for QualityIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ApexCutOff { lung_cm2, .. } => {
                write!(f, "the lung apex is cut off: {lung_cm2:.0} cm² of lung on the uppermost slice")
            }
            Self::BaseCutOff { lung_cm2, .. } => {
                write!(f, "the lung base is cut off: {lung_cm2:.0} cm² of lung on the lowest slice")
            }
            Self::Gap { from_z_mm, to_z_mm } => {
                write!(f, "slices are missing between z = {from_z_mm:.1} mm and z = {to_z_mm:.1} mm")
            }
            Self::DuplicatePosition { z_mm } => write!(f, "more than one slice at z = {z_mm:.1} mm"),
            Self::DefectiveSlices { count, reason } => write!(f, "{count} slices cannot be analysed: {reason}"),
        }
    }
}

/// A gap is wider than the series' usual distance times this.
const GAP_FACTOR: f64 = 1.5;

/// Holes in the series: pairs of ascending neighbours that stand further apart than the
/// series' median distance explains, or than `max_gap_mm` in any case.
#[must_use]
pub fn gaps(positions_mm: &[f64], max_gap_mm: f64) -> Vec<(f64, f64)> {
    let mut distances: Vec<f64> = positions_mm.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_by(f64::total_cmp);
    let Some(median) = distances.get(distances.len() / 2).copied() else { return Vec::new() };
    positions_mm
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > (median * GAP_FACTOR).min(max_gap_mm))
        .map(|pair| (pair[0], pair[1]))
        .collect()
}

/// How much lung a slab shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LungArea {
    pub z_mm: f64,
    pub lung_cm2: f64,
}

/// What a finished series' positions and its slabs' lung areas, both in ascending z, say of its acquisition.
#[must_use]
pub fn issues(
    positions_mm: &[f64],
    double_positions_mm: &[f64],
    lung: &[LungArea],
    limits: &QualityLimits,
) -> Vec<QualityIssue> {
    let cut_off = |area: Option<&LungArea>| area.copied().filter(|area| area.lung_cm2 > limits.cut_off_lung_cm2);
    let apex = cut_off(lung.last()).map(|LungArea { z_mm, lung_cm2 }| QualityIssue::ApexCutOff { lung_cm2, z_mm });
    let base = cut_off(lung.first()).map(|LungArea { z_mm, lung_cm2 }| QualityIssue::BaseCutOff { lung_cm2, z_mm });
    let gaps = gaps(positions_mm, limits.max_gap_mm)
        .into_iter()
        .map(|(from_z_mm, to_z_mm)| QualityIssue::Gap { from_z_mm, to_z_mm });
    let doubles = double_positions_mm.iter().map(|z_mm| QualityIssue::DuplicatePosition { z_mm: *z_mm });
    apex.into_iter().chain(base).chain(gaps).chain(doubles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_dropped_slice_is_a_gap_and_even_spacing_is_none() {
        assert_eq!(gaps(&[0.0, 2.0, 4.0, 8.0, 10.0], 10.0), [(4.0, 8.0)]);
        assert_eq!(gaps(&[0.0, 5.0, 10.0], 10.0), []);
        assert_eq!(gaps(&[], 10.0), []);
        assert_eq!(gaps(&[0.0, 20.0, 40.0], 10.0).len(), 2, "slices that are all far apart leave as much unseen");
    }

    #[test]
    fn lung_on_the_uppermost_slab_means_that_the_apex_is_cut_off() {
        let lung = [LungArea { z_mm: 0.0, lung_cm2: 0.0 }, LungArea { z_mm: 3.0, lung_cm2: 45.0 }];
        let found = issues(&[0.0, 3.0], &[], &lung, &QualityLimits::default());
        assert_eq!(found, [QualityIssue::ApexCutOff { lung_cm2: 45.0, z_mm: 3.0 }]);
    }
}
