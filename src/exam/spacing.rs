//! How a series' slices stand along z: holes, and stretches where they stand otherwise than in the rest.

/// What the positions of a series' slices say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spacing {
    /// The usual distance of neighbours: the median, mm; 0 for fewer than two slices.
    pub usual_mm: f64,
    /// Pairs of ascending neighbours between which slices are missing.
    pub gaps: Vec<(f64, f64)>,
    pub changes: Vec<Stretch>,
    /// Positions beside which others lie that are the same place but for rounding.
    pub doubles: Vec<f64>,
}

/// A part of the scan whose slices stand closer or further apart than usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub from_z_mm: f64,
    pub to_z_mm: f64,
    /// The mean distance of neighbours within, mm.
    pub spacing_mm: f64,
}

/// Positions closer than this are one place: reconstructions of one acquisition differ by hundredths of a millimetre where their
/// headers round otherwise, and no scanner's slices lie so close.
pub(super) const SAME_PLACE_MM: f64 = 0.1;

/// A gap is wider than the series' usual distance times this.
const GAP_FACTOR: f64 = 1.5;

/// Distances within this share of each other are the same: positions are rounded to a tenth of a millimetre at worst.
const SAME_SHARE: f64 = 0.25;

/// Where this share of the distances is not the usual one, they take turns: two reconstructions lie in one another. Slices that
/// touch show all that there is.
const TURNS_SHARE: f64 = 1.0 / 3.0;

/// This many neighbouring wide distances of the same size are another spacing and no missing slices.
const MIN_STRETCH: usize = 3;

impl Spacing {
    /// Looks at ascending positions of slices of this thickness, mm; 0 where it is not known. A distance beyond `max_gap_mm` is
    /// always a gap, unless all are that wide.
    #[must_use]
    pub fn of(positions_mm: &[f64], thickness_mm: f64, max_gap_mm: f64) -> Self {
        let (places, doubles) = places(positions_mm);
        let mut sorted: Vec<f64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
        sorted.sort_by(f64::total_cmp);
        let Some(usual_mm) = sorted.get(sorted.len() / 2).copied() else { return Self { doubles, ..Self::default() } };
        let widest_mm = if usual_mm > max_gap_mm { f64::INFINITY } else { max_gap_mm };
        let mut spacing = Self { usual_mm, doubles, ..Self::default() };
        let distance = |pair: &[f64]| pair[1] - pair[0];
        let is_same = |a: &[f64], b: &[f64]| (distance(a) - distance(b)).abs() <= SAME_SHARE * usual_mm;
        if let Some(whole) = taking_turns(&places, usual_mm, thickness_mm) {
            spacing.changes.push(whole);
            return spacing;
        }
        let pairs: Vec<&[f64]> = places.windows(2).collect();
        for run in pairs.chunk_by(|a, b| is_same(a, b)) {
            let (from_z_mm, to_z_mm) = (run[0][0], run[run.len() - 1][1]);
            let spacing_mm = (to_z_mm - from_z_mm) / run.len() as f64;
            let is_usual = (spacing_mm - usual_mm).abs() <= SAME_SHARE * usual_mm;
            let is_stretch = spacing_mm < usual_mm || run.len() >= MIN_STRETCH;
            let is_narrow = run.iter().all(|pair| distance(pair) <= widest_mm);
            if !is_usual && is_stretch && is_narrow {
                spacing.changes.push(Stretch { from_z_mm, to_z_mm, spacing_mm });
            } else {
                let limit_mm = (usual_mm * GAP_FACTOR).min(widest_mm);
                let gaps = run.iter().filter(|pair| distance(pair) > limit_mm);
                spacing.gaps.extend(gaps.map(|pair| (pair[0], pair[1])));
            }
        }
        spacing
    }
}

/// The whole of a series whose slices touch although many of their distances differ from the usual one, with the distance of those.
fn taking_turns(places: &[f64], usual_mm: f64, thickness_mm: f64) -> Option<Stretch> {
    let distances = || places.windows(2).map(|pair| pair[1] - pair[0]);
    let unusual: Vec<f64> =
        distances().filter(|distance| (distance - usual_mm).abs() > SAME_SHARE * usual_mm).collect();
    let (first, last) = (places.first()?, places.last()?);
    let touch = distances().all(|distance| distance <= thickness_mm + SAME_PLACE_MM);
    let take_turns = places.len() > MIN_STRETCH && unusual.len() as f64 >= TURNS_SHARE * (places.len() - 1) as f64;
    (touch && take_turns).then(|| Stretch {
        from_z_mm: *first,
        to_z_mm: *last,
        spacing_mm: unusual.iter().sum::<f64>() / unusual.len() as f64,
    })
}

/// The places that ascending positions are at, and those of them that several are at, mm.
fn places(positions_mm: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut places, mut doubles) = (Vec::new(), Vec::new());
    for z_mm in positions_mm {
        match places.last() {
            Some(place) if z_mm - place < SAME_PLACE_MM => {
                if doubles.last() != Some(place) {
                    doubles.push(*place);
                }
            }
            _ => places.push(*z_mm),
        }
    }
    (places, doubles)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(positions_mm: &[f64]) -> Spacing {
        Spacing::of(positions_mm, 0.0, 10.0)
    }

    /// Positions from 0 on with these distances.
    fn positions(distances_mm: &[f64]) -> Vec<f64> {
        let mut z_mm = 0.0;
        std::iter::once(0.0)
            .chain(distances_mm.iter().map(|distance| {
                z_mm += distance;
                z_mm
            }))
            .collect()
    }

    #[test]
    fn a_dropped_slice_is_a_gap_and_even_spacing_is_none() {
        assert_eq!(of(&[0.0, 2.0, 4.0, 8.0, 10.0]).gaps, [(4.0, 8.0)]);
        assert_eq!(of(&[0.0, 5.0, 10.0]).gaps, []);
        assert_eq!(of(&[]), Spacing::default());
        assert_eq!(of(&[3.0]), Spacing::default());
    }

    #[test]
    fn two_reconstructions_a_hundredth_of_a_millimetre_apart_are_double_positions_and_no_gaps() {
        let both: Vec<f64> = (0..100).flat_map(|at| [f64::from(at) * 2.0, f64::from(at) * 2.0 + 0.01]).collect();
        let spacing = of(&both);
        assert_eq!((spacing.usual_mm, spacing.gaps, spacing.changes), (2.0, vec![], vec![]));
        assert_eq!(spacing.doubles.len(), 100);
        assert_eq!(of(&[3.0, 3.01, 3.05]).doubles, [3.0]);
    }

    #[test]
    fn two_reconstructions_in_one_another_leave_no_gap_where_their_slices_touch() {
        let turns = |pair: [f64; 2]| positions(&[pair; 40].concat());
        for pair in [[0.4, 1.6], [1.6, 0.4], [0.7, 1.3]] {
            let spacing = Spacing::of(&turns(pair), 2.0, 10.0);
            let [Stretch { from_z_mm, to_z_mm, .. }] = spacing.changes[..] else { panic!("{spacing:?}") };
            assert!(from_z_mm == 0.0 && (to_z_mm - 80.0).abs() < 1e-9 && spacing.gaps.is_empty(), "{spacing:?}");
        }
        let every_fourth_lost = Spacing::of(&positions(&[2.0, 2.0, 4.0].repeat(20)), 2.0, 10.0);
        assert_eq!((every_fourth_lost.gaps.len(), every_fourth_lost.changes.len()), (20, 0));
    }

    #[test]
    fn slices_that_are_all_far_apart_are_no_gaps_but_a_spacing_beyond_the_limit() {
        let far = of(&[0.0, 20.0, 40.0, 60.0, 100.0]);
        assert_eq!((far.usual_mm, far.gaps), (20.0, vec![(60.0, 100.0)]));
    }

    #[test]
    fn a_hole_beyond_the_limit_is_a_gap_however_often_it_comes() {
        let distances = [vec![2.0; 20], vec![12.0; 4]].concat();
        assert_eq!(of(&positions(&distances)).gaps.len(), 4);
    }

    #[test]
    fn another_spacing_from_some_slice_on_is_a_change_and_no_row_of_gaps() {
        let distances = [vec![2.0; 20], vec![5.0; 8]].concat();
        let spacing = of(&positions(&distances));
        assert_eq!((spacing.usual_mm, spacing.gaps), (2.0, vec![]));
        assert_eq!(spacing.changes, [Stretch { from_z_mm: 40.0, to_z_mm: 80.0, spacing_mm: 5.0 }]);
    }

    #[test]
    fn slices_of_two_scans_that_overlap_are_a_change() {
        let distances = [vec![2.0; 10], vec![1.0; 6], vec![2.0; 10]].concat();
        assert_eq!(of(&positions(&distances)).changes, [Stretch { from_z_mm: 20.0, to_z_mm: 26.0, spacing_mm: 1.0 }]);
        assert_eq!(of(&[0.0, 2.0, 4.0, 4.5, 6.5, 8.5]).changes.len(), 1);
    }

    proptest! {
        #[test]
        fn even_spacing_rounded_to_tenths_says_nothing(
            spacing in prop::sample::select(vec![0.6, 0.625, 0.75, 1.0, 1.25, 2.0, 3.0, 5.0]), first in -500.0_f64..500.0,
        ) {
            let even: Vec<f64> =
                (0..200).map(|at| ((first + f64::from(at) * spacing) * 10.0).round() / 10.0).collect();
            let Spacing { gaps, changes, .. } = of(&even);
            prop_assert_eq!((gaps, changes), (vec![], vec![]));
        }

        #[test]
        fn a_wider_hole_than_the_limit_is_always_found(
            distances in prop::collection::vec(0.5_f64..9.0, 20..60), hole in 10.1_f64..50.0, at in 0_usize..20,
        ) {
            let mut distances = distances;
            distances[at] = hole;
            let widest = of(&positions(&distances)).gaps.iter().map(|(from, to)| to - from).fold(0.0, f64::max);
            prop_assert!((widest - hole).abs() < 1e-6, "{widest}");
        }
    }
}
