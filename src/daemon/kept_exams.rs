//! What is kept of exams, and their images: when these may go, and what goes with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::console::Hub;
use crate::database::{DatabaseError, Details};
use crate::exam::{Contents, ExamKey};
use crate::outbox::Outbox;
use crate::spool::ImageUser;

pub(super) struct KeptExams {
    hub: Arc<Hub>,
    outbox: Arc<Outbox>,
    details: Details,
}

impl KeptExams {
    /// # Errors
    /// If the database cannot be opened.
    pub(super) fn open(database: &Path, hub: Arc<Hub>, outbox: Arc<Outbox>) -> Result<Self, DatabaseError> {
        Ok(Self { hub, outbox, details: Details::open(database)? })
    }
}

impl ImageUser for KeptExams {
    /// Its verdict on all of them is kept, and nobody waits for them.
    fn may_go(&self, exam: &ExamKey, contents: Contents) -> bool {
        self.hub.judged_contents(exam) == Some(contents) && !self.outbox.needs_images(exam)
    }

    fn judged(&self) -> BTreeMap<ExamKey, Timestamp> {
        self.details.judged().unwrap_or_else(|error| {
            tracing::warn!(%error, "which exams' details could go cannot be read from the database: they stay for now");
            BTreeMap::new()
        })
    }

    fn images_are_gone(&self, exams: &BTreeMap<ExamKey, Timestamp>) {
        for (exam, judged) in exams {
            self.hub.let_go(exam);
            if let Err(error) = self.details.forget(exam, *judged) {
                tracing::warn!(%exam, %error, "the exam's masks cannot be removed from the database: they stay for now");
                return;
            }
        }
    }
}
