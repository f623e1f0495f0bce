//! A scanner tells of its exams: Modality Performed Procedure Step.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::daemon::Daemon;
use crate::dicom::Association;

const CLASS: &str = uids::MODALITY_PERFORMED_PROCEDURE_STEP;
const STEP: &str = "2.25.77";

fn step(state: &str) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([DataElement::new(
        tags::PERFORMED_PROCEDURE_STEP_STATUS,
        VR::CS,
        PrimitiveValue::from(state),
    )])
}

fn first_step() -> InMemDicomObject {
    let scheduled = DataSetSequence::from(vec![InMemDicomObject::new_empty()]);
    let mut step = step("IN PROGRESS");
    step.put(DataElement::new(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, VR::SQ, scheduled));
    step
}

#[test]
fn a_procedure_step_begins_once_ends_once_and_survives_a_kill_in_between() {
    let daemon = Daemon::start();
    let mut association = Association::try_open(&daemon, "CT1", &[CLASS]).unwrap();
    assert_eq!(association.set(CLASS, STEP, &step("COMPLETED")), 0x0112, "there is no such step yet");
    assert_eq!(association.create(CLASS, STEP, &step("IN PROGRESS")), 0x0120, "an attribute is missing");
    assert_eq!(association.create(CLASS, "not a UID", &first_step()), 0x0106);
    assert_eq!(association.create(CLASS, STEP, &first_step()), 0x0000);
    assert_eq!(association.create(CLASS, STEP, &first_step()), 0x0111, "it is there already");
    let daemon = daemon.kill_and_start_again();
    let mut association = Association::try_open(&daemon, "CT1", &[CLASS]).unwrap();
    assert_eq!(association.set(CLASS, STEP, &step("ELSEWHERE")), 0x0106);
    assert_eq!(association.set(CLASS, STEP, &step("COMPLETED")), 0x0000);
    assert_eq!(association.set(CLASS, STEP, &step("DISCONTINUED")), 0x0110, "it has ended");
    association.release();
    assert_eq!(daemon.metric("tableside_procedure_steps_total", "state=\"completed\""), 1.0);
}
