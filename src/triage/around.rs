//! What lies around a step in the anatomy: a patient who moved is one explanation, slices that do not belong together are another.

use crate::exam::{Doubt, PreparedSlice, Series, SliceGeometry, SliceHeader, Spacing};

/// Images whose centres lie further apart than this show other parts of the patient, mm.
const SAME_CENTRE_MM: f64 = 1.0;

/// What may explain a step otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Explanation {
    /// The images show another part of the plane from one slice to the next: that is no step of the patient.
    OtherFrame,
    Doubt(Doubt),
}

/// Why the anatomy may change between two positions although the patient lay still; `None` where nothing explains it.
#[must_use]
pub(super) fn explanation(series: &Series, spacing: &Spacing, [low, high]: [f64; 2]) -> Option<Explanation> {
    let is_there = |z_mm: f64| (low..=high).contains(&z_mm);
    let slices: Vec<&PreparedSlice> = series.slices().filter(|slice| is_there(slice.header.geometry.z_mm)).collect();
    let pairs = || slices.windows(2).map(|pair| (&pair[0].header, &pair[1].header));
    if pairs().any(|(one, other)| !is_framed_alike(&one.geometry, &other.geometry)) {
        return Some(Explanation::OtherFrame);
    }
    let is_made_alike = |(one, other): (&SliceHeader, &SliceHeader)| {
        let made = |header: &SliceHeader| {
            let acquisition = &header.acquisition;
            (acquisition.kernel.clone(), acquisition.contrast_agent.clone(), acquisition.patient_position.clone())
        };
        made(one) == made(other) && one.thickness_mm == other.thickness_mm
    };
    if !pairs().all(is_made_alike) {
        return Some(Explanation::Doubt(Doubt::Mixed));
    }
    let reaches_there = |from: f64, to: f64| from <= high && to >= low;
    let uneven = spacing.gaps.iter().any(|(from, to)| reaches_there(*from, *to))
        || spacing.changes.iter().any(|change| is_there(change.from_z_mm) || is_there(change.to_z_mm));
    let double = spacing.doubles.iter().chain(&series.double_positions_mm()).any(|z_mm| is_there(*z_mm));
    (uneven || double).then_some(Explanation::Doubt(Doubt::Positions))
}

fn is_framed_alike(one: &SliceGeometry, other: &SliceGeometry) -> bool {
    let is_near = |axis: usize| (one.centre[axis] - other.centre[axis]).abs() <= SAME_CENTRE_MM;
    let frame = |geometry: &SliceGeometry| (geometry.rows, geometry.columns, geometry.in_plane);
    is_near(0) && is_near(1) && frame(one) == frame(other)
}

#[cfg(test)]
#[path = "around_tests.rs"]
mod tests;
