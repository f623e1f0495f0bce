//! How an exam arrives: in which order, how often, by how many associations.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tableside::scanner::Instance;

use super::{Aspect, Expected, SAME, Transformation, objects};
use crate::answer::Tolerance;
use crate::delivery::Associations;
use crate::series::{changed, put};

pub fn ordered() -> Vec<Transformation> {
    let shuffled = |seed: u64| {
        objects(format!("shuffled by seed {seed}"), Aspect::Order, SAME, move |delivery, _| {
            delivery.instances.shuffle(&mut StdRng::seed_from_u64(seed));
        })
    };
    let reversed = objects("reversed", Aspect::Order, SAME, |delivery, _| delivery.instances.reverse());
    vec![shuffled(1), reversed]
}

pub fn repeated() -> Vec<Transformation> {
    let corrected = Expected::Same(Tolerance::SAME, &["corrected"]);
    vec![
        objects("all sent twice", Aspect::Repetition, SAME, |delivery, _| {
            delivery.instances.extend_from_within(..);
        }),
        objects("a third sent again in between", Aspect::Repetition, SAME, |delivery, _| {
            let again: Vec<_> = delivery.instances.iter().step_by(3).cloned().collect();
            let middle = delivery.instances.len() / 2;
            delivery.instances.splice(middle..middle, again);
        }),
        objects("all sent again with a corrected name", Aspect::Repetition, corrected, |delivery, _| {
            let correct =
                |instance: &Instance| changed(instance, |object| put(object, tags::PATIENT_NAME, VR::PN, "RIGHT^NAME"));
            let again: Vec<Instance> = delivery.instances.iter().map(correct).collect();
            delivery.instances.extend(again);
        }),
    ]
}

pub fn dealt_out() -> Vec<Transformation> {
    [Associations::AtOnce(2), Associations::AtOnce(5), Associations::InTurn(3)]
        .map(|associations| {
            let name = match associations {
                Associations::AtOnce(count) => format!("over {count} associations at once"),
                Associations::InTurn(count) => format!("over {count} associations in turn"),
            };
            objects(name, Aspect::Associations, SAME, move |delivery, _| delivery.associations = associations)
        })
        .into()
}
