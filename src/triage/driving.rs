//! The slabs that drove a score: where a person should look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::TableRow;
use crate::engine::CaseHead;
use crate::exam::SlabIndex;

/// A person looks at a few.
const MOST_DRIVING_SLABS: usize = 3;

/// A slab and what it adds to the case logit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DrivingSlab {
    pub slab: SlabIndex,
    /// Mean position of its slices, mm.
    pub z_mm: f64,
    /// Its attention weight times its logit, calibrated: the logit of the case probability is the sum of these and a constant.
    pub contribution: f64,
}

/// The slabs that add most to the case logit, the largest addition first; those that add nothing are left out.
#[must_use]
pub fn driving_slabs(rows: &[TableRow<'_>], head: &CaseHead) -> Vec<DrivingSlab> {
    let attention = |row: &TableRow<'_>| f64::from(row.evidence.attention);
    let highest = rows.iter().map(attention).fold(f64::NEG_INFINITY, f64::max);
    let weight = |row: &TableRow<'_>| (attention(row) - highest).exp();
    let weights: f64 = rows.iter().map(weight).sum();
    let contribution = |row: &TableRow<'_>| {
        let added = weight(row) / weights * f64::from(row.evidence.logit) * head.calibration_slope;
        DrivingSlab { slab: row.slab, z_mm: row.z_mm, contribution: added }
    };
    let mut slabs: Vec<DrivingSlab> = rows.iter().map(contribution).filter(|slab| slab.contribution > 0.0).collect();
    slabs.sort_by(|one, other| other.contribution.total_cmp(&one.contribution).then(one.slab.cmp(&other.slab)));
    slabs.truncate(MOST_DRIVING_SLABS);
    slabs
}

#[cfg(test)]
mod tests {
    use super::super::evidence::tests::{loose_rows, masks};
    use super::super::{SlabEvidence, case_score};
    use super::*;

    const HEAD: CaseHead = CaseHead { bias: 0.0, calibration_slope: 1.0, calibration_intercept: 0.0, lesions: None };

    #[test]
    fn the_slabs_with_weight_and_logit_drive_the_score_and_those_against_it_do_not() {
        let evidence = |attention, logit| SlabEvidence { attention, logit, ..masks(1, &[], &[]) };
        let slabs = [
            evidence(0.0, 9.0),
            evidence(2.0, 4.0),
            evidence(3.0, -5.0),
            evidence(1.0, 4.0),
            evidence(-3.0, 4.0),
            evidence(-60.0, 50.0),
        ];
        let rows = loose_rows(&slabs, &[0.0, 3.0, 6.0, 9.0, 12.0, 15.0]);
        let driving = driving_slabs(&rows, &HEAD);
        assert_eq!(driving.iter().map(|slab| slab.z_mm).collect::<Vec<_>>(), [3.0, 9.0, 0.0]);
        assert!(driving_slabs(&[], &HEAD).is_empty());
    }

    #[test]
    fn the_contributions_of_all_slabs_add_up_to_the_case_logit() {
        let slabs: Vec<SlabEvidence> = [(0.5, 1.0), (1.0, 2.0), (-1.0, 0.5)]
            .map(|(attention, logit)| SlabEvidence { attention, logit, ..masks(1, &[], &[]) })
            .into();
        let sum: f64 =
            driving_slabs(&loose_rows(&slabs, &[0.0, 3.0, 6.0]), &HEAD).iter().map(|slab| slab.contribution).sum();
        let score = case_score(slabs.iter(), &HEAD).unwrap();
        assert!((sum - (score / (1.0 - score)).ln()).abs() < 1e-9);
    }
}
