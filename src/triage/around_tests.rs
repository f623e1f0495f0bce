//! Twenty slices of 3 mm with a step between the tenth and the eleventh.

use super::*;
use crate::engine::ModelPackage;
use crate::exam::made_slice;
use crate::preprocess::InputGeometry;

fn input() -> InputGeometry {
    InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input }
}

/// What explains a step at 30 mm where slices from there on are changed, and lie at these positions.
fn explained(z_mm: impl Fn(f64) -> f64, change: impl Fn(&mut PreparedSlice)) -> Option<Explanation> {
    let mut series = Series::default();
    for place in 0..20 {
        let at = z_mm(f64::from(place) * 3.0);
        let (mut slice, plane) = made_slice([0.0, 0.0, at], 0.0, &format!("1.{place}"), &input());
        if place >= 10 {
            change(&mut slice);
        }
        series.add(slice, &plane, &input(), |_| Err("no slice comes twice".to_owned())).unwrap();
    }
    let spacing = series.spacing(10.0);
    explanation(&series, &spacing, [24.0, 36.0])
}

#[test]
fn between_slices_that_belong_together_only_the_patient_explains_a_step() {
    assert_eq!(explained(|z_mm| z_mm, |_| {}), None);
    let far_away = |z_mm: f64| if z_mm >= 51.0 { z_mm + 9.0 } else { z_mm };
    assert_eq!(explained(far_away, |_| {}), None, "a gap elsewhere");
}

#[test]
fn another_centre_or_field_is_no_step_of_the_patient() {
    assert_eq!(explained(|z| z, |slice| slice.header.geometry.centre[0] += 45.0), Some(Explanation::OtherFrame));
    assert_eq!(explained(|z| z, |slice| slice.header.geometry.columns = 4), Some(Explanation::OtherFrame));
}

#[test]
fn another_kernel_or_gap_beside_it_leaves_a_doubt() {
    let kernel = |slice: &mut PreparedSlice| slice.header.acquisition.kernel = "B70f".to_owned();
    assert_eq!(explained(|z| z, kernel), Some(Explanation::Doubt(Doubt::Mixed)));
    let gap = |z_mm: f64| if z_mm >= 30.0 { z_mm + 3.0 } else { z_mm };
    assert_eq!(explained(gap, |_| {}), Some(Explanation::Doubt(Doubt::Positions)));
    let close = |z_mm: f64| if z_mm == 30.0 { 27.05 } else { z_mm };
    assert_eq!(explained(close, |_| {}), Some(Explanation::Doubt(Doubt::Positions)));
}
