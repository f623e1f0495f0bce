//! Notification by HL7 v2.5.1: an ORU^R01 message over MLLP (HL7 "Transport Specification: MLLP", release 1).

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::notification::{NoticeOptions, Notification, headline};
use super::{Answer, NodeFault, Step, Tell, lost, settle};
use crate::alert::Notice;
use crate::client_tls::{ClientTls, connect};
use crate::database::Delivery;
use crate::exam::Patient;

/// Where to, and what stands in the header.
#[derive(Debug, Clone, PartialEq)]
pub struct Hl7Options {
    /// `HOST:PORT`.
    pub address: String,
    /// MSH-5 and MSH-6.
    pub receiving: [String; 2],
    /// MSH-4.
    pub sending_facility: String,
    pub connect_timeout: Duration,
    pub answer_timeout: Duration,
    /// `None` where the connection is plain.
    pub tls: Option<ClientTls>,
    pub notice: NoticeOptions,
}

const START: u8 = 0x0B;
const END: [u8; 2] = [0x1C, 0x0D];
/// An acknowledgement is some lines.
const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) fn deliver(options: &Hl7Options, delivery: &Delivery, tell: Tell<'_>) -> Result<(), NodeFault> {
    let now = Timestamp::now();
    let Some(notification) = Notification::of(delivery, &options.notice, now) else { return Ok(()) };
    let message = message(options, &notification, now);
    let failed = |what: &str, error: std::io::Error| format!("{}: {what}: {error}", options.address);
    let connected = connect(&options.address, options.connect_timeout, options.answer_timeout);
    let mut stream = connected.map_err(|error| NodeFault::new(failed("no connection", error)))?;
    if !tell(delivery, Step::Sending)? {
        return Ok(());
    }
    let answered = match &options.tls {
        None => converse(&mut stream, &message, options.answer_timeout),
        Some(tls) => tls
            .encrypted(stream, &options.address)
            .and_then(|mut stream| converse(&mut stream, &message, options.answer_timeout)),
    };
    match answered {
        Ok(answer) => settle(delivery, meaning(&answer, &notification.id), tell),
        Err(error) => lost(delivery, failed("lost before it answered", error), tell),
    }
}

/// Sends a message and waits for what answers it.
fn converse(stream: &mut (impl Read + Write), message: &str, patience: Duration) -> std::io::Result<String> {
    let framed = [&[START][..], message.as_bytes(), &END].concat();
    stream.write_all(&framed)?;
    stream.flush()?;
    receive(stream, patience)
}

fn receive(stream: &mut impl Read, patience: Duration) -> std::io::Result<String> {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    let until = Instant::now() + patience;
    while !answer.ends_with(&END) {
        if Instant::now() >= until {
            return Err(std::io::Error::other("its answer takes too long"));
        }
        match stream.read(&mut part)? {
            0 => return Err(std::io::Error::other("it hung up")),
            count => answer.extend_from_slice(&part[..count]),
        }
        if answer.len() > LONGEST_ANSWER {
            return Err(std::io::Error::other("it answers without end"));
        }
    }
    Ok(String::from_utf8_lossy(&answer).trim_matches(['\u{b}', '\u{1c}', '\r', '\n']).to_owned())
}

/// What an acknowledgement means (HL7 v2.5.1 section 2.9.2, table 0008). One of another message is none.
fn meaning(answer: &str, id: &str) -> Answer {
    let separator = answer.chars().nth(3).unwrap_or('|');
    let fields: Vec<&str> = answer
        .split(['\r', '\n'])
        .find(|segment| segment.starts_with("MSA"))
        .map(|segment| segment.split(separator).collect())
        .unwrap_or_default();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let text = field(3);
    match field(1) {
        _ if field(2) != id => {
            Answer::NotNow(format!("it acknowledged another message ({}) than the one it got ({id})", field(2)))
        }
        "AA" | "CA" => Answer::Stored(None),
        "AE" | "CE" => Answer::Refused(format!("it refused the message (AE): {text}")),
        code => Answer::NotNow(format!("it does not take messages at present ({code}): {text}")),
    }
}

/// The message, its segments ended by carriage returns.
fn message(
    options: &Hl7Options,
    Notification { id, number, due, is_late, notice }: &Notification,
    now: Timestamp,
) -> String {
    let [application, facility] = options.receiving.each_ref().map(|text| escaped(text));
    let sending = escaped(&options.sending_facility);
    let (sent, observed, due) = (moment(now), moment(notice.started), moment(*due));
    let status = if notice.corrects() { "C" } else { "R" };
    let mut segments = vec![
        format!(
            "MSH|^~\\&|TABLESIDE|{sending}|{application}|{facility}|{sent}||ORU^R01^ORU_R01|{id}|P|2.5.1||||||UNICODE UTF-8"
        ),
        patient(notice.patient.as_ref()),
        format!(
            "OBR|1||{}^TABLESIDE|24627-2^CT Chest^LN|||{observed}|||||||||||||||{due}||CT|{status}",
            escaped(&notice.exam.to_string())
        ),
    ];
    for (place, (code, name, kind, value)) in observations(notice).into_iter().enumerate() {
        let place = place + 1;
        segments.push(format!("OBX|{place}|{kind}|{code}^{name}^99TABLESIDE||{value}||||||{status}|||{due}"));
    }
    let mut notes = vec![notice.intended_use.clone(), format!("State {number} of the exam that was told.")];
    notes.extend(is_late.then(|| "This message is late.".to_owned()));
    let notes = notes.iter().enumerate();
    segments.extend(notes.map(|(place, note)| format!("NTE|{}|L|{}", place + 1, escaped(note))));
    segments.join("\r") + "\r"
}

/// Code, name, value type and value of each OBX.
fn observations(notice: &Notice) -> Vec<(String, &'static str, &'static str, String)> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = notice.verdict.map_or("none".to_owned(), |verdict| word(serde_json::json!(verdict)));
    let mut all = vec![
        ("VERDICT".to_owned(), "Verdict", "CWE", format!("{verdict}^{}^99TABLESIDE", escaped(headline(notice)))),
        ("STAGE".to_owned(), "Stage", "ST", word(serde_json::json!(notice.stage))),
    ];
    if !notice.reason.is_empty() {
        all.push(("REASON".to_owned(), "Reason", "TX", escaped(&notice.reason)));
    }
    for flag in &notice.flags {
        let (kind, state) = (word(serde_json::json!(flag.kind)), word(serde_json::json!(flag.state)));
        all.push((
            format!("FLAG_{}", kind.to_uppercase()),
            "Flag",
            "CWE",
            format!("{state}^{}^99TABLESIDE", escaped(&flag.title)),
        ));
        all.push((format!("FLAG_{}_TEXT", kind.to_uppercase()), "Flag in words", "TX", escaped(&flag.text)));
        if let Some(seen) = &flag.acknowledged {
            let by = format!("{} {}", seen.by, seen.at.strftime("%Y-%m-%d %H:%M:%S UTC"));
            all.push((format!("FLAG_{}_SEEN", kind.to_uppercase()), "Acknowledged by", "ST", escaped(&by)));
        }
    }
    all
}

fn patient(patient: Option<&Patient>) -> String {
    let Some(Patient { name, id, birth_date, sex }) = patient else {
        // A segment that the message needs, of somebody who is not named.
        return "PID|1||UNKNOWN||UNKNOWN".to_owned();
    };
    let sex = if matches!(sex.as_str(), "F" | "M" | "O") { sex } else { "U" };
    let id = if id.is_empty() { "UNKNOWN".to_owned() } else { escaped(id) };
    let birth_date = if birth_date.bytes().all(|byte| byte.is_ascii_digit()) { birth_date } else { "" };
    format!("PID|1||{id}||{}||{birth_date}|{sex}", name_of(name))
}

/// A name of DICOM (PS3.5 section 6.2.1: family, given, middle, prefix, suffix) as an XPN: suffix before prefix.
fn name_of(name: &str) -> String {
    let group = name.split('=').find(|group| !group.trim().is_empty()).unwrap_or_default();
    let parts: Vec<String> = group.split('^').map(|part| escaped(part.trim())).collect();
    let part = |at: usize| parts.get(at).map_or("", String::as_str);
    let name = [part(0), part(1), part(2), part(4), part(3)].join("^");
    let name = name.trim_end_matches('^');
    if name.is_empty() { "UNKNOWN".to_owned() } else { name.to_owned() }
}

/// HL7 v2.5.1 section 2.7.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '|' => escaped.push_str("\\F\\"),
            '^' => escaped.push_str("\\S\\"),
            '&' => escaped.push_str("\\T\\"),
            '~' => escaped.push_str("\\R\\"),
            '\\' => escaped.push_str("\\E\\"),
            '\r' | '\n' => escaped.push_str("\\.br\\"),
            control if control.is_control() => {}
            other => escaped.push(other),
        }
        escaped
    })
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_acknowledgement_of_this_message_counts() {
        let answer =
            |code: &str, id: &str| format!("MSH|^~\\&|A|B|C|D|20261129||ACK|1|P|2.5.1\rMSA|{code}|{id}|busy\r");
        assert_eq!(meaning(&answer("AA", "7"), "7"), Answer::Stored(None));
        assert!(matches!(meaning(&answer("AA", "8"), "7"), Answer::NotNow(_)));
        assert!(matches!(meaning(&answer("AE", "7"), "7"), Answer::Refused(_)));
        assert!(matches!(meaning(&answer("AR", "7"), "7"), Answer::NotNow(_)));
        for garbage in ["", "MSA", "HTTP/1.1 400", "MSH|^~\\&|\r", "€"] {
            assert!(matches!(meaning(garbage, "7"), Answer::NotNow(_)), "{garbage}");
        }
    }

    #[test]
    fn a_name_of_dicom_is_one_of_hl7() {
        assert_eq!(name_of("DOE^JANE^Q^DR^JR"), "DOE^JANE^Q^JR^DR");
        assert_eq!(name_of("王^小東=..."), "王^小東");
        assert_eq!(name_of("=^"), "UNKNOWN");
        assert_eq!(name_of("A|B^C&D"), "A\\F\\B^C\\T\\D");
    }

    proptest! {
        #[test]
        fn nothing_that_is_escaped_ends_its_field(text in "\\PC*[|^&~\\\\\r\n]*\\PC*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['|', '^', '&', '~', '\r', '\n']));
        }
    }
}
