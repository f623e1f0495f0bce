//! Which series are one acquisition that a scanner or an archive has parted: the same in all that volumes differ by, with slices that
//! go on where those of the other end, or fill its holes.

use super::division::{PAUSE_MS, marks};
use super::{SliceHeader, Spacing};

/// Positions nearer than this are one position, mm.
const SAME_PLACE_MM: f64 = 0.1;

/// Distances of slices within this share of each other are the same.
const SAME_SHARE: f64 = 0.25;

/// Fewer slices than this do not show how far apart they lie.
const FEWEST_SLICES: usize = 3;

/// Wider holes than this are holes whatever the distance of the slices is, mm.
const WIDEST_MM: f64 = 10.0;

/// The series, named by their Series Instance UIDs and in the order of these, in groups of one acquisition each.
#[must_use]
pub fn joined(series: &[(&str, Vec<&SliceHeader>)]) -> Vec<Vec<String>> {
    let mut groups: Vec<(Vec<String>, Vec<&SliceHeader>)> = Vec::new();
    for (uid, slices) in series {
        let found = groups.iter_mut().find(|(_, of_group)| are_one_acquisition(of_group, slices));
        match found {
            Some((names, of_group)) => {
                names.push((*uid).to_owned());
                of_group.extend(slices);
            }
            None => groups.push((vec![(*uid).to_owned()], slices.clone())),
        }
    }
    groups.into_iter().map(|(names, _)| names).collect()
}

fn are_one_acquisition(one: &[&SliceHeader], other: &[&SliceHeader]) -> bool {
    if one.len() < FEWEST_SLICES || other.len() < FEWEST_SLICES {
        return false;
    }
    let (first, acquisition) = (one[0], &one[0].acquisition);
    let is_alike = |slice: &&&SliceHeader| {
        marks(slice) == marks(first)
            && slice.geometry.in_plane == first.geometry.in_plane
            && slice.acquisition.is_secondary == acquisition.is_secondary
    };
    // Without a common frame of reference and a common number positions may be those of two scans.
    let is_named = !acquisition.frame_of_reference_uid.is_empty() && !acquisition.number.is_empty();
    is_named
        && one.iter().chain(other).all(|slice| is_alike(&slice))
        && are_near_in_time(one, other)
        && complete_each_other(&positions_mm(one), &positions_mm(other))
}

fn are_near_in_time(one: &[&SliceHeader], other: &[&SliceHeader]) -> bool {
    let range = |slices: &[&SliceHeader]| {
        let mut times: Vec<i64> = slices.iter().filter_map(|slice| slice.acquisition.time_ms).collect();
        times.sort_unstable();
        Some((*times.first()?, *times.last()?))
    };
    let apart = range(one).zip(range(other)).map(|(one, other)| (other.0 - one.1).max(one.0 - other.1));
    apart.is_none_or(|apart| apart < PAUSE_MS)
}

fn positions_mm(slices: &[&SliceHeader]) -> Vec<f64> {
    let mut positions: Vec<f64> = slices.iter().map(|slice| slice.geometry.z_mm).collect();
    positions.sort_by(f64::total_cmp);
    positions
}

/// Whether ascending positions are those of one scan together and not each for itself.
fn complete_each_other(one: &[f64], other: &[f64]) -> bool {
    let mut all = [one, other].concat();
    all.sort_by(f64::total_cmp);
    if all.windows(2).any(|pair| pair[1] - pair[0] < SAME_PLACE_MM) {
        return false;
    }
    let spacing = |positions: &[f64]| Spacing::of(positions, 0.0, WIDEST_MM);
    let (of_one, of_other, of_all) = (spacing(one), spacing(other), spacing(&all));
    let gaps = of_one.gaps.len() + of_other.gaps.len();
    if gaps > 0 {
        return of_all.gaps.len() < gaps && of_all.changes.is_empty();
    }
    let is_same = |other_mm: f64| (other_mm - of_all.usual_mm).abs() <= SAME_SHARE * of_all.usual_mm;
    of_all.gaps.is_empty() && of_all.changes.is_empty() && is_same(of_one.usual_mm) && is_same(of_other.usual_mm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exam::{AcquisitionParameters, SliceGeometry, made_header};

    fn slices(positions_mm: impl IntoIterator<Item = f64>, number: &str) -> Vec<SliceHeader> {
        let slice = |z_mm| SliceHeader {
            thickness_mm: Some(2.0),
            acquisition: AcquisitionParameters {
                frame_of_reference_uid: "1.2".to_owned(),
                number: number.to_owned(),
                ..AcquisitionParameters::default()
            },
            ..made_header(SliceGeometry::new(2, 2, [0.0, 0.0, z_mm], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [6.0; 2]).unwrap())
        };
        positions_mm.into_iter().map(slice).collect()
    }

    fn are_joined(one: &[SliceHeader], other: &[SliceHeader]) -> bool {
        joined(&[("1.1", one.iter().collect()), ("1.2", other.iter().collect())]).len() == 1
    }

    fn every(step: f64, from: f64, count: i32) -> impl Iterator<Item = f64> {
        (0..count).map(move |at| from + step * f64::from(at))
    }

    #[test]
    fn series_that_go_on_where_the_other_ends_or_fill_its_holes_are_joined() {
        assert!(are_joined(&slices(every(2.0, 0.0, 50), "1"), &slices(every(2.0, 100.0, 50), "1")));
        let holes: Vec<f64> = every(2.0, 0.0, 50).filter(|z| z % 14.0 < 7.0).collect();
        let rest: Vec<f64> = every(2.0, 0.0, 50).filter(|z| z % 14.0 >= 7.0).collect();
        assert!(are_joined(&slices(holes, "1"), &slices(rest, "1")));
    }

    #[test]
    fn other_acquisitions_reconstructions_and_scans_elsewhere_are_not() {
        let chest = slices(every(2.0, 0.0, 50), "1");
        assert!(!are_joined(&chest, &slices(every(2.0, 100.0, 50), "2")), "another number");
        assert!(!are_joined(&chest, &slices(every(2.0, 0.0, 50), "1")), "the same positions");
        assert!(!are_joined(&chest, &slices(every(2.0, 1.0, 50), "1")), "whole scans that lie one in the other");
        assert!(!are_joined(&chest, &slices(every(2.0, 400.0, 50), "1")), "far below");
        assert!(!are_joined(&chest, &slices(every(5.0, 100.0, 20), "1")), "thicker");
    }
}
