//! Where the model's plane lies in the patient: about the image's centre where the body is near it, else about the body. The image
//! is not the patient: a patient may lie far from the centre of a wide field, and the centre may move from slice to slice.
//!
//! The place is a function of the slices that have come, not of their order. While they come it stays as long as it will do, so
//! that no plane is made twice for nothing; at the end it is the one that all slices together give.

use serde::{Deserialize, Serialize};

use super::Lps;

/// Centre of the model's plane: x and y of LPS in tenths of a millimetre, as fine as scanners round positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaneCentre {
    x_tenths: i64,
    y_tenths: i64,
}

impl PlaneCentre {
    /// The plane about a place, mm in LPS.
    #[must_use]
    pub fn at(x_mm: f64, y_mm: f64) -> Self {
        Self { x_tenths: (x_mm * 10.0).round() as i64, y_tenths: (y_mm * 10.0).round() as i64 }
    }

    /// The plane about an image's centre.
    #[must_use]
    pub fn of_image(centre: Lps) -> Self {
        Self::at(centre[0], centre[1])
    }

    /// How far a place lies from the centre along x and y, mm, in whole tenths: positions are rounded, and slices that lie about one
    /// place shall be made of the same pixels.
    #[must_use]
    pub fn offset_mm(self, place: Lps) -> [f64; 2] {
        let [x_mm, y_mm] = self.mm();
        [place[0] - x_mm, place[1] - y_mm].map(|mm| (mm * 10.0).round() / 10.0)
    }

    /// x and y in LPS, mm.
    #[must_use]
    pub fn mm(self) -> [f64; 2] {
        [self.x_tenths as f64 / 10.0, self.y_tenths as f64 / 10.0]
    }
}

/// A body nearer to the centre of the images than this lies in their middle, mm along x and y. The plane reaches 192 mm to each
/// side, the widest lungs some 165 mm; from front to back there is more room.
const IN_THE_MIDDLE_MM: [f64; 2] = [20.0, 32.0];

/// While slices come the plane stays until the body lies further from its centre by more than this, mm.
const PATIENCE_MM: f64 = 10.0;

/// The plane moves by multiples of this, mm: whole pixels of the reference model, and of what it halves them to three times.
const STEP_MM: f64 = 12.0;

/// Fewer slices that show a body than this do not tell where it lies.
const FEWEST_BODIES: usize = 5;

/// Where a series' images and the body on them lie.
#[derive(Debug, Default)]
pub struct Centring {
    /// x and y of each, mm.
    images: [Vec<f64>; 2],
    bodies: [Vec<f64>; 2],
}

impl Centring {
    /// Notes a slice: its image's centre, and where the body lies from there along x and y, mm, if it shows one.
    pub fn note(&mut self, image_centre: Lps, body_mm: Option<[f64; 2]>) {
        for axis in 0..2 {
            self.images[axis].push(image_centre[axis]);
            self.bodies[axis].extend(body_mm.map(|body| image_centre[axis] + body[axis]));
        }
    }

    /// Where the plane belongs by all slices that have come; `None` without any.
    #[must_use]
    pub fn centre(&self) -> Option<PlaneCentre> {
        let along = |axis: usize| {
            let image = median(&self.images[axis])?;
            let Some(body) = self.body(axis) else { return Some(image) };
            let aside = body - image;
            let steps = if aside.abs() <= IN_THE_MIDDLE_MM[axis] { 0.0 } else { (aside / STEP_MM).round() };
            Some(image + steps * STEP_MM)
        };
        Some(PlaneCentre::at(along(0)?, along(1)?))
    }

    /// Whether the plane may stay where it is for now.
    #[must_use]
    pub fn is_near(&self, centre: PlaneCentre) -> bool {
        let is_near = |axis: usize| {
            let at = centre.mm()[axis];
            let limit_mm = IN_THE_MIDDLE_MM[axis] + PATIENCE_MM;
            self.body(axis).is_none_or(|body| (body - at).abs() <= limit_mm)
        };
        is_near(0) && is_near(1)
    }

    fn body(&self, axis: usize) -> Option<f64> {
        let bodies = &self.bodies[axis];
        if bodies.len() < FEWEST_BODIES { None } else { median(bodies) }
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn centring(places: &[(f64, f64)]) -> Centring {
        let mut centring = Centring::default();
        for (image, aside) in places {
            centring.note([*image, -*image, 0.0], Some([*aside, 0.0]));
        }
        centring
    }

    #[test]
    fn a_body_near_the_middle_of_the_images_leaves_the_plane_there_and_one_aside_takes_it_along() {
        assert_eq!(Centring::default().centre(), None);
        assert_eq!(centring(&[(7.04, 15.0); 9]).centre(), Some(PlaneCentre::at(7.0, -7.0)));
        assert_eq!(centring(&[(0.0, 100.0); 9]).centre(), Some(PlaneCentre::at(96.0, 0.0)));
        assert_eq!(centring(&[(0.0, 100.0); 4]).centre(), Some(PlaneCentre::at(0.0, 0.0)), "too few to tell");
    }

    #[test]
    fn positions_that_differ_by_their_rounding_lie_about_one_place() {
        let centre = PlaneCentre::of_image([-12.3456, 170.0, 5.0]);
        assert_eq!(centre.offset_mm([-12.3449, 170.0, 8.0]), [0.0, 0.0]);
        assert_eq!(centre.offset_mm([32.7, 170.0, 8.0]), [45.0, 0.0]);
    }

    #[test]
    fn the_plane_stays_as_long_as_it_will_do() {
        let aside = centring(&[(0.0, 28.0); 9]);
        assert!(aside.is_near(PlaneCentre::at(0.0, 0.0)) && aside.centre() != Some(PlaneCentre::at(0.0, 0.0)));
        assert!(!centring(&[(0.0, 31.0); 9]).is_near(PlaneCentre::at(0.0, 0.0)));
    }

    proptest! {
        #[test]
        fn the_place_does_not_depend_on_the_order(
            places in prop::collection::vec((-100.0_f64..100.0, -60.0_f64..60.0), 1..40), shift in 0_usize..40,
        ) {
            let first = centring(&places).centre();
            let mut turned = places;
            let len = turned.len();
            turned.rotate_left(shift % len);
            prop_assert_eq!(centring(&turned).centre(), first);
        }

        #[test]
        fn the_plane_is_never_far_from_the_body(image in -300.0_f64..300.0, aside in -300.0_f64..300.0) {
            let [x_mm, _] = centring(&[(image, aside); 9]).centre().unwrap().mm();
            prop_assert!((x_mm - (image + aside)).abs() <= IN_THE_MIDDLE_MM[0] + 0.1);
        }
    }
}
