//! A notification on its way to a destination.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::alert::Notice;
use crate::database::Delivery;
use crate::hex::hex;

/// What a destination is told.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeOptions {
    /// Name, ID, birth date and sex of the patient go along.
    pub patient_data: bool,
    /// What is sent later than this after it was due says that it is late.
    pub deadline: Duration,
    /// The destination is told once a flag has not been acknowledged by a person for so long.
    pub unseen_for: Option<Duration>,
}

/// A notice with what goes around it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notification {
    /// The same for each attempt, another one for each state; 20 hexadecimal digits.
    pub id: String,
    /// Rises with each state that the destination is told of.
    pub number: u32,
    pub due: Timestamp,
    pub is_late: bool,
    pub notice: Notice,
}

/// Digits of a notification's identifier: HL7's MSH-10 has room for 20 characters.
const ID_DIGITS: usize = 20;

impl Notification {
    /// `None` of what is no notification.
    pub(super) fn of(delivery: &Delivery, options: &NoticeOptions, now: Timestamp) -> Option<Self> {
        let mut notice = delivery.notice.as_deref()?.clone();
        if !options.patient_data {
            notice.patient = None;
        }
        let named = format!(
            "{}\n{}\n{}\n{}",
            delivery.exam,
            delivery.destination,
            delivery.revision,
            delivery.queued.as_microsecond()
        );
        let mut id = hex(&Sha256::digest(named));
        id.truncate(ID_DIGITS);
        let age = Duration::try_from(now.duration_since(delivery.queued)).unwrap_or_default();
        let (number, due, is_late) = (delivery.revision, delivery.queued, age > options.deadline);
        Some(Self { id, number, due, is_late, notice })
    }
}

/// What the exam says first.
pub(super) fn headline(notice: &Notice) -> &str {
    notice.statements.first().map_or("", |said| &said.headline)
}
