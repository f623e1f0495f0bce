//! The slice to look at for an issue.

use crate::exam::{KeySlice, PreparedSlice, QualityIssue, QualityKind};

/// The issue with its slice.
pub(super) fn issue(kind: QualityKind, slice: Option<&PreparedSlice>) -> QualityIssue {
    QualityIssue::new(kind, slice.map(key_slice))
}

fn key_slice(slice: &PreparedSlice) -> KeySlice {
    KeySlice {
        z_mm: slice.header.geometry.z_mm,
        sop_instance_uid: slice.sop_instance_uid.clone(),
        instance_number: slice.header.acquisition.instance_number,
        frame_number: slice.header.frame_number,
    }
}
