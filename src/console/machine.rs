//! What an administrator sees of the machine, and of the scanners that send to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::database::ScannerExams;
use crate::ingest::{CallerSeen, Scanner};
use crate::spool::Room;

/// Looks at the machine; may read the disk.
pub type MachineOf = Arc<dyn Fn() -> Machine + Send + Sync>;

/// The machine, as it is now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Machine {
    pub version: &'static str,
    /// When the daemon was started.
    #[schemars(with = "String")]
    pub started: Timestamp,
    pub engine: Engine,
    pub disk: Disk,
    /// Those that TLS is served with.
    pub certificates: Vec<Certificate>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Engine {
    /// What runs the model at present.
    pub serves: String,
    pub model: String,
    /// Where the model package is.
    pub source: String,
    /// The package that serves from the next start on, where that is another one; or why nobody can tell.
    pub next: Option<String>,
    /// Why the GPU does not serve, though it did.
    pub gpu_failure: Option<String>,
    pub shadow: Option<ShadowModel>,
}

/// The model that judges beside the one that serves.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShadowModel {
    pub package: PathBuf,
    /// Whether its thread goes on: it ends where the package cannot be used.
    pub works: bool,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Disk {
    pub folder: PathBuf,
    /// `None` until the spool was looked at for the first time.
    pub room: Option<Room>,
    /// The database with its write-ahead log.
    pub database_bytes: u64,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Certificate {
    /// `console` or `dicom`.
    pub of: &'static str,
    pub file: PathBuf,
    /// `None` where the certificate does not say it in a way that can be read.
    #[schemars(with = "Option<String>")]
    pub valid_until: Option<Timestamp>,
}

/// A scanner that is listed, has called since the start, or whose exams are on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct SeenScanner {
    /// The calling AE title.
    ae_title: String,
    /// Whether it may send because the configuration lists it; `None` where everybody may.
    listed: Option<bool>,
    exams_today: usize,
    /// When its newest exam began.
    #[schemars(with = "Option<String>")]
    last_exam: Option<Timestamp>,
    /// What it has done since the start, address by address.
    addresses: Vec<CallerSeen>,
}

/// All that is known of scanners, by AE title.
pub(super) fn seen_scanners(
    listed: &[Scanner],
    callers: Vec<CallerSeen>,
    exams: Vec<ScannerExams>,
) -> Vec<SeenScanner> {
    let is_listed = |ae_title: &str| listed.iter().any(|scanner| scanner.ae_title.trim() == ae_title);
    let unknown = |ae_title: String| SeenScanner {
        listed: (!listed.is_empty()).then(|| is_listed(&ae_title)),
        ae_title,
        exams_today: 0,
        last_exam: None,
        addresses: Vec::new(),
    };
    let mut seen: BTreeMap<String, SeenScanner> = BTreeMap::new();
    let mut of = |ae_title: &str, note: &mut dyn FnMut(&mut SeenScanner)| {
        let ae_title = ae_title.trim().to_owned();
        note(seen.entry(ae_title.clone()).or_insert_with(|| unknown(ae_title)));
    };
    for scanner in listed {
        of(&scanner.ae_title, &mut |_| {});
    }
    for ScannerExams { ae_title, last_exam, exams } in exams {
        of(&ae_title, &mut |scanner| {
            scanner.exams_today += exams;
            scanner.last_exam = scanner.last_exam.max(Some(last_exam));
        });
    }
    for caller in callers {
        of(&caller.ae_title, &mut |scanner| scanner.addresses.push(caller.clone()));
    }
    seen.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_has_called_or_has_exams_is_one_scanner_each() {
        let scanner = |name: &str| Scanner { ae_title: name.to_owned(), addresses: Vec::new() };
        let caller = |name: &str, address: &str| CallerSeen::new(name, address);
        let exams = |name: &str, us, exams| ScannerExams {
            ae_title: name.to_owned(),
            last_exam: Timestamp::from_microsecond(us).unwrap(),
            exams,
        };
        let callers = vec![caller("CT1", "10.0.0.7"), caller("CT1", "10.0.0.8"), caller("INTRUDER", "10.0.0.9")];
        let seen =
            seen_scanners(&[scanner("CT1"), scanner("CT2 ")], callers, vec![exams("CT1", 5, 3), exams("OLD", 1, 0)]);
        let told: Vec<_> = seen
            .iter()
            .map(|scanner| (scanner.ae_title.as_str(), scanner.listed, scanner.exams_today, scanner.addresses.len()))
            .collect();
        let (listed, other) = (Some(true), Some(false));
        assert_eq!(
            told,
            [("CT1", listed, 3, 2), ("CT2", listed, 0, 0), ("INTRUDER", other, 0, 1), ("OLD", other, 0, 0)]
        );
        assert_eq!(seen_scanners(&[], vec![caller("CT1", "10.0.0.7")], Vec::new())[0].listed, None);
    }
}
