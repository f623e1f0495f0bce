//! What commands did with the data of a daemon. One process writes the trail, so a command leaves a note in `incoming`, and the daemon
//! records it: the running one within a second, else the next one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::event::{Event, Noted, Person};
use crate::spool::write_durably;

const INCOMING: &str = "incoming";
const ENDING: &str = "json";

/// Who runs this command.
#[must_use]
pub fn person_at_shell() -> Person {
    let uid = rustix::process::getuid().as_raw();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    Person::AtShell { user: name.unwrap_or_else(|| format!("uid {uid}")), sudo_user: std::env::var("SUDO_USER").ok() }
}

/// Leaves a note for the daemon on this trail.
///
/// # Errors
/// If it cannot be written.
pub fn leave_note(trail: &Path, event: Event) -> io::Result<()> {
    let folder = trail.join(INCOMING);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let noted = Noted { at: Timestamp::now(), event };
    let name = format!("{}-{}", noted.at.as_nanosecond(), std::process::id());
    let (unfinished, path) = (folder.join(format!("{name}.part")), folder.join(format!("{name}.{ENDING}")));
    // The daemon must be able to read what root leaves: the folder above is the daemon's.
    let owner = trail.parent().unwrap_or(trail).metadata()?;
    File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    for made in [trail, &folder, &unfinished] {
        if made.metadata()?.uid() != owner.uid() {
            chown(made, Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    write_durably(&unfinished, &path, &[&serde_json::to_vec(&noted)?])
}

/// The notes that lie there, the oldest first.
///
/// # Errors
/// If the folder cannot be listed.
pub(super) fn waiting(trail: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(trail.join(INCOMING)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut notes = Vec::new();
    for entry in entries {
        notes.push(entry?.path());
    }
    notes.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    notes.sort();
    Ok(notes)
}

/// Reads a note.
///
/// # Errors
/// If it cannot be read, or is none.
pub(super) fn read(path: &Path) -> io::Result<Noted> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_leaves_is_found_in_its_order() {
        let data = tempfile::tempdir().unwrap();
        let trail = data.path().join("audit");
        assert_eq!(waiting(&trail).unwrap(), Vec::<PathBuf>::new());
        let events = [1, 2].map(|through| Event::TrailShortened { through });
        for event in events.clone() {
            leave_note(&trail, event).unwrap();
        }
        let found: Vec<Event> = waiting(&trail).unwrap().iter().map(|path| read(path).unwrap().event).collect();
        assert_eq!(found, events);
        assert!(matches!(person_at_shell(), Person::AtShell { user, .. } if !user.is_empty()));
    }
}
