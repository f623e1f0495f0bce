//! The six zones of the lungs and how much of each is lesion.

use serde::{Deserialize, Serialize};

/// The lung a lesion lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Left,
    Right,
}

/// A third of one lung: the thirds are those of the height of both lungs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    RightUpper,
    RightMiddle,
    RightLower,
    LeftUpper,
    LeftMiddle,
    LeftLower,
}

impl Zone {
    /// All zones in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::RightUpper, Self::RightMiddle, Self::RightLower, Self::LeftUpper, Self::LeftMiddle, Self::LeftLower];

    /// The zone at a height in the lungs, 0 at their lowest slab and 1 at their uppermost.
    #[must_use]
    pub fn of(side: Side, height: f64) -> Self {
        let [upper, middle, lower] = Self::of_side(side);
        if height < 1.0 / 3.0 {
            lower
        } else if height < 2.0 / 3.0 {
            middle
        } else {
            upper
        }
    }

    /// The zones of one lung from above.
    #[must_use]
    pub fn of_side(side: Side) -> [Self; 3] {
        match side {
            Side::Right => [Self::RightUpper, Self::RightMiddle, Self::RightLower],
            Side::Left => [Self::LeftUpper, Self::LeftMiddle, Self::LeftLower],
        }
    }
}

/// A value for each zone.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PerZone([f64; 6]);

impl std::ops::Index<Zone> for PerZone {
    type Output = f64;

    fn index(&self, zone: Zone) -> &f64 {
        &self.0[zone as usize]
    }
}

impl std::ops::IndexMut<Zone> for PerZone {
    fn index_mut(&mut self, zone: Zone) -> &mut f64 {
        &mut self.0[zone as usize]
    }
}

impl std::ops::AddAssign for PerZone {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, value)| *sum += value);
    }
}

/// How much of one zone is lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ZoneInvolvement {
    pub zone: Zone,
    /// Lesions included, ml.
    pub lung_ml: f64,
    /// ml.
    pub lesion_ml: f64,
    /// Lesion as a share of the zone's lung, 0 to 1.
    pub share: f64,
    /// 0 for none, 1 below 25 %, 2 from there, 3 from 50 %, 4 from 75 %.
    pub score: u8,
}

/// The extent of disease zone by zone, scored as readers do (Zhou et al., "CT features of coronavirus disease 2019 (COVID-19)
/// pneumonia in 62 patients in Wuhan, China", American Journal of Roentgenology 2020). Readers part the lungs at the carina
/// and the inferior pulmonary veins; here they are parted into thirds of their height. Lung that was not scanned or not
/// drawn is in no zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ZoneScore {
    /// Sum over the zones, 0 to 24.
    pub total: u8,
    pub zones: [ZoneInvolvement; 6],
}

impl ZoneScore {
    /// Scores lungs with lesions, both ml; `None` without lungs, where nothing can be scored.
    #[must_use]
    pub fn of(lung_ml: &PerZone, lesion_ml: &PerZone) -> Option<Self> {
        let zones = Zone::ALL.map(|zone| {
            let (lung_ml, lesion_ml) = (lung_ml[zone], lesion_ml[zone]);
            let share = if lung_ml > 0.0 { lesion_ml / lung_ml } else { 0.0 };
            ZoneInvolvement { zone, lung_ml, lesion_ml, share, score: score(share) }
        });
        let is_lung = zones.iter().any(|zone| zone.lung_ml > 0.0);
        is_lung.then(|| Self { total: zones.iter().map(|zone| zone.score).sum(), zones })
    }
}

fn score(share: f64) -> u8 {
    if share <= 0.0 { 0 } else { 1 + [0.25, 0.5, 0.75].iter().filter(|limit| share >= **limit).count() as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_scores_by_the_share_of_its_lung_that_is_lesion() {
        assert_eq!([0.0, 0.001, 0.249, 0.25, 0.499, 0.5, 0.749, 0.75, 1.0].map(score), [0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn the_score_is_the_sum_over_zones_and_absent_without_lungs() {
        let (mut lung, mut lesion) = (PerZone::default(), PerZone::default());
        assert_eq!(ZoneScore::of(&lung, &lesion), None);
        for zone in Zone::ALL {
            lung[zone] = 500.0;
        }
        lesion[Zone::RightLower] = 400.0;
        lesion[Zone::LeftMiddle] = 10.0;
        let score = ZoneScore::of(&lung, &lesion).unwrap();
        assert_eq!(score.to_string(), "5 of 24; upper, middle, lower: right 0 0 4, left 0 1 0");
        assert_eq!(ZoneScore::of(&lung, &lung).unwrap().total, 24);
    }

    #[test]
    fn thirds_of_the_height_are_zones() {
        let zones = [-0.1, 0.3, 0.5, 0.7, 1.2].map(|height| Zone::of(Side::Left, height));
        assert_eq!(zones, [Zone::LeftLower, Zone::LeftLower, Zone::LeftMiddle, Zone::LeftUpper, Zone::LeftUpper]);
    }
}
