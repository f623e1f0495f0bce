//! One series: its slices in z order, the slabs they make, and the windows that are due.
//!
//! What is due depends on the set of slices alone, never on the order of their arrival: a window names the slices of
//! the slabs it was made from, and once these have changed it is due again.
//!
//! A slab is the sum of its slices' whole levels. Such a sum is exact, so that it is the same in any order and a slice
//! can be taken out of it again; planes need not be kept, only the one of a slice that is replaced is read once more.
//! While slices still come, a window is given out once its slabs seem complete. That guess saves inferences and decides
//! nothing: at the end every window that is due is given out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::slab_slices::{SlabSlices, SliceId};
use super::{ExamKey, LungAtBorder, Part, PlaneCentre, SliceHeader, Spacing, Thumbnail};
use crate::dicom::ImageFile;
use crate::preprocess::{InputGeometry, Plane, SlabSum, Window};

/// Number of a bin of the absolute z grid: bin k holds the slices with `k * slab_mm <= z < (k + 1) * slab_mm`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct SlabIndex(pub i64);

impl SlabIndex {
    /// The bin of position `z_mm`.
    #[must_use]
    pub fn of(z_mm: f64, slab_mm: f64) -> Self {
        Self((z_mm / slab_mm).floor() as i64)
    }
}

/// Positions are told apart by micrometres: enough for any scanner, coarse enough for decimal strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Micrometres(i64);

impl Micrometres {
    fn of(z_mm: f64) -> Self {
        Self((z_mm * 1000.0).round() as i64)
    }

    fn mm(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// A slice that is part of the table. Its pixels are in its slab.
#[derive(Debug, Clone)]
pub struct PreparedSlice {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Its own, where several series are one acquisition.
    pub series_instance_uid: String,
    pub header: SliceHeader,
    /// See [`crate::preprocess::TissueCells::noise_hu`]; `None` where there is too little tissue.
    pub noise_hu: Option<f32>,
    /// Where the image lies, for pictures.
    pub file: ImageFile,
    /// Where the plane lies that it was resampled to.
    pub centre: PlaneCentre,
    /// Its instance's place among those of the exam, in the order of their arrival.
    pub arrival: usize,
    pub thumbnail: Thumbnail,
    /// See [`super::lung_at_border`].
    pub lung_at_border: Option<Box<LungAtBorder>>,
}

impl PreparedSlice {
    /// What tells a slice from every other one of its series, and which of two at one position counts: the one that ranks higher.
    /// An original goes before what was derived from others; what came later is what its sender corrected. Of two frames of one
    /// instance the first one counts.
    fn rank(&self) -> (bool, usize, Reverse<usize>) {
        (!self.header.acquisition.is_derived, self.arrival, Reverse(self.file.frame))
    }

    /// Whether one of the two was sent again as the other, with other content.
    fn is_another_version_of(&self, other: &Self) -> bool {
        self.sop_instance_uid == other.sop_instance_uid && self.file.frame == other.file.frame
    }

    fn id(&self) -> SliceId {
        SliceId::of(&self.file, self.centre)
    }
}

#[derive(Debug, Default)]
struct Slab {
    positions: BTreeSet<Micrometres>,
    slices: SlabSlices,
    sum: Arc<SlabSum>,
    /// The series' count of slices when this slab last changed.
    changed_at: usize,
}

/// Slabs in a window: below, itself, above.
pub const WINDOW_SLABS: usize = 3;

/// Which slabs, with which slices, a window is made from: below, itself, above.
pub type WindowInputs = [(SlabIndex, SlabSlices); WINDOW_SLABS];

/// A window that waits for the engine.
#[derive(Debug, Clone)]
pub struct WindowJob {
    pub slab: SlabIndex,
    pub inputs: WindowInputs,
    /// The slabs' sums.
    pub sums: [Arc<SlabSum>; WINDOW_SLABS],
}

impl WindowJob {
    #[must_use]
    pub fn window(&self, input: &InputGeometry) -> Window {
        let means = self.sums.each_ref().map(|sum| sum.mean());
        Window::of_slabs(&means.each_ref().map(Vec::as_slice), input)
    }

    /// The mean plane of the slab in the middle, 0..=1.
    #[must_use]
    pub fn slab_plane(&self) -> Vec<f32> {
        self.sums[WINDOW_SLABS / 2].mean()
    }
}

/// A volume of an exam: a series, or a part of one that holds several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    pub exam: ExamKey,
    pub series_instance_uid: String,
    pub part: Part,
}

/// Two slices count as neighbours up to this multiple of the series' spacing.
const NEIGHBOUR_FACTOR: f64 = 1.5;

/// A window whose slabs have not changed during this many slices is taken for complete, although slices seem to be missing.
const UNCHANGED_SLICES: usize = 12;

/// Slices and slabs of one series.
#[derive(Debug, Default)]
pub struct Series {
    pub description: String,
    slices: BTreeMap<Micrometres, PreparedSlice>,
    /// Positions that more than one image claims.
    doubles: BTreeSet<Micrometres>,
    received: usize,
    smallest_gap_mm: Option<f64>,
    slabs: BTreeMap<SlabIndex, Slab>,
}

impl Series {
    /// Adds a slice; the windows that it changes are due again. At a position that is taken the original image stays, of two
    /// originals the one that was received later, of two frames of one instance the first one, whichever is added first; the other
    /// one's pixels are then `read_again`, since only sums are kept.
    ///
    /// # Errors
    /// If they cannot be read; the slice is not added then.
    pub fn add<Error>(
        &mut self,
        slice: PreparedSlice,
        plane: &Plane,
        input: &InputGeometry,
        read_again: impl FnOnce(&PreparedSlice) -> Result<Plane, Error>,
    ) -> Result<(), Error> {
        self.received += 1;
        let z_mm = slice.header.geometry.z_mm;
        let position = Micrometres::of(z_mm);
        let mut replaced = None;
        match self.slices.get(&position) {
            Some(present) if present.rank() == slice.rank() => return Ok(()),
            Some(present) if present.rank() > slice.rank() => {
                if !present.is_another_version_of(&slice) {
                    self.doubles.insert(position);
                }
                return Ok(());
            }
            Some(present) => {
                replaced = Some((present.id(), read_again(present)?));
                if !present.is_another_version_of(&slice) {
                    self.doubles.insert(position);
                }
            }
            None => self.note_gaps_around(position),
        }
        let slab = self.slabs.entry(SlabIndex::of(z_mm, input.slab_mm)).or_default();
        // A window that is being inferred keeps the sum that it was made from.
        let sum = Arc::make_mut(&mut slab.sum);
        if let Some((id, replaced)) = replaced {
            sum.remove(&replaced);
            slab.slices.remove(id);
        }
        sum.add(plane);
        slab.slices.add(slice.id());
        slab.positions.insert(position);
        slab.changed_at = self.received;
        self.slices.insert(position, slice);
        Ok(())
    }

    fn note_gaps_around(&mut self, position: Micrometres) {
        let below = self.slices.range(..position).next_back().map(|(at, _)| *at);
        let above = self.slices.range(position..).next().map(|(at, _)| *at);
        for neighbour in [below, above].into_iter().flatten() {
            let gap_mm = (neighbour.mm() - position.mm()).abs();
            self.smallest_gap_mm = Some(self.smallest_gap_mm.map_or(gap_mm, |smallest| smallest.min(gap_mm)));
        }
    }

    /// The next window that is not `done` with its present slices. While slices still come (`finishing` is false) only
    /// windows whose slabs seem complete are given out, so that each is inferred once.
    #[must_use]
    pub fn next_window(
        &self,
        input: &InputGeometry,
        finishing: bool,
        done: impl Fn(SlabIndex, &WindowInputs) -> bool,
    ) -> Option<WindowJob> {
        let due = |slab: SlabIndex| {
            let inputs = self.inputs_of(slab);
            (!done(slab, &inputs) && (finishing || self.seems_complete(&inputs, input))).then_some((slab, inputs))
        };
        // The ends first: they tell while the scan runs whether it began within the lungs.
        let ends = self.slabs.keys().next_back().into_iter().chain(self.slabs.keys().next());
        let (slab, inputs) = ends.chain(self.slabs.keys()).copied().find_map(due)?;
        let sums = inputs.map(|(index, _)| self.slabs.get(&index).map(|slab| slab.sum.clone()).unwrap_or_default());
        Some(WindowJob { slab, inputs, sums })
    }

    /// The slab itself between the nearest slabs below and above; at an end it stands in for its missing neighbour.
    fn inputs_of(&self, slab: SlabIndex) -> WindowInputs {
        let with_slices =
            |index: SlabIndex| (index, self.slabs.get(&index).map(|slab| slab.slices).unwrap_or_default());
        let below = self.slabs.range(..slab).next_back().map_or(slab, |(index, _)| *index);
        let above = self.slabs.range(SlabIndex(slab.0 + 1)..).next().map_or(slab, |(index, _)| *index);
        [with_slices(below), with_slices(slab), with_slices(above)]
    }

    /// Whether no further slice is expected in these slabs: slices reach without a hole from below the lowest to above
    /// the highest of them, or nothing has changed in them for a while.
    fn seems_complete(&self, inputs: &WindowInputs, input: &InputGeometry) -> bool {
        let [(below, _), (slab, _), (above, _)] = *inputs;
        let changed_at = inputs.iter().filter_map(|(index, _)| Some(self.slabs.get(index)?.changed_at)).max();
        if changed_at.is_some_and(|at| self.received >= at + UNCHANGED_SLICES) {
            return true;
        }
        if below == slab || above == slab {
            return false;
        }
        let Some(spacing_mm) = self.spacing_mm() else { return false };
        let lowest = Micrometres::of(below.0 as f64 * input.slab_mm);
        let highest = Micrometres::of((above.0 + 1) as f64 * input.slab_mm);
        let before = self.slices.range(..lowest).next_back().map(|(at, _)| *at);
        let after = self.slices.range(highest..).next().map(|(at, _)| *at);
        let (Some(before), Some(after)) = (before, after) else { return false };
        let positions: Vec<f64> = self.slices.range(before..=after).map(|(at, _)| at.mm()).collect();
        positions.windows(2).all(|pair| pair[1] - pair[0] <= spacing_mm * NEIGHBOUR_FACTOR)
    }

    /// The distance at which the next slice is expected: the smallest gap seen, but not more than the slices are thick.
    fn spacing_mm(&self) -> Option<f64> {
        let thickness = self.slices.values().next()?.header.thickness_mm;
        match (self.smallest_gap_mm, thickness) {
            (Some(gap), Some(thickness)) => Some(gap.min(thickness)),
            (gap, _) => gap,
        }
    }

    /// Mean position of a slab's slices, mm; `None` if there is no such slab.
    #[must_use]
    pub fn slab_z_mm(&self, slab: SlabIndex) -> Option<f64> {
        let positions = self.slab_positions_mm(slab)?;
        Some(positions.iter().sum::<f64>() / positions.len() as f64)
    }

    /// Ascending positions of a slab's slices, mm; `None` if there is no such slab.
    #[must_use]
    pub fn slab_positions_mm(&self, slab: SlabIndex) -> Option<Vec<f64>> {
        Some(self.slabs.get(&slab)?.positions.iter().map(|position| position.mm()).collect())
    }

    /// A slab's mean plane, 0..=1, row by row; `None` if there is no such slab.
    #[must_use]
    pub fn slab_plane(&self, slab: SlabIndex) -> Option<Vec<f32>> {
        self.slabs.get(&slab).map(|slab| slab.sum.mean())
    }

    /// The slice in the middle of a slab: the picture that stands for it.
    #[must_use]
    pub fn middle_slice(&self, slab: SlabIndex) -> Option<&PreparedSlice> {
        let positions = &self.slabs.get(&slab)?.positions;
        self.slices.get(positions.iter().nth(positions.len() / 2)?)
    }

    /// Slice positions in ascending order, mm.
    #[must_use]
    pub fn positions_mm(&self) -> Vec<f64> {
        self.slices.keys().map(|position| position.mm()).collect()
    }

    /// How the slices stand, of which the thinnest says what each shows.
    #[must_use]
    pub fn spacing(&self, max_gap_mm: f64) -> Spacing {
        let thicknesses = self.slices().map(|slice| slice.header.thickness_mm.unwrap_or(0.0));
        Spacing::of(&self.positions_mm(), thicknesses.fold(f64::INFINITY, f64::min), max_gap_mm)
    }

    /// The slices in ascending z.
    pub fn slices(&self) -> impl DoubleEndedIterator<Item = &PreparedSlice> {
        self.slices.values()
    }

    /// Slices that have come, those at positions that were taken included.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received
    }

    /// Slices at positions of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// The slabs in ascending z.
    pub fn slab_indices(&self) -> impl Iterator<Item = SlabIndex> {
        self.slabs.keys().copied()
    }

    #[must_use]
    pub fn slab_count(&self) -> usize {
        self.slabs.len()
    }

    /// Positions that more than one image claims.
    #[must_use]
    pub fn double_positions_mm(&self) -> Vec<f64> {
        self.doubles.iter().map(|position| position.mm()).collect()
    }

    /// Images in Acquisition, where all slices agree on it.
    #[must_use]
    pub fn expected(&self) -> Option<usize> {
        let mut counts = self.slices.values().map(|slice| slice.header.images_in_acquisition);
        let first = counts.next()??;
        counts.all(|count| count == Some(first)).then_some(first as usize)
    }
}

/// A slice of 2 x 2 pixels of 6 mm, all of one density, whose first pixel lies there. The digits of its UID say when it came.
#[cfg(test)]
pub(crate) fn made_slice(at: super::Lps, hu: f32, uid: &str, input: &InputGeometry) -> (PreparedSlice, Plane) {
    let image = crate::preprocess::HounsfieldImage { rows: 2, columns: 2, values: vec![hu; 4] };
    made_image(at, &image, 6.0, uid, input)
}

/// The header of a slice that says where it lies and no more.
#[cfg(test)]
pub(crate) fn made_header(geometry: super::SliceGeometry) -> SliceHeader {
    SliceHeader {
        geometry,
        rescale_slope: 1.0,
        rescale_intercept: 0.0,
        padding: None,
        thickness_mm: None,
        frame_number: None,
        images_in_acquisition: None,
        acquisition: super::AcquisitionParameters::default(),
    }
}

/// A slice of this image with square pixels, whose first pixel lies there.
#[cfg(test)]
pub(crate) fn made_image(
    at: super::Lps,
    image: &crate::preprocess::HounsfieldImage,
    pixel_mm: f64,
    uid: &str,
    input: &InputGeometry,
) -> (PreparedSlice, Plane) {
    let supine = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let geometry = super::SliceGeometry::new(image.rows, image.columns, at, supine, [pixel_mm; 2]).unwrap();
    let plane = Plane::resample(image, &geometry.in_plane, input);
    let centre = PlaneCentre::of_image(geometry.centre);
    let header = made_header(geometry);
    let file = ImageFile { path: uid.into(), frame: 0 };
    let thumbnail = Thumbnail::of(&plane, input);
    let sop_instance_uid = uid.to_owned();
    let (sop_class_uid, series_instance_uid) =
        (dicom_dictionary_std::uids::CT_IMAGE_STORAGE.to_owned(), "1.2.3".to_owned());
    let digits: String = uid.chars().filter(char::is_ascii_digit).collect();
    let (noise_hu, arrival, lung_at_border) = (None, digits.parse().unwrap_or(0), None);
    let slice = PreparedSlice {
        sop_class_uid,
        sop_instance_uid,
        series_instance_uid,
        header,
        noise_hu,
        file,
        centre,
        arrival,
        thumbnail,
        lung_at_border,
    };
    (slice, plane)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::ModelPackage;

    fn input() -> InputGeometry {
        // Loading a package checks the weights' SHA-256, which would take most of these tests' time.
        static INPUT: LazyLock<InputGeometry> =
            LazyLock::new(|| InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input });
        INPUT.clone()
    }

    /// Adds a slice whose density follows from its UID.
    fn add(series: &mut Series, z_mm: f64, uid: &str) {
        let hu = |uid: &str| uid.bytes().map(f32::from).sum::<f32>() - 900.0;
        let (slice, plane) = made_slice([0.0, 0.0, z_mm], hu(uid), uid, &input());
        let read_again = |present: &PreparedSlice| {
            let uid = &present.sop_instance_uid;
            Ok::<_, Infallible>(made_slice([0.0, 0.0, z_mm], hu(uid), uid, &input()).1)
        };
        series.add(slice, &plane, &input(), read_again).unwrap();
    }

    /// What a table would hold: per slab the slices it was made from and the bits of its window.
    #[derive(Default)]
    struct Table(BTreeMap<SlabIndex, (WindowInputs, Vec<u32>)>);

    impl Table {
        fn fill(&mut self, series: &Series, finishing: bool) -> usize {
            let mut inferences = 0;
            while let Some(job) = series.next_window(&input(), finishing, |slab, inputs| {
                self.0.get(&slab).is_some_and(|(made_from, _)| made_from == inputs)
            }) {
                let bits = job.window(&input()).values().iter().map(|value| value.to_bits()).collect();
                self.0.insert(job.slab, (job.inputs, bits));
                inferences += 1;
            }
            inferences
        }

        fn bits(&self) -> Vec<(SlabIndex, Vec<u32>)> {
            self.0.iter().map(|(slab, (_, bits))| (*slab, bits.clone())).collect()
        }
    }

    fn uid(number: usize) -> String {
        format!("1.{number}")
    }

    #[test]
    fn each_slab_of_an_orderly_scan_is_inferred_once_and_few_are_left_at_the_end() {
        let (mut series, mut table) = (Series::default(), Table::default());
        let mut inferences = 0;
        for number in 0..60 {
            add(&mut series, 300.0 - 2.0 * number as f64, &uid(number));
            inferences += table.fill(&series, false);
        }
        let left = table.fill(&series, true);
        assert_eq!(inferences + left, series.slab_count());
        assert!(left <= 4, "{left} windows were left for the end");
    }

    #[test]
    fn a_late_slice_replaces_its_row_and_leaves_the_table_as_if_it_had_been_on_time() {
        let (mut on_time, mut late) = (Series::default(), Series::default());
        let (mut table, mut late_table) = (Table::default(), Table::default());
        for number in 0..30 {
            add(&mut on_time, number as f64, &uid(number));
            if number != 7 {
                add(&mut late, number as f64, &uid(number));
                late_table.fill(&late, false);
            }
        }
        late_table.fill(&late, true);
        table.fill(&on_time, true);
        assert_ne!(late_table.bits(), table.bits());
        add(&mut late, 7.0, &uid(7));
        late_table.fill(&late, true);
        assert_eq!(late_table.bits(), table.bits());
    }

    #[test]
    fn of_two_instances_at_one_position_the_later_one_counts_in_whichever_order_they_are_decoded() {
        let bits_of = |uids: [&str; 2]| {
            let (mut series, mut table) = (Series::default(), Table::default());
            for uid in uids {
                add(&mut series, 1.0, uid);
            }
            table.fill(&series, true);
            assert_eq!(series.double_positions_mm(), [1.0]);
            table.bits()
        };
        assert_eq!(bits_of(["1.5", "1.3"]), bits_of(["1.3", "1.5"]));
        let (mut later, mut table) = (Series::default(), Table::default());
        add(&mut later, 1.0, "1.5");
        table.fill(&later, true);
        assert_eq!(bits_of(["1.5", "1.3"]), table.bits());
    }

    #[test]
    fn an_original_goes_before_what_was_derived_from_it_whichever_came_later() {
        let (original, plane) = made_slice([0.0, 0.0, 1.0], -700.0, "1.3", &input());
        let (mut derived, other) = made_slice([0.0, 0.0, 1.0], -100.0, "1.5", &input());
        derived.header.acquisition.is_derived = true;
        let mut series = Series::default();
        for (slice, plane_of) in [(derived, &other), (original, &plane)] {
            series.add(slice, plane_of, &input(), |_| Ok::<_, Infallible>(other.clone())).unwrap();
        }
        assert_eq!(series.slices().next().unwrap().sop_instance_uid, "1.3");
    }

    #[test]
    fn of_two_frames_of_one_instance_at_one_position_the_first_stays_in_either_order_and_the_right_one_is_read_again() {
        let frame = |number: usize| {
            let (mut slice, plane) = made_slice([0.0, 0.0, 1.0], -700.0 - 100.0 * number as f32, "1.5", &input());
            slice.file.frame = number;
            (slice, plane)
        };
        let bits_of = |frames: &[usize]| {
            let (mut series, mut table) = (Series::default(), Table::default());
            for number in frames {
                let (slice, plane) = frame(*number);
                series
                    .add(slice, &plane, &input(), |present| Ok::<_, Infallible>(frame(present.file.frame).1))
                    .unwrap();
            }
            table.fill(&series, true);
            table.bits()
        };
        assert_eq!(bits_of(&[0, 1]), bits_of(&[0]));
        assert_eq!(bits_of(&[1, 0]), bits_of(&[0]));
        assert_ne!(bits_of(&[1]), bits_of(&[0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_table_is_the_same_for_any_order_of_arrival(
            spacing in prop::sample::select(vec![0.7, 1.0, 2.0, 3.0, 5.0, 8.0]),
            order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
            repeated in prop::collection::vec(0..40_usize, 0..6),
            doubled in prop::collection::btree_set(0..40_usize, 0..6),
        ) {
            let add_nth = |series: &mut Series, number: usize| add(series, number as f64 * spacing - 33.3, &uid(number));
            let (mut sorted, mut table) = (Series::default(), Table::default());
            (0..40).for_each(|number| add_nth(&mut sorted, number));
            // Another slice at the same position, which came earlier or later.
            let add_double = |series: &mut Series, number: usize| {
                let uid = format!("{}.{number}", if number.is_multiple_of(2) { "0" } else { "2" });
                add(series, number as f64 * spacing - 33.3, &uid);
            };
            for number in &doubled {
                add_double(&mut sorted, *number);
            }
            table.fill(&sorted, true);
            let (mut shuffled, mut shuffled_table) = (Series::default(), Table::default());
            for number in order.into_iter().chain(repeated) {
                if doubled.contains(&number) {
                    add_double(&mut shuffled, number);
                }
                add_nth(&mut shuffled, number);
                shuffled_table.fill(&shuffled, false);
            }
            shuffled_table.fill(&shuffled, true);
            prop_assert_eq!(table.bits(), shuffled_table.bits());
        }
    }
}
