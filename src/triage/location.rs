//! Where in the lungs the regions of lesions lie.

use super::evidence::TableRow;
use super::lungs::Lungs;
use crate::preprocess::InputGeometry;
use crate::raster::Mask;

/// What is nearer than this to the lungs' outline in its plane is peripheral: a third of the way to the hilum, mm.
const PERIPHERAL_MM: f64 = 20.0;

/// Directions in which the outline is sought.
const DIRECTIONS: usize = 16;

/// What is not higher than this above the end of the lung below it lies on the diaphragm, mm. Partial volume of the dome
/// is thinner, disease of the base is not.
const ON_DIAPHRAGM_MM: f64 = 8.0;

/// How many pixels of a region of a lesion mask lie in the left lung, at its periphery, and on the diaphragm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PixelLocations {
    pub left: usize,
    pub peripheral: usize,
    pub on_diaphragm: usize,
}

/// Where the regions of each slab's lesion mask lie.
pub(super) fn pixel_locations(
    table: &[TableRow<'_>],
    lungs: &Lungs<'_>,
    input: &InputGeometry,
) -> Vec<Vec<PixelLocations>> {
    let radius = PERIPHERAL_MM / input.pixel_mm;
    let steps = std::array::from_fn(|number| {
        let angle = std::f64::consts::TAU * number as f64 / DIRECTIONS as f64;
        ((radius * angle.sin()).round() as i64, (radius * angle.cos()).round() as i64)
    });
    (0..table.len())
        .map(|slab| {
            let regions = &table[slab].evidence.lesion_regions;
            let mut locations = vec![PixelLocations::default(); regions.sums.len()];
            if locations.is_empty() {
                return locations;
            }
            let outline = Outline::of(lungs.mask(slab));
            let below: Vec<usize> = below(table, slab).collect();
            for run in regions.regions.runs() {
                let location = &mut locations[run.region];
                let first = run.row * input.columns;
                location.left += run.columns.end.saturating_sub(run.columns.start.max(lungs.left_from(slab)));
                location.peripheral +=
                    run.columns.clone().filter(|column| is_peripheral(&outline, &steps, run.row, *column)).count();
                location.on_diaphragm += run
                    .columns
                    .clone()
                    .filter(|column| below.iter().any(|lower| !lungs.contain(*lower, first + column)))
                    .count();
            }
            locations
        })
        .collect()
}

/// Whether a circle of [`PERIPHERAL_MM`] around the pixel leaves the outline of both lungs together: so the chest wall
/// counts, the mediastinum between the lungs does not. `steps` lead to the circle, in rows and columns.
fn is_peripheral(outline: &Outline, steps: &[(i64, i64); DIRECTIONS], row: usize, column: usize) -> bool {
    steps.iter().any(|(down, right)| !outline.contains(row as i64 + down, column as i64 + right))
}

/// The slabs that were seen below this one, not further down than [`ON_DIAPHRAGM_MM`]: where one of them has no lung, the
/// lung ends.
fn below(table: &[TableRow<'_>], slab: usize) -> impl Iterator<Item = usize> {
    let z_mm = table[slab].z_mm;
    (0..slab).rev().take_while(move |lower| z_mm - table[*lower].z_mm <= ON_DIAPHRAGM_MM)
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
