//! Each event as a message of the standard.

use jiff::Timestamp;

use super::*;
use crate::exam::ExamKey;

/// One of each, with what a peer might write in the worst case.
fn events() -> Vec<Event> {
    let worst = "\"><&\u{0}\r\n€".repeat(200);
    let subject = Subject {
        study_instance_uid: worst.clone(),
        patient_id: worst.clone(),
        exam: ExamKey::parse("0123456789abcdef"),
    };
    let peer = Peer { ae_title: worst.clone(), address: "10.0.0.7".to_owned() };
    let who = Person::AtConsole {
        address: "10.0.0.8".to_owned(),
        account: Some(worst.clone()),
        initials: Some(worst.clone()),
    };
    let (destination, address, file, reason, chosen) =
        (worst.clone(), worst.clone(), worst.clone(), worst.clone(), worst.clone());
    let outcome = Outcome::Failed(worst.clone());
    let instances: Instances = (0..100).map(|class| (format!("{class}{worst}"), class)).collect();
    let (from, kind, decision) = (peer.clone(), ExportKind::Report, Decision::GiveUp);
    vec![
        Event::Started,
        Event::Stopped,
        Event::ReceivingBegan { from: from.clone(), subject: subject.clone() },
        Event::Received { from, subject: subject.clone(), instances: instances.clone(), outcome: outcome.clone() },
        Event::CallerRefused { peer, reason },
        Event::LoggedIn { who: who.clone(), outcome: outcome.clone() },
        Event::LoggedOut { who: who.clone() },
        Event::AccessChanged { who: who.clone(), whose: worst.clone(), change: worst.clone() },
        Event::Viewed { who: who.clone(), subject: subject.clone() },
        Event::Acknowledged { who: who.clone(), subject: subject.clone(), flag: worst.clone() },
        Event::OutcomeRecorded { who: who.clone(), subject: subject.clone(), outcome: worst.clone() },
        Event::Delivered {
            destination: destination.clone(),
            address: address.clone(),
            subject: subject.clone(),
            instances,
            outcome: outcome.clone(),
        },
        Event::Notified { destination, address, subject: subject.clone(), outcome: outcome.clone() },
        Event::Exported { who: who.clone(), kind, file: file.clone(), subject: Some(subject) },
        Event::Restored { who: who.clone(), file: file.clone() },
        Event::DeliveriesDecided { who: who.clone(), decision, chosen, count: 3 },
        Event::ConfigurationChanged { waiting: vec![worst; 20] },
        Event::ModelChanged { who: who.clone(), serves: file.clone(), before: file.clone() },
        Event::TrailVerified { who, outcome },
        Event::RecordsLost { count: 7 },
        Event::TailSetAside { bytes: 7, file },
        Event::TrailDamaged { last_readable: 7 },
        Event::TrailShortened { through: 7 },
    ]
}

/// The elements within the root, in their order, each as what lies between `<` and `>`.
fn tags(xml: &str) -> Vec<&str> {
    xml.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()).collect()
}

#[test]
fn every_event_is_a_message_as_the_standard_has_it() {
    for event in events() {
        let xml = event.message("TABLESIDE").to_xml(Timestamp::UNIX_EPOCH, "TABLESIDE");
        assert!(xml.len() < 24 * 1024, "{}: {} bytes", event.label(), xml.len());
        assert!(!xml.contains(['\n', '\r', '\u{0}']), "{xml}");
        let tags = tags(&xml);
        let mut open: Vec<&str> = Vec::new();
        let mut children = Vec::new();
        for tag in tags.iter().skip(1) {
            let name = tag.split([' ', '/']).next().unwrap();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "{xml}");
                continue;
            }
            if open.len() == 1 {
                children.push(name);
            }
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{xml}");
        children.dedup();
        let order = [
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        ];
        assert!(order.starts_with(&children) && children.len() >= 3, "{}: {children:?}", event.label());
        // Of several who wished for it one is named (PS3.15 table A.5.2-1).
        assert!(xml.matches("UserIsRequestor=\"true\"").count() <= 1, "{xml}");
        let coded = ["EventID", "EventTypeCode", "RoleIDCode", "MediaType", "ParticipantObjectIDTypeCode"];
        for tag in tags.iter().filter(|tag| coded.iter().any(|name| tag.starts_with(name))) {
            for attribute in ["csd-code=", "codeSystemName=", "originalText="] {
                assert!(tag.contains(attribute), "{tag}");
            }
        }
        let objects = xml.matches("<ParticipantObjectIdentification ").count();
        assert_eq!(xml.matches("<ParticipantObjectName>").count(), objects, "each has a name or a query");
    }
}

#[test]
fn an_exam_that_was_sent_names_peer_study_patient_and_instances() {
    let subject = Subject {
        study_instance_uid: "1.2.3".to_owned(),
        patient_id: "P1".to_owned(),
        exam: ExamKey::parse("0123456789abcdef"),
    };
    let from = Peer { ae_title: "CT1".to_owned(), address: "10.0.0.7".to_owned() };
    let instances = Instances::from([("1.2.840.10008.5.1.4.1.1.2".to_owned(), 40)]);
    let event = Event::Received { from, subject, instances, outcome: Outcome::Done };
    let xml = event.message("TABLESIDE").to_xml(Timestamp::UNIX_EPOCH, "TABLESIDE");
    for piece in [
        "EventActionCode=\"C\" EventDateTime=\"1970-01-01T00:00:00.000Z\" EventOutcomeIndicator=\"0\"",
        "<EventID csd-code=\"110104\" codeSystemName=\"DCM\"",
        "<ActiveParticipant UserID=\"CT1\" AlternativeUserID=\"AETITLES=CT1\" UserIsRequestor=\"true\" NetworkAccessPointID=\"10.0.0.7\" NetworkAccessPointTypeCode=\"2\"><RoleIDCode csd-code=\"110153\"",
        "<ActiveParticipant UserID=\"tableside\" AlternativeUserID=\"AETITLES=TABLESIDE\" UserIsRequestor=\"false\"><RoleIDCode csd-code=\"110152\"",
        "ParticipantObjectID=\"1.2.3\" ParticipantObjectTypeCode=\"2\" ParticipantObjectTypeCodeRole=\"3\"",
        "<SOPClass UID=\"1.2.840.10008.5.1.4.1.1.2\" NumberOfInstances=\"40\"/>",
        "ParticipantObjectID=\"P1\" ParticipantObjectTypeCode=\"1\" ParticipantObjectTypeCodeRole=\"1\"",
    ] {
        assert!(xml.contains(piece), "{piece}: {xml}");
    }
}
