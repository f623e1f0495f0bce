//! `[[destination]]`: who gets the results.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Document, Section};
use super::{AE_TITLE, is_ae_title};
use crate::dicom::Target;
use crate::dicom::scu::Calling;
use crate::outbox::{CStoreOptions, Destination, RetryLimits, Route, StowOptions};

/// Where Debian keeps the authorities that it trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

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

fn destination(section: &mut Section<'_, '_>, own_title: &str) -> Option<Destination> {
    let (mut name, mut calling_ae, mut forward) = (String::new(), own_title.to_owned(), false);
    section.text("name", &mut name, "1 to 32 letters, digits, hyphens or underscores", is_name);
    let mut target: Option<Target> = None;
    section.parsed_into("c_store", "a node such as \"ARCHIVE@10.0.0.5:104\"", |node| target = Some(node));
    let mut url = String::new();
    section.text("stow_rs", &mut url, "an address such as \"https://pacs.example/dicom-web\"", is_url);
    section.text("calling_ae_title", &mut calling_ae, AE_TITLE, is_ae_title);
    section.boolean("forward", &mut forward);
    let (mut connect_timeout, mut answer_timeout) = (Duration::from_secs(10), Duration::from_mins(1));
    section.count("connect_timeout_s", 1..=3600, |s| connect_timeout = Duration::from_secs(s as u64));
    section.count("answer_timeout_s", 1..=3600, |s| answer_timeout = Duration::from_secs(s as u64));
    let mut retry = RetryLimits::default();
    section.number("first_retry_s", 0.001..=3600.0, |s| retry.first = Duration::from_secs_f64(s));
    section.number("longest_retry_s", 0.001..=3600.0, |s| retry.longest = Duration::from_secs_f64(s));
    let (mut user, mut password, mut authorities) = (String::new(), None, PathBuf::from(AUTHORITIES));
    section.text("user", &mut user, "a name without a colon", |user| !user.is_empty() && !user.contains(':'));
    section.path("password_file", |path| password = Some(path));
    section.path("authorities", |path| authorities = path);

    if name.is_empty() {
        section.refuse_section("a [[destination]] has no name".to_owned());
        return None;
    }
    if user.is_empty() != password.is_none() {
        section.refuse_section(format!("destination {name}: user and password_file belong together"));
    }
    let route = match (target, url.is_empty()) {
        (Some(target), true) => Route::CStore(CStoreOptions {
            target,
            calling: Calling {
                ae_title: calling_ae,
                connect_timeout,
                read_timeout: answer_timeout,
                write_timeout: answer_timeout,
            },
        }),
        (None, false) => Route::StowRs(StowOptions {
            url,
            user: password.map(|password| (user, password)),
            authorities,
            connect_timeout,
            answer_timeout,
        }),
        _ => {
            section.refuse_section(format!("destination {name} needs either c_store or stow_rs"));
            return None;
        }
    };
    Some(Destination { name, route, forward, retry })
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_url(url: &str) -> bool {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        && url.bytes().all(|byte| byte.is_ascii_graphic())
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
