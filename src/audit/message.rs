//! The audit message of DICOM as XML (PS3.15 section A.5.1). All of it stands on one line: that is what a record is.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::codes::Code;

/// No value is longer, characters: a record stays well below the 32 KiB that every receiver takes (PS3.15 section A.6), whatever a
/// peer writes into an attribute.
const LONGEST_VALUE: usize = 256;

/// A UID that is longer is none (PS3.5 section 9.1).
const LONGEST_UID: usize = 64;

/// No more are listed of anything.
const MOST_LISTED: usize = 16;

/// How it ended (PS3.15 section A.5.1, `EventOutcomeIndicator`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indicator {
    Success,
    /// Whoever tried may try again.
    Minor,
    /// What was tried is not done.
    Serious,
}

impl Indicator {
    fn value(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::Minor => "4",
            Self::Serious => "8",
        }
    }
}

/// What is done to the data (`EventActionCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Read,
    Update,
    Execute,
}

impl Action {
    fn value(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Execute => "E",
        }
    }
}

/// Who or what takes part.
#[derive(Debug, Clone, Default)]
pub(super) struct Participant {
    pub id: String,
    pub ae_title: Option<String>,
    pub name: Option<String>,
    pub is_requestor: bool,
    /// An IP address.
    pub address: Option<String>,
    pub role: Option<Code>,
    pub media: Option<Code>,
}

/// What it is about.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub id: String,
    pub id_type: Code,
    /// `ParticipantObjectTypeCode`.
    pub kind: &'static str,
    /// `ParticipantObjectTypeCodeRole`.
    pub role: &'static str,
    pub name: String,
    /// Names of what is told, and what.
    pub details: Vec<(&'static str, String)>,
    /// SOP Class UIDs, and how many instances there are of each.
    pub instances: Vec<(String, usize)>,
}

/// A message but for its time and its source.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub event: Code,
    pub kind: Option<Code>,
    pub action: Action,
    pub outcome: Indicator,
    /// Why, where it did not succeed.
    pub description: Option<String>,
    pub participants: Vec<Participant>,
    pub objects: Vec<Object>,
}

impl Message {
    /// The message of an event at a time, by a source.
    pub(super) fn to_xml(&self, at: jiff::Timestamp, source: &str) -> String {
        let mut xml = String::with_capacity(2048);
        xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage><EventIdentification");
        attribute(&mut xml, "EventActionCode", self.action.value());
        attribute(&mut xml, "EventDateTime", &at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        attribute(&mut xml, "EventOutcomeIndicator", self.outcome.value());
        xml.push('>');
        coded(&mut xml, "EventID", self.event);
        if let Some(kind) = self.kind {
            coded(&mut xml, "EventTypeCode", kind);
        }
        if let Some(description) = &self.description {
            text(&mut xml, "EventOutcomeDescription", description);
        }
        xml.push_str("</EventIdentification>");
        for participant in &self.participants {
            participant.write(&mut xml);
        }
        xml.push_str("<AuditSourceIdentification");
        attribute(&mut xml, "AuditSourceID", source);
        // 4: an application server process.
        xml.push_str("><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>");
        for object in &self.objects {
            object.write(&mut xml);
        }
        xml.push_str("</AuditMessage>");
        xml
    }
}

impl Participant {
    fn write(&self, xml: &mut String) {
        xml.push_str("<ActiveParticipant");
        attribute(xml, "UserID", &self.id);
        if let Some(ae_title) = &self.ae_title {
            // PS3.15 section A.5.2.2.
            attribute(xml, "AlternativeUserID", &format!("AETITLES={ae_title}"));
        }
        if let Some(name) = &self.name {
            attribute(xml, "UserName", name);
        }
        attribute(xml, "UserIsRequestor", if self.is_requestor { "true" } else { "false" });
        if let Some(address) = &self.address {
            attribute(xml, "NetworkAccessPointID", address);
            attribute(xml, "NetworkAccessPointTypeCode", "2");
        }
        xml.push('>');
        if let Some(role) = self.role {
            coded(xml, "RoleIDCode", role);
        }
        if let Some(media) = self.media {
            xml.push_str("<MediaIdentifier>");
            coded(xml, "MediaType", media);
            xml.push_str("</MediaIdentifier>");
        }
        xml.push_str("</ActiveParticipant>");
    }
}

impl Object {
    fn write(&self, xml: &mut String) {
        xml.push_str("<ParticipantObjectIdentification");
        attribute(xml, "ParticipantObjectID", &self.id);
        attribute(xml, "ParticipantObjectTypeCode", self.kind);
        attribute(xml, "ParticipantObjectTypeCodeRole", self.role);
        xml.push('>');
        coded(xml, "ParticipantObjectIDTypeCode", self.id_type);
        text(xml, "ParticipantObjectName", &self.name);
        for (name, value) in self.details.iter().take(MOST_LISTED) {
            xml.push_str("<ParticipantObjectDetail");
            attribute(xml, "type", name);
            attribute(xml, "value", &BASE64_STANDARD.encode(shortened(value)));
            xml.push_str("/>");
        }
        if !self.instances.is_empty() {
            xml.push_str("<ParticipantObjectDescription>");
            for (class, count) in self.instances.iter().take(MOST_LISTED) {
                xml.push_str("<SOPClass");
                if !class.is_empty() {
                    attribute(xml, "UID", &class.chars().take(LONGEST_UID).collect::<String>());
                }
                attribute(xml, "NumberOfInstances", &count.to_string());
                xml.push_str("/>");
            }
            xml.push_str("</ParticipantObjectDescription>");
        }
        xml.push_str("</ParticipantObjectIdentification>");
    }
}

fn coded(xml: &mut String, element: &str, code: Code) {
    let Code { value, system, meaning } = code;
    // Writing to a string cannot fail.
    let _ = write!(
        xml,
        "<{element} csd-code=\"{value}\" codeSystemName=\"{system}\" displayName=\"{meaning}\" originalText=\"{meaning}\"/>"
    );
}

fn attribute(xml: &mut String, name: &str, value: &str) {
    let _ = write!(xml, " {name}=\"{}\"", escaped(value));
}

fn text(xml: &mut String, element: &str, value: &str) {
    let _ = write!(xml, "<{element}>{}</{element}>", escaped(value));
}

fn shortened(value: &str) -> String {
    value.chars().take(LONGEST_VALUE).collect()
}

/// A value, shortened, as it may stand in text and in attributes. Control characters would break the line or the XML (XML 1.0
/// section 2.2), so they are replaced.
fn escaped(value: &str) -> String {
    value.chars().take(LONGEST_VALUE).fold(String::with_capacity(value.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_peer_writes_stays_in_its_attribute_and_on_one_line(value in "\\PC*[\u{0}-\u{1f}\u{85}\u{2028}\"<>&']*\\PC*") {
            let mut xml = String::new();
            attribute(&mut xml, "UserID", &value);
            let inner = xml.strip_prefix(" UserID=\"").unwrap().strip_suffix('"').unwrap();
            prop_assert!(!inner.contains(['"', '<', '>', '\n', '\r', '\u{0}']), "{inner}");
            prop_assert!(inner.chars().count() <= LONGEST_VALUE * "&quot;".len());
        }
    }
}
