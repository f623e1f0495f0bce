//! The trail's files in `DATA/audit`, for this user alone.
//!
//! A file holds records, one a line, and is named by its first record's sequence number and day: `0000000000000001-2026-11-30.log`. So
//! names sort as records do, whatever the clock did. A file is only ever appended to; a new one begins each day (UTC), and once one
//! is [`LONGEST_FILE`] long. What is in the files up to the head that the writer tells is synced. A line without an end was being
//! written when the daemon ended: at the next start it is moved to `set-aside`, and a record says so.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::event::Event;
use super::head::Head;
use super::record;
use crate::spool::{sync_parent, write_durably};

/// A file is full then, bytes: it can still be looked at with ordinary tools.
const LONGEST_FILE: u64 = 64 << 20;

const SET_ASIDE: &str = "set-aside";
const ENDING: &str = ".log";

/// A file of the trail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TrailFile {
    /// The sequence number of its first record.
    pub first: u64,
    pub day: Date,
    pub path: PathBuf,
}

impl TrailFile {
    fn new(folder: &Path, first: u64, day: Date) -> Self {
        Self { first, day, path: folder.join(format!("{first:016}-{day}{ENDING}")) }
    }

    fn of(path: PathBuf) -> Option<Self> {
        let (first, day) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.split_once('-')?;
        Some(Self { first: first.parse().ok()?, day: day.parse().ok()?, path })
    }
}

/// The files of a folder, in the order of their records.
///
/// # Errors
/// If the folder cannot be listed.
pub(super) fn files(folder: &Path) -> io::Result<Vec<TrailFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.extend(TrailFile::of(entry?.path()));
    }
    files.sort();
    Ok(files)
}

/// The day of a record.
pub(super) fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The trail, open for appending. There is one for a data folder: the spool's lock sees to that.
#[derive(Debug)]
pub(super) struct Trail {
    folder: PathBuf,
    /// The file that is written, its length, and the file itself.
    current: Option<(TrailFile, u64, File)>,
    head: Head,
}

/// Makes a folder for us alone where there is none. The one above must be there: a data folder that is gone does not come back by us, or
/// nobody would see that it is gone.
fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

impl Trail {
    /// Opens what an earlier run left, or begins; and what it found that a record has to say.
    ///
    /// # Errors
    /// If the folder or a file cannot be used.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<Event>)> {
        make_folder(folder)?;
        let mut found = Vec::new();
        let mut trail = Self { folder: folder.to_owned(), current: None, head: Head::NONE };
        let files = files(folder)?;
        if let Some(last) = files.last() {
            let mut file = File::options().read(true).append(true).open(&last.path)?;
            found.extend(trail.set_torn_tail_aside(last, &mut file)?);
            let length = file.metadata()?.len();
            trail.current = Some((last.clone(), length, file));
        }
        // The last line of the newest file, as a rule.
        let mut unreadable = false;
        'head: for file in files.iter().rev() {
            let bytes = fs::read(&file.path)?;
            for line in bytes.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
                if let Some(link) = record::read(line).filter(|link| link.is_whole) {
                    trail.head = link.head;
                    break 'head;
                }
                unreadable = true;
            }
        }
        if unreadable {
            found.push(Event::TrailDamaged { last_readable: trail.head.sequence });
        }
        Ok((trail, found))
    }

    fn set_torn_tail_aside(&self, file: &TrailFile, handle: &mut File) -> io::Result<Option<Event>> {
        let mut bytes = Vec::new();
        handle.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let torn = &bytes[whole..];
        if torn.is_empty() {
            return Ok(None);
        }
        let folder = self.folder.join(SET_ASIDE);
        make_folder(&folder)?;
        let name = format!("{:016}-{}.torn", file.first, Timestamp::now().as_millisecond());
        write_durably(&folder.join("torn.part"), &folder.join(&name), &[torn])?;
        handle.set_len(whole as u64)?;
        handle.sync_all()?;
        tracing::warn!(bytes = torn.len(), "an audit record was being written at the last end: set aside");
        Ok(Some(Event::TailSetAside { bytes: torn.len() as u64, file: format!("{SET_ASIDE}/{name}") }))
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Appends lines, which end with the record `head`, and syncs them. They are in the trail when this returns, and none of them is
    /// where it fails.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub(super) fn append(&mut self, lines: &str, head: Head, day: Date) -> io::Result<()> {
        let is_full = |(file, length, _): &(TrailFile, u64, File)| file.day != day || *length >= LONGEST_FILE;
        if self.current.as_ref().is_none_or(is_full) {
            let file = TrailFile::new(&self.folder, self.head.sequence + 1, day);
            let handle = File::options().append(true).create(true).mode(0o600).open(&file.path)?;
            sync_parent(&file.path)?;
            let length = handle.metadata()?.len();
            self.current = Some((file, length, handle));
        }
        let Some((_, length, file)) = &mut self.current else { return Ok(()) };
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = written {
            file.set_len(*length)?;
            return Err(error);
        }
        *length += lines.len() as u64;
        self.head = head;
        Ok(())
    }

    /// The last record of the files whose records are all older than `before` and no later than `sent`; `None` if there is none. The
    /// newest file stays, and what lies in the middle.
    pub(super) fn removable(&self, before: Date, sent: u64) -> io::Result<Option<u64>> {
        let files = files(&self.folder)?;
        let pairs = files.iter().zip(files.iter().skip(1));
        let old = pairs.take_while(|(file, next)| file.day < before && next.first <= sent + 1);
        Ok(old.last().map(|(_, next)| next.first - 1))
    }

    /// Removes the files whose records go up to `through`, the oldest first.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub(super) fn remove(&self, through: u64) -> io::Result<()> {
        let files = files(&self.folder)?;
        let pairs = files.iter().zip(files.iter().skip(1));
        for (file, _) in pairs.take_while(|(_, next)| next.first <= through + 1) {
            fs::remove_file(&file.path)?;
        }
        sync_parent(&self.folder.join(SET_ASIDE))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audit::record::Origin;

    /// Appends so many records.
    pub(in crate::audit) fn append(trail: &mut Trail, count: usize, day: Date, removed: Option<u64>) -> Head {
        let (mut lines, mut head) = (String::new(), trail.head());
        for _ in 0..count {
            let (line, next) = record::write(head, Timestamp::UNIX_EPOCH, &Origin::here(), removed, "<AuditMessage/>");
            lines += &(line + "\n");
            head = next;
        }
        trail.append(&lines, head, day).unwrap();
        head
    }

    pub(in crate::audit) const DAY: Date = jiff::civil::date(2026, 11, 30);

    #[test]
    fn the_chain_goes_on_over_files_and_starts() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("audit");
        let (mut trail, found) = Trail::open(&folder).unwrap();
        assert_eq!((trail.head(), found), (Head::NONE, vec![]));
        append(&mut trail, 3, DAY, None);
        let head = append(&mut trail, 2, DAY.tomorrow().unwrap(), None);
        drop(trail);
        let (mut trail, found) = Trail::open(&folder).unwrap();
        assert_eq!((trail.head(), found), (head, vec![]));
        assert_eq!(append(&mut trail, 1, DAY.tomorrow().unwrap(), None).sequence, 6);
        let names: Vec<u64> = files(&folder).unwrap().iter().map(|file| file.first).collect();
        assert_eq!(names, [1, 4]);
    }

    #[test]
    fn half_a_record_at_the_end_is_set_aside_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        let head = append(&mut trail, 2, DAY, None);
        let path = files(folder.path()).unwrap()[0].path.clone();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..100]].concat()).unwrap();
        let (trail, found) = Trail::open(folder.path()).unwrap();
        let [Event::TailSetAside { bytes: 100, file }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(fs::read(folder.path().join(file)).unwrap(), whole[..100]);
        assert_eq!((fs::read(&path).unwrap(), trail.head()), (whole, head));
    }

    #[test]
    fn behind_records_that_cannot_be_read_it_goes_on_and_tells() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        let head = append(&mut trail, 2, DAY, None);
        let path = files(folder.path()).unwrap()[0].path.clone();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"spilt coffee\n"].concat()).unwrap();
        let (trail, found) = Trail::open(folder.path()).unwrap();
        assert_eq!((trail.head(), found), (head, vec![Event::TrailDamaged { last_readable: 2 }]));
    }

    #[test]
    fn whole_old_files_go_once_they_are_sent_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        let mut day = DAY;
        for _ in 0..4 {
            append(&mut trail, 2, day, None);
            day = day.tomorrow().unwrap();
        }
        let third = DAY.tomorrow().unwrap().tomorrow().unwrap();
        assert_eq!(trail.removable(DAY, 8).unwrap(), None);
        assert_eq!(trail.removable(third, 8).unwrap(), Some(4));
        assert_eq!(trail.removable(third, 3).unwrap(), Some(2), "what is not sent stays");
        assert_eq!(trail.removable(Date::MAX, 8).unwrap(), Some(6));
        trail.remove(4).unwrap();
        let names: Vec<u64> = files(folder.path()).unwrap().iter().map(|file| file.first).collect();
        assert_eq!(names, [5, 7]);
    }
}
