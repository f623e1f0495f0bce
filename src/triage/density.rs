//! How dense lesions are: Hounsfield units counted one by one, so that counts of slabs add up to those of a lesion.

use serde::{Deserialize, Serialize};

/// What ground glass and consolidation are. Ground glass is denser than healthy lung and lets vessels be seen, consolidation
/// hides them (Hansell et al., "Fleischner Society: glossary of terms for thoracic imaging", 2008). No limits are agreed
/// on; these are usual in quantitative CT of pneumonia. Of eight limits between the two, -300 HU told COVID-19 best
/// ("Quantitative CT for detecting COVID-19 pneumonia in suspected cases", BMC Infectious Diseases 2021,
/// doi:10.1186/s12879-021-06556-z).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Densities {
    /// Ground glass begins here, HU.
    pub ground_glass_hu: i16,
    /// Consolidation begins and ground glass ends here, HU.
    pub consolidation_hu: i16,
}

impl Default for Densities {
    fn default() -> Self {
        Self { ground_glass_hu: -750, consolidation_hu: -300 }
    }
}

/// High opacity begins here, HU (Chaganti et al., "Automated quantification of CT patterns associated with COVID-19 from
/// chest CT", Radiology: Artificial Intelligence 2020).
pub const HIGH_OPACITY_HU: i16 = -200;

/// How many pixels have how many whole Hounsfield units, rounded down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Ascending, without empty ones.
    counts: Vec<(i16, usize)>,
}

impl Histogram {
    /// Counts pixels of these Hounsfield units.
    #[must_use]
    pub fn of(hu: &[f32]) -> Self {
        let mut whole: Vec<i16> = hu.iter().map(|hu| hu.floor() as i16).collect();
        whole.sort_unstable();
        Self { counts: whole.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect() }
    }

    /// How many pixels have this density or more.
    #[must_use]
    pub fn count_from(&self, hu: i16) -> usize {
        let first = self.counts.partition_point(|(at, _)| *at < hu);
        self.counts[first..].iter().map(|(_, count)| count).sum()
    }
}

/// The density below which, rounded down, this share of the volume lies: whole Hounsfield units. Each histogram comes with
/// the volume of its pixels. `None` if there are none.
#[must_use]
pub(super) fn percentile_hu(histograms: &[(&Histogram, f64)], share: f64) -> Option<f64> {
    let ends = histograms.iter().filter_map(|(histogram, _)| {
        Some((i32::from(histogram.counts.first()?.0), i32::from(histogram.counts.last()?.0)))
    });
    let (lowest, highest) = ends.reduce(|(low, high), (first, last)| (low.min(first), high.max(last)))?;
    let mut volumes = vec![0.0; (highest - lowest + 1) as usize];
    for (histogram, pixel_ml) in histograms {
        for (hu, count) in &histogram.counts {
            volumes[(i32::from(*hu) - lowest) as usize] += *count as f64 * pixel_ml;
        }
    }
    let wanted = share * volumes.iter().sum::<f64>();
    let mut below = 0.0;
    let reached = volumes.iter().position(|volume| {
        below += volume;
        below >= wanted
    });
    Some(f64::from(lowest) + reached.unwrap_or(volumes.len() - 1) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nine_of_ten_equal_pixels_lie_below_the_ninetieth_percentile() {
        let hu: Vec<f32> = (0..10).map(|at| at as f32 - 500.5).collect();
        assert_eq!(percentile_hu(&[(&Histogram::of(&hu), 1.0)], 0.9), Some(-493.0));
        assert_eq!(percentile_hu(&[(&Histogram::default(), 1.0)], 0.9), None);
    }

    #[test]
    fn thick_slabs_count_for_more() {
        let (thin, thick) = (Histogram::of(&[-100.0]), Histogram::of(&[-700.0]));
        assert_eq!(percentile_hu(&[(&thin, 1.0), (&thick, 1.0)], 0.9), Some(-100.0));
        assert_eq!(percentile_hu(&[(&thin, 1.0), (&thick, 20.0)], 0.9), Some(-700.0));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_the_pixels_themselves(
            hu in prop::collection::vec(-1150.0_f32..150.0, 0..200), limit in -1200_i16..200
        ) {
            let count = hu.iter().filter(|hu| **hu >= f32::from(limit)).count();
            prop_assert_eq!(Histogram::of(&hu).count_from(limit), count);
        }
    }
}
