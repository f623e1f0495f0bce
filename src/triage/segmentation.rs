//! What of each slab's plane is which lung and which lesion of the report: what outlines and DICOM segmentations are made from.

use std::ops::Range;

use super::evidence::TableRow;
use super::findings::Findings;
use super::zones::Side;
use crate::exam::SlabIndex;
use crate::preprocess::InputGeometry;

/// Pixels of one row of a plane that stand together, lie in one lung, and in one lesion or in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentedRun {
    pub row: u16,
    pub columns: Range<u16>,
    pub lung: Side,
    /// Place of the lesion in the report's list, from 0.
    pub lesion: Option<u16>,
}

/// The runs of one slab, in order of row and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentedSlab {
    pub slab: SlabIndex,
    pub runs: Vec<SegmentedRun>,
}

/// The lungs and lesions of a judged series on the model's plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    pub rows: usize,
    pub columns: usize,
    /// Distance of the plane's pixels, mm.
    pub pixel_mm: f64,
    /// In ascending z.
    pub slabs: Vec<SegmentedSlab>,
}

impl Segmentation {
    /// What these findings drew; `table` is what they were made from.
    #[must_use]
    pub fn of(findings: &Findings<'_>, table: &[TableRow<'_>], input: &InputGeometry) -> Self {
        let mut lesions: Vec<Vec<(usize, u16)>> = vec![Vec::new(); table.len()];
        for (place, regions) in findings.lesion_regions.iter().enumerate() {
            for at in regions {
                lesions[at.slab].push((at.region, place as u16));
            }
        }
        let slabs = table
            .iter()
            .zip(&lesions)
            .enumerate()
            .map(|(number, (row, lesions))| SegmentedSlab {
                slab: row.slab,
                runs: runs(number, row, lesions, findings, input.columns),
            })
            .collect();
        Self { rows: input.rows, columns: input.columns, pixel_mm: input.pixel_mm, slabs }
    }

    /// The slab of this number.
    #[must_use]
    pub fn slab(&self, slab: SlabIndex) -> Option<&SegmentedSlab> {
        self.slabs.iter().find(|segmented| segmented.slab == slab)
    }
}

impl SegmentedSlab {
    /// The lung and the lesion of each pixel of a plane of this size, row by row.
    #[must_use]
    pub fn pixels(&self, rows: usize, columns: usize) -> Vec<Option<(Side, Option<u16>)>> {
        let mut pixels = vec![None; rows * columns];
        for SegmentedRun { row, columns: run, lung, lesion } in &self.runs {
            let first = usize::from(*row) * columns;
            let run = first + usize::from(run.start)..first + usize::from(run.end);
            if let Some(run) = pixels.get_mut(run) {
                run.fill(Some((*lung, *lesion)));
            }
        }
        pixels
    }
}

fn runs(
    number: usize,
    row: &TableRow<'_>,
    lesions: &[(usize, u16)],
    findings: &Findings<'_>,
    columns: usize,
) -> Vec<SegmentedRun> {
    let mut lesion_at = vec![None; row.evidence.lung.rows() * columns];
    for run in row.evidence.lesion_regions.regions.runs() {
        if let Some((_, place)) = lesions.iter().find(|(region, _)| *region == run.region) {
            lesion_at[run.row * columns..][run.columns.clone()].fill(Some(*place));
        }
    }
    let left_from = findings.lungs.left_from(number);
    let mut runs: Vec<SegmentedRun> = Vec::new();
    for at in findings.lungs.mask(number).pixels() {
        let (in_row, column) = ((at / columns) as u16, (at % columns) as u16);
        let lung = if usize::from(column) >= left_from { Side::Left } else { Side::Right };
        let lesion = lesion_at[at];
        match runs.last_mut() {
            Some(run) if (run.row, run.columns.end, run.lung, run.lesion) == (in_row, column, lung, lesion) => {
                run.columns.end += 1;
            }
            _ => runs.push(SegmentedRun { row: in_row, columns: column..column + 1, lung, lesion }),
        }
    }
    runs
}
