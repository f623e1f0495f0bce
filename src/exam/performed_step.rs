//! A scanner's report that it is done with an exam: a Modality Performed Procedure Step that has ended (PS3.3 sections C.4.13
//! to C.4.15).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{items, text};

/// A procedure step that is completed or discontinued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformedStep {
    pub sop_instance_uid: String,
    /// May be empty.
    pub patient_id: String,
    /// The studies of Scheduled Step Attributes Sequence (0040,0270).
    pub study_instance_uids: BTreeSet<String>,
    /// The series of Performed Series Sequence (0040,0340), each with the images that it lists; it may list none, and some
    /// that are never sent.
    pub series: BTreeMap<String, BTreeSet<String>>,
    pub ended: Instant,
}

impl PerformedStep {
    /// Reads a step that ended now.
    #[must_use]
    pub fn read(step: &InMemDicomObject, sop_instance_uid: &str, ended: Instant) -> Self {
        let texts = |items: &[InMemDicomObject], tag| -> BTreeSet<String> {
            items.iter().map(|item| text(item, tag)).filter(|uid| !uid.is_empty()).collect()
        };
        let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for item in items(step, tags::PERFORMED_SERIES_SEQUENCE) {
            let uid = text(item, tags::SERIES_INSTANCE_UID);
            if !uid.is_empty() {
                let images = texts(items(item, tags::REFERENCED_IMAGE_SEQUENCE), tags::REFERENCED_SOP_INSTANCE_UID);
                series.entry(uid).or_default().extend(images);
            }
        }
        let scheduled = items(step, tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE);
        Self {
            sop_instance_uid: sop_instance_uid.to_owned(),
            patient_id: text(step, tags::PATIENT_ID),
            study_instance_uids: texts(scheduled, tags::STUDY_INSTANCE_UID),
            series,
            ended,
        }
    }

    fn concerns(&self, series: &AwaitedSeries<'_>) -> bool {
        let is_other =
            !self.patient_id.is_empty() && !series.patient_id.is_empty() && self.patient_id != series.patient_id;
        let is_named = self.study_instance_uids.contains(series.study_instance_uid)
            || self.series.contains_key(series.series_instance_uid);
        is_named && !is_other
    }
}

/// Which series a step is asked about, and what is here of it.
#[derive(Debug, Clone, Copy)]
pub struct AwaitedSeries<'a> {
    pub patient_id: &'a str,
    pub study_instance_uid: &'a str,
    pub series_instance_uid: &'a str,
    /// SOP Instance UIDs of all that has come of the series, whether it can be analysed or not.
    pub here: &'a BTreeSet<String>,
}

/// What steps report of a series, and when the last of them ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerformedStepSignal {
    /// All images of it that they list were received.
    AllReceived(Instant),
    /// The exam has ended; the steps do not list what belongs to it.
    Ended(Instant),
}

/// Steps that are remembered: an ended step waits for the images of its own exam, not for long.
const REMEMBERED_STEPS: usize = 64;

/// The steps that have ended of late.
#[derive(Debug, Default)]
pub struct PerformedSteps(VecDeque<PerformedStep>);

impl PerformedSteps {
    pub fn note(&mut self, step: PerformedStep) {
        if self.0.len() == REMEMBERED_STEPS {
            self.0.pop_front();
        }
        self.0.push_back(step);
    }

    /// What the steps say of a series; `None` if nothing, or if they list images of it that have not come. A step that lists
    /// other series alone is about these.
    #[must_use]
    pub fn on(&self, series: &AwaitedSeries<'_>) -> Option<PerformedStepSignal> {
        let (mut listing, mut vague) = (Vec::new(), None);
        for step in self.0.iter().filter(|step| step.concerns(series)) {
            match step.series.get(series.series_instance_uid) {
                Some(listed) if !listed.is_empty() => listing.push((step.ended, listed)),
                Some(_) => vague = vague.max(Some(step.ended)),
                None if step.series.values().all(BTreeSet::is_empty) => vague = vague.max(Some(step.ended)),
                None => {}
            }
        }
        if listing.is_empty() {
            return vague.map(PerformedStepSignal::Ended);
        }
        let all_here = listing.iter().all(|(_, listed)| listed.is_subset(series.here));
        let last = listing.iter().map(|(ended, _)| *ended).max().filter(|_| all_here);
        last.map(PerformedStepSignal::AllReceived)
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};

    use super::*;

    fn uid(tag: Tag, value: &str) -> DataElement<InMemDicomObject> {
        DataElement::new(tag, VR::UI, PrimitiveValue::from(value))
    }

    fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
        DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
    }

    /// A step of study 1.2 that lists these images of these series.
    fn step(series: &[(&str, &[&str])]) -> PerformedStep {
        let image = |image: &&str| InMemDicomObject::from_element_iter([uid(tags::REFERENCED_SOP_INSTANCE_UID, image)]);
        let performed = series.iter().map(|(series, images)| {
            InMemDicomObject::from_element_iter([
                uid(tags::SERIES_INSTANCE_UID, series),
                sequence(tags::REFERENCED_IMAGE_SEQUENCE, images.iter().map(image).collect()),
            ])
        });
        let scheduled = InMemDicomObject::from_element_iter([uid(tags::STUDY_INSTANCE_UID, "1.2")]);
        let object = InMemDicomObject::from_element_iter([
            DataElement::new(tags::PATIENT_ID, VR::LO, PrimitiveValue::from("A")),
            sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![scheduled]),
            sequence(tags::PERFORMED_SERIES_SEQUENCE, performed.collect()),
        ]);
        PerformedStep::read(&object, "2.25.1", Instant::now())
    }

    fn word(steps: &[PerformedStep], patient_id: &str, here: &[&str]) -> Option<PerformedStepSignal> {
        let mut known = PerformedSteps::default();
        steps.iter().cloned().for_each(|step| known.note(step));
        let here: BTreeSet<String> = here.iter().map(|uid| (*uid).to_owned()).collect();
        let series = AwaitedSeries { patient_id, study_instance_uid: "1.2", series_instance_uid: "1.2.3", here: &here };
        known.on(&series)
    }

    #[test]
    fn a_step_counts_once_all_that_it_lists_of_the_series_is_here() {
        let step = step(&[("1.2.3", &["1", "2"]), ("1.2.4", &["9"])]);
        let all_here = Some(PerformedStepSignal::AllReceived(step.ended));
        let steps = [step];
        assert_eq!(word(&steps, "A", &["1"]), None, "it may list images that are never sent");
        assert_eq!(word(&steps, "A", &["1", "2"]), all_here);
        assert_eq!(word(&steps, "A", &["1", "2", "3"]), all_here);
        assert_eq!(word(&steps, "", &["1", "2"]), all_here);
        assert_eq!(word(&steps, "B", &["1", "2"]), None, "another patient under the same study");
    }

    #[test]
    fn a_step_without_images_says_that_the_exam_has_ended_and_one_of_other_series_nothing() {
        for empty in [step(&[]), step(&[("1.2.3", &[])]), step(&[("1.2.4", &[])])] {
            let ended = empty.ended;
            assert_eq!(word(&[empty], "A", &["1"]), Some(PerformedStepSignal::Ended(ended)));
        }
        assert_eq!(word(&[step(&[("1.2.4", &["9"])])], "A", &["1"]), None);
    }

    #[test]
    fn of_several_steps_on_one_series_all_must_be_fulfilled() {
        let steps = [step(&[("1.2.3", &["1"])]), step(&[("1.2.3", &["2"])]), step(&[])];
        assert_eq!(word(&steps, "A", &["1"]), None);
        assert_eq!(word(&steps, "A", &["1", "2"]), Some(PerformedStepSignal::AllReceived(steps[1].ended)));
    }

    #[test]
    fn only_the_last_steps_are_remembered() {
        let mut known = PerformedSteps::default();
        (0..REMEMBERED_STEPS + 9).for_each(|_| known.note(step(&[])));
        assert_eq!(known.0.len(), REMEMBERED_STEPS);
    }
}
