//! Reads the trail from a record on, while it is written.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::record;
use super::trail::{TrailFile, files};

/// Where in the trail somebody reads.
#[derive(Debug)]
pub(super) struct Follower {
    folder: PathBuf,
    /// The record that is next.
    next: u64,
    /// Where it is looked for: a file and an offset in it; `None` until that is found.
    place: Option<(TrailFile, u64)>,
}

impl Follower {
    pub(super) fn new(folder: PathBuf, next: u64) -> Self {
        Self { folder, next, place: None }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reads on from this record.
    pub(super) fn seek(&mut self, next: u64) {
        (self.next, self.place) = (next, None);
    }

    /// Hands on the records up to `through`, each with its sequence number. What cannot be read as one is passed over: the trail keeps
    /// it. Nothing is read ahead, as what is not synced may yet change.
    ///
    /// # Errors
    /// If a file cannot be read, or `take` fails: then the record that it failed at comes again after a `seek`.
    pub(super) fn follow(
        &mut self,
        through: u64,
        mut take: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while self.next <= through {
            let files = files(&self.folder)?;
            let begins = || {
                let holding = files.iter().rev().find(|file| file.first <= self.next);
                holding.or(files.first()).map(|file| (file.clone(), 0))
            };
            let Some((file, mut offset)) = self.place.take().or_else(begins) else {
                return Err(io::Error::other("the audit trail has no files"));
            };
            let mut reader = BufReader::new(File::open(&file.path)?);
            reader.seek(SeekFrom::Start(offset))?;
            let mut line = Vec::new();
            while self.next <= through {
                line.clear();
                let length = reader.read_until(b'\n', &mut line)?;
                if line.pop() != Some(b'\n') {
                    break;
                }
                offset += length as u64;
                let Some(record) = record::read(&line) else { continue };
                if record.head.sequence >= self.next {
                    take(record.head.sequence, &line)?;
                    self.next = record.head.sequence + 1;
                }
            }
            if self.next > through {
                self.place = Some((file, offset));
                return Ok(());
            }
            self.place = files.into_iter().find(|other| *other > file).map(|next| (next, 0));
            if self.place.is_none() {
                tracing::error!(
                    from = self.next,
                    through,
                    "audit records are not in the trail's files any more: run tableside audit verify"
                );
                self.next = through + 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::trail::Trail;
    use super::super::trail::tests::{DAY, append};
    use super::*;

    fn read(follower: &mut Follower, through: u64) -> Vec<u64> {
        let mut read = Vec::new();
        follower
            .follow(through, |sequence, _| {
                read.push(sequence);
                Ok(())
            })
            .unwrap();
        read
    }

    #[test]
    fn it_reads_over_files_no_further_than_it_is_told_and_again_where_it_is_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        append(&mut trail, 3, DAY, None);
        append(&mut trail, 3, DAY.tomorrow().unwrap(), None);
        let mut follower = Follower::new(folder.path().to_owned(), 2);
        assert_eq!(read(&mut follower, 4), [2, 3, 4]);
        assert!(read(&mut follower, 4).is_empty());
        append(&mut trail, 1, DAY.tomorrow().unwrap(), None);
        assert_eq!(read(&mut follower, 7), [5, 6, 7]);
        follower.seek(6);
        assert_eq!(read(&mut follower, 7), [6, 7]);
        // What went for its age is passed over, and so is what is gone otherwise.
        trail.remove(3).unwrap();
        follower.seek(1);
        assert_eq!(read(&mut follower, 9), [4, 5, 6, 7]);
        assert_eq!(follower.next(), 10);
    }
}
