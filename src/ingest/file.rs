//! Files checked as if they had been sent: what a daemon would refuse is refused here, for the same reason.

use std::path::Path;

use dicom_dictionary_std::tags;

use super::may_be_slice;
use super::object::{Checked, Requested, check};
use crate::dicom::attributes::text;
use crate::dicom::{Head, Oddities, is_something_else, read_before_fault};
use crate::exam::{Identity, InstanceHeader};

/// A deflated data set may inflate to this, as where it is read back.
const MOST_INFLATED: u64 = 1 << 30;

/// What a file is.
#[derive(Debug)]
pub enum CheckedFile {
    /// An instance that would be stored.
    Instance(Box<InstanceHeader>, Oddities),
    /// One that would be refused, and may be a slice.
    Refused(RefusedFile),
    /// Nothing that an exam could miss.
    Other,
}

/// A file that cannot be used as what it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// May be empty.
    pub sop_instance_uid: String,
    pub identity: Identity,
    /// In words for a technician.
    pub reason: String,
}

/// Looks at a file.
#[must_use]
pub fn check_file(path: &Path) -> CheckedFile {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a file cannot be read");
            let reason = "its file cannot be read".to_owned();
            return if is_something_else(path, &[]) { CheckedFile::Other } else { refused(reason) };
        }
    };
    let head = match Head::read(&bytes) {
        Ok(head) => head,
        Err(_) if is_something_else(path, &bytes) => return CheckedFile::Other,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "no DICOM file");
            let reason = if bytes.is_empty() { "its file is empty" } else { "it is no readable DICOM file" };
            return refused(reason.to_owned());
        }
    };
    check_data_set(path, &head, &bytes[head.length..])
}

fn refused(reason: String) -> CheckedFile {
    CheckedFile::Refused(RefusedFile { sop_instance_uid: String::new(), identity: Identity::default(), reason })
}

fn check_data_set(path: &Path, head: &Head, data_set: &[u8]) -> CheckedFile {
    let trimmed = |text: &str| text.trim_end_matches(['\0', ' ']).to_owned();
    let transfer_syntax_uid = trimmed(head.meta.transfer_syntax());
    let known = read_before_fault(data_set, &transfer_syntax_uid);
    // A sender announces what the file's data set says, or else what the file meta group says.
    let or_meta = |said: String, meta: &str| if said.is_empty() { trimmed(meta) } else { said };
    let sop_class_uid = or_meta(text(&known, tags::SOP_CLASS_UID), &head.meta.media_storage_sop_class_uid);
    let sop_instance_uid = or_meta(text(&known, tags::SOP_INSTANCE_UID), &head.meta.media_storage_sop_instance_uid);
    let requested = Requested {
        sop_class_uid: &sop_class_uid,
        sop_instance_uid: &sop_instance_uid,
        transfer_syntax_uid: &transfer_syntax_uid,
    };
    match check(data_set, &requested, MOST_INFLATED) {
        Ok(Checked { header, oddities }) => {
            CheckedFile::Instance(Box::new(header), head.oddities.clone().joined_by(oddities))
        }
        Err(_) if is_something_else(path, &[]) || !may_be_slice(&sop_class_uid) => CheckedFile::Other,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "a file would be refused");
            let (identity, reason) = (Identity::read(&known), error.reason());
            CheckedFile::Refused(RefusedFile { sop_instance_uid, identity, reason })
        }
    }
}
