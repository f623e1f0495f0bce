//! Versions of instances: what is corrected and sent again counts in place of what came before, and nothing of this is hidden.
//!
//! An instance is known by its Series and SOP Instance UID; the one that came last is the one that counts, whichever is
//! decoded first. Where more than two versions of an instance lie at different positions, they are no corrections but
//! different images under one UID.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::decode::Arrival;
use crate::exam::{Content, InstanceHeader, Patient};

/// One UID for so many positions may be a correction of the position; for more it is a fault.
const MOST_POSITIONS: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Versions {
    /// By series, then by SOP Instance UID.
    by_series: BTreeMap<String, BTreeMap<String, Versioned>>,
    replaced: usize,
    /// Name, birth date or sex have changed.
    identity_changed: bool,
}

#[derive(Debug)]
struct Versioned {
    newest: Arrival,
    patient: Patient,
    /// The number of each version's arrival, and where its first slice lies, µm.
    positions: BTreeMap<usize, Option<i64>>,
}

/// What an image's instance is to those that came before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its images count.
    Counts,
    /// A newer version has come: its images do not count.
    Outdated,
    /// Its images count in place of those of the instance that came as this one and lies there.
    Replaces { number: usize, path: PathBuf },
}

impl Versions {
    /// Notes an image that was decoded, and says what its instance is.
    pub(super) fn note(&mut self, header: &InstanceHeader, arrival: &Arrival) -> Standing {
        let of_series = self.by_series.entry(header.series_instance_uid.clone()).or_default();
        let known = of_series.entry(header.sop_instance_uid.clone()).or_insert_with(|| Versioned {
            newest: arrival.clone(),
            patient: header.patient.clone(),
            positions: BTreeMap::new(),
        });
        let is_new = known.positions.insert(arrival.number, first_position(header)).is_none();
        let is_further = is_new && known.positions.len() > 1;
        self.replaced += usize::from(is_further);
        self.identity_changed = self.identity_changed || is_further && known.patient != header.patient;
        if arrival.number < known.newest.number {
            return Standing::Outdated;
        }
        let before = std::mem::replace(&mut known.newest, arrival.clone());
        known.patient.clone_from(&header.patient);
        let Arrival { number, path, .. } = before;
        if number < arrival.number { Standing::Replaces { number, path } } else { Standing::Counts }
    }

    /// Instances that newer ones have replaced.
    pub(super) fn replaced(&self) -> usize {
        self.replaced
    }

    pub(super) fn identity_changed(&self) -> bool {
        self.identity_changed
    }

    /// How many images share their SOP Instance UID with more than one other at another position.
    pub(super) fn sharing_a_uid(&self) -> usize {
        let versioned = self.by_series.values().flat_map(BTreeMap::values);
        let faulty = versioned
            .filter(|versioned| versioned.positions.values().flatten().collect::<BTreeSet<_>>().len() > MOST_POSITIONS);
        faulty.map(|versioned| versioned.positions.len()).sum()
    }
}

/// Positions are told apart by micrometres, as in [`crate::exam::Series`].
fn first_position(header: &InstanceHeader) -> Option<i64> {
    header.images.iter().find_map(|image| match image {
        Content::Slice(slice) => Some((slice.geometry.z_mm * 1000.0).round() as i64),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn header(uid: &str, name: &str) -> InstanceHeader {
        InstanceHeader {
            sop_class_uid: String::new(),
            sop_instance_uid: uid.to_owned(),
            study_instance_uid: "1.2".to_owned(),
            series_instance_uid: "1.3".to_owned(),
            patient: Patient { name: name.to_owned(), ..Patient::default() },
            study_description: String::new(),
            series_description: String::new(),
            images: Vec::new(),
        }
    }

    fn arrival(number: usize) -> Arrival {
        Arrival { number, path: number.to_string().into(), at: Instant::now(), after_release: None, again: false }
    }

    #[test]
    fn what_came_last_counts_whichever_is_decoded_first() {
        let mut versions = Versions::default();
        assert_eq!(versions.note(&header("1", "DOE"), &arrival(1)), Standing::Counts);
        assert_eq!(versions.note(&header("1", "DOE"), &arrival(1)), Standing::Counts, "another image of it");
        assert_eq!(versions.note(&header("1", "DOE"), &arrival(4)), Standing::Replaces { number: 1, path: "1".into() });
        assert_eq!(versions.note(&header("1", "DOE"), &arrival(3)), Standing::Outdated);
        assert_eq!((versions.replaced(), versions.identity_changed()), (2, false));
        assert_eq!(versions.note(&header("2", "DOE"), &arrival(2)), Standing::Counts);
    }

    #[test]
    fn a_changed_name_is_told_and_nothing_else_is_a_changed_name() {
        let mut versions = Versions::default();
        versions.note(&header("1", "DEO"), &arrival(1));
        versions.note(&header("2", "DOE"), &arrival(2));
        assert!(!versions.identity_changed());
        versions.note(&header("1", "DOE"), &arrival(3));
        assert!(versions.identity_changed());
    }
}
