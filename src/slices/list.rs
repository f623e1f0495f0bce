//! An exam's slices in the order in which they lie, and what is needed to show them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::known::KnownSlice;
use crate::analysis::PlacedImage;
use crate::exam::{GridOnPlane, Lps, PlaneCentre, SlabIndex};
use crate::preprocess::InputGeometry;

/// The slices of an exam that are here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct SliceList {
    pub grids: Vec<Grid>,
    /// Those of judged series first, series by series, in ascending z.
    pub slices: Vec<ListedSlice>,
}

/// Slices of one series whose pixels lie alike, but for their position.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Grid {
    pub series_instance_uid: String,
    /// Series Description (0008,103E) and Convolution Kernel (0018,1210), as far as they are there.
    pub description: String,
    pub kernel: String,
    /// The series is one of those that are judged, as things stand.
    pub judged: bool,
    pub rows: usize,
    pub columns: usize,
    /// Between rows and between columns, mm.
    pub spacing_mm: [f64; 2],
    /// Directions of increasing column number and of increasing row number in LPS.
    pub orientation: [f64; 6],
    /// From corners of outlines to pixel corners of the slice: [`GridOnPlane::from_plane`]. Absent where nothing is drawn.
    pub from_plane: Option<[f64; 6]>,
}

/// A slice that can be shown.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ListedSlice {
    #[serde(skip)]
    pub id: String,
    #[serde(skip)]
    pub edition: String,
    /// The place of its grid among the grids.
    pub grid: usize,
    pub z_mm: f64,
    /// The centre of its first pixel, LPS.
    #[schemars(with = "[f64; 3]")]
    pub position_mm: Lps,
    pub instance_number: Option<i32>,
    pub frame_number: Option<u32>,
    pub sop_instance_uid: String,
    /// The slab that it is summed into; absent in series that are not judged.
    pub slab: Option<SlabIndex>,
}

/// The slabs of an exam that have been judged, and the image that stands for each.
pub(super) struct Judged<'a> {
    places: &'a BTreeMap<SlabIndex, PlacedImage>,
    /// The names of the folders of their series.
    series: BTreeSet<&'a OsStr>,
    plane: &'a InputGeometry,
}

impl<'a> Judged<'a> {
    pub(super) fn new(places: &'a BTreeMap<SlabIndex, PlacedImage>, plane: &'a InputGeometry) -> Self {
        let series = places.values().filter_map(|place| folder_of(&place.image.path)).collect();
        Self { places, series, plane }
    }

    fn has(&self, slice: &KnownSlice) -> bool {
        folder_of(&slice.path).is_some_and(|folder| self.series.contains(folder))
    }

    /// The slab of a judged series' slice, and where the plane lies on which it is judged: that of its neighbours as long as it is not.
    fn place(&self, slice: &KnownSlice) -> Option<(SlabIndex, PlaneCentre)> {
        if !self.has(slice) {
            return None;
        }
        let slab = SlabIndex::of(slice.header.geometry.z_mm, self.plane.slab_mm);
        let (_, nearest) = self.places.range(..=slab).next_back().or_else(|| self.places.range(slab..).next())?;
        let about_image = PlaneCentre::of_image(slice.header.geometry.centre);
        Some((slab, nearest.centre.unwrap_or(about_image)))
    }
}

fn folder_of(path: &Path) -> Option<&OsStr> {
    path.parent()?.file_name()
}

impl SliceList {
    pub(super) fn of<'a>(slices: impl Iterator<Item = &'a KnownSlice>, judged: &Judged<'_>) -> Self {
        let mut sorted: Vec<&KnownSlice> = slices.collect();
        sorted.sort_by(|one, other| {
            let key = |slice: &KnownSlice| (!judged.has(slice), slice.header.acquisition.instance_number, slice.frame);
            let ((one_aside, one_number, one_frame), (other_aside, other_number, other_frame)) = (key(one), key(other));
            one_aside
                .cmp(&other_aside)
                .then_with(|| one.series_instance_uid.cmp(&other.series_instance_uid))
                .then_with(|| one.header.geometry.z_mm.total_cmp(&other.header.geometry.z_mm))
                .then_with(|| (one_number, one_frame).cmp(&(other_number, other_frame)))
        });
        let mut list = Self { grids: Vec::new(), slices: Vec::with_capacity(sorted.len()) };
        for slice in sorted {
            let place = judged.place(slice);
            let grid = list.grid(Grid::of(slice, judged, place.map(|(_, centre)| centre)));
            list.slices.push(ListedSlice {
                id: slice.id.clone(),
                edition: slice.edition.clone(),
                grid,
                z_mm: slice.header.geometry.z_mm,
                position_mm: slice.header.geometry.stored.position,
                instance_number: slice.header.acquisition.instance_number,
                frame_number: slice.header.frame_number,
                sop_instance_uid: slice.sop_instance_uid.clone(),
                slab: place.map(|(slab, _)| slab),
            });
        }
        list
    }

    /// The place of a grid, which is put behind the others where it is new.
    fn grid(&mut self, grid: Grid) -> usize {
        // Neighbours lie alike, nearly always.
        self.grids.iter().rposition(|known| *known == grid).unwrap_or_else(|| {
            self.grids.push(grid);
            self.grids.len() - 1
        })
    }
}

impl Grid {
    fn of(slice: &KnownSlice, judged: &Judged<'_>, centre: Option<PlaneCentre>) -> Self {
        let (geometry, plane) = (&slice.header.geometry, judged.plane);
        let from_plane =
            |centre| GridOnPlane::of(geometry, centre).from_plane([plane.rows, plane.columns], plane.pixel_mm);
        Self {
            series_instance_uid: slice.series_instance_uid.clone(),
            description: slice.series_description.clone(),
            kernel: slice.header.acquisition.kernel.clone(),
            judged: judged.has(slice),
            rows: geometry.rows,
            columns: geometry.columns,
            spacing_mm: geometry.stored.spacing_mm,
            orientation: geometry.stored.orientation,
            from_plane: centre.map(from_plane),
        }
    }
}
