//! How urgent an exam is for the people who look after it, and the order of lists that follows: decided here alone.
//!
//! First come alarms that nobody has acknowledged, then warnings, then what a person has yet to look at; the newest first, because its
//! patient is nearest. Such an order makes the less urgent wait without end: in a simulated X-ray department it shortened the mean time
//! to a report from 80 to 36 min for pneumothorax and lengthened the longest one from 890 to 1293 min, until a limit on waiting was added
//! (Baltruschat et al., European Radiology 31 (2021) 3837-3845). There, what had waited for too long became the most urgent of all. Here
//! that would bury a new alarm where notices are left alone for hours. So what has waited for too long takes turns with new alarms: the
//! newest alarm stands first, and each class of what has waited has every fourth place at least ([`in_order`]).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flag::Flag;
use super::flag_text::Severity;
use super::outcome::Outcomes;
use super::statement::{Message, Statement};
use crate::analysis::{ExamState, ExamView};
use crate::exam::ExamKey;

/// How long something that is asked for stands behind what is newer and graver. After half an hour a patient has often left the
/// department, and whoever should have looked has been kept from it by more than one other exam.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(30);

/// What an exam wants of people, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UrgencyClass {
    /// An alarm that nobody has acknowledged.
    Alarm,
    /// A warning that nobody has acknowledged.
    Warning,
    /// A notice that nobody has acknowledged, or something that no flag says and a person must look at.
    Check,
    /// Nothing yet: more of it comes.
    Receiving,
    /// Nothing.
    Nothing,
}

/// Something that an exam asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ask {
    pub class: UrgencyClass,
    /// Since when the first of this class has waited.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// From when on it has waited for too long.
    #[schemars(with = "String")]
    pub overdue: Timestamp,
}

/// How urgent an exam is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Urgency {
    pub class: UrgencyClass,
    /// The gravest first, one of a class.
    pub asks: Vec<Ask>,
}

impl Urgency {
    /// The urgency of an exam with these flags, which says this. What no flag says has been looked at once there is an outcome.
    #[must_use]
    pub fn of(exam: &ExamView, flags: &[Flag], said: &[Statement], outcomes: &Outcomes) -> Self {
        let unseen = flags.iter().filter(|flag| flag.is_open() && flag.acknowledged.is_none());
        let unflagged = said.iter().any(is_unflagged_check) && outcomes.of(exam).is_none();
        let waiting: Vec<(UrgencyClass, Timestamp)> = unseen
            .map(|flag| (flag.severity.into(), flag.raised))
            .chain(unflagged.then(|| (UrgencyClass::Check, exam.last_slice.unwrap_or(exam.started))))
            .collect();
        let ask = |class| {
            let since = waiting.iter().filter(|(of, _)| *of == class).map(|(_, since)| *since).min()?;
            let overdue = since.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
            Some(Ask { class, since, overdue })
        };
        let asks: Vec<Ask> = ASKING.into_iter().filter_map(ask).collect();
        let idle = if exam.state == ExamState::Complete { UrgencyClass::Nothing } else { UrgencyClass::Receiving };
        Self { class: asks.first().map_or(idle, |ask| ask.class), asks }
    }

    /// Whether it asks for something.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.asks.is_empty()
    }

    fn ask(&self, class: UrgencyClass) -> Option<&Ask> {
        self.asks.iter().find(|ask| ask.class == class)
    }
}

/// The classes of exams that ask for something.
const ASKING: [UrgencyClass; 3] = [UrgencyClass::Alarm, UrgencyClass::Warning, UrgencyClass::Check];

impl From<Severity> for UrgencyClass {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Alarm => Self::Alarm,
            Severity::Warning => Self::Warning,
            Severity::Notice => Self::Check,
        }
    }
}

/// Whether it asks a person to look although no flag does, so that nobody can acknowledge it.
fn is_unflagged_check(said: &Statement) -> bool {
    matches!(said.message, Message::SlicesLost { .. } | Message::NoVerdict {})
}

/// What decides where an exam stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub key: &'a ExamKey,
    pub started: Timestamp,
    pub urgency: &'a Urgency,
}

/// Exams by urgency at a moment. New alarms (the newest first), and what is overdue of each class (what has waited longest first) take
/// turns; all others follow by class, the newest first. `order.js` does the same in the page, and both have the same test cases.
#[must_use]
pub fn in_order<'a>(exams: &[Standing<'a>], now: Timestamp) -> Vec<&'a ExamKey> {
    let mut newest_first = exams.to_vec();
    newest_first.sort_by(|one, other| other.started.cmp(&one.started).then_with(|| one.key.cmp(other.key)));
    let is_new = |exam: &&Standing| exam.urgency.ask(UrgencyClass::Alarm).is_some_and(|ask| ask.overdue > now);
    let new_alarms = newest_first.iter().filter(is_new).map(|exam| exam.key).collect();
    let overdue = |class| {
        let ask_of = |exam: &Standing<'a>| exam.urgency.ask(class).filter(|ask| ask.overdue <= now);
        let mut waiting: Vec<_> =
            newest_first.iter().filter_map(|exam| Some((ask_of(exam)?.since, exam.key))).collect();
        waiting.sort();
        waiting.into_iter().map(|(_, key)| key).collect()
    };
    let queues: Vec<Vec<&ExamKey>> = std::iter::once(new_alarms).chain(ASKING.map(overdue)).collect();
    newest_first.sort_by_key(|exam| exam.urgency.class);
    let rest = newest_first.iter().map(|exam| exam.key);
    let mut placed = BTreeSet::new();
    taking_turns(queues).into_iter().chain(rest).filter(|key| placed.insert(*key)).collect()
}

/// The queues' exams in turns, each once: a queue whose next one has had a place goes on to the one behind it.
fn taking_turns(queues: Vec<Vec<&ExamKey>>) -> Vec<&ExamKey> {
    let mut queues: Vec<_> = queues.into_iter().map(Vec::into_iter).collect();
    let (mut order, mut placed) = (Vec::new(), BTreeSet::new());
    loop {
        let before = order.len();
        for queue in &mut queues {
            order.extend(queue.find(|key| placed.insert(*key)));
        }
        if order.len() == before {
            return order;
        }
    }
}

#[cfg(test)]
#[path = "urgency_tests.rs"]
mod tests;
