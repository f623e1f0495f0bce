//! Recovery: what a run that was cut short has left is put in order before anything new is taken.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::entries;
use super::journal::{is_segment, segment_path};
use super::placing::place_all;
use super::segment::Segment;

/// What was found half done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Acknowledged instances that were placed from the journal.
    pub placed: usize,
    /// Half-written instances, which were never acknowledged: set aside.
    pub set_aside: usize,
}

/// The folders of a spool.
pub(super) struct Folders<'a> {
    pub journal: &'a Path,
    pub incoming: &'a Path,
    pub exams: &'a Path,
    pub set_aside: &'a Path,
}

/// Places what the journal holds, sets aside what is half written, and syncs all. Gives the journal's segments, empty now and
/// as many as asked for.
pub(super) fn recover(
    folders: &Folders<'_>,
    exams_handle: &File,
    segments_wanted: usize,
) -> io::Result<(Vec<Segment>, Recovery)> {
    let mut recovery = Recovery::default();
    for leftover in entries(folders.incoming)? {
        fs::rename(&leftover, unused(folders.set_aside, "incoming"))?;
        recovery.set_aside += 1;
    }
    let mut segments = Vec::new();
    for path in entries(folders.journal)?.into_iter().filter(|path| is_segment(path)) {
        match Segment::open(&path)? {
            Some(segment) => segments.push(segment),
            // Its making was cut short: nothing was written to it yet.
            None => fs::remove_file(&path)?,
        }
    }
    for segment in &segments {
        let mut set_aside = 0;
        recovery.placed += place_all(segment, folders.exams, |reader, offset, bytes| {
            set_aside += 1;
            copy_part(reader, offset, bytes, &unused(folders.set_aside, "journal"))
        })?;
        recovery.set_aside += set_aside;
    }
    if recovery != Recovery::default() {
        super::checkpoint::sync(exams_handle)?;
    }
    for segment in &segments {
        segment.renew()?;
    }
    for unwanted in segments.drain(segments_wanted.min(segments.len())..) {
        fs::remove_file(&unwanted.path)?;
    }
    for number in 1.. {
        if segments.len() >= segments_wanted {
            break;
        }
        let path = segment_path(folders.journal, number);
        if !path.exists() {
            segments.push(Segment::create(&path)?);
        }
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
