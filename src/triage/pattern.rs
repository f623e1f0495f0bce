//! What kind of opacity there is and where: the words of a verdict, and whether these opacities may isolate anybody. They
//! distinguish pneumonia from what looks otherwise, never COVID-19 from another pneumonia.

use serde::{Deserialize, Serialize};

use super::lesions::Lesion;
use super::zones::Side;

/// Lesions from this volume on are counted, ml: what two readers would both see.
pub(super) const COUNTED_LESION_ML: f64 = 0.5;

/// A mass is wider than 3 cm (Hansell et al., "Fleischner Society: glossary of terms for thoracic imaging", 2008): the
/// volume of such a ball, ml. What is smaller is a nodule, of which a model draws some in healthy lungs.
const MIN_MASS_ML: f64 = 14.0;

/// A ball of 8 cm, ml: what is larger is a lobe, and lobar pneumonia fills lobes.
const MAX_MASS_ML: f64 = 270.0;

/// [`Lesion::compactness`] of a mass: round or oval. Patches of pneumonia follow the pleura, branch and run together.
const MIN_MASS_COMPACTNESS: f64 = 0.5;

/// A mass is solid at its core; its rim is partial volume and haze.
const MIN_MASS_CONSOLIDATION: f64 = 0.5;

/// A mass is alone: this share of all lesion volume is in it. Pneumonia has more than one focus or a large haze.
const MIN_MASS_SHARE: f64 = 0.75;

/// A rim of the diaphragm lies on it with this share of its volume.
const MIN_ON_DIAPHRAGM: f64 = 0.7;

/// There is nothing but rims of the diaphragm if they have this share of all lesion volume.
const MIN_RIM_SHARE: f64 = 0.9;

/// Both lungs are affected if the lesser one has this share of all lesion volume.
const MIN_BILATERAL_SHARE: f64 = 0.1;

/// A place or a density is named if this share of all lesion volume is there.
pub(super) const NAMED_SHARE: f64 = 0.6;

/// What the opacities look like as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatternKind {
    /// There are no lesions.
    #[default]
    None,
    /// Whatever is none of the others.
    PneumoniaLike,
    /// One solid, round or oval lesion wider than 3 cm, with hardly anything else: in one lung therefore.
    MassLike,
    /// Hardly anything but thin lesions on the diaphragm: partial volume of its dome, or lung that lies on it unaired.
    DiaphragmRim,
}

/// The pattern of a case's lesions. Shares are of all lesion volume, 0 to 1; all are 0 without lesions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pattern {
    pub kind: PatternKind,
    /// Lesions of at least 0.5 ml.
    pub lesions: usize,
    /// As dense as ground glass (`densities` of the report says what is).
    pub ground_glass_share: f64,
    /// As dense as consolidation.
    pub consolidation_share: f64,
    /// Less dense than ground glass: hardly denser than healthy lung.
    pub faint_share: f64,
    /// Within 20 mm of the lungs' outline in its plane.
    pub peripheral_share: f64,
    /// In the lowest third of the lungs' height.
    pub basal_share: f64,
    /// In the uppermost third of the lungs' height.
    pub apical_share: f64,
    /// In the right lung.
    pub right_share: f64,
    /// In the largest lesion.
    pub largest_share: f64,
    /// Each lung has at least a tenth of the volume.
    pub bilateral: bool,
}

impl Pattern {
    /// The pattern of a case's lesions.
    #[must_use]
    pub fn of(lesions: &[Lesion]) -> Self {
        let total: f64 = lesions.iter().map(|lesion| lesion.volume_ml).sum();
        if total <= 0.0 {
            return Self::default();
        }
        let share = |of: &dyn Fn(&Lesion) -> f64| {
            lesions.iter().map(|lesion| of(lesion) * lesion.volume_ml).sum::<f64>() / total
        };
        let right_share = share(&|lesion| if lesion.side == Side::Right { 1.0 } else { 0.0 });
        let largest = lesions.iter().map(|lesion| lesion.volume_ml).fold(0.0, f64::max);
        Self {
            kind: PatternKind::of(lesions, total),
            lesions: lesions.iter().filter(|lesion| lesion.volume_ml >= COUNTED_LESION_ML).count(),
            ground_glass_share: share(&|lesion| lesion.ground_glass_share),
            consolidation_share: share(&|lesion| lesion.consolidation_share),
            faint_share: share(&|lesion| 1.0 - lesion.ground_glass_share - lesion.consolidation_share),
            peripheral_share: share(&|lesion| lesion.peripheral_share),
            basal_share: share(&|lesion| lesion.basal_share),
            apical_share: share(&|lesion| lesion.apical_share),
            right_share,
            largest_share: largest / total,
            bilateral: right_share.min(1.0 - right_share) >= MIN_BILATERAL_SHARE,
        }
    }

    /// Whether opacities like these may isolate a patient: a lone mass or a rim of the diaphragm may not. Where the score is
    /// high and no lesion is drawn there is nothing to argue with.
    #[must_use]
    pub fn may_isolate(&self) -> bool {
        matches!(self.kind, PatternKind::None | PatternKind::PneumoniaLike)
    }
}

impl PatternKind {
    fn of(lesions: &[Lesion], total_ml: f64) -> Self {
        let is_lone_mass = |lesion: &Lesion| {
            lesion.volume_ml >= MIN_MASS_SHARE * total_ml
                && (MIN_MASS_ML..=MAX_MASS_ML).contains(&lesion.volume_ml)
                && lesion.compactness >= MIN_MASS_COMPACTNESS
                && lesion.consolidation_share >= MIN_MASS_CONSOLIDATION
        };
        let rims = lesions.iter().filter(|lesion| lesion.on_diaphragm_share >= MIN_ON_DIAPHRAGM);
        let rims_ml: f64 = rims.map(|lesion| lesion.volume_ml).sum();
        if lesions.iter().any(is_lone_mass) {
            Self::MassLike
        } else if rims_ml >= MIN_RIM_SHARE * total_ml {
            Self::DiaphragmRim
        } else {
            Self::PneumoniaLike
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lesions::tests::lesion;
    use super::*;

    fn mass(volume_ml: f64) -> Lesion {
        Lesion { ground_glass_share: 0.3, consolidation_share: 0.7, compactness: 0.8, ..lesion(volume_ml, Side::Right) }
    }

    fn rim(volume_ml: f64) -> Lesion {
        Lesion { on_diaphragm_share: 0.9, compactness: 0.1, ..lesion(volume_ml, Side::Left) }
    }

    fn kind(lesions: &[Lesion]) -> PatternKind {
        Pattern::of(lesions).kind
    }

    #[test]
    fn one_large_solid_round_lesion_alone_is_a_mass() {
        assert_eq!(kind(&[mass(34.0)]), PatternKind::MassLike);
        assert_eq!(kind(&[mass(34.0), lesion(3.0, Side::Left)]), PatternKind::MassLike);
        assert!(!Pattern::of(&[mass(34.0)]).may_isolate());
    }

    #[test]
    fn a_nodule_a_lobe_haze_and_what_is_not_alone_are_no_mass() {
        let haze = Lesion { ground_glass_share: 0.9, consolidation_share: 0.1, ..mass(34.0) };
        let band = Lesion { compactness: 0.2, ..mass(34.0) };
        for lesions in
            [vec![mass(8.0)], vec![mass(600.0)], vec![haze], vec![band], vec![mass(34.0), lesion(30.0, Side::Left)]]
        {
            assert_eq!(kind(&lesions), PatternKind::PneumoniaLike, "{lesions:?}");
        }
    }

    #[test]
    fn rims_on_the_diaphragm_isolate_nobody_until_there_is_something_else() {
        assert_eq!(kind(&[rim(9.0), rim(4.0)]), PatternKind::DiaphragmRim);
        assert_eq!(kind(&[rim(9.0), lesion(4.0, Side::Left)]), PatternKind::PneumoniaLike);
    }

    #[test]
    fn without_lesions_there_is_no_pattern_to_argue_with_a_score() {
        assert_eq!(Pattern::of(&[]), Pattern::default());
        assert!(Pattern::of(&[]).may_isolate());
    }

    #[test]
    fn the_words_name_side_depth_height_and_density_where_they_are_plain() {
        let peripheral = |side| Lesion { peripheral_share: 0.9, basal_share: 0.8, ..lesion(20.0, side) };
        let both = Pattern::of(&[peripheral(Side::Left), peripheral(Side::Right)]);
        assert_eq!(both.phrase().to_string(), "bilateral, peripheral, basal, ground-glass");
        let mixed = Lesion { ground_glass_share: 0.5, consolidation_share: 0.5, ..lesion(20.0, Side::Left) };
        assert_eq!(Pattern::of(&[mixed]).phrase().to_string(), "left lung, central, ground-glass and consolidation");
    }

    fn any_lesion() -> impl Strategy<Value = Lesion> {
        (0.1..300.0, prop::bool::ANY, 0.0..1.0, prop::array::uniform5(0.0..1.0)).prop_map(
            |(volume_ml, is_left, dense, [split, peripheral, height, floor, compactness])| Lesion {
                ground_glass_share: split * (1.0 - dense),
                consolidation_share: dense,
                peripheral_share: peripheral,
                basal_share: height / 2.0,
                apical_share: (1.0 - height) / 2.0,
                on_diaphragm_share: floor,
                compactness,
                ..lesion(volume_ml, if is_left { Side::Left } else { Side::Right })
            },
        )
    }

    proptest! {
        #[test]
        fn densities_add_up_to_one_and_mirrored_lesions_give_the_mirrored_pattern(
            lesions in prop::collection::vec(any_lesion(), 1..12)
        ) {
            let pattern = Pattern::of(&lesions);
            let densities = pattern.ground_glass_share + pattern.consolidation_share + pattern.faint_share;
            prop_assert!((densities - 1.0).abs() < 1e-9, "{densities}");
            prop_assert!(pattern.basal_share + pattern.apical_share <= 1.0 + 1e-9);
            let flipped = |side| if side == Side::Left { Side::Right } else { Side::Left };
            let mirrored: Vec<Lesion> =
                lesions.iter().map(|lesion| Lesion { side: flipped(lesion.side), ..lesion.clone() }).collect();
            let mirrored = Pattern::of(&mirrored);
            prop_assert!((mirrored.right_share - (1.0 - pattern.right_share)).abs() < 1e-9);
            prop_assert_eq!(
                Pattern { right_share: 0.0, bilateral: false, ..mirrored },
                Pattern { right_share: 0.0, bilateral: false, ..pattern }
            );
        }
    }
}
