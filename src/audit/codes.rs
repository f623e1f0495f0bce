//! The codes of audit messages: DICOM's own (PS3.16 context groups 400 to 405), and ours where it has none.

/// A coded value (PS3.15 section A.5.1, `CodedValueType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub value: &'static str,
    pub system: &'static str,
    pub meaning: &'static str,
}

const fn dicom(value: &'static str, meaning: &'static str) -> Code {
    Code { value, system: "DCM", meaning }
}

/// Private coding schemes begin with 99 (PS3.3 section 8.2).
const fn own(value: &'static str, meaning: &'static str) -> Code {
    Code { value, system: "99TABLESIDE", meaning }
}

pub(super) const APPLICATION_ACTIVITY: Code = dicom("110100", "Application Activity");
pub(super) const AUDIT_LOG_USED: Code = dicom("110101", "Audit Log Used");
pub(super) const BEGIN_TRANSFERRING: Code = dicom("110102", "Begin Transferring DICOM Instances");
pub(super) const INSTANCES_ACCESSED: Code = dicom("110103", "DICOM Instances Accessed");
pub(super) const INSTANCES_TRANSFERRED: Code = dicom("110104", "DICOM Instances Transferred");
pub(super) const EXPORT: Code = dicom("110106", "Export");
pub(super) const IMPORT: Code = dicom("110107", "Import");
pub(super) const PROCEDURE_RECORD: Code = dicom("110111", "Procedure Record");
pub(super) const SECURITY_ALERT: Code = dicom("110113", "Security Alert");
pub(super) const USER_AUTHENTICATION: Code = dicom("110114", "User Authentication");

pub(super) const APPLICATION_START: Code = dicom("110120", "Application Start");
pub(super) const APPLICATION_STOP: Code = dicom("110121", "Application Stop");
pub(super) const LOG_IN: Code = dicom("110122", "Login");
pub(super) const LOG_OUT: Code = dicom("110123", "Logout");
pub(super) const NODE_AUTHENTICATION: Code = dicom("110126", "Node Authentication");
pub(super) const SOFTWARE_CONFIGURATION: Code = dicom("110131", "Software Configuration");
pub(super) const RESTRICTED_FUNCTION: Code = dicom("110132", "Use of Restricted Function");
pub(super) const RECORDING_STOPPED: Code = dicom("110133", "Audit Recording Stopped");
pub(super) const USER_SECURITY: Code = dicom("110137", "User Security Attributes Changed");
pub(super) const FLAG_ACKNOWLEDGED: Code = own("acknowledged", "Flag acknowledged");
pub(super) const OUTCOME_RECORDED: Code = own("outcome-recorded", "Outcome recorded");
pub(super) const NOTIFICATION: Code = own("notification", "Notification");
pub(super) const TRAIL_SHORTENED: Code = own("trail-shortened", "Audit records removed for their age");
pub(super) const TRAIL_DAMAGED: Code = own("trail-damaged", "Audit trail found damaged");

pub(super) const APPLICATION: Code = dicom("110150", "Application");
pub(super) const DESTINATION: Code = dicom("110152", "Destination Role ID");
pub(super) const SOURCE: Code = dicom("110153", "Source Role ID");
pub(super) const DESTINATION_MEDIA: Code = dicom("110154", "Destination Media");
pub(super) const SOURCE_MEDIA: Code = dicom("110155", "Source Media");
pub(super) const URI_MEDIA: Code = dicom("110037", "URI");

pub(super) const STUDY_INSTANCE_UID: Code = dicom("110180", "Study Instance UID");
pub(super) const NODE_ID: Code = dicom("110182", "Node ID");
pub(super) const PATIENT_NUMBER: Code = Code { value: "2", system: "RFC-3881", meaning: "Patient Number" };
pub(super) const URI: Code = Code { value: "12", system: "RFC-3881", meaning: "URI" };
