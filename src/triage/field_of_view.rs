//! Where the field of view ends within the lungs, and what is found away from there.

use super::evidence::TableRow;
use super::key_slice::issue;
use super::lesions::MIN_FINDING_ML;
use crate::exam::{PreparedSlice, QualityIssue, QualityKind, QualityLimits, Series, SlabIndex};
use crate::preprocess::InputGeometry;
use crate::raster::Mask;

/// Less of a region at the border than this is lung by chance, cm²: models take some of anything for it.
const LEAST_CUT_LUNG_CM2: f64 = 5.0;

/// Nearer than this to where a field ends within lung, on whatever slice, models see opacities that are none: they miss the chest wall, mm.
const MISLEADING_MM: f64 = 25.0;

/// Where the field of view ends within the lungs.
#[derive(Debug, Clone, PartialEq)]
pub struct CutField {
    pub issue: QualityIssue,
    /// Volume of the lesions that do not lie at the border where it does, ml: beside it models see some that are none.
    pub lesions_elsewhere_ml: f64,
}

impl CutField {
    /// Looks at the slices and at what the model took for lung and lesion there; `None` where the field holds the lungs.
    #[must_use]
    pub fn find(series: &Series, rows: &[TableRow<'_>], input: &InputGeometry, limits: &QualityLimits) -> Option<Self> {
        let row_of = |slice: &PreparedSlice| {
            let slab = SlabIndex::of(slice.header.geometry.z_mm, input.slab_mm);
            rows.binary_search_by_key(&slab, |row| row.slab).ok()
        };
        let cut = series.slices().filter_map(|slice| {
            let (cut, row) = (slice.lung_at_border.as_ref()?.cut.as_ref()?, row_of(slice)?);
            let lung = rows[row].evidence.lung.clone().common_with(&cut.region).count();
            (lung as f64 * input.pixel_cm2() >= LEAST_CUT_LUNG_CM2).then_some((slice, cut.border_mm))
        });
        let cut: Vec<(&PreparedSlice, f64)> = cut.collect();
        let usual_mm = series.spacing(limits.max_gap_mm).usual_mm;
        let border_cm2 = cut.iter().map(|(_, border_mm)| border_mm).sum::<f64>() * usual_mm / 100.0;
        if border_cm2 <= limits.max_cut_lung_cm2 {
            return None;
        }
        let (most, _) = cut.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let mut elsewhere: Vec<Mask> = rows.iter().map(|row| row.evidence.lesion.clone()).collect();
        for slice in series.slices() {
            if let (Some(border), Some(row)) = (&slice.lung_at_border, row_of(slice)) {
                elsewhere[row].take_away(&border.surroundings(MISLEADING_MM, input));
            }
        }
        let ml = elsewhere.iter().zip(rows).map(|(lesion, row)| lesion.count() as f64 * row.pixel_ml(input));
        let issue = issue(QualityKind::FieldOfViewCut { border_cm2 }, Some(most));
        Some(Self { issue, lesions_elsewhere_ml: ml.sum() })
    }

    /// Whether enough of the lesions lies elsewhere for a finding.
    #[must_use]
    pub fn shows_lesions(&self) -> bool {
        self.lesions_elsewhere_ml >= MIN_FINDING_ML
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::tests::{loose_rows, masks};
    use super::*;
    use crate::engine::ModelPackage;
    use crate::exam::{CutRegion, LungAtBorder, made_slice};

    const SIDE: usize = 16;
    const SLICES: usize = 30;

    /// What 30 slices of lung, 3 mm apart and cut along their first column, say with lesions in a column.
    fn found(lesion_column: usize, border_mm: f64) -> Option<CutField> {
        let input = InputGeometry {
            rows: SIDE,
            columns: SIDE,
            pixel_mm: 10.0,
            ..ModelPackage::built_in().unwrap().manifest.input
        };
        let of_columns =
            |is_in: &dyn Fn(usize) -> bool| -> Vec<usize> { (0..SIDE * SIDE).filter(|at| is_in(at % SIDE)).collect() };
        let everywhere = Mask::from_pixels(SIDE, SIDE, of_columns(&|_| true));
        let mut series = Series::default();
        for number in 0..SLICES {
            let (mut slice, plane) = made_slice([0.0, 0.0, number as f64 * 3.0], 0.0, &format!("1.{number}"), &input);
            let cut = Some(CutRegion { border_mm, region: everywhere.clone() });
            let pixels = (0..SIDE).map(|row| (row * SIDE) as u32).collect();
            slice.lung_at_border = Some(Box::new(LungAtBorder { pixels, cut }));
            series.add(slice, &plane, &input, |_| Err("no slice comes twice".to_owned())).unwrap();
        }
        let evidence =
            vec![masks(SIDE, &of_columns(&|_| true), &of_columns(&|column| column == lesion_column)); SLICES];
        let z_mm: Vec<f64> = (0..SLICES).map(|at| at as f64 * 3.0).collect();
        CutField::find(&series, &loose_rows(&evidence, &z_mm), &input, &QualityLimits::default())
    }

    #[test]
    fn lesions_count_away_from_the_border_where_the_field_ends_within_the_lungs() {
        let (near, away) = (found(1, 100.0).unwrap(), found(8, 100.0).unwrap());
        assert_eq!((near.lesions_elsewhere_ml, near.shows_lesions()), (0.0, false));
        assert!((away.lesions_elsewhere_ml - 16.0 * 0.3 * 30.0).abs() < 1e-9 && away.shows_lesions(), "{away:?}");
        let QualityKind::FieldOfViewCut { border_cm2 } = away.issue.kind else { panic!("{away:?}") };
        assert!((border_cm2 - 90.0).abs() < 1e-9, "{border_cm2}");
        assert_eq!(found(8, 0.1), None, "a border that is shorter than any limit");
    }
}
