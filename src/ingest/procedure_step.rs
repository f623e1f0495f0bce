//! Modality Performed Procedure Step as SCP (PS3.4 annex F.7): a scanner says that it has begun an exam, and how it ended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions};
use parking_lot::Mutex;

use super::object::{ObjectError, parse_whole};
use crate::dicom::UidSource;
use crate::dicom::attributes::text;
use crate::dicom::dimse::{Operation, Request, Status};
use crate::exam::{PerformedStep, is_uid};
use crate::spool::{Spool, SpoolError, replace_object};
use crate::telemetry;

/// The state of a step (PS3.3 section C.4.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcedureStepState {
    InProgress,
    Completed,
    Discontinued,
}

impl ProcedureStepState {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "IN PROGRESS" => Some(Self::InProgress),
            "COMPLETED" => Some(Self::Completed),
            "DISCONTINUED" => Some(Self::Discontinued),
            _ => None,
        }
    }

    /// The state in logs and metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Discontinued => "discontinued",
        }
    }
}

/// Why a message about a step is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcedureStepError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the SOP Instance UID is none")]
    InvalidUid,
    #[error("{0} is missing")]
    Missing(Tag),
    #[error("Performed Procedure Step Status (0040,0252) is {0:?}")]
    State(String),
    #[error("there is a procedure step of this UID already")]
    Duplicate,
    #[error("there is no procedure step of this UID")]
    Unknown,
    #[error("the procedure step has ended: it may no longer be changed")]
    Ended,
    #[error("the stored procedure step cannot be read: {0}")]
    Read(String),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl ProcedureStepError {
    /// The status that says so (PS3.7 annex C, PS3.4 table F.7.2-2).
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Missing(_) => Status::MISSING_ATTRIBUTE,
            Self::State(_) | Self::InvalidUid => Status::INVALID_ATTRIBUTE_VALUE,
            Self::Duplicate => Status::DUPLICATE_SOP_INSTANCE,
            Self::Unknown => Status::NO_SUCH_SOP_INSTANCE,
            Self::Object(_) | Self::Ended | Self::Read(_) | Self::Spool(_) => Status::PROCESSING_FAILURE,
        }
    }
}

/// The steps that scanners have reported, each a file in the spool.
#[derive(Debug)]
pub(super) struct ProcedureSteps {
    folder: PathBuf,
    /// One message at a time: they are few and small.
    turn: Mutex<()>,
}

impl ProcedureSteps {
    pub(super) fn new(spool: &Spool) -> Self {
        Self { folder: spool.procedure_steps(), turn: Mutex::new(()) }
    }

    /// Does an N-CREATE or N-SET; returns the step's state once it is on the disk, and the whole step if it has ended. An
    /// N-CREATE without a UID is given one.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(super) fn perform(
        &self,
        request: &mut Request,
        transfer_syntax_uid: &str,
        data_set: &[u8],
    ) -> Result<(ProcedureStepState, Option<PerformedStep>), ProcedureStepError> {
        let creates = request.operation() == Operation::Create;
        let change = parse_whole(data_set, transfer_syntax_uid)?;
        if creates && request.sop_instance_uid.is_empty() {
            request.sop_instance_uid = UidSource::fresh().next_uid();
        }
        if !is_uid(&request.sop_instance_uid) {
            return Err(ProcedureStepError::InvalidUid);
        }
        let _turn = self.turn.lock();
        let path = self.folder.join(format!("{}.dcm", request.sop_instance_uid));
        let (step, state) = match (creates, path.exists()) {
            (true, true) => return Err(ProcedureStepError::Duplicate),
            (false, false) => return Err(ProcedureStepError::Unknown),
            (true, false) => begin(change)?,
            (false, true) => {
                let stored =
                    OpenFileOptions::new().open_file(&path).map_err(|e| ProcedureStepError::Read(e.to_string()))?;
                go_on(stored.into_inner(), change)?
            }
        };
        let ended = ended(&step, state, &request.sop_instance_uid);
        replace_object(&path, step, &request.sop_class_uid, &request.sop_instance_uid)?;
        telemetry::procedure_step(state.label());
        Ok((state, ended))
    }
}

/// After a discontinued step nothing more will be scanned, as after a completed one.
fn ended(step: &InMemDicomObject, state: ProcedureStepState, sop_instance_uid: &str) -> Option<PerformedStep> {
    (state != ProcedureStepState::InProgress).then(|| PerformedStep::read(step, sop_instance_uid, Instant::now()))
}

/// The steps in the spool's folder of steps that ended within this time before now: a restart makes them count again.
#[must_use]
pub fn ended_steps(folder: &Path, within: Duration) -> Vec<PerformedStep> {
    let files = std::fs::read_dir(folder).inspect_err(|error| {
        tracing::error!(folder = %folder.display(), %error, "earlier procedure steps cannot be listed: other rules decide when their exams are over");
    });
    let files = files.into_iter().flatten().filter_map(Result::ok);
    let is_recent = |changed: SystemTime| changed.elapsed().is_ok_and(|age| age <= within);
    let recent = files.filter(|file| file.metadata().and_then(|about| about.modified()).is_ok_and(is_recent));
    recent.filter_map(|file| read_ended(&file.path())).collect()
}

/// A step that cannot be read is passed over: later rules decide about its exam.
fn read_ended(path: &Path) -> Option<PerformedStep> {
    let uid = path.file_name()?.to_str()?.strip_suffix(".dcm")?.to_owned();
    let step = OpenFileOptions::new().open_file(path).inspect_err(|error| {
        tracing::warn!(step = uid, %error, "an earlier procedure step cannot be read: other rules decide when its exam is over");
    });
    let step = step.ok()?.into_inner();
    let state = state_of(&step).ok()?;
    ended(&step, state, &uid)
}

fn begin(step: InMemDicomObject) -> Result<(InMemDicomObject, ProcedureStepState), ProcedureStepError> {
    for required in [tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, tags::PERFORMED_PROCEDURE_STEP_STATUS] {
        if step.get(required).is_none() {
            return Err(ProcedureStepError::Missing(required));
        }
    }
    match state_of(&step)? {
        // A step begins in progress (PS3.4 section F.7.2.1.2).
        ProcedureStepState::InProgress => Ok((step, ProcedureStepState::InProgress)),
        ended => Err(ProcedureStepError::State(ended.label().to_owned())),
    }
}

fn go_on(
    mut step: InMemDicomObject,
    change: InMemDicomObject,
) -> Result<(InMemDicomObject, ProcedureStepState), ProcedureStepError> {
    if state_of(&step)? != ProcedureStepState::InProgress {
        return Err(ProcedureStepError::Ended);
    }
    for element in change {
        step.put(element);
    }
    let state = state_of(&step)?;
    Ok((step, state))
}

fn state_of(step: &InMemDicomObject) -> Result<ProcedureStepState, ProcedureStepError> {
    let state = text(step, tags::PERFORMED_PROCEDURE_STEP_STATUS);
    ProcedureStepState::parse(&state).ok_or(ProcedureStepError::State(state))
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR, value::DataSetSequence};

    use super::*;

    fn step(state: &str) -> InMemDicomObject {
        let scheduled = DataSetSequence::from(vec![InMemDicomObject::new_empty()]);
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, VR::SQ, scheduled),
            DataElement::new(tags::PERFORMED_PROCEDURE_STEP_STATUS, VR::CS, PrimitiveValue::from(state)),
        ])
    }

    #[test]
    fn steps_that_have_ended_are_found_again_and_those_that_run_or_are_old_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let class = dicom_dictionary_std::uids::MODALITY_PERFORMED_PROCEDURE_STEP;
        for (uid, state) in [("1.1", "IN PROGRESS"), ("1.2", "COMPLETED"), ("1.3", "DISCONTINUED")] {
            replace_object(&folder.path().join(format!("{uid}.dcm")), step(state), class, uid).unwrap();
        }
        std::fs::write(folder.path().join("1.4.dcm"), b"no step").unwrap();
        let mut found: Vec<String> =
            ended_steps(folder.path(), Duration::from_hours(1)).into_iter().map(|step| step.sop_instance_uid).collect();
        found.sort();
        assert_eq!(found, ["1.2", "1.3"]);
        assert!(ended_steps(folder.path(), Duration::ZERO).is_empty());
        assert!(ended_steps(&folder.path().join("nowhere"), Duration::from_hours(1)).is_empty());
    }

    #[test]
    fn a_step_begins_in_progress_and_ends_once() {
        assert!(matches!(begin(step("COMPLETED")), Err(ProcedureStepError::State(_))));
        assert!(matches!(begin(InMemDicomObject::new_empty()), Err(ProcedureStepError::Missing(_))));
        let (running, _) = begin(step("IN PROGRESS")).unwrap();
        let (ended, state) = go_on(running, step("COMPLETED")).unwrap();
        assert_eq!(state, ProcedureStepState::Completed);
        assert!(matches!(go_on(ended, step("DISCONTINUED")), Err(ProcedureStepError::Ended)));
    }
}
