//! `[[destination]]`: who gets the results.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Document, Section};
use super::{AE_TITLE, is_ae_title};
use crate::dicom::Target;
use crate::dicom::scu::Calling;
use crate::ingest::{Scanner, parse_network};
use crate::outbox::{
    CStoreOptions, ClientTls, Destination, FhirOptions, Hl7Options, HttpOptions, NoticeOptions, RetryLimits, Route,
    WebhookOptions,
};

/// Where Debian keeps the authorities that it trusts.
pub(super) const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Reads all destinations; what is wrong with one is told, and it is left out.
pub(super) fn read(document: &mut Document<'_>, own_title: &str) -> Vec<Destination> {
    let mut destinations: Vec<Destination> = Vec::new();
    let mut names = BTreeSet::new();
    document.list("destination", |section| {
        let Some(destination) = destination(section, own_title) else { return };
        if names.insert(destination.name.clone()) {
            destinations.push(destination);
        } else {
            section.refuse_section(format!("two destinations have the name {}", destination.name));
        }
    });
    destinations
}

/// The nodes that report what they have kept, at the addresses that their names have now.
pub(super) fn archives(destinations: &[Destination]) -> Vec<Scanner> {
    let of_route = |route: &Route| match route {
        Route::CStore(CStoreOptions { target, commitment: Some(_), .. }) => {
            let addresses = (target.host.as_str(), target.port).to_socket_addrs().into_iter().flatten();
            let addresses: Vec<_> = addresses.filter_map(|at| parse_network(&at.ip().to_string())).collect();
            // A name that leads nowhere would admit everybody who calls himself so.
            (!addresses.is_empty()).then(|| Scanner { ae_title: target.ae_title.clone(), addresses })
        }
        _ => None,
    };
    destinations.iter().filter_map(|destination| of_route(&destination.route)).collect()
}

fn destination(section: &mut Section<'_, '_>, own_title: &str) -> Option<Destination> {
    let (mut name, mut forward) = (String::new(), false);
    section.text("name", &mut name, "1 to 32 letters, digits, hyphens or underscores", is_name);
    section.boolean("forward", &mut forward);
    let mut retry = RetryLimits::default();
    section.number("first_retry_s", 0.001..=3600.0, |s| retry.first = Duration::from_secs_f64(s));
    section.number("longest_retry_s", 0.001..=3600.0, |s| retry.longest = Duration::from_secs_f64(s));
    if name.is_empty() {
        section.refuse_section("a [[destination]] has no name".to_owned());
        return None;
    }
    let routes: Vec<Route> = routes(section, &name, own_title).into_iter().flatten().collect();
    let Ok([route]) = <[Route; 1]>::try_from(routes) else {
        section.refuse_section(format!(
            "destination {name} needs either c_store or stow_rs, webhook, hl7 or fhir, and one only"
        ));
        return None;
    };
    Some(Destination { name, route, forward, retry })
}

/// A route for each key that names one.
fn routes(section: &mut Section<'_, '_>, name: &str, own_title: &str) -> [Option<Route>; 5] {
    let timeouts = timeouts(section);
    let http = http(section, name, timeouts);
    let tls = tls(section, name, &http.authorities);
    let c_store = c_store(section, own_title, timeouts, tls.clone());
    let addresses = [
        ("stow_rs", "an address such as \"https://pacs.example/dicom-web\""),
        ("webhook", "an address such as \"https://clinic.example/hook\""),
        ("fhir", "an address such as \"https://fhir.example/r4\""),
    ];
    let [stow_rs, webhook, fhir] = addresses.map(|(key, expected)| {
        let mut url = String::new();
        section.text(key, &mut url, expected, is_url);
        Some(url).filter(|url| !url.is_empty())
    });
    let mut secrets = None;
    section.path("secrets_file", |path| secrets = Some(path));
    if webhook.is_some() != secrets.is_some() {
        section.refuse_section(format!("destination {name}: webhook and secrets_file belong together"));
    }
    // HL7 and FHIR are about patients; who listens to a webhook may be anybody.
    let notice = notice(section, webhook.is_none());
    [
        c_store,
        stow_rs.map(|url| Route::StowRs(HttpOptions { url, ..http.clone() })),
        webhook.map(|url| {
            let http = HttpOptions { url, ..http.clone() };
            Route::Webhook(WebhookOptions { http, secrets: secrets.unwrap_or_default(), notice: notice.clone() })
        }),
        hl7(section, timeouts, tls, &notice),
        fhir.map(|url| Route::Fhir(FhirOptions { http: HttpOptions { url, ..http }, notice })),
    ]
}

#[derive(Clone, Copy)]
struct Timeouts {
    connect: Duration,
    answer: Duration,
}

fn timeouts(section: &mut Section<'_, '_>) -> Timeouts {
    let (mut connect, mut answer) = (Duration::from_secs(10), Duration::from_mins(1));
    section.count("connect_timeout_s", 1..=3600, |s| connect = Duration::from_secs(s as u64));
    section.count("answer_timeout_s", 1..=3600, |s| answer = Duration::from_secs(s as u64));
    Timeouts { connect, answer }
}

fn c_store(
    section: &mut Section<'_, '_>,
    own_title: &str,
    timeouts: Timeouts,
    tls: Option<ClientTls>,
) -> Option<Route> {
    let (mut target, mut ae_title) = (None, own_title.to_owned());
    section.parsed_into("c_store", "a node such as \"ARCHIVE@10.0.0.5:104\"", |node: Target| target = Some(node));
    section.text("calling_ae_title", &mut ae_title, AE_TITLE, is_ae_title);
    let Timeouts { connect: connect_timeout, answer: read_timeout } = timeouts;
    let (mut is_asked, mut patience) = (false, Duration::from_hours(1));
    section.boolean("commitment", &mut is_asked);
    section.number("commitment_timeout_s", 0.1..=604_800.0, |s| patience = Duration::from_secs_f64(s));
    let calling = Calling { ae_title, user: None, connect_timeout, read_timeout, write_timeout: read_timeout };
    target.map(|target| Route::CStore(CStoreOptions { target, calling, commitment: is_asked.then_some(patience), tls }))
}

/// What all that is reached by HTTP have in common, without the address.
fn http(section: &mut Section<'_, '_>, name: &str, timeouts: Timeouts) -> HttpOptions {
    let (mut user, mut password, mut authorities) = (String::new(), None, PathBuf::from(AUTHORITIES));
    section.text("user", &mut user, "a name without a colon", |user| !user.is_empty() && !user.contains(':'));
    section.path("password_file", |path| password = Some(path));
    section.path("authorities", |path| authorities = path);
    if user.is_empty() != password.is_none() {
        section.refuse_section(format!("destination {name}: user and password_file belong together"));
    }
    HttpOptions {
        url: String::new(),
        user: password.map(|password| (user, password)),
        authorities,
        connect_timeout: timeouts.connect,
        answer_timeout: timeouts.answer,
    }
}

/// For what is reached otherwise than by HTTP, whose addresses say it themselves.
fn tls(section: &mut Section<'_, '_>, name: &str, authorities: &Path) -> Option<ClientTls> {
    let (mut is_encrypted, mut certificate, mut key) = (false, None, None);
    section.boolean("tls", &mut is_encrypted);
    section.path("certificate", |path| certificate = Some(path));
    section.path("key", |path| key = Some(path));
    if certificate.is_some() != key.is_some() {
        section.refuse_section(format!("destination {name}: certificate and key belong together"));
    }
    is_encrypted.then(|| ClientTls { authorities: authorities.to_owned(), identity: certificate.zip(key) })
}

fn notice(section: &mut Section<'_, '_>, names_patients: bool) -> NoticeOptions {
    let mut notice = NoticeOptions { patient_data: names_patients, deadline: Duration::from_mins(1), unseen_for: None };
    section.boolean("patient_data", &mut notice.patient_data);
    section.number("deadline_s", 1.0..=86_400.0, |s| notice.deadline = Duration::from_secs_f64(s));
    section.number("unseen_for_s", 0.1..=86_400.0, |s| notice.unseen_for = Some(Duration::from_secs_f64(s)));
    notice
}

fn hl7(
    section: &mut Section<'_, '_>,
    timeouts: Timeouts,
    tls: Option<ClientTls>,
    notice: &NoticeOptions,
) -> Option<Route> {
    let mut address = String::new();
    section.text("hl7", &mut address, "a host and port such as \"his.example:2575\"", is_address);
    let mut names = [String::new(), String::new(), String::new()];
    let keys = ["receiving_application", "receiving_facility", "sending_facility"];
    for (key, name) in keys.into_iter().zip(&mut names) {
        section.text(key, name, "1 to 180 characters", |text| (1..=180).contains(&text.chars().count()));
    }
    let [application, facility, sending_facility] = names;
    (!address.is_empty()).then(|| {
        Route::Hl7(Hl7Options {
            address,
            receiving: [application, facility],
            sending_facility,
            connect_timeout: timeouts.connect,
            answer_timeout: timeouts.answer,
            tls,
            notice: notice.clone(),
        })
    })
}

pub(super) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse().is_ok_and(|port: u16| port > 0))
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_url(url: &str) -> bool {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        // Credentials in an address would stand in logs and messages.
        && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_destination_is_a_node_or_an_address() {
        let text = "[dicom]\nae_title = \"CT-ROOM\"\n[[destination]]\nname = \"pacs\"\nc_store = \"PACS@10.0.0.5:104\"\nforward = true\n\
            [[destination]]\nname = \"cloud\"\nstow_rs = \"https://pacs/dicom-web\"\n";
        let destinations = Config::parse(text).unwrap().destinations;
        let Route::CStore(node) = &destinations[0].route else { panic!("{destinations:?}") };
        assert_eq!(
            (node.target.to_string().as_str(), node.calling.ae_title.as_str()),
            ("PACS@10.0.0.5:104", "CT-ROOM")
        );
        assert!(destinations[0].forward && !destinations[1].forward);
        assert!(matches!(&destinations[1].route, Route::StowRs(service) if service.url == "https://pacs/dicom-web"));
    }

    #[test]
    fn what_is_wrong_with_a_destination_is_told_with_its_line() {
        for (text, told) in [
            ("c_store = \"A@b:1\"", "has no name"),
            ("name = \"a\"", "either c_store or stow_rs"),
            ("name = \"a\"\nc_store = \"A@b:1\"\nstow_rs = \"http://b\"", "either c_store or stow_rs"),
            ("name = \"a b\"\nc_store = \"A@b:1\"", "letters, digits"),
            ("name = \"a\"\nc_store = \"b:1\"", "ARCHIVE@"),
            ("name = \"a\"\nstow_rs = \"ftp://b\"", "https://"),
            ("name = \"a\"\nstow_rs = \"http://tom:secret@b\"", "https://"),
            ("name = \"a\"\nwebhook = \"http://b\"", "belong together"),
            ("name = \"a\"\nhl7 = \"b\"", "his.example"),
            ("name = \"a\"\nstow_rs = \"http://b\"\nuser = \"c\"", "belong together"),
            (
                "name = \"a\"\nstow_rs = \"http://b\"\n[[destination]]\nname = \"a\"\nstow_rs = \"http://c\"",
                "two destinations",
            ),
        ] {
            let errors = Config::parse(&format!("[[destination]]\n{text}\n")).unwrap_err();
            assert!(errors.iter().any(|error| error.to_string().contains(told)), "{text}: {errors:?}");
            assert!(errors.iter().all(|error| error.line().is_some()), "{text}: {errors:?}");
        }
    }
}
