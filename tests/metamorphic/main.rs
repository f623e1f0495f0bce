//! Metamorphic tests: an exam is changed as scanners, archives and gateways change it, and the answer is compared with that on
//! the exam as it was scanned. What must not change the answer leaves it; what hides lung never reads "not suspected".
//!
//! Everything goes by the public doors, and these must agree: `tableside triage` on a folder, the daemon through a DICOM
//! socket, `tableside model validate` on a list. `TABLESIDE_METAMORPHIC_PAIRS` says how many pairs of transformations are
//! composed, `TABLESIDE_METAMORPHIC_SEED` which, `TABLESIDE_METAMORPHIC_ONLY` runs those whose name contains one of some texts, as `RLE|turned by`, and
//! `TABLESIDE_METAMORPHIC_TABLE` names a file to which the tables are added.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../end_to_end/daemon.rs"]
mod daemon;
#[allow(dead_code)]
#[path = "../end_to_end/http.rs"]
mod http;

mod answer;
mod delivery;
mod doors;
mod grid;
mod patients;
mod plane;
mod series;
mod storage;
mod suite;
mod table;
mod transformations;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use patients::Patients;
use suite::{Case, Input, run};
use transformations::{Aspect, Expected, Transformation, all, expected_of_both};

/// Each transformation alone, on the patients that `who` names.
fn alone(transformations: &[Transformation], who: fn(&Transformation) -> &'static [Input]) -> Vec<Case<'_>> {
    let only = std::env::var("TABLESIDE_METAMORPHIC_ONLY").unwrap_or_default();
    let is_wanted = |name: &str| only.split('|').any(|text| name.contains(text));
    let wanted = transformations.iter().filter(|transformation| is_wanted(&transformation.name));
    let each = wanted.flat_map(|transformation| who(transformation).iter().map(move |input| (*input, transformation)));
    let case = |(input, transformation): (Input, _)| {
        let transformation: &Transformation = transformation;
        Case { input, transformations: vec![transformation], expected: transformation.expected.clone() }
    };
    each.map(case).collect()
}

/// On whom a transformation shows most, for time is short: only who is healthy has a negative to lose, and that the same slices
/// arrived shows on who has lesions.
fn who_tells(transformation: &Transformation) -> &'static [Input] {
    let leaves_slices_alone = matches!(
        transformation.aspect,
        Aspect::Names | Aspect::Numbers | Aspect::Order | Aspect::Packing | Aspect::Repetition | Aspect::Associations
    );
    match transformation.expected {
        Expected::NoNegative => &[Input::Healthy],
        Expected::Same(..) if leaves_slices_alone => &[Input::Ill],
        _ => &Input::ALL,
    }
}

/// Pairs of transformations that go together, each on one of the patients.
fn pairs(transformations: &[Transformation], count: usize) -> Vec<Case<'_>> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed()));
    let any = 0..transformations.len();
    let strategy = (prop::bool::ANY, any.clone(), any).prop_filter_map("goes together", |(is_ill, one, other)| {
        let expected = expected_of_both(&transformations[one], &transformations[other])?;
        Some((if is_ill { Input::Ill } else { Input::Healthy }, one, other, expected))
    });
    let mut next = || {
        let (input, one, other, expected) = strategy.new_tree(&mut runner).unwrap().current();
        Case { input, transformations: vec![&transformations[one], &transformations[other]], expected }
    };
    (0..count).map(|_| next()).collect()
}

/// Another one on every run; printed, so that a run can be repeated.
fn seed() -> [u8; 32] {
    let given = std::env::var("TABLESIDE_METAMORPHIC_SEED").ok().map(|text| text.parse().expect("a number"));
    let number: u64 = given.unwrap_or_else(rand::random);
    eprintln!("TABLESIDE_METAMORPHIC_SEED={number}");
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

fn count_of_pairs(default: usize) -> usize {
    let given = std::env::var("TABLESIDE_METAMORPHIC_PAIRS").ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn the_answer_on_a_phantom_survives_what_changes_nothing_and_no_negative_survives_what_hides_lung() {
    let transformations = all();
    let table = run(&Patients::synthetic(), &alone(&transformations, who_tells));
    table.assert_all_right(&format!("{} transformations of the phantom", transformations.len()));
}

#[test]
fn the_same_holds_for_two_transformations_at_once_chosen_at_random() {
    let transformations = all();
    let pairs = pairs(&transformations, count_of_pairs(16));
    let table = run(&Patients::synthetic(), &pairs);
    table.assert_all_right(&format!("{} compositions of two of {}", pairs.len(), transformations.len()));
}

#[test]
#[ignore = "hours of work; `make test-metamorphic-real` runs it"]
fn the_same_holds_for_real_patients() {
    let Some(patients) = Patients::real() else { return };
    let transformations = all();
    let mut cases = alone(&transformations, |_| &Input::ALL);
    cases.extend(pairs(&transformations, count_of_pairs(16)));
    run(&patients, &cases).assert_all_right("transformations and compositions of real series");
}

#[test]
fn every_transformation_has_a_name_of_its_own_and_goes_together_with_others() {
    let transformations = all();
    let names: std::collections::BTreeSet<&str> =
        transformations.iter().map(|transformation| transformation.name.as_str()).collect();
    assert_eq!(names.len(), transformations.len());
    for one in &transformations {
        let together = transformations.iter().filter_map(|other| expected_of_both(one, other)).count();
        assert!(together > 10, "{} goes together with {together} only", one.name);
        let loses = matches!(one.expected, Expected::NoNegative | Expected::NothingNew);
        let stays = transformations.iter().filter_map(|other| expected_of_both(one, other));
        assert!(!loses || stays.into_iter().all(|both| both == Expected::NoNegative), "{}", one.name);
    }
}
