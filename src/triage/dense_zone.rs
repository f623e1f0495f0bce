//! A part of one lung that is dense or missing compared with the same part of the other: a collapsed lobe, a large mass, an
//! effusion. A model that draws pneumonia draws these or does not; the lungs' shape shows them either way.

use super::lesions::Lesion;
use super::zones::Side;
use super::zones::{PerZone, Zone, ZoneScore};

/// What a healthy left third has of the right one's volume, from above, and down to which part of that it is still one of a healthy
/// patient. Of nine patients without consolidation the left upper third has 0.90 to 1.11 of the right one, the middle third 0.76 to
/// 1.04, the lower one, over domes of any height, 0.54 to 1.01; of two with a mass or a dense lobe 1.49 and 0.51.
const THIRDS: [Third; 3] = [
    Third { left_share: 1.0, least: 0.7 },
    Third { left_share: 0.88, least: 0.7 },
    Third { left_share: 0.85, least: 0.45 },
];

/// Thirds of less than this, both sides together, are not compared, ml.
const LEAST_ML: f64 = 200.0;

struct Third {
    left_share: f64,
    least: f64,
}

/// A third of a lung with too little air in it against the other side's, volumes without consolidation, ml.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DenseZone {
    pub zone: Zone,
    pub aerated_ml: f64,
    pub other_ml: f64,
}

/// The third that lacks most air, if one does. Consolidation is no air, whether a model draws it or leaves it out.
#[must_use]
pub(super) fn dense_zone(zones: &ZoneScore, lesions: &[Lesion]) -> Option<DenseZone> {
    let mut aerated = PerZone::default();
    zones.zones.iter().for_each(|zone| aerated[zone.zone] = zone.lung_ml);
    for lesion in lesions {
        aerated[lesion.zone] -= lesion.volume_ml * lesion.consolidation_share;
    }
    let [right, left] =
        [Side::Right, Side::Left].map(|side| Zone::of_side(side).map(|zone| (zone, aerated[zone].max(0.0))));
    let lacking = THIRDS.iter().zip(right.into_iter().zip(left)).filter_map(|(third, (right, left))| {
        let expected_left = right.1 * third.left_share;
        let ((zone, aerated_ml), other_ml, share) = if left.1 < expected_left {
            (left, right.1, left.1 / expected_left)
        } else {
            (right, left.1, expected_left / left.1)
        };
        let lacks = (share / third.least, DenseZone { zone, aerated_ml, other_ml });
        (right.1 + left.1 >= LEAST_ML && share < third.least).then_some(lacks)
    });
    lacking.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, zone)| zone)
}

#[cfg(test)]
mod tests {
    use super::super::lesions::tests::lesion;
    use super::*;

    /// Right and left from above.
    fn zones(right: [f64; 3], left: [f64; 3]) -> ZoneScore {
        let mut lung = PerZone::default();
        for (side, volumes) in [(Side::Right, right), (Side::Left, left)] {
            Zone::of_side(side).into_iter().zip(volumes).for_each(|(zone, ml)| lung[zone] = ml);
        }
        ZoneScore::of(&lung, &PerZone::default()).unwrap()
    }

    const RIGHT: [f64; 3] = [600.0, 1000.0, 800.0];

    #[test]
    fn healthy_lungs_and_a_high_dome_have_no_dense_zone() {
        for left in [[600.0, 880.0, 680.0], [540.0, 760.0, 430.0], [670.0, 1040.0, 1000.0]] {
            assert_eq!(dense_zone(&zones(RIGHT, left), &[]), None, "{left:?}");
        }
        assert_eq!(dense_zone(&zones([50.0; 3], [10.0; 3]), &[]), None, "too little to tell");
    }

    #[test]
    fn a_third_that_is_missing_is_named_on_either_side() {
        let found = |right, left| dense_zone(&zones(right, left), &[]).map(|dense| dense.zone);
        assert_eq!(found(RIGHT, [600.0, 450.0, 680.0]), Some(Zone::LeftMiddle));
        assert_eq!(found([350.0, 1000.0, 800.0], [600.0, 880.0, 680.0]), Some(Zone::RightUpper));
        assert_eq!(found([600.0, 1000.0, 150.0], [600.0, 880.0, 680.0]), Some(Zone::RightLower));
    }

    #[test]
    fn consolidation_that_is_drawn_counts_as_no_air() {
        let healthy = zones(RIGHT, [600.0, 880.0, 680.0]);
        let lobe = Lesion { zone: Zone::LeftMiddle, consolidation_share: 0.9, ..lesion(500.0, Side::Left) };
        assert_eq!(dense_zone(&healthy, std::slice::from_ref(&lobe)).map(|dense| dense.zone), Some(Zone::LeftMiddle));
        assert_eq!(dense_zone(&healthy, &[Lesion { consolidation_share: 0.1, ..lobe }]), None);
    }
}
