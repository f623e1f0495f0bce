//! One series of an exam: its slices, its evidence, and how it came.

use std::time::Instant;

use super::decode::Arrival;
use crate::exam::{
    Kernel, Lps, LungArea, NO_LUNG_CM2, Part, Pauses, QualityLimits, Reconstruction, ScanDirection, ScanOrder, Series,
    SeriesKey, SlabIndex, SourceImage, lungs_passed, shows_lung,
};
use crate::preprocess::{InputGeometry, Plane};
use crate::triage::{
    Beginning, CutField, Densities, EvidenceTable, Findings, LungRegions, Segmentation, TableRow, beginning,
};

/// A slab with less lung than this does not count towards the lungs that an early flag wants to have seen, cm².
const LUNG_SLAB_CM2: f64 = 10.0;

/// Gas in stomach or bowel that a network takes for lung covers less than this on a slab, cm². What is gas is told from lung
/// by its volume: only where this much or less is left.
const MOST_GAS_CM2: f64 = 60.0;

/// How much lung these rows of a table show, mm along z.
pub fn lung_mm(rows: &[TableRow<'_>]) -> f64 {
    rows.iter().filter(|row| row.evidence.lung_cm2 >= LUNG_SLAB_CM2).map(|row| row.thickness_mm).sum()
}

/// Names a volume of an exam: a series, or a part of one that holds several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeId {
    /// Of series that are one volume together, the first one.
    pub series_instance_uid: String,
    pub part: Part,
}

impl VolumeId {
    /// The volume whose key among all exams this is.
    pub fn of(key: &SeriesKey) -> Self {
        Self { series_instance_uid: key.series_instance_uid.clone(), part: key.part.clone() }
    }
}

/// One volume with its evidence.
#[derive(Debug, Default)]
pub struct SeriesAnalysis {
    pub series: Series,
    pub table: EvidenceTable,
    is_sharp: bool,
    /// The lowest and the uppermost slice that shows lung, mm.
    lung_mm: Option<(f64, f64)>,
    order: ScanOrder,
    /// Whether the scan began within the lungs has been looked at.
    pub beginning_seen: bool,
    lungs_passed: bool,
    last_arrival: Option<Instant>,
    pauses: Pauses,
}

impl SeriesAnalysis {
    pub fn findings(&self, input: &InputGeometry, densities: Densities) -> Findings<'_> {
        Findings::of(&self.table.rows(&self.series), input, densities, self.plane_centre())
    }

    /// What these findings drew, and on which images.
    pub fn segmentation(&self, findings: &Findings<'_>, input: &InputGeometry) -> (Segmentation, Vec<SourceImage>) {
        let images = self.series.slices().map(|slice| SourceImage::of(slice, input)).collect();
        (Segmentation::of(findings, &self.table.rows(&self.series), input), images)
    }

    /// The patient's position of the planes' centre, x and y, mm.
    fn plane_centre(&self) -> Lps {
        let [x, y] = self.series.slices().next().map(|slice| slice.centre.mm()).unwrap_or_default();
        [x, y, 0.0]
    }

    /// Where the field of view ends within the lungs, if it does.
    pub fn cut_field(&self, input: &InputGeometry, limits: &QualityLimits) -> Option<CutField> {
        CutField::find(&self.series, &self.table.rows(&self.series), input, limits)
    }

    /// Whether the scan began above the lungs or within them, as far as can be seen.
    pub fn beginning(&self, input: &InputGeometry, limits: &QualityLimits) -> Beginning {
        beginning(&self.series, &self.table.rows(&self.series), self.direction(), input, limits)
    }

    /// In which direction its slices came, where they came in order.
    pub fn direction(&self) -> Option<ScanDirection> {
        self.order.direction()
    }

    /// From the lowest to the uppermost slice, mm.
    pub fn range_mm(&self) -> Option<[f64; 2]> {
        let mut z_mm = self.series.slices().map(|slice| slice.header.geometry.z_mm);
        let lowest = z_mm.next()?;
        Some([lowest, z_mm.next_back().unwrap_or(lowest)])
    }

    /// Whether the outermost slice at either end shows lung: scans end beyond the lungs, so that more may come.
    pub fn ends_in_lung(&self) -> bool {
        let ends = self.lung_mm.zip(self.range_mm());
        ends.is_some_and(|((lung_low, lung_high), [low, high])| lung_low <= low || lung_high >= high)
    }

    /// Notes how a slice came that is the `image`-th of its instance, from 0, and lies at `z_mm`.
    pub fn arrived(&mut self, arrival: &Arrival, image: usize, z_mm: f64) {
        self.order.add((arrival.number, image), z_mm);
        self.lungs_passed = self.lungs_passed && self.order.direction().is_some();
        if let Some(last) = self.last_arrival {
            let pause = Pauses {
                in_series: arrival.at.saturating_duration_since(last),
                after_release: arrival.after_release.unwrap_or_default(),
            };
            self.pauses = self.pauses.longest(pause);
        }
        self.last_arrival = self.last_arrival.max(Some(arrival.at));
    }

    /// Notes what a slice at `z_mm` says for its series: the kernel it was made with, and whether it shows lung.
    pub fn look_at(&mut self, z_mm: f64, kernel: &str, plane: &Plane, input: &InputGeometry) {
        self.is_sharp = Kernel::of(kernel) >= Kernel::Sharp;
        if shows_lung(plane, input) {
            let (low, high) = self.lung_mm.unwrap_or((z_mm, z_mm));
            self.lung_mm = Some((low.min(z_mm), high.max(z_mm)));
        }
    }

    /// The longest pauses while it came.
    pub fn pauses(&self) -> Pauses {
        self.pauses
    }

    pub fn reconstruction<'a>(&self, VolumeId { series_instance_uid, part }: &'a VolumeId) -> Reconstruction<'a> {
        let reach_mm = self.range_mm().map_or(0.0, |[lowest, highest]| highest - lowest);
        let lung_mm = self.lung_mm.map_or(0.0, |(low, high)| high - low);
        Reconstruction {
            series_instance_uid,
            part,
            lung_mm,
            reach_mm,
            slices: self.series.len(),
            is_sharp: self.is_sharp,
        }
    }

    /// Whether the lungs had passed when [`Self::look_for_the_end`] last looked, and the slices have come in order since.
    pub fn have_lungs_passed(&self) -> bool {
        self.lungs_passed
    }

    /// Looks whether the scan has left the lungs behind: `passed_mm` without lung after at least `least_lung_ml` of it.
    pub fn look_for_the_end(&mut self, input: &InputGeometry, passed_mm: f64, least_lung_ml: f64) {
        self.lungs_passed = self.order.direction().is_some_and(|direction| {
            let rows = self.judged_from_the_start(direction);
            let raw = rows.iter().map(|row| row.evidence.lung_cm2);
            lungs_passed(&in_scan_order(&rows, raw, direction), MOST_GAS_CM2, passed_mm) && {
                let lungs = LungRegions::find(&rows, input);
                let areas = lungs.areas.iter().map(|area| area.lung_cm2);
                lungs.volume_ml >= least_lung_ml
                    && lungs_passed(&in_scan_order(&rows, areas, direction), NO_LUNG_CM2, passed_mm)
            }
        });
    }

    /// The rows from the slab where the scan began to the first one that is not judged yet, in ascending z.
    fn judged_from_the_start(&self, direction: ScanDirection) -> Vec<TableRow<'_>> {
        let mut rows = self.table.rows(&self.series);
        let slabs: Vec<SlabIndex> = self.series.slab_indices().collect();
        let is_judged = |(row, slab): &(&TableRow<'_>, &SlabIndex)| row.slab == **slab;
        match direction {
            ScanDirection::TowardsHead => {
                let judged = rows.iter().zip(&slabs).take_while(is_judged).count();
                rows.truncate(judged);
            }
            ScanDirection::TowardsFeet => {
                let judged = rows.iter().rev().zip(slabs.iter().rev()).take_while(is_judged).count();
                rows.drain(..rows.len() - judged);
            }
        }
        rows
    }
}

fn in_scan_order(
    rows: &[TableRow<'_>],
    lung_cm2: impl Iterator<Item = f64>,
    direction: ScanDirection,
) -> Vec<LungArea> {
    let areas = rows.iter().zip(lung_cm2).map(|(row, lung_cm2)| LungArea { z_mm: row.z_mm, lung_cm2 });
    let mut areas: Vec<LungArea> = areas.collect();
    if direction == ScanDirection::TowardsFeet {
        areas.reverse();
    }
    areas
}
