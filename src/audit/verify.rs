//! Whether a trail is what was written. The chain shows what was changed, dropped or moved; that its end was cut off, or that all of it
//! was made anew, only a head shows that was kept elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::head::{Hash, Head};
use super::record::{self, Link};
use super::trail::files;

/// A line in a file of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {} of {}", self.line, self.file.display())
    }
}

/// Why a trail is not what was written, or cannot be looked at. Of several faults the first.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0} holds no audit trail")]
    Empty(PathBuf),
    #[error("record {sequence} was changed ({place})")]
    Changed { sequence: u64, place: Place },
    #[error("record {sequence} was replaced by another one: the next one follows the one that was there ({place})")]
    Replaced { sequence: u64, place: Place },
    #[error("records {first} to {last} were dropped before {place}")]
    Dropped { first: u64, last: u64, place: Place },
    #[error("record {sequence} was moved or stands twice ({place})")]
    Moved { sequence: u64, place: Place },
    #[error("the records before {first} were cut off: no record says that they were removed for their age")]
    FrontCutOff { first: u64 },
    #[error("the records after {last} were cut off: the head {head} was kept elsewhere")]
    EndCutOff { last: u64, head: Head },
    #[error(
        "record {sequence} is not the one whose head was kept elsewhere: it and those before it, back to record {since}, were made anew ({place})"
    )]
    MadeAnew { sequence: u64, since: u64, place: Place },
}

/// A trail without a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The first record; those before it, if any, were removed for their age.
    pub first: u64,
    /// The hash that the first record follows.
    pub previous: Hash,
    pub head: Head,
    /// Heads that were kept elsewhere and stand in the chain.
    pub heads: usize,
    /// Heads of records that were removed for their age.
    pub removed_heads: usize,
    /// What stands behind the last whole record, bytes: being written at this moment, or cut short by the end of the daemon.
    pub unfinished: usize,
}

/// Reads all files of a trail, which a daemon may be writing, and compares them with heads that were kept elsewhere.
///
/// # Errors
/// The first fault of the trail, or why it cannot be read.
pub fn verify(folder: &Path, heads: &[Head]) -> Result<Verified, VerifyError> {
    let failed = |source| VerifyError::Read { path: folder.to_owned(), source };
    let mut lines = Lines::open(folder).map_err(failed)?;
    let mut chain: Option<Chain> = None;
    let mut kept: BTreeMap<u64, Vec<Hash>> = BTreeMap::new();
    for head in heads.iter().filter(|head| head.sequence > 0) {
        kept.entry(head.sequence).or_default().push(head.hash);
    }
    let mut removed = 0;
    let mut confirmed = None;
    while let Some((place, line)) = lines.next()? {
        let expected = chain.as_ref().map_or(lines.first, |chain| chain.head.sequence + 1);
        let Some(link) = record::read(&line).filter(|link| link.is_whole) else {
            return Err(VerifyError::Changed { sequence: expected, place });
        };
        let sequence = link.head.sequence;
        if sequence != expected {
            return Err(out_of_order(&link, expected, place, &mut lines)?);
        }
        match &mut chain {
            None => chain = Some(Chain { first: sequence, previous: link.previous, head: link.head }),
            Some(known) if link.previous != known.head.hash => {
                return Err(VerifyError::Replaced { sequence: known.head.sequence, place });
            }
            Some(known) => known.head = link.head,
        }
        removed = removed.max(link.removed.unwrap_or(0));
        if let Some(hashes) = kept.get(&sequence) {
            if hashes.iter().any(|hash| *hash != link.head.hash) {
                let first = chain.as_ref().map_or(sequence, |chain| chain.first);
                return Err(VerifyError::MadeAnew { sequence, since: confirmed.map_or(first, |last| last + 1), place });
            }
            confirmed = Some(sequence);
        }
    }
    let Some(Chain { first, previous, head }) = chain else { return Err(VerifyError::Empty(folder.to_owned())) };
    if first > removed + 1 || first == 1 && previous != Head::NONE.hash {
        return Err(VerifyError::FrontCutOff { first });
    }
    if let Some((sequence, hashes)) = kept.last_key_value().filter(|(sequence, _)| **sequence > head.sequence) {
        let hash = hashes.first().copied().unwrap_or_default();
        return Err(VerifyError::EndCutOff { last: head.sequence, head: Head { sequence: *sequence, hash } });
    }
    Ok(Verified {
        first,
        previous,
        head,
        heads: kept.range(first..).count(),
        removed_heads: kept.range(..first).count(),
        unfinished: lines.unfinished,
    })
}

/// The chain as far as it is read.
struct Chain {
    first: u64,
    previous: Hash,
    head: Head,
}

/// Says what happened where another record stands than the one that is expected, by looking for that.
fn out_of_order(link: &Link, expected: u64, place: Place, lines: &mut Lines) -> Result<VerifyError, VerifyError> {
    let found = link.head.sequence;
    if found < expected {
        return Ok(VerifyError::Moved { sequence: found, place });
    }
    let mut is_next = true;
    while let Some((later, line)) = lines.next()? {
        if record::read(&line).is_some_and(|link| link.head.sequence == expected) {
            // Where it follows at once, the one before it was put there.
            let (sequence, place) = if is_next { (found, place) } else { (expected, later) };
            return Ok(VerifyError::Moved { sequence, place });
        }
        is_next = false;
    }
    Ok(VerifyError::Dropped { first: expected, last: found - 1, place })
}

/// All lines of a trail.
struct Lines {
    files: std::vec::IntoIter<PathBuf>,
    /// The number of the first record, by the first file's name.
    first: u64,
    open: Option<(PathBuf, BufReader<File>, usize)>,
    unfinished: usize,
}

impl Lines {
    fn open(folder: &Path) -> io::Result<Self> {
        let files = files(folder)?;
        let first = files.first().map_or(1, |file| file.first);
        let files: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
        Ok(Self { files: files.into_iter(), first, open: None, unfinished: 0 })
    }

    /// The next line without its end. One that has none is no line if it is the very last.
    fn next(&mut self) -> Result<Option<(Place, Vec<u8>)>, VerifyError> {
        loop {
            let Some((path, reader, count)) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(None) };
                match File::open(&path) {
                    Ok(file) => self.open = Some((path, BufReader::new(file), 0)),
                    Err(source) => return Err(VerifyError::Read { path, source }),
                }
                continue;
            };
            let mut line = Vec::new();
            let read = reader.read_until(b'\n', &mut line);
            let length = read.map_err(|source| VerifyError::Read { path: path.clone(), source })?;
            if length == 0 {
                self.open = None;
                continue;
            }
            *count += 1;
            let place = Place { file: path.clone(), line: *count };
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if self.files.as_slice().is_empty() {
                self.unfinished = length;
                return Ok(None);
            }
            return Ok(Some((place, line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::super::trail::tests::{DAY, append};
    use super::super::trail::{Trail, TrailFile};
    use super::*;

    const RECORDS: usize = 12;

    /// Names and bytes.
    type Files = Vec<(OsString, Vec<u8>)>;

    /// A trail of two files, its head, and the head in its middle.
    fn trail() -> (tempfile::TempDir, Head, Head) {
        static MADE: OnceLock<(Files, Head, Head)> = OnceLock::new();
        let (made, middle, head) = MADE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (mut trail, _) = Trail::open(folder.path()).unwrap();
            let middle = append(&mut trail, RECORDS / 2, DAY, None);
            let head = append(&mut trail, RECORDS / 2, DAY.tomorrow().unwrap(), None);
            let read = |file: TrailFile| (file.path.file_name().unwrap().to_owned(), fs::read(&file.path).unwrap());
            (files(folder.path()).unwrap().into_iter().map(read).collect(), middle, head)
        });
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in made {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        (folder, *middle, *head)
    }

    /// The lines of each file, with their ends.
    fn lines(folder: &Path) -> Vec<Vec<String>> {
        let read = |path: &Path| {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            text.split_inclusive('\n').map(str::to_owned).collect()
        };
        files(folder).unwrap().iter().map(|file| read(&file.path)).collect()
    }

    fn write(folder: &Path, lines: &[Vec<String>]) {
        for (file, lines) in files(folder).unwrap().iter().zip(lines) {
            fs::write(&file.path, lines.concat()).unwrap();
        }
    }

    /// Where a record of this number stands, counted from 0.
    fn place(record: usize) -> (usize, usize) {
        (record / (RECORDS / 2), record % (RECORDS / 2))
    }

    /// A trail that begins with these lines and goes on with so many other records.
    fn forged(lines: &[String], count: usize) -> tempfile::TempDir {
        let forged = tempfile::tempdir().unwrap();
        fs::write(forged.path().join(format!("{:016}-{DAY}.log", 1)), lines.concat()).unwrap();
        let (mut trail, _) = Trail::open(forged.path()).unwrap();
        append(&mut trail, count, DAY, Some(0));
        forged
    }

    #[test]
    fn a_trail_that_nobody_touched_is_whole() {
        let (folder, middle, head) = trail();
        let whole = Verified { first: 1, previous: [0; 32], head, heads: 2, removed_heads: 0, unfinished: 0 };
        assert_eq!(verify(folder.path(), &[middle, head, head]).unwrap(), whole);
    }

    proptest! {
        #[test]
        fn any_change_of_a_byte_is_found_in_its_record(record in 0..RECORDS, at in 0.0..1.0_f64, change in 1..=255_u8) {
            let (folder, _, head) = trail();
            let (file, line) = place(record);
            let path = files(folder.path()).unwrap()[file].path.clone();
            let before: usize = lines(folder.path())[file][..line].iter().map(String::len).sum();
            let mut bytes = fs::read(&path).unwrap();
            let length = lines(folder.path())[file][line].len();
            // The last byte is the line's end: without it this record and the next one are one line.
            bytes[before + (at * length as f64) as usize] ^= change;
            fs::write(&path, bytes).unwrap();
            let found = verify(folder.path(), &[head]).unwrap_err();
            let number = record as u64 + 1;
            let is_named = match found {
                VerifyError::Changed { sequence, .. } => sequence == number,
                // The very last line lost its end.
                VerifyError::EndCutOff { last, .. } => number == RECORDS as u64 && last == number - 1,
                _ => false,
            };
            prop_assert!(is_named, "{found}");
        }

        #[test]
        fn any_dropped_record_is_named(record in 0..RECORDS) {
            let (folder, _, head) = trail();
            let mut lines = lines(folder.path());
            let (file, line) = place(record);
            lines[file].remove(line);
            write(folder.path(), &lines);
            let found = verify(folder.path(), &[head]).unwrap_err();
            let number = record as u64 + 1;
            let is_named = match found {
                VerifyError::Dropped { first, last, .. } => (first, last) == (number, number),
                VerifyError::EndCutOff { last, .. } => number == RECORDS as u64 && last == number - 1,
                _ => false,
            };
            prop_assert!(is_named, "{found}");
        }

        #[test]
        fn any_two_records_that_changed_places_are_found(first in 0..RECORDS, second in 0..RECORDS) {
            prop_assume!(first != second);
            let (folder, _, head) = trail();
            let mut lines = lines(folder.path());
            let ((file, line), (other, place)) = (place(first), place(second));
            let one = std::mem::take(&mut lines[file][line]);
            let two = std::mem::replace(&mut lines[other][place], one);
            lines[file][line] = two;
            write(folder.path(), &lines);
            let found = verify(folder.path(), &[head]).unwrap_err();
            let swapped = [first as u64 + 1, second as u64 + 1];
            prop_assert!(matches!(found, VerifyError::Moved { sequence, .. } if swapped.contains(&sequence)), "{found}");
        }

        #[test]
        fn wherever_the_end_is_cut_off_a_head_tells(bytes in 1..4000_usize) {
            let (folder, _, head) = trail();
            let path = files(folder.path()).unwrap()[1].path.clone();
            let length = fs::metadata(&path).unwrap().len();
            File::options().write(true).open(&path).unwrap().set_len(length.saturating_sub(bytes as u64)).unwrap();
            let whole = lines(folder.path()).concat().iter().filter(|line| line.ends_with('\n')).count() as u64;
            let found = verify(folder.path(), &[head]).unwrap_err();
            prop_assert!(matches!(found, VerifyError::EndCutOff { last, .. } if last == whole), "{found}");
            // Without a head nobody can tell.
            prop_assert_eq!(verify(folder.path(), &[]).unwrap().head.sequence, whole);
        }

        #[test]
        fn a_chain_that_was_made_anew_from_a_record_on_differs_from_a_head(record in 1..RECORDS) {
            let (folder, _, head) = trail();
            let all = lines(folder.path()).concat();
            let forged = forged(&all[..record], RECORDS - record);
            prop_assert_eq!(verify(forged.path(), &[]).unwrap().head.sequence, head.sequence);
            let found = verify(forged.path(), &[head]).unwrap_err();
            prop_assert!(matches!(found, VerifyError::MadeAnew { sequence, since: 1, .. } if sequence == head.sequence), "{found}");
        }
    }

    #[test]
    fn a_replaced_record_with_a_right_hash_breaks_the_chain_behind_it() {
        let (folder, _, head) = trail();
        let mut all = lines(folder.path());
        let forged = forged(&all[0][..2], 1);
        all[0][2].clone_from(&lines(forged.path())[0][2]);
        write(folder.path(), &all);
        let found = verify(folder.path(), &[head]).unwrap_err();
        assert!(matches!(found, VerifyError::Replaced { sequence: 3, .. }), "{found}");
    }

    #[test]
    fn files_that_went_for_their_age_are_no_fault_and_others_are() {
        let (folder, middle, _) = trail();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        let through = RECORDS as u64 / 2;
        let head = append(&mut trail, 1, DAY.tomorrow().unwrap(), Some(through));
        trail.remove(through).unwrap();
        let verified = verify(folder.path(), &[middle, head]).unwrap();
        assert_eq!((verified.first, verified.previous), (through + 1, middle.hash));
        assert_eq!((verified.heads, verified.removed_heads), (1, 1));
        let (folder, _, head) = self::trail();
        fs::remove_file(&files(folder.path()).unwrap()[0].path).unwrap();
        let found = verify(folder.path(), &[head]).unwrap_err();
        assert!(matches!(found, VerifyError::FrontCutOff { first } if first == through + 1), "{found}");
        assert!(matches!(verify(&folder.path().join("nowhere"), &[]), Err(VerifyError::Read { .. })));
    }

    #[test]
    fn a_record_that_is_being_written_is_no_fault() {
        let (folder, _, head) = trail();
        let path = files(folder.path()).unwrap()[1].path.clone();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.clone() + &text[..50]).unwrap();
        let verified = verify(folder.path(), &[head]).unwrap();
        assert_eq!((verified.head, verified.unfinished), (head, 50));
    }
}
