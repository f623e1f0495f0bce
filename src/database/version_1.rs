//! Layout 1, in which an exam was one JSON document: read once, at the move into columns. What stands here is what programs up to
//! 0.1 wrote, and never changes.

use std::collections::BTreeMap;

use rusqlite::Transaction;
use rusqlite_migration::{HookError, HookResult};
use serde::Deserialize;

use super::record::Record;
use super::rows;
use crate::alert::{Flags, Outcomes};
use crate::analysis::{ExamView, PlacedImage, SlabView};
use crate::exam::SlabIndex;
use crate::raster::{Mask, Outline, PackedMask};
use crate::triage::CaseReport;

/// Rows and columns of the plane that all models of that time had.
const SIDE: usize = 256;

#[derive(Deserialize)]
struct Document {
    /// With a copy of the flags, which is passed over.
    exam: ExamView,
    slabs: BTreeMap<SlabIndex, Slab>,
    report: Option<CaseReport>,
    pictures: BTreeMap<SlabIndex, PlacedImage>,
    flags: Flags,
}

#[derive(Deserialize)]
struct Slab {
    index: SlabIndex,
    z_mm: f64,
    lung_cm2: f64,
    lesion_cm2: f64,
    attention: f32,
    logit: f32,
    score: Option<f64>,
    lung: Vec<Outline>,
    lesion: Vec<Outline>,
}

/// Moves all documents into columns. A document that cannot be read stays where it is, in the table `document`: its exam is
/// analysed anew from the spool.
pub(super) fn move_into_columns(transaction: &Transaction<'_>) -> HookResult {
    let keys: Vec<String> =
        transaction.prepare("SELECT key FROM document")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut unreadable = 0_usize;
    for key in keys {
        let json: String =
            transaction.query_row("SELECT record FROM document WHERE key = ?1", [&key], |row| row.get(0))?;
        match serde_json::from_str::<Document>(&json) {
            Ok(document) => {
                rows::write_columns(transaction, &document.into())
                    .map_err(|error| HookError::Hook(error.to_string()))?;
                transaction.execute("DELETE FROM document WHERE key = ?1", [&key])?;
            }
            Err(error) => {
                unreadable += 1;
                tracing::error!(exam = key, %error, "an earlier exam cannot be read: it is analysed anew from the spool");
            }
        }
    }
    if unreadable == 0 {
        transaction.execute("DROP TABLE document", [])?;
    }
    Ok(())
}

impl From<Document> for Record {
    fn from(Document { exam, slabs, report, mut pictures, flags }: Document) -> Self {
        let slab = |(_, slab): (SlabIndex, Slab)| {
            let image = pictures.remove(&slab.index);
            (slab.index, slab.with_image(image))
        };
        Self {
            slabs: slabs.into_iter().map(slab).collect(),
            exam,
            flags,
            outcomes: Outcomes::default(),
            report,
            basis: None,
        }
    }
}

impl Slab {
    fn with_image(self, image: Option<PlacedImage>) -> SlabView {
        SlabView {
            index: self.index,
            z_mm: self.z_mm,
            lung_cm2: self.lung_cm2,
            lesion_cm2: self.lesion_cm2,
            attention: self.attention,
            logit: self.logit,
            score: self.score,
            lung: PackedMask::of(&enclosed(&self.lung)),
            lesion: PackedMask::of(&enclosed(&self.lesion)),
            image,
        }
    }
}

/// The pixels that outlines enclose, holes left out: from left to right each upright edge goes in or out.
fn enclosed(outlines: &[Outline]) -> Mask {
    let mut crossed = vec![false; SIDE * SIDE];
    for outline in outlines {
        for ([x, y], [next_x, next_y]) in outline.iter().zip(outline.iter().cycle().skip(1)) {
            let (x, rows) = (usize::from(*x), usize::from(*y.min(next_y))..usize::from(*y.max(next_y)).min(SIDE));
            if x == usize::from(*next_x) && x < SIDE {
                rows.for_each(|row| crossed[row * SIDE + x] ^= true);
            }
        }
    }
    let mut inside = false;
    let set = crossed.iter().enumerate().filter_map(|(at, is_crossed)| {
        inside = (inside && !at.is_multiple_of(SIDE)) ^ is_crossed;
        inside.then_some(at)
    });
    Mask::from_pixels(SIDE, SIDE, set)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::raster::outlines;

    proptest! {
        #[test]
        fn outlines_enclose_the_mask_that_they_were_drawn_around(blocks in prop::collection::vec((0..250_usize, 0..250_usize, 1..40_usize, 1..40_usize), 0..6)) {
            let within = |at: usize, (row, column, rows, columns): &(usize, usize, usize, usize)| {
                (*row..row + rows).contains(&(at / SIDE)) && (*column..column + columns).contains(&(at % SIDE))
            };
            let mask = Mask::from_fn(SIDE, SIDE, |at| blocks.iter().filter(|block| within(at, block)).count() % 2 == 1);
            prop_assert_eq!(enclosed(&outlines(&mask)), mask);
        }
    }
}
