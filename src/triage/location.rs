//! Where in the lungs a pixel of a lesion lies.

use super::evidence::{Mask, TableRow};
use super::lungs::Lungs;
use crate::exam::Lps;
use crate::preprocess::InputGeometry;

/// What is nearer than this to the lungs' outline in its plane is peripheral: a third of the way to the hilum, mm.
const PERIPHERAL_MM: f64 = 20.0;

/// Directions in which the outline is sought.
const DIRECTIONS: usize = 16;

/// What is not higher than this above the end of the lung below it lies on the diaphragm, mm. Partial volume of the dome
/// is thinner, disease of the base is not.
const ON_DIAPHRAGM_MM: f64 = 8.0;

/// Where plane pixels lie in the patient and in the lungs.
pub(super) struct Location<'a> {
    table: &'a [TableRow<'a>],
    lungs: &'a Lungs,
    input: &'a InputGeometry,
    /// The patient's position of the plane's centre.
    centre: Lps,
    /// Of slabs with lesions.
    outlines: Vec<Option<Outline>>,
    /// Steps of [`PERIPHERAL_MM`] in rows and columns.
    steps: [(i64, i64); DIRECTIONS],
    /// The lowest and uppermost position of the lungs, mm.
    height_mm: (f64, f64),
}

impl<'a> Location<'a> {
    pub fn new(table: &'a [TableRow<'a>], lungs: &'a Lungs, input: &'a InputGeometry, centre: Lps) -> Self {
        let with_lesion = |row: &TableRow<'_>| row.evidence.lesion.count() > 0;
        let outlines = table.iter().zip(lungs.masks()).map(|(row, lung)| with_lesion(row).then(|| Outline::of(lung)));
        let radius = PERIPHERAL_MM / input.pixel_mm;
        let steps = std::array::from_fn(|number| {
            let angle = std::f64::consts::TAU * number as f64 / DIRECTIONS as f64;
            ((radius * angle.sin()).round() as i64, (radius * angle.cos()).round() as i64)
        });
        Self { table, lungs, input, centre, outlines: outlines.collect(), steps, height_mm: lungs.height_mm() }
    }

    /// LPS, mm.
    pub fn position_mm(&self, slab: usize, row: usize, column: usize) -> Lps {
        let along = |place: usize, count: usize| (place as f64 - (count as f64 - 1.0) / 2.0) * self.input.pixel_mm;
        [
            self.centre[0] + along(column, self.input.columns),
            self.centre[1] + along(row, self.input.rows),
            self.table[slab].z_mm,
        ]
    }

    /// Whether a circle of [`PERIPHERAL_MM`] around the pixel leaves the outline of both lungs together: so the chest wall
    /// counts, the mediastinum between the lungs does not.
    pub fn is_peripheral(&self, slab: usize, row: usize, column: usize) -> bool {
        let Some(outline) = &self.outlines[slab] else { return false };
        self.steps.iter().any(|(down, right)| !outline.contains(row as i64 + down, column as i64 + right))
    }

    /// Whether the lung ends below the pixel, not further down than [`ON_DIAPHRAGM_MM`], on a slab that was seen.
    pub fn is_on_diaphragm(&self, slab: usize, at: usize) -> bool {
        let z_mm = self.table[slab].z_mm;
        let below = (0..slab).rev().take_while(|lower| z_mm - self.table[*lower].z_mm <= ON_DIAPHRAGM_MM);
        below.into_iter().any(|lower| !self.lungs.contain(lower, at))
    }

    /// How high in the lungs a slab lies: 0 at their lowest slab, 1 at their uppermost.
    pub fn height(&self, slab: usize) -> f64 {
        let (low, high) = self.height_mm;
        (self.table[slab].z_mm - low) / (high - low).max(f64::MIN_POSITIVE)
    }
}

/// What lies in a row or a column between the outermost pixels of a mask: the lungs with the mediastinum.
struct Outline {
    by_row: Vec<(i64, i64)>,
    by_column: Vec<(i64, i64)>,
}

impl Outline {
    fn of(mask: &Mask) -> Self {
        let mut outline =
            Self { by_row: vec![(i64::MAX, -1); mask.rows()], by_column: vec![(i64::MAX, -1); mask.columns()] };
        for at in mask.pixels() {
            let (row, column) = (at / mask.columns(), at % mask.columns());
            let widen = |span: &mut (i64, i64), place: usize| {
                *span = (span.0.min(place as i64), span.1.max(place as i64));
            };
            widen(&mut outline.by_row[row], column);
            widen(&mut outline.by_column[column], row);
        }
        outline
    }

    fn contains(&self, row: i64, column: i64) -> bool {
        let within = |spans: &[(i64, i64)], line: i64, place: i64| {
            let span = usize::try_from(line).ok().and_then(|line| spans.get(line));
            span.is_some_and(|(first, last)| (*first..=*last).contains(&place))
        };
        within(&self.by_row, row, column) || within(&self.by_column, column, row)
    }
}
