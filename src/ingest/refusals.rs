//! What becomes of a refused object: it counts in its exam. The object itself names its exam, as far as it can be read; else
//! it belongs to the exam that its association carries. Where no exam is known yet, the refusal is held back until one comes; at
//! the end of an association that carried none, its refusals are an exam of their own, so that the console is not empty.

use std::sync::Arc;
use std::time::Instant;

use dicom_dictionary_std::tags;
use jiff::Timestamp;

use super::transfers::Transfers;
use super::{InstanceSink, RefusedInstance};
use crate::audit::Subject;
use crate::dicom::attributes::text;
use crate::dicom::dimse::Request;
use crate::dicom::read_before_fault;
use crate::exam::{AssociationId, ExamKey, Identity, InstanceHeader, Refusal, Refusals, is_ct_image};
use crate::spool::Spool;

/// An object that was refused.
#[derive(Debug, Clone)]
pub(super) struct RefusedObject {
    pub sop_instance_uid: String,
    pub sop_class_uid: String,
    pub identity: Identity,
    pub reason: String,
    may_be_slice: bool,
}

impl RefusedObject {
    /// What a C-STORE asks for, and what has come of its data set.
    pub(super) fn new(request: &Request, data_set: &[u8], transfer_syntax_uid: &str, reason: String) -> Self {
        let known = read_before_fault(data_set, transfer_syntax_uid);
        Self {
            sop_instance_uid: request.sop_instance_uid.clone(),
            sop_class_uid: request.sop_class_uid.clone(),
            identity: Identity::read(&known),
            reason,
            may_be_slice: may_be_slice(&request.sop_class_uid) || is_ct_image(&text(&known, tags::SOP_CLASS_UID)),
        }
    }
}

/// The root of UIDs that the standard itself has assigned (PS3.5 section 9.1).
const STANDARD_ROOT: &str = "1.2.840.10008.";

/// Whether an object of this class may be a slice: it is a CT image, or of a class that the standard does not know.
#[must_use]
pub fn may_be_slice(sop_class_uid: &str) -> bool {
    is_ct_image(sop_class_uid) || !sop_class_uid.starts_with(STANDARD_ROOT)
}

/// The refused objects of one association, and all of it for the audit trail. Its calls wait for the disk.
pub(super) struct AssociationRefusals {
    association: AssociationId,
    calling_ae_title: String,
    spool: Arc<Spool>,
    sink: Arc<dyn InstanceSink>,
    /// The exam of the last object that named one.
    exam: Option<ExamKey>,
    held_back: Vec<Refusal>,
    /// None for the synthetic patient: what it does not get rid of is told by whoever sends it, and no trail has it.
    transfers: Option<Transfers>,
}

impl AssociationRefusals {
    pub(super) fn new(
        association: AssociationId,
        calling_ae_title: String,
        spool: Arc<Spool>,
        sink: Arc<dyn InstanceSink>,
        transfers: Option<Transfers>,
    ) -> Self {
        Self { association, calling_ae_title, spool, sink, exam: None, held_back: Vec::new(), transfers }
    }

    /// An instance of this exam was stored.
    pub(super) fn stored(&mut self, exam: &ExamKey, header: &InstanceHeader) {
        let sop_instance_uid = &header.sop_instance_uid;
        let subject = Subject {
            study_instance_uid: header.study_instance_uid.clone(),
            patient_id: header.patient.id.clone(),
            exam: Some(exam.clone()),
        };
        if let Some(transfers) = &mut self.transfers {
            transfers.stored(subject, &header.sop_class_uid);
        }
        for missed in self.spool.mend(sop_instance_uid) {
            self.sink.mended(&missed, sop_instance_uid, Instant::now());
        }
        self.carries(exam);
    }

    pub(super) fn refused(&mut self, object: RefusedObject) {
        let Some(transfers) = &mut self.transfers else { return };
        let subject = Subject {
            study_instance_uid: object.identity.study_instance_uid.clone(),
            patient_id: object.identity.patient.id.clone(),
            exam: object.identity.exam_key(),
        };
        transfers.refused(subject, &object.sop_class_uid, &object.reason);
        if !object.may_be_slice {
            return;
        }
        let own = object.identity.exam_key();
        let refusal = Refusal {
            sop_instance_uid: object.sop_instance_uid,
            reason: object.reason,
            identity: object.identity,
            scanner: self.calling_ae_title.clone(),
            at: Timestamp::now(),
        };
        match own.or_else(|| self.exam.clone()) {
            Some(exam) => {
                self.tell(&exam, refusal);
                self.carries(&exam);
            }
            None if self.held_back.len() < Refusals::MOST_REMEMBERED => self.held_back.push(refusal),
            None => {}
        }
    }

    /// The association has ended.
    pub(super) fn end(&mut self) {
        if !self.held_back.is_empty() {
            self.carries(&ExamKey::unidentified(&self.calling_ae_title, Timestamp::now()));
        }
    }

    fn carries(&mut self, exam: &ExamKey) {
        for refusal in std::mem::take(&mut self.held_back) {
            self.tell(exam, refusal);
        }
        self.exam = Some(exam.clone());
    }

    fn tell(&self, exam: &ExamKey, refusal: Refusal) {
        if let Err(error) = self.spool.refuse(exam, &refusal) {
            tracing::error!(%exam, %error, "an object was refused, and the refusal cannot be written: after a restart its exam no longer misses it");
        }
        let (exam, association, at) = (exam.clone(), self.association, Instant::now());
        self.sink.refused(RefusedInstance { exam, refusal, association, at });
    }
}

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::uids;

    use super::*;

    #[test]
    fn only_what_may_be_a_slice_is_missed() {
        for class in [uids::CT_IMAGE_STORAGE, uids::ENHANCED_CT_IMAGE_STORAGE, "", "1.3.12.2.1107.5.9.1"] {
            assert!(may_be_slice(class), "{class}");
        }
        for class in [uids::BASIC_TEXT_SR_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, uids::MR_IMAGE_STORAGE] {
            assert!(!may_be_slice(class), "{class}");
        }
    }
}
