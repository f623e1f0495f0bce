//! Images that lie at several positions: a buffer that was not refilled, a range that was sent in another one's place. Noise alone makes
//! any two images differ, so that images which are the same show the place of one of them at most. They are known although they were
//! stored with other noise, with a text in them or on another grid: nowhere else is the anatomy the same.

use super::PreparedSlice;
use super::spacing::SAME_PLACE_MM;
use crate::preprocess::InputGeometry;

/// Over this distance the anatomy goes on, mm.
const GOES_ON_MM: f64 = 1.9;

/// Neighbouring slices whose images lie elsewhere as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepeatedImages {
    pub slices: usize,
    pub from_z_mm: f64,
    pub to_z_mm: f64,
    /// All of them show one image, which lies nowhere else: it is stuck.
    pub is_stuck: bool,
    /// The longest stretch that may lie between two places that are shown, mm.
    pub unseen_mm: f64,
}

/// All of them among slices of ascending z that usually stand so far apart.
#[must_use]
pub fn repeated_images<'a>(
    slices: impl Iterator<Item = &'a PreparedSlice>,
    usual_mm: f64,
    input: &InputGeometry,
) -> Vec<RepeatedImages> {
    let slices: Vec<&PreparedSlice> = slices.collect();
    let z_mm = |slice: &PreparedSlice| slice.header.geometry.z_mm;
    let reach = reaches(&slices, input);
    let lies_elsewhere =
        |(slice, [low, high]): (&&PreparedSlice, &[f64; 2])| slice.noise_hu.is_some() && high - low > SAME_PLACE_MM;
    let mut repeated: Vec<bool> = slices.iter().zip(&reach).map(lies_elsewhere).collect();
    for (at, slice) in slices.iter().enumerate() {
        let beyond = slices[at..].iter().position(|other| z_mm(other) - z_mm(slice) >= GOES_ON_MM);
        let Some(beyond) = beyond.map(|steps| at + steps) else { break };
        if slice.noise_hu.is_some() && slice.thumbnail.is_alike(&slices[beyond].thumbnail, input) {
            repeated[at..=beyond].fill(true);
        }
    }
    let marked: Vec<((&PreparedSlice, [f64; 2]), bool)> = slices.into_iter().zip(reach).zip(repeated).collect();
    let runs = marked.chunk_by(|(_, one), (_, other)| one == other).filter(|run| run[0].1);
    let found = runs.map(|run| {
        let run: Vec<(&PreparedSlice, [f64; 2])> = run.iter().map(|(slice, _)| *slice).collect();
        let (first, from_z_mm, to_z_mm) = (run[0].0, z_mm(run[0].0), z_mm(run[run.len() - 1].0));
        // One image that is stuck shows one of its places; of several nobody knows whether they show any.
        let is_the_first = |slice: &PreparedSlice, [low, high]: [f64; 2]| {
            let is_same = slice.thumbnail == first.thumbnail || slice.thumbnail.is_alike(&first.thumbnail, input);
            is_same && low >= from_z_mm && high <= to_z_mm
        };
        let is_stuck = run.iter().all(|(slice, reach)| is_the_first(slice, *reach));
        let unshown = if is_stuck { 1.0 } else { 2.0 };
        let unseen_mm = to_z_mm - from_z_mm + unshown * usual_mm;
        RepeatedImages { slices: run.len(), from_z_mm, to_z_mm, is_stuck, unseen_mm }
    });
    found.collect()
}

/// From where to where the image of each slice lies, mm of z. Slices whose anatomy goes on from one to the next may look alike.
fn reaches(slices: &[&PreparedSlice], input: &InputGeometry) -> Vec<[f64; 2]> {
    let z_mm: Vec<f64> = slices.iter().map(|slice| slice.header.geometry.z_mm).collect();
    let mut reach: Vec<[f64; 2]> = z_mm.iter().map(|z_mm| [*z_mm; 2]).collect();
    for (at, slice) in slices.iter().enumerate() {
        for (other, above) in slices.iter().enumerate().skip(at + 1) {
            let [one, two] = [&slice.thumbnail, &above.thumbnail];
            let is_alike = || one.may_be_alike(two, input) && one.is_alike(two, input);
            if one == two || z_mm[other] - z_mm[at] >= GOES_ON_MM && is_alike() {
                reach[at][1] = z_mm[other];
                reach[other][0] = reach[other][0].min(z_mm[at]);
            }
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::super::{made_image, made_slice};
    use super::*;
    use crate::engine::ModelPackage;
    use crate::preprocess::HounsfieldImage;

    /// What is found of images of these densities, 2 mm apart from 0 on.
    fn found(densities: &[i32]) -> Vec<RepeatedImages> {
        let input = InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input };
        let slice = |(place, hu): (usize, &i32)| {
            let (slice, _) =
                made_slice([0.0, 0.0, place as f64 * 2.0], *hu as f32 * 10.0, &format!("1.{place}"), &input);
            PreparedSlice { noise_hu: Some(20.0), ..slice }
        };
        let slices: Vec<PreparedSlice> = densities.iter().enumerate().map(slice).collect();
        repeated_images(slices.iter(), 2.0, &input)
    }

    #[test]
    fn an_image_that_is_stuck_hides_all_its_places_but_one() {
        assert_eq!(found(&[-9, -8, -7, -6, -5, -4]), []);
        let [stuck] = found(&[-9, -8, -7, -7, -7, -4])[..] else { panic!("one run") };
        assert_eq!(stuck, RepeatedImages { slices: 3, from_z_mm: 4.0, to_z_mm: 8.0, is_stuck: true, unseen_mm: 6.0 });
    }

    #[test]
    fn a_range_that_lies_in_another_ones_place_hides_both() {
        let [low, high] = found(&[-9, -8, -7, -6, -9, -8, -7])[..] else { panic!("two runs") };
        assert_eq!((low.from_z_mm, low.to_z_mm, low.unseen_mm), (0.0, 4.0, 8.0));
        assert_eq!((high.from_z_mm, high.to_z_mm, high.unseen_mm), (8.0, 12.0, 8.0));
    }

    #[test]
    fn a_copy_at_the_place_of_its_original_hides_nothing() {
        let input = InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input };
        let slices = [0.0, 0.05, 2.0].map(|z_mm| {
            let (slice, _) = made_slice([0.0, 0.0, z_mm], if z_mm < 1.0 { 0.0 } else { -50.0 }, "1.2", &input);
            PreparedSlice { noise_hu: Some(20.0), ..slice }
        });
        assert_eq!(repeated_images(slices.iter(), 2.0, &input), []);
    }

    /// Slices 2 mm apart of a body that grows by 6 mm from one to the next, each with noise and a text of its own; `shows` says
    /// which place the image at a place shows.
    fn of_a_body_that_grows(places: usize, shows: impl Fn(usize) -> usize) -> Vec<RepeatedImages> {
        let input = ModelPackage::built_in().unwrap().manifest.input;
        let slice = |place: usize| {
            let half = 14 + shows(place);
            let is_body = |at: usize| (at % 64).abs_diff(32) < half && (at / 64).abs_diff(32) < 20;
            let noise = |at: usize| ((at * 7 + place * 13) % 5) as f32 - 2.0;
            let text = |at: usize| at / 64 == 1 && at % 64 < place;
            let hu = |at: usize| {
                if text(at) {
                    150.0
                } else if is_body(at) {
                    40.0 + noise(at)
                } else {
                    -1000.0
                }
            };
            let image = HounsfieldImage { rows: 64, columns: 64, values: (0..64 * 64).map(hu).collect() };
            let (slice, _) = made_image([0.0, 0.0, place as f64 * 2.0], &image, 6.0, &format!("1.{place}"), &input);
            PreparedSlice { noise_hu: Some(20.0), ..slice }
        };
        let slices: Vec<PreparedSlice> = (0..places).map(slice).collect();
        repeated_images(slices.iter(), 2.0, &input)
    }

    #[test]
    fn an_image_that_is_stuck_is_known_although_its_noise_differs_or_a_text_lies_on_it() {
        let [stuck] = of_a_body_that_grows(14, |place| if (4..9).contains(&place) { 4 } else { place })[..] else {
            panic!("one run")
        };
        assert_eq!(stuck, RepeatedImages { slices: 5, from_z_mm: 8.0, to_z_mm: 16.0, is_stuck: true, unseen_mm: 10.0 });
    }

    #[test]
    fn a_range_that_lies_in_another_ones_place_is_known_by_its_anatomy() {
        let [low, high] = of_a_body_that_grows(14, |place| if place >= 9 { place - 7 } else { place })[..] else {
            panic!("two runs")
        };
        assert_eq!((low.from_z_mm, low.to_z_mm, low.unseen_mm), (4.0, 12.0, 12.0));
        assert_eq!((high.from_z_mm, high.to_z_mm, high.unseen_mm), (18.0, 26.0, 12.0));
    }
}
