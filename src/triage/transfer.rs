//! How an exam's images came: what may be at fault in the place of the scan.

use super::cut_off::End;
use crate::exam::{Doubt, PreparedSlice, QualityIssue, QualityKind, QualityLimits, ScanDirection, Series};

/// What is known of the way of the judged series' images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transfer<'a> {
    /// Slices of the exam that were refused, or cannot be analysed.
    pub lost: usize,
    /// How many images the scanner announced, where it did.
    pub announced: Option<usize>,
    /// An association that carries the exam is open.
    pub is_open: bool,
    /// In which direction the slices came, where they came in order.
    pub direction: Option<ScanDirection>,
    /// The exam's other series, each from its lowest to its uppermost slice, mm.
    pub others: Vec<(&'a str, [f64; 2])>,
}

/// Another series goes further than the judged one if it does by more than this: reconstructions of one scan end within a slice's
/// thickness of each other, mm.
const FURTHER_MM: f64 = 15.0;

impl Transfer<'_> {
    /// The issues with what there is to doubt of each that asks for another scan.
    #[must_use]
    pub fn doubt(&self, issues: Vec<QualityIssue>, series: &Series, limits: &QualityLimits) -> Vec<QualityIssue> {
        let doubted = |issue: QualityIssue| {
            let doubt = match issue.kind {
                QualityKind::ApexCutOff { .. } => self.at_end(End::Apex, series),
                QualityKind::BaseCutOff { .. } => self.at_end(End::Base, series),
                QualityKind::Gap { .. } if issue.hides_lung(limits) => {
                    self.slices_lost().or_else(|| self.to_come(series))
                }
                QualityKind::AnatomyStep { .. } => self.slices_lost(),
                _ => None,
            };
            issue.doubted(doubt)
        };
        issues.into_iter().map(doubted).collect()
    }

    fn slices_lost(&self) -> Option<Doubt> {
        (self.lost > 0).then_some(Doubt::SlicesLost { count: self.lost })
    }

    /// Why lungs that are cut off at an end may have been scanned all the same.
    fn at_end(&self, end: End, series: &Series) -> Option<Doubt> {
        self.slices_lost()
            .or_else(|| self.not_yet_here(end, series))
            .or_else(|| numbers_begin_late(end, series))
            .or_else(|| self.goes_further(end, series))
    }

    /// What comes in order does not come before where it began.
    fn not_yet_here(&self, end: End, series: &Series) -> Option<Doubt> {
        let beginning = self.direction.map(|direction| match direction {
            ScanDirection::TowardsFeet => End::Apex,
            ScanDirection::TowardsHead => End::Base,
        });
        if self.is_open && beginning == Some(end) { None } else { self.to_come(series) }
    }

    fn to_come(&self, series: &Series) -> Option<Doubt> {
        let came = series.received();
        let announced = self.announced.filter(|announced| *announced > came);
        let announced = announced.map(|announced| Doubt::Announced { came, announced });
        announced.or(self.is_open.then_some(Doubt::StillSending))
    }

    fn goes_further(&self, end: End, series: &Series) -> Option<Doubt> {
        let z_mm = |slice: &PreparedSlice| slice.header.geometry.z_mm;
        let is_further = |[low, high]: [f64; 2]| match end {
            End::Apex => series.slices().next_back().is_some_and(|top| high > z_mm(top) + FURTHER_MM),
            End::Base => series.slices().next().is_some_and(|bottom| low < z_mm(bottom) - FURTHER_MM),
        };
        let (uid, _) = self.others.iter().find(|(_, range_mm)| is_further(*range_mm))?;
        Some(Doubt::SeriesGoesFurther { series_instance_uid: (*uid).to_owned() })
    }
}

/// Scanners number a series' images from 1 on along the scan. Where the numbers begin at this end and later, those before may lie
/// beyond it.
pub(super) fn numbers_begin_late(end: End, series: &Series) -> Option<Doubt> {
    let numbers = || {
        let single = series.slices().filter(|slice| slice.header.frame_number.is_none());
        single.filter_map(|slice| slice.header.acquisition.instance_number)
    };
    let (outermost, next) = match end {
        End::Base => (numbers().next()?, numbers().nth(1)?),
        End::Apex => (numbers().next_back()?, numbers().nth_back(1)?),
    };
    let begins_here = next == outermost + 1 && numbers().min() == Some(outermost);
    (begins_here && outermost > 1).then_some(Doubt::NumbersBeginAt { number: outermost })
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
