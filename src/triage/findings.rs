//! What the evidence so far amounts to: lungs, lesions, their pattern. A fold over the table, like the score.

use super::evidence::TableRow;
use super::lesions::{Lesion, lesions};
use super::lungs::Lungs;
use super::pattern::Pattern;
use super::report::LesionSummary;
use crate::exam::Lps;
use crate::preprocess::InputGeometry;

/// What was found in a series, whole or so far.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub lungs: Lungs,
    /// Largest first.
    pub lesions: Vec<Lesion>,
    pub lesion_summary: LesionSummary,
    pub pattern: Pattern,
}

impl Findings {
    /// What the rows show; `plane_centre` is the patient's position of the plane's centre.
    #[must_use]
    pub fn of(table: &[TableRow<'_>], input: &InputGeometry, plane_centre: Lps) -> Self {
        let lungs = Lungs::find(table, input);
        let lesions = lesions(table, &lungs, input, plane_centre);
        let volume_ml: f64 = lesions.iter().map(|lesion| lesion.volume_ml).sum();
        let lung_share = if lungs.volume_ml > 0.0 { volume_ml / lungs.volume_ml } else { 0.0 };
        let lesion_summary = LesionSummary { count: lesions.len(), volume_ml, lung_share };
        let pattern = Pattern::of(&lesions);
        Self { lungs, lesions, lesion_summary, pattern }
    }
}
