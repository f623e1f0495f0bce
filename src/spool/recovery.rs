//! Recovery: what a run that was cut short has left is put in order before anything new is taken.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::entries;
use super::journal::segment_number;
use super::placing::place;
use super::segment::{Found, Segment};

/// What was found half done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Acknowledged instances that were placed from the journal.
    pub placed: usize,
    /// Half-written instances, which were never acknowledged: set aside.
    pub set_aside: usize,
}

/// Places what the journal holds, sets aside what is half written, syncs all, and gives the segments, empty now.
pub(super) fn recover(
    journal: &Path,
    incoming: &Path,
    exams: &Path,
    set_aside: &Path,
    handle: &File,
) -> io::Result<(BTreeMap<u64, Segment>, Recovery)> {
    let mut recovery = Recovery::default();
    for leftover in entries(incoming)? {
        fs::rename(&leftover, unused(set_aside, "incoming"))?;
        recovery.set_aside += 1;
    }
    let mut segments = BTreeMap::new();
    for path in entries(journal)? {
        let segment = match segment_number(&path) {
            Some(number) => Segment::open(&path)?.map(|segment| (number, segment)),
            None => continue,
        };
        let Some((number, segment)) = segment else {
            // Its making was cut short: nothing was written to it yet.
            fs::remove_file(&path)?;
            continue;
        };
        let reader = segment.reader()?;
        for found in segment.scan()? {
            match found {
                Found::Whole(record) => {
                    place(&reader, &record, exams)?;
                    recovery.placed += 1;
                }
                Found::Torn { offset, bytes } => {
                    copy_part(&reader, offset, bytes, &unused(set_aside, "journal"))?;
                    recovery.set_aside += 1;
                }
            }
        }
        segments.insert(number, segment);
    }
    if recovery != Recovery::default() {
        super::checkpoint::sync(handle)?;
    }
    for segment in segments.values() {
        segment.renew()?;
    }
    Ok((segments, recovery))
}

fn unused(folder: &Path, origin: &str) -> std::path::PathBuf {
    let names = (1_u64..).map(|number| folder.join(format!("{origin}-{number}.part")));
    let mut free = names.filter(|path| !path.exists());
    free.next().unwrap_or_else(|| folder.join("last.part"))
}

fn copy_part(mut segment: &File, offset: u64, bytes: u64, to: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    segment.seek(SeekFrom::Start(offset))?;
    io::copy(&mut segment.take(bytes), &mut file).map(drop)
}
