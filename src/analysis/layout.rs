//! How an exam's slices are laid out: which volume each belongs to, and where the planes of a series lie. Both may change as more
//! slices come; what has been made of the series by then is made anew.
//!
//! While slices come this happens only where what there is will not do. At the exam's end [`Layouts::finalize`] brings about
//! what all slices together say, so that the result does not depend on their order. Only then series are joined that are one
//! acquisition: until all of it is here, its parts look like scans that end within the lungs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::{Arrival, DecodedSlice, PlaneCentres};
use super::series_analysis::VolumeId;
use crate::dicom::ImageFile;
use crate::exam::{Centring, Content, Division, InstanceHeader, PlaneCentre, SliceHeader, joined};

/// A series is laid out anew while its slices come only once there are so many times as when it last was, as a fraction: each slice is
/// decoded five times at most, however the slices contradict each other.
const GROWTH: (usize, usize) = (5, 4);

/// Instances to decode again.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Nothing that was made of the slices of these groups stands.
    pub of_groups: Vec<String>,
    pub arrivals: Vec<Arrival>,
}

/// A slice that has come.
#[derive(Debug)]
struct Known {
    header: SliceHeader,
    body_mm: Option<[f64; 2]>,
    arrival: Arrival,
}

/// The slices of one series, by file and frame.
type Slices = BTreeMap<(PathBuf, usize), Known>;

/// A series, or several that are one acquisition.
#[derive(Debug)]
struct Group {
    series: Vec<String>,
    division: Division,
    centring: Centring,
    centre: PlaneCentre,
    /// How many slices it had when it was last laid out anew while they came.
    laid_out_with: usize,
}

/// The layouts of an exam's series.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    slices: BTreeMap<String, Slices>,
    /// By the first of their series.
    groups: BTreeMap<String, Group>,
    group_of: BTreeMap<String, String>,
    centres: PlaneCentres,
    is_final: bool,
    /// Groups of which a slice has gone that is still in its volume.
    stale: BTreeSet<String>,
    /// Groups that lie otherwise than all of their slices say, until they have grown.
    unfit: BTreeSet<String>,
}

impl Layouts {
    /// The volume that a slice belongs to.
    ///
    /// # Errors
    /// What must be decoded again: the slice, whose plane lies elsewhere, or all of its group.
    pub(super) fn place(
        &mut self,
        series_instance_uid: &str,
        file: &ImageFile,
        header: &SliceHeader,
        decoded: &DecodedSlice,
        arrival: &Arrival,
    ) -> Result<VolumeId, Again> {
        let name =
            self.group_of.entry(series_instance_uid.to_owned()).or_insert_with(|| series_instance_uid.to_owned());
        let name = name.clone();
        let group = self.groups.entry(name.clone()).or_insert_with(|| Group::of(&name, decoded.centre));
        let slices = self.slices.entry(series_instance_uid.to_owned()).or_default();
        let mut is_divided_anew = false;
        if let std::collections::btree_map::Entry::Vacant(place) = slices.entry((file.path.clone(), file.frame)) {
            let known = Known { header: header.clone(), body_mm: decoded.body_mm, arrival: arrival.clone() };
            is_divided_anew = group.note(&known);
            place.insert(known);
            self.is_final = false;
        }
        let fits = group.centring.is_near(group.centre) && !is_divided_anew;
        if !fits {
            self.unfit.insert(name.clone());
        }
        let count = slices.len();
        let has_grown = count > group.laid_out_with && count * GROWTH.1 >= group.laid_out_with * GROWTH.0;
        let is_laid_out_anew = has_grown && self.unfit.contains(&name);
        if is_laid_out_anew {
            self.unfit.remove(&name);
            group.laid_out_with = count;
            group.centre = group.centring.centre().unwrap_or(group.centre);
        }
        let (centre, part) = (group.centre, group.division.part(header));
        self.note_centres();
        if is_laid_out_anew {
            let arrivals = self.arrivals(&name);
            Err(Again { of_groups: vec![name], arrivals })
        } else if decoded.centre != centre {
            Err(Again { arrivals: vec![Arrival { again: true, ..arrival.clone() }], ..Again::default() })
        } else {
            Ok(VolumeId { series_instance_uid: name, part })
        }
    }

    /// Whether this image of a series has come as a slice.
    pub(super) fn know(&self, series_instance_uid: &str, path: &Path, frame: usize) -> bool {
        self.slices.get(series_instance_uid).is_some_and(|slices| slices.contains_key(&(path.to_owned(), frame)))
    }

    /// Forgets the slices of a file whose place an instance with this header takes. Where it does not lie just there, what was made
    /// of the group is stale.
    pub(super) fn replace(&mut self, by: &InstanceHeader, path: &Path) {
        let Some(slices) = self.slices.get_mut(&by.series_instance_uid) else { return };
        let Some(name) = self.group_of.get(&by.series_instance_uid) else { return };
        let Some(group) = self.groups.get(name) else { return };
        let gone: Vec<(PathBuf, usize)> = slices.keys().filter(|(of, _)| of == path).cloned().collect();
        for place in gone {
            let Some(before) = slices.remove(&place) else { continue };
            let lies_just_there = by.images.get(place.1).is_some_and(|image| match image {
                Content::Slice(slice) => {
                    slice.geometry.z_mm == before.header.geometry.z_mm
                        && slice.acquisition.is_derived == before.header.acquisition.is_derived
                        && group.division.part(slice) == group.division.part(&before.header)
                }
                _ => false,
            });
            self.is_final = false;
            if !lies_just_there {
                self.stale.insert(name.clone());
            }
        }
    }

    /// Whether slices are where they do not belong any more, until all are laid out anew.
    pub(super) fn is_stale(&self) -> bool {
        !self.stale.is_empty() || !self.unfit.is_empty()
    }

    /// How many series the judged one was joined from.
    pub(super) fn series_in(&self, group: &str) -> usize {
        self.groups.get(group).map_or(1, |group| group.series.len())
    }

    /// Where the planes of each series lie.
    pub(super) fn centres(&self) -> PlaneCentres {
        self.centres.clone()
    }

    fn note_centres(&mut self) {
        for (series, group) in &self.group_of {
            let Some(centre) = self.groups.get(group).map(|group| group.centre) else { continue };
            if self.centres.get(series) != Some(&centre) {
                Arc::make_mut(&mut self.centres).insert(series.clone(), centre);
            }
        }
    }

    /// Lays all slices out as all of them together say; what must be decoded again for that.
    pub(super) fn finalize(&mut self) -> Option<Again> {
        if std::mem::replace(&mut self.is_final, true) {
            return None;
        }
        let series: Vec<(&str, Vec<&SliceHeader>)> = self
            .slices
            .iter()
            .map(|(uid, slices)| (uid.as_str(), slices.values().map(|known| &known.header).collect()))
            .collect();
        let mut again = Again::default();
        let mut groups = BTreeMap::new();
        for members in joined(&series) {
            let name = members[0].clone();
            let before = self.groups.get(&name);
            let mut group = Group::of(&name, before.map_or(PlaneCentre::at(0.0, 0.0), |before| before.centre));
            for known in members.iter().filter_map(|uid| self.slices.get(uid)).flat_map(BTreeMap::values) {
                group.note(known);
                group.laid_out_with += 1;
            }
            group.centre = group.centring.centre().unwrap_or(group.centre);
            group.series = members;
            let stays = before.is_some_and(|before| (before.centre, &before.series) == (group.centre, &group.series));
            if !stays || self.stale.contains(&name) || self.unfit.contains(&name) {
                again.of_groups.push(name.clone());
            }
            groups.insert(name, group);
        }
        self.stale.clear();
        self.unfit.clear();
        again.of_groups.extend(self.groups.keys().filter(|name| !groups.contains_key(*name)).cloned());
        self.group_of = groups
            .iter()
            .flat_map(|(name, group)| group.series.iter().map(|series| (series.clone(), name.clone())))
            .collect();
        self.groups = groups;
        self.note_centres();
        again.arrivals = again.of_groups.iter().flat_map(|name| self.arrivals(name)).collect();
        (!again.of_groups.is_empty()).then_some(again)
    }

    /// All instances of a group in the order of their arrival.
    fn arrivals(&self, group: &str) -> Vec<Arrival> {
        let series = self.groups.get(group).map(|group| group.series.as_slice()).unwrap_or_default();
        let mut seen = BTreeSet::new();
        let mut arrivals: Vec<Arrival> = series
            .iter()
            .filter_map(|uid| self.slices.get(uid))
            .flat_map(BTreeMap::values)
            .map(|known| &known.arrival)
            .filter(|arrival| seen.insert(&arrival.path))
            .map(|arrival| Arrival { again: true, after_release: None, ..arrival.clone() })
            .collect();
        arrivals.sort_by_key(|arrival| arrival.number);
        arrivals
    }
}

impl Group {
    fn of(series_instance_uid: &str, centre: PlaneCentre) -> Self {
        Self {
            series: vec![series_instance_uid.to_owned()],
            division: Division::default(),
            centring: Centring::default(),
            centre,
            laid_out_with: 0,
        }
    }

    /// Notes a slice. `true` if slices that came before may belong to other volumes now.
    fn note(&mut self, known: &Known) -> bool {
        self.centring.note(known.header.geometry.centre, known.body_mm);
        self.division.note(&known.header)
    }
}
