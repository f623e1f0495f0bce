//! Placing: a thread that writes each record of the journal as the file it is, in the order of their acknowledgement.
//! Nothing is synced here: until the checkpoint has done so the record can be placed again.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::journal::{Journal, Problem, Work};
use super::name_locks::NameLocks;
use super::segment::{Found, Record, Segment};

/// A place that cannot be written is tried again after this.
const RETRY: Duration = Duration::from_millis(500);

/// Called when the file is in its place.
pub(super) type Placed = Box<dyn FnOnce() + Send>;

pub(super) struct Job {
    pub segment: Arc<Segment>,
    pub record: Record,
    pub placed: Placed,
}

/// Places jobs until their channel closes, or until the journal stops while a job cannot be done.
pub(super) fn run(exams: &Path, jobs: &Receiver<Job>, journal: &Journal, name_locks: &NameLocks) {
    let mut reader = Reader::default();
    let mut failing = false;
    for job in jobs {
        while let Err(error) = reader.of(&job.segment).and_then(|from| place(from, &job.record, exams)) {
            if !failing {
                tracing::error!(%error, "an acknowledged instance cannot be placed in its exam's folder: it stays in the journal, and images are refused until the disk takes it");
            }
            failing = true;
            journal.set_problem(Work::Placing, Some(Problem::from(&error)));
            journal.wait(RETRY);
            if journal.is_stopping() {
                return;
            }
        }
        if failing {
            tracing::info!("the spool can be written again");
            journal.set_problem(Work::Placing, None);
            failing = false;
        }
        // A later version of the instance is taken once this one is handed on.
        (job.placed)();
        name_locks.release(&job.record.entry.name);
        job.segment.release();
        journal.record_placed();
    }
}

/// Reads from the segment that it read from before without opening it again.
#[derive(Default)]
struct Reader {
    open: Option<(Weak<Segment>, File)>,
}

impl Reader {
    fn of(&mut self, segment: &Arc<Segment>) -> io::Result<&File> {
        let is_open = matches!(&self.open, Some((open, _)) if std::ptr::eq(open.as_ptr(), Arc::as_ptr(segment)));
        if !is_open {
            self.open = Some((Arc::downgrade(segment), segment.reader()?));
        }
        self.open.as_ref().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Writes a record's file, in place of whatever lies there. It has its name once it is whole: an exam's folder is read meanwhile.
pub(super) fn place(mut segment: &File, record: &Record, exams: &Path) -> io::Result<()> {
    let path = exams.join(&record.entry.name);
    let unfinished = path.with_extension("part");
    let open = || File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folders(&path)?;
            open()?
        }
        opened => opened?,
    };
    file.write_all(&record.entry.prefix)?;
    segment.seek(SeekFrom::Start(record.data_offset()))?;
    // From file to file the system copies by itself.
    let copied = io::copy(&mut segment.take(record.data_bytes), &mut file)?;
    if copied == record.data_bytes { fs::rename(&unfinished, &path) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Places every whole record of a segment; `torn` hears where the others lie. What was placed before keeps its time: it came then.
pub(super) fn place_all(
    segment: &Segment,
    exams: &Path,
    mut torn: impl FnMut(&File, u64, u64) -> io::Result<()>,
) -> io::Result<usize> {
    let reader = segment.reader()?;
    let mut placed = 0;
    for found in segment.scan()? {
        match found {
            Found::Whole(record) => {
                let path = exams.join(&record.entry.name);
                let came = path.metadata().and_then(|placed| placed.modified());
                place(&reader, &record, exams)?;
                if let Ok(came) = came {
                    File::options().write(true).open(&path)?.set_modified(came)?;
                }
                placed += 1;
            }
            Found::Torn { offset, bytes } => torn(&reader, offset, bytes)?,
        }
    }
    Ok(placed)
}

/// Makes the folders above a file, for this user alone.
pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    path.parent().map_or(Ok(()), |folder| fs::DirBuilder::new().recursive(true).mode(0o700).create(folder))
}

#[cfg(test)]
mod tests {
    use super::super::segment::{BLOCK, Entry};
    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_whole_and_what_lies_there_stays_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let segment = folder.path().join("segment");
        fs::write(&segment, [&vec![0; BLOCK as usize][..], b"data"].concat()).unwrap();
        let exams = folder.path().join("exams");
        let place = |data_bytes| {
            let entry = Entry { name: "exam/1.2/1.3.dcm".to_owned(), prefix: b"prefix ".to_vec() };
            place(&File::open(&segment).unwrap(), &Record { entry, offset: 0, data_bytes }, &exams)
        };
        let file = exams.join("exam/1.2/1.3.dcm");
        assert!(place(5).is_err() && !file.exists());
        place(4).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"prefix data");
        assert!(place(5).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"prefix data");
        place(4).unwrap();
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
