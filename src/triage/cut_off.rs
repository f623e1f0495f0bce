//! Whether lungs are cut off by an end of the scan.
//!
//! "Rescan" is radiation, so that the area of the lung mask on the outermost slab is not enough: models also draw gas in
//! the bowel, air between raised arms and air beside the body as lung. The area counts where it measures as lung does, goes on
//! in the slab beside it as lungs do, and lies within the plane. What is gas is no lung; where it may be either, the issue says
//! that somebody must look.

use super::evidence::TableRow;
use crate::exam::{Doubt, QualityIssue, QualityKind, QualityLimits, Series};
use crate::preprocess::InputGeometry;
use crate::raster::Mask;
use crate::raster::{PixelRun, RegionAt};

/// An end of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Apex,
    Base,
}

impl End {
    /// The rows of the outermost slab and of the one beside it.
    fn rows(self, count: usize) -> Option<(usize, usize)> {
        let last = count.checked_sub(1)?;
        match self {
            Self::Apex => Some((last, last.checked_sub(1)?)),
            Self::Base => (count > 1).then_some((0, 1)),
        }
    }

    fn kind(self, lung_cm2: f64) -> QualityKind {
        match self {
            Self::Apex => QualityKind::ApexCutOff { lung_cm2 },
            Self::Base => QualityKind::BaseCutOff { lung_cm2 },
        }
    }
}

/// What aerated lung measures on a slab, HU: gas and air lie below, dense tissue above.
const AERATED_HU: std::ops::RangeInclusive<f32> = -950.0..=-500.0;

/// From this share of gas on a region is none of the lung: emphysema keeps more of its walls, and a rim of partial volume
/// surrounds any gas.
const GAS_SHARE: f64 = 0.75;

/// A region is lung for certain if this share of it is aerated, and lies on lung of the slab beside it: lungs change little over 3 mm.
const AERATED_SHARE: f64 = 0.5;
const SHARED_SHARE: f64 = 0.5;

/// Lungs end tapering: an outermost slab with this many times the lung of the one beside it is no end of lungs.
const MOST_GROWTH: f64 = 1.5;

/// Slabs further apart than this show nothing of each other, mm.
const NEXT_MM: f64 = 10.0;

/// The lung on a slab, cm²: what is for certain, and what may be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct LungThere {
    certain_cm2: f64,
    possible_cm2: f64,
}

/// Looks at the regions of a table's outermost slabs that are lung by their connection.
pub(super) struct EndOfLungs<'a> {
    pub series: &'a Series,
    /// In ascending z.
    pub rows: &'a [TableRow<'a>],
    /// Whether a region belongs to the lungs.
    pub is_lung: &'a dyn Fn(RegionAt) -> bool,
    pub input: &'a InputGeometry,
    pub limits: &'a QualityLimits,
}

impl EndOfLungs<'_> {
    /// The issue where the lungs are cut off at an end, with a doubt where they may not be.
    #[must_use]
    pub(super) fn cut_off(&self, end: End) -> Option<QualityIssue> {
        let (outer, inner) = end.rows(self.rows.len())?;
        let there = self.lung_on(outer, inner);
        let limit_cm2 = self.limits.cut_off_lung_cm2;
        if there.possible_cm2 <= limit_cm2 {
            return None;
        }
        let beside = self.lung_on(inner, self.beyond(outer, inner));
        let goes_on = beside.certain_cm2 > limit_cm2 && there.certain_cm2 <= beside.possible_cm2 * MOST_GROWTH;
        let is_certain = there.certain_cm2 > limit_cm2 && goes_on && self.are_neighbours(outer, inner);
        let lung_cm2 = if is_certain { there.certain_cm2 } else { there.possible_cm2 };
        let slice = match end {
            End::Apex => self.series.slices().next_back(),
            End::Base => self.series.slices().next(),
        };
        let doubt = (!is_certain).then_some(Doubt::MaybeNoLung);
        Some(super::key_slice::issue(end.kind(lung_cm2), slice).doubted(doubt))
    }

    /// The row beyond the inner one, seen from the outer one; the outer one itself where there is none.
    fn beyond(&self, outer: usize, inner: usize) -> usize {
        let next = if inner > outer { Some(inner + 1) } else { inner.checked_sub(1) };
        next.filter(|next| *next < self.rows.len()).unwrap_or(outer)
    }

    fn are_neighbours(&self, one: usize, other: usize) -> bool {
        (self.rows[one].z_mm - self.rows[other].z_mm).abs() <= NEXT_MM
    }

    /// The lung on a row's slab, region by region, compared with the row beside it.
    fn lung_on(&self, row: usize, beside: usize) -> LungThere {
        let regions = &self.rows[row].evidence.lung_regions;
        let Some(plane) = self.series.slab_plane(self.rows[row].slab) else { return LungThere::default() };
        let beside = &self.rows[beside].evidence.lung;
        let mut seen = vec![RegionSeen::default(); regions.sizes().len()];
        for run in regions.runs() {
            seen[run.region].add(run, &plane, beside, self.input);
        }
        let mut there = LungThere::default();
        for (region, seen) in
            seen.iter().enumerate().filter(|(region, _)| (self.is_lung)(RegionAt { slab: row, region: *region }))
        {
            let cm2 = regions.sizes()[region] as f64 * self.input.pixel_cm2();
            if !seen.is_gas() {
                there.possible_cm2 += cm2;
            }
            if seen.is_lung() {
                there.certain_cm2 += cm2;
            }
        }
        there
    }
}

/// What a region's pixels are, counted.
#[derive(Debug, Clone, Copy, Default)]
struct RegionSeen {
    pixels: usize,
    gas: usize,
    aerated: usize,
    /// Lung on the slab beside it too.
    shared: usize,
    is_at_border: bool,
}

impl RegionSeen {
    fn add(&mut self, run: &PixelRun, plane: &[f32], beside: &Mask, input: &InputGeometry) {
        let is_outermost = |at: usize, count: usize| at == 0 || at + 1 == count;
        self.is_at_border |= is_outermost(run.row, input.rows)
            || is_outermost(run.columns.start, input.columns)
            || is_outermost(run.columns.end - 1, input.columns);
        for at in run.columns.clone().map(|column| run.row * input.columns + column) {
            // A pixel without a value is neither gas nor lung.
            let hu = plane.get(at).map(|value| input.hounsfield(*value));
            self.pixels += 1;
            self.gas += usize::from(hu.is_some_and(|hu| hu < *AERATED_HU.start()));
            self.aerated += usize::from(hu.is_some_and(|hu| AERATED_HU.contains(&hu)));
            self.shared += usize::from(beside.contains(at));
        }
    }

    fn share(&self, part: usize) -> f64 {
        part as f64 / self.pixels.max(1) as f64
    }

    fn is_gas(&self) -> bool {
        self.share(self.gas) >= GAS_SHARE
    }

    fn is_lung(&self) -> bool {
        !self.is_at_border && self.share(self.aerated) >= AERATED_SHARE && self.share(self.shared) >= SHARED_SHARE
    }
}

#[cfg(test)]
#[path = "cut_off_tests.rs"]
mod tests;
