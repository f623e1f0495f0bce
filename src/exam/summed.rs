//! Many issues of one kind are shown as one: 153 lines hide what matters in them.

use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::quality::{QualityIssue, QualityKind};

/// More issues of a kind than this are summed up.
const MOST_OF_A_KIND: usize = 3;

/// What the issues of one kind amount to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sum {
    pub count: usize,
    /// Where the lowest and the uppermost of them are, mm.
    pub lowest_z_mm: f64,
    pub highest_z_mm: f64,
    /// How much of the z axis they cover, mm; 0 for what has no length.
    pub length_mm: f64,
}

impl Sum {
    fn of(issues: &[QualityIssue]) -> Self {
        let places = || issues.iter().filter_map(place_mm);
        Self {
            count: issues.len(),
            lowest_z_mm: places().reduce(f64::min).unwrap_or_default(),
            highest_z_mm: places().reduce(f64::max).unwrap_or_default(),
            length_mm: issues.iter().map(|issue| length_mm(&issue.kind)).sum(),
        }
    }
}

/// Sums up what there is more of than people read; the gravest of a kind stands for all of it, in the place of the first.
#[must_use]
pub fn sum_up(issues: Vec<QualityIssue>) -> Vec<QualityIssue> {
    let mut groups: Vec<Vec<QualityIssue>> = Vec::new();
    for issue in issues {
        let is_alike = |others: &&mut Vec<QualityIssue>| {
            others.first().is_some_and(|first| {
                comes_in_numbers(&issue.kind) && discriminant(&first.kind) == discriminant(&issue.kind)
            })
        };
        match groups.iter_mut().find(is_alike) {
            Some(others) => others.push(issue),
            None => groups.push(vec![issue]),
        }
    }
    groups
        .into_iter()
        .flat_map(|alike| if alike.len() > MOST_OF_A_KIND { vec![summed(alike)] } else { alike })
        .collect()
}

fn comes_in_numbers(kind: &QualityKind) -> bool {
    matches!(
        kind,
        QualityKind::Gap { .. }
            | QualityKind::SpacingChange { .. }
            | QualityKind::DuplicatePosition
            | QualityKind::AnatomyStep { .. }
            | QualityKind::DensityJump { .. }
            | QualityKind::RepeatedImages { .. }
    )
}

/// Of jumps without and with a doubt the largest without it stands for all: what needs the patient must not be lost.
fn summed(alike: Vec<QualityIssue>) -> QualityIssue {
    let sum = Sum::of(&alike);
    // The first of equals: the lowest.
    let gravest = alike.into_iter().rev().max_by(|a, b| {
        let weight = |issue: &QualityIssue| (issue.doubt.is_none(), weight(&issue.kind));
        let ((certain, heavy), (other_certain, other_heavy)) = (weight(a), weight(b));
        certain.cmp(&other_certain).then(heavy.total_cmp(&other_heavy))
    });
    gravest.map_or_else(|| QualityIssue::of_series(QualityKind::DuplicatePosition), |issue| issue.standing_for(sum))
}

fn weight(kind: &QualityKind) -> f64 {
    match kind {
        QualityKind::AnatomyStep { times_usual } => *times_usual,
        QualityKind::DensityJump { jump_hu } => *jump_hu,
        QualityKind::RepeatedImages { unseen_mm, .. } => *unseen_mm,
        other => length_mm(other),
    }
}

fn length_mm(kind: &QualityKind) -> f64 {
    match kind {
        QualityKind::Gap { from_z_mm, to_z_mm }
        | QualityKind::SpacingChange { from_z_mm, to_z_mm, .. }
        | QualityKind::RepeatedImages { from_z_mm, to_z_mm, .. } => to_z_mm - from_z_mm,
        _ => 0.0,
    }
}

fn place_mm(issue: &QualityIssue) -> Option<f64> {
    match issue.kind {
        QualityKind::Gap { from_z_mm, .. } | QualityKind::SpacingChange { from_z_mm, .. } => Some(from_z_mm),
        _ => issue.slice.as_ref().map(|slice| slice.z_mm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exam::QualityLimits;

    fn gap(from_z_mm: f64, width_mm: f64) -> QualityIssue {
        QualityIssue::of_series(QualityKind::Gap { from_z_mm, to_z_mm: from_z_mm + width_mm })
    }

    #[test]
    fn many_gaps_are_one_issue_that_keeps_the_widest_and_what_it_hides() {
        let mut gaps: Vec<QualityIssue> = (0..153).map(|at| gap(f64::from(at) * 2.0, 1.99)).collect();
        gaps[70] = gap(140.0, 12.0);
        let summed_up = sum_up([gaps, vec![QualityIssue::of_series(QualityKind::DuplicatePosition)]].concat());
        let [all, double] = summed_up.as_slice() else { panic!("{summed_up:?}") };
        assert!(all.hides_lung(&QualityLimits::default()));
        let Sum { count, lowest_z_mm, highest_z_mm, length_mm } = all.sum.unwrap();
        assert_eq!((count, lowest_z_mm, highest_z_mm), (153, 0.0, 304.0));
        assert!((length_mm - 152.0 * 1.99 - 12.0).abs() < 1e-9);
        assert_eq!(
            all.text,
            "153 gaps from z = 0.0 mm to z = 304.0 mm, 314 mm in all, the widest of 12.0 mm between z = 140.0 mm and z = 152.0 mm: slices are missing"
        );
        assert_eq!(double.sum, None);
        let read = serde_json::from_value::<QualityIssue>(serde_json::to_value(all).unwrap()).unwrap();
        assert_eq!(&read, all);
    }

    #[test]
    fn a_few_are_told_one_by_one() {
        let gaps: Vec<QualityIssue> = (0..3).map(|at| gap(f64::from(at) * 50.0, 4.0)).collect();
        assert_eq!(sum_up(gaps.clone()), gaps);
        assert_eq!(sum_up(Vec::new()), []);
    }
}
