//! What scanners, archives and gateways do to an exam, each with what may become of the answer.

use crate::answer::Tolerance;
use crate::delivery::Delivery;
use crate::series::Series;

pub use mixed::breathed_out;

mod added;
mod arrival;
mod field;
mod mixed;
mod names;
mod packed;
mod spoilt;
mod turned;
mod values;

/// One way in which the same patient arrives otherwise, or in which something is wrong.
pub struct Transformation {
    pub name: String,
    pub aspect: Aspect,
    pub expected: Expected,
    pub step: Step,
}

/// What must come out.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// The answer on the series as it was scanned; the issues named may be added.
    Same(Tolerance, &'static [&'static str]),
    /// The answer on the series as it was scanned, or on the same patient breathed out.
    OneOfTwoAcquisitions,
    /// The same, or "not analysed".
    OneOfTwoAcquisitionsOrNone,
    /// The answers on both patients, each in an exam of its own.
    BothPatients,
    /// Anything but "not suspected".
    NoNegative,
    /// The same; and nothing is found in who is healthy: "not analysed".
    NothingNew,
}

/// What is changed, in the order in which changes are made; two changes of one aspect are not composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    Field,
    Turn,
    /// The field is cut.
    Cut,
    /// Rows and columns change their order.
    Mirror,
    Origin,
    Rounding,
    Values,
    Names,
    Numbers,
    /// Slices of another acquisition or patient come in between.
    Mixture,
    /// Slices are missing, blank or not what they should be.
    Loss,
    /// All slices claim the same.
    Claim,
    Added,
    Order,
    Packing,
    Damage,
    Repetition,
    Associations,
}

type Change<T> = Box<dyn Fn(&mut T, &mut Series) + Send + Sync>;

/// Where a transformation takes place.
pub enum Step {
    Slices(Box<dyn Fn(&mut Series) + Send + Sync>),
    /// On encoded objects; the series says what they were made of.
    Objects(Change<Delivery>),
}

pub const SAME: Expected = Expected::Same(Tolerance::SAME, &[]);

fn slices(
    name: impl Into<String>,
    aspect: Aspect,
    expected: Expected,
    change: impl Fn(&mut Series) + Send + Sync + 'static,
) -> Transformation {
    Transformation { name: name.into(), aspect, expected, step: Step::Slices(Box::new(change)) }
}

fn objects(
    name: impl Into<String>,
    aspect: Aspect,
    expected: Expected,
    change: impl Fn(&mut Delivery, &mut Series) + Send + Sync + 'static,
) -> Transformation {
    Transformation { name: name.into(), aspect, expected, step: Step::Objects(Box::new(change)) }
}

/// All of them.
pub fn all() -> Vec<Transformation> {
    [
        field::moved_and_sized(),
        field::cut(),
        turned::turned(),
        turned::mirrored(),
        values::stored_otherwise(),
        values::padded(),
        names::rounded(),
        names::named(),
        mixed::mixed(),
        spoilt::lost(),
        spoilt::claimed(),
        spoilt::rescaled(),
        spoilt::damaged(),
        added::added(),
        arrival::ordered(),
        arrival::repeated(),
        arrival::dealt_out(),
        packed::packed(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Makes the changes, in the order of their aspects.
pub fn apply(transformations: &[&Transformation], series: &Series) -> Delivery {
    let mut ordered = transformations.to_vec();
    ordered.sort_by_key(|transformation| transformation.aspect);
    let mut series = series.clone();
    for transformation in &ordered {
        if let Step::Slices(change) = &transformation.step {
            change(&mut series);
        }
    }
    let mut delivery = Delivery::of(series.encoded());
    for transformation in &ordered {
        if let Step::Objects(change) = &transformation.step {
            change(&mut delivery, &mut series);
        }
    }
    delivery
}

/// Aspects, in their order, that say nothing together.
const SENSELESS: [(Aspect, Aspect); 8] = [
    // A cut is made along the patient's axes, which an oblique image has no rows for.
    (Aspect::Turn, Aspect::Cut),
    // Each takes the field of all slices for one.
    (Aspect::Field, Aspect::Cut),
    // Frames of one object have one UID by right, and share their patient and acquisition.
    (Aspect::Claim, Aspect::Packing),
    (Aspect::Mixture, Aspect::Packing),
    // Pixels are damaged where they lie open.
    (Aspect::Packing, Aspect::Damage),
    // Somebody else does not get the corrected name, and what is torn or encoded is not corrected.
    (Aspect::Mixture, Aspect::Repetition),
    (Aspect::Packing, Aspect::Repetition),
    (Aspect::Damage, Aspect::Repetition),
];

/// What must come out of two changes together; none where they do not go together.
pub fn expected_of_both(one: &Transformation, other: &Transformation) -> Option<Expected> {
    let (first, second) = (one.aspect.min(other.aspect), one.aspect.max(other.aspect));
    if first == second || SENSELESS.contains(&(first, second)) {
        return None;
    }
    // What is found elsewhere in the one may be the other's.
    let alone = |expected: &Expected| match expected {
        Expected::NothingNew => Expected::NoNegative,
        expected => expected.clone(),
    };
    match (&alone(&one.expected), &alone(&other.expected)) {
        (Expected::Same(a, added), Expected::Same(b, more)) => {
            let announced = if added.is_empty() { more } else { added };
            (added.is_empty() || more.is_empty()).then(|| Expected::Same(a.and(*b), announced))
        }
        (Expected::NoNegative, Expected::Same(..) | Expected::NoNegative)
        | (Expected::Same(..), Expected::NoNegative) => Some(Expected::NoNegative),
        // Whether a mixture survives what is spoilt is not said.
        (Expected::NoNegative, _) | (_, Expected::NoNegative) => None,
        (Expected::Same(..), mixture) | (mixture, _) => Some(mixture.clone()),
    }
}
