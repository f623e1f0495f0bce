//! Which pixels of an image belong to which segment.

use std::rc::Rc;

use super::Shows;
use crate::exam::SourceImage;
use crate::triage::{Segmentation, SegmentedRun, SegmentedSlab, Side};

/// As many of the largest lesions have segments of their own.
pub(super) const OWN_SEGMENTS: usize = 20;

/// Both lungs, the largest lesions, the others.
const MOST_SEGMENTS: usize = 2 + OWN_SEGMENTS + 1;

impl Shows {
    /// All that may have a segment, in the order of segments.
    pub(super) fn in_order() -> impl Iterator<Item = Self> {
        let lungs = [Side::Right, Side::Left].map(Self::Lung);
        lungs.into_iter().chain((0..OWN_SEGMENTS).map(Self::Lesion)).chain([Self::OtherLesions])
    }

    /// The place in that order of the segment that shows it.
    fn place(self) -> usize {
        match self {
            Self::Lung(Side::Right) => 0,
            Self::Lung(Side::Left) => 1,
            Self::Lesion(lesion) => 2 + lesion.min(OWN_SEGMENTS),
            Self::OtherLesions => 2 + OWN_SEGMENTS,
        }
    }
}

/// The place of the segment that shows a run's pixels, as a bit. A pixel has one segment: viewers lose parts of segments that overlap.
fn places(run: &SegmentedRun) -> u32 {
    let shows = run.lesion.map_or(Shows::Lung(run.lung), |lesion| Shows::Lesion(lesion.into()));
    1 << shows.place()
}

/// The segments' masks on one image, by their places: pixels in bits, as they are packed in a frame; `None` without a pixel.
#[derive(Default)]
pub(super) struct Masks([Option<Vec<u8>>; MOST_SEGMENTS]);

impl Masks {
    pub(super) fn of(&self, shows: Shows) -> Option<&[u8]> {
        self.0.get(shows.place())?.as_deref()
    }

    /// Draws a slab on a grid whose pixels are nearest to these of the plane.
    fn drawn(slab: &SegmentedSlab, nearest: &[Option<u32>], [rows, columns]: [usize; 2]) -> Self {
        let mut places_at = vec![0; rows * columns];
        for run in &slab.runs {
            let row = usize::from(run.row) * columns;
            if let Some(pixels) =
                places_at.get_mut(row + usize::from(run.columns.start)..row + usize::from(run.columns.end))
            {
                pixels.fill(places(run));
            }
        }
        let bytes = nearest.len().div_ceil(8);
        let mut masks: [Option<Vec<u8>>; MOST_SEGMENTS] = Default::default();
        for (byte, nearest) in nearest.chunks(8).enumerate() {
            let mut eight = [0_u32; 8];
            for (pixel, at) in eight.iter_mut().zip(nearest) {
                *pixel = at.map_or(0, |at| places_at[at as usize]);
            }
            let mut places = eight.iter().fold(0, |all, pixel| all | pixel);
            while places != 0 {
                let place = places.trailing_zeros();
                places &= places - 1;
                let bits = eight.iter().enumerate().map(|(at, pixel)| ((pixel >> place & 1) as u8) << at);
                let mask = masks[place as usize].get_or_insert_with(|| vec![0; bytes]);
                mask[byte] = bits.fold(0, |all, bit| all | bit);
            }
        }
        Self(masks)
    }
}

/// The masks on each of these images. Images of one slab that lie alike share theirs.
pub(super) fn of_images(images: &[&SourceImage], segmentation: &Segmentation) -> Vec<Rc<Masks>> {
    let plane = [segmentation.rows, segmentation.columns];
    let mut masks = Vec::with_capacity(images.len());
    for alike in images.chunk_by(|a, b| a.grid_on_plane() == b.grid_on_plane()) {
        let nearest = alike[0].grid_on_plane().nearest_plane_pixels(plane, segmentation.pixel_mm);
        for of_slab in alike.chunk_by(|a, b| a.slab == b.slab) {
            let slab = segmentation.slab(of_slab[0].slab);
            let drawn = Rc::new(slab.map(|slab| Masks::drawn(slab, &nearest, plane)).unwrap_or_default());
            masks.extend(of_slab.iter().map(|_| Rc::clone(&drawn)));
        }
    }
    masks
}
