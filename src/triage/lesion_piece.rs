//! What one piece of a slab's lesion mask adds to its lesion. All of it comes from the slab alone, so that it is made once, and
//! again only if the slab changes.

use super::density::Histogram;
use super::extent::Spans;
use crate::raster::Mask;
use crate::raster::Pieces;

/// The pieces of a slab's lesion mask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LesionPieces {
    pub pieces: Pieces,
    /// One a piece.
    pub sums: Vec<LesionPiece>,
}

/// Sums over the pixels of a piece.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LesionPiece {
    pub pixels: usize,
    /// The piece of the slab's lung mask that it lies in.
    pub lung: Option<usize>,
    /// Hounsfield units, clamped to the model's window.
    pub hu: f64,
    pub histogram: Histogram,
    /// Of row numbers, column numbers, and of the squares of both.
    pub rows: usize,
    pub columns: usize,
    pub squares: usize,
    pub spans: Spans,
}

impl LesionPieces {
    /// The pieces of a lesion mask. `hu` are the Hounsfield units of its pixels in the order of [`Mask::pixels`], `lung` the
    /// pieces of the lung mask around.
    #[must_use]
    pub fn of(lesion: &Mask, hu: &[f32], lung: &Pieces) -> Self {
        let pieces = Pieces::of(lesion);
        let mut sums = vec![LesionPiece::default(); pieces.sizes().len()];
        let mut hu_of = vec![Vec::new(); sums.len()];
        let mut hu = hu.iter();
        for run in pieces.runs() {
            let piece = &mut sums[run.piece];
            if piece.pixels == 0 {
                piece.lung = lung.piece_at(run.row, run.columns.start);
            }
            piece.pixels += run.columns.len();
            for column in run.columns.clone() {
                piece.rows += run.row;
                piece.columns += column;
                piece.squares += run.row * run.row + column * column;
            }
            piece.spans.widen(run.row, run.columns.start);
            piece.spans.widen(run.row, run.columns.end - 1);
            hu_of[run.piece].extend(hu.by_ref().take(run.columns.len()));
        }
        for (piece, hu) in sums.iter_mut().zip(&hu_of) {
            piece.hu = hu.iter().map(|hu| f64::from(*hu)).sum();
            piece.histogram = Histogram::of(hu);
        }
        Self { pieces, sums }
    }
}
