//! Which message of PS3.15 section A.5.3 says an event. Messages name the patient by ID and never by name: the ID and the study are
//! enough to find whose exam it was, and a trail is read by people who need no more.

use super::codes::{self, Code};
use super::event::{Decision, Event, ExportKind, Instances, Outcome, Peer, Person, Subject};
use super::message::{Action, Indicator, Message, Object, Participant};
use crate::words::counted;

impl Event {
    /// What it says to an auditor. `ae_title` is ours.
    pub(super) fn message(&self, ae_title: &str) -> Message {
        let own = || own(ae_title);
        match self {
            Self::Started => activity(codes::APPLICATION_START, own()),
            Self::Stopped => activity(codes::APPLICATION_STOP, own()),
            Self::ReceivingBegan { from, subject } => {
                let participants = vec![from.sends(), own().takes()];
                let objects = subject.objects(&Instances::new());
                message(codes::BEGIN_TRANSFERRING, Action::Execute, &Outcome::Done, participants, objects)
            }
            Self::Received { from, subject, instances, outcome } => {
                let participants = vec![from.sends(), own().takes()];
                let objects = subject.objects(instances);
                message(codes::INSTANCES_TRANSFERRED, Action::Create, outcome, participants, objects)
            }
            Self::CallerRefused { peer, reason } => {
                let caller = Some(peer.participant());
                let refused = alert(codes::NODE_AUTHENTICATION, own(), caller, peer.subject(), reason.clone());
                Message { outcome: Indicator::Minor, ..refused }
            }
            Self::LoggedIn { who, outcome } => authentication(codes::LOG_IN, who, outcome),
            Self::LoggedOut { who } => authentication(codes::LOG_OUT, who, &Outcome::Done),
            Self::AccessChanged { who, whose, change } => access_changed(who, whose, change),
            Self::Viewed { who, subject } => {
                let participants = vec![who.asks(), own()];
                let objects = subject.objects(&Instances::new());
                message(codes::INSTANCES_ACCESSED, Action::Read, &Outcome::Done, participants, objects)
            }
            Self::Acknowledged { who, subject, flag } => {
                let changed = record_changed(who, own(), subject, ("flag", flag));
                Message { kind: Some(codes::FLAG_ACKNOWLEDGED), ..changed }
            }
            Self::OutcomeRecorded { who, subject, outcome } => {
                let changed = record_changed(who, own(), subject, ("outcome", outcome));
                Message { kind: Some(codes::OUTCOME_RECORDED), ..changed }
            }
            Self::Delivered { destination, address, subject, instances, outcome } => {
                let (node, address) = (destination.clone(), Some(address.clone()));
                let destination = Participant { id: node, name: address, ..Participant::default() };
                let participants = vec![own().sends(), destination.takes()];
                let objects = subject.objects(instances);
                // Whether the destination held them already is not known.
                message(codes::INSTANCES_TRANSFERRED, Action::Read, outcome, participants, objects)
            }
            Self::Notified { destination, address, subject, outcome } => {
                let participants = vec![own().sends(), media(codes::DESTINATION_MEDIA, address, destination)];
                let objects = subject.objects(&Instances::new());
                let told = message(codes::EXPORT, Action::Read, outcome, participants, objects);
                Message { kind: Some(codes::NOTIFICATION), ..told }
            }
            Self::Exported { who, kind, file, subject } => {
                let participants = vec![
                    Participant { role: Some(codes::SOURCE), ..who.asks() },
                    media(codes::DESTINATION_MEDIA, file, kind.name()),
                ];
                let objects = subject.iter().flat_map(|subject| subject.objects(&Instances::new())).collect();
                message(codes::EXPORT, Action::Read, &Outcome::Done, participants, objects)
            }
            Self::Restored { who, file } => {
                let participants = vec![
                    Participant { role: Some(codes::DESTINATION), ..who.asks() },
                    media(codes::SOURCE_MEDIA, file, ExportKind::Backup.name()),
                ];
                message(codes::IMPORT, Action::Create, &Outcome::Done, participants, Vec::new())
            }
            Self::DeliveriesDecided { who, decision, chosen, count } => {
                let what = match decision {
                    Decision::SendAgain => "deliveries sent again",
                    Decision::GiveUp => "deliveries given up",
                };
                let told = format!("{what}: {}, {chosen}", counted(*count, "object"));
                alert(codes::RESTRICTED_FUNCTION, who.asks(), None, resource("outbox", "Outbox"), told)
            }
            Self::ConfigurationChanged { waiting } => configuration_changed(waiting, own()),
            Self::ModelChanged { who, serves, before } => {
                let told = format!("from the next start on {serves} serves; before: {before}");
                alert(codes::SOFTWARE_CONFIGURATION, who.asks(), None, resource("model", "Model package"), told)
            }
            Self::TrailVerified { who, outcome } => {
                message(codes::AUDIT_LOG_USED, Action::Read, outcome, vec![who.asks()], vec![trail()])
            }
            Self::RecordsLost { count } => {
                let told = format!("{count} records were lost while the disk took nothing");
                let lost = alert(codes::RECORDING_STOPPED, own(), None, trail(), told);
                Message { outcome: Indicator::Serious, ..lost }
            }
            Self::TailSetAside { bytes, file } => {
                let told = format!("{bytes} bytes of a record that was being written at the last end are now {file}");
                alert(codes::TRAIL_DAMAGED, own(), None, trail(), told)
            }
            Self::TrailDamaged { last_readable } => {
                let told = format!("the records behind {last_readable} cannot be read: verify the trail");
                let damaged = alert(codes::TRAIL_DAMAGED, own(), None, trail(), told);
                Message { outcome: Indicator::Serious, ..damaged }
            }
            Self::TrailShortened { through } => {
                let told = format!("records up to {through} are removed");
                alert(codes::TRAIL_SHORTENED, own(), None, trail(), told)
            }
        }
    }
}

impl ExportKind {
    fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Backup => "copy of the database",
            Self::SupportBundle => "support bundle, without patients",
            Self::Cases => "list of labelled cases, without patients",
        }
    }
}

/// Somebody added something to what is known of an exam.
fn record_changed(who: &Person, own: Participant, subject: &Subject, (name, value): (&'static str, &str)) -> Message {
    let mut objects = subject.objects(&Instances::new());
    if let Some(study) = objects.first_mut() {
        study.details.push((name, value.to_owned()));
    }
    message(codes::PROCEDURE_RECORD, Action::Update, &Outcome::Done, vec![who.asks(), own], objects)
}

/// This program, as a participant.
fn own(ae_title: &str) -> Participant {
    Participant { id: "tableside".to_owned(), ae_title: Some(ae_title.to_owned()), ..Participant::default() }
}

impl Participant {
    /// It sends, at its own wish.
    fn sends(self) -> Self {
        Self { role: Some(codes::SOURCE), is_requestor: true, ..self }
    }

    fn takes(self) -> Self {
        Self { role: Some(codes::DESTINATION), ..self }
    }
}

impl Peer {
    fn participant(&self) -> Participant {
        let address = Some(self.address.clone());
        let (id, ae_title) = match self.ae_title.as_str() {
            "" => (self.address.clone(), None),
            ae_title => (ae_title.to_owned(), Some(ae_title.to_owned())),
        };
        Participant { id, ae_title, address, ..Participant::default() }
    }

    fn sends(&self) -> Participant {
        self.participant().sends()
    }

    /// As what an alert is about.
    fn subject(&self) -> Object {
        Object {
            id: self.address.clone(),
            id_type: codes::NODE_ID,
            kind: "2",
            role: "13",
            name: self.ae_title.clone(),
            details: Vec::new(),
            instances: Vec::new(),
        }
    }
}

impl Person {
    fn asks(&self) -> Participant {
        let (id, name, address) = match self {
            Self::AtConsole { address, account, initials } => {
                (account.as_ref().unwrap_or(address), initials, Some(address.clone()))
            }
            Self::AtShell { user, sudo_user } => (user, sudo_user, None),
        };
        Participant { id: id.clone(), name: name.clone(), address, is_requestor: true, ..Participant::default() }
    }
}

impl Subject {
    /// Study and patient, in this order. An exam that is known by its key alone stands there under that.
    fn objects(&self, instances: &Instances) -> Vec<Object> {
        let exam = self.exam.as_ref().map(ToString::to_string).unwrap_or_default();
        let known = |value: &str| if value.is_empty() { "unknown".to_owned() } else { value.to_owned() };
        let study = Object {
            id: known(&self.study_instance_uid),
            id_type: codes::STUDY_INSTANCE_UID,
            kind: "2",
            role: "3",
            name: exam,
            details: Vec::new(),
            instances: instances.iter().map(|(class, count)| (class.clone(), *count)).collect(),
        };
        let patient = Object {
            id: known(&self.patient_id),
            id_type: codes::PATIENT_NUMBER,
            kind: "1",
            role: "1",
            name: String::new(),
            details: Vec::new(),
            instances: Vec::new(),
        };
        vec![study, patient]
    }
}

fn message(
    event: Code,
    action: Action,
    outcome: &Outcome,
    participants: Vec<Participant>,
    objects: Vec<Object>,
) -> Message {
    let (outcome, description) = match outcome {
        Outcome::Done => (Indicator::Success, None),
        Outcome::Failed(reason) => (Indicator::Serious, Some(reason.clone())),
    };
    Message { event, kind: None, action, outcome, description, participants, objects }
}

fn activity(kind: Code, own: Participant) -> Message {
    let own = Participant { role: Some(codes::APPLICATION), ..own };
    let activity = message(codes::APPLICATION_ACTIVITY, Action::Execute, &Outcome::Done, vec![own], Vec::new());
    Message { kind: Some(kind), ..activity }
}

/// One that failed is no fault of the system (`Minor`): somebody typed a wrong password.
fn authentication(kind: Code, who: &Person, outcome: &Outcome) -> Message {
    let tried = message(codes::USER_AUTHENTICATION, Action::Execute, outcome, vec![who.asks()], Vec::new());
    let outcome = if *outcome == Outcome::Done { Indicator::Success } else { Indicator::Minor };
    Message { kind: Some(kind), outcome, ..tried }
}

fn access_changed(who: &Person, whose: &str, change: &str) -> Message {
    alert(codes::USER_SECURITY, who.asks(), None, resource(whose, "Access to the console"), change.to_owned())
}

fn configuration_changed(waiting: &[String], own: Participant) -> Message {
    let waiting = if waiting.is_empty() { "nothing".to_owned() } else { waiting.join(", ") };
    let told = format!("read again; waiting for a restart: {waiting}");
    alert(codes::SOFTWARE_CONFIGURATION, own, None, resource("configuration", "Configuration"), told)
}

/// An alert says in words what is the matter, where people and where programs look for it.
fn alert(kind: Code, reporting: Participant, performing: Option<Participant>, object: Object, told: String) -> Message {
    let participants = std::iter::once(reporting).chain(performing).collect();
    let object = Object { details: vec![("Alert Description", told.clone())], ..object };
    let alert = message(codes::SECURITY_ALERT, Action::Execute, &Outcome::Done, participants, vec![object]);
    Message { kind: Some(kind), description: Some(told), ..alert }
}

fn media(role: Code, place: &str, name: &str) -> Participant {
    Participant {
        id: place.to_owned(),
        name: Some(name.to_owned()),
        role: Some(role),
        media: Some(codes::URI_MEDIA),
        ..Participant::default()
    }
}

/// A part of the system, as what an alert is about.
fn resource(id: &str, name: &str) -> Object {
    Object {
        id: id.to_owned(),
        id_type: codes::URI,
        kind: "2",
        role: "5",
        name: name.to_owned(),
        details: Vec::new(),
        instances: Vec::new(),
    }
}

/// The trail itself (PS3.15 table A.5.3.2-1 has the name).
fn trail() -> Object {
    Object { role: "13", ..resource("audit", "Security Audit Log") }
}

#[cfg(test)]
#[path = "event_message_tests.rs"]
mod tests;
