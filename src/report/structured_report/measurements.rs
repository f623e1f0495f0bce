//! Measurements by TID 300 and TID 1419: a number with its unit, and how it came about.

use super::super::codes::{self, Code};
use super::concepts::{self, DERIVATION, MEASUREMENT_METHOD};
use super::content_item::ContentItem;
use crate::triage::{Side, Zone};

/// A share of a whole that lies in a range of densities, whole Hounsfield units.
pub(super) struct DensityShare {
    /// 0 to 1.
    pub share: f64,
    pub from_hu: i16,
    /// The first density that does not count any more; absent where all higher ones count.
    pub below_hu: Option<i16>,
}

impl DensityShare {
    /// In percent, with the limits that it was counted between.
    pub(super) fn named(&self, name: &Code) -> ContentItem {
        let limit = |name: &Code, hu: i16| ContentItem::number(name, f64::from(hu), 0, &concepts::HOUNSFIELD_UNIT);
        let from = limit(&concepts::THRESHOLD_ATTENUATION_COEFFICIENT, self.from_hu);
        let share = percent(name, self.share).inferred_from(from);
        match self.below_hu {
            Some(below) => share.inferred_from(limit(&concepts::UPPER_THRESHOLD, below)),
            None => share,
        }
    }
}

/// The volume of what the group measures, or of a part of it that is named.
pub(super) fn volume(name: &Code, ml: f64) -> ContentItem {
    ContentItem::number(name, ml, 3, &concepts::MILLILITRE)
        .modified_by(ContentItem::code(&MEASUREMENT_METHOD, &concepts::SUM_OF_VOXELS))
}

/// A density in Hounsfield units, and which one of those of all voxels it is.
pub(super) fn density(hu: f64, derivation: &Code) -> ContentItem {
    ContentItem::number(&concepts::ATTENUATION_COEFFICIENT, hu, 1, &concepts::HOUNSFIELD_UNIT)
        .modified_by(ContentItem::code(&MEASUREMENT_METHOD, &concepts::CLAMPED_DENSITY))
        .modified_by(ContentItem::code(&DERIVATION, derivation))
}

pub(super) fn largest_extent(mm: f64) -> ContentItem {
    ContentItem::number(&concepts::DIAMETER, mm, 1, &concepts::MILLIMETRE)
        .modified_by(ContentItem::code(&MEASUREMENT_METHOD, &concepts::GREATEST_DISTANCE))
        .modified_by(ContentItem::code(&DERIVATION, &concepts::MAXIMUM))
}

/// A share of 0 to 1 in percent.
pub(super) fn percent(name: &Code, share: f64) -> ContentItem {
    ContentItem::number(name, share * 100.0, 2, &concepts::PERCENT)
}

/// A probability of 0 to 1.
pub(super) fn probability(name: &Code, value: f64) -> ContentItem {
    ContentItem::number(name, value, 4, &concepts::NO_UNITS)
}

pub(super) fn count(name: &Code, value: usize) -> ContentItem {
    ContentItem::number(name, value as f64, 0, &concepts::NO_UNITS)
}

/// Where something lies: in the lungs.
pub(super) fn in_lungs() -> ContentItem {
    ContentItem::code(&concepts::FINDING_SITE, &codes::LUNG)
}

/// In one lung.
pub(super) fn in_lung(side: Side) -> ContentItem {
    in_lungs().modified_by(ContentItem::code(&concepts::LATERALITY, &concepts::side(side)))
}

/// In a third of one lung.
pub(super) fn in_zone(zone: Zone) -> ContentItem {
    let side = if Zone::of_side(Side::Right).contains(&zone) { Side::Right } else { Side::Left };
    in_lung(side).modified_by(ContentItem::code(&concepts::TOPOGRAPHICAL_MODIFIER, &concepts::third(zone)))
}
