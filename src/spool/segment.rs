//! A segment of the journal: a file of fixed size whose blocks were all written when it was made and are only overwritten
//! since, so that a sync writes data and changes no metadata. One sync serves all who wait for it.
//!
//! ```text
//! block 0    magic "TSSEGMNT", nonce u64, CRC-32 of both
//! block n    a record's head: magic "TSRECORD", nonce u64, name length u16, prefix length u16, data length u64,
//!            data CRC-32, CRC-32 of the head; then the name (a path below `exams/`) and the file's prefix
//! block n+1  the file's data, filled up with zeros to whole blocks
//! ```
//!
//! Numbers are little-endian, a block has 4 KiB. The nonce is new for each use of the segment: records of an earlier use
//! are not taken for new ones, and no peer can send pixels that look like a record.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};

pub(super) const BLOCK: u64 = 4096;
/// Room for about sixty slices of 512 x 512.
pub(super) const SEGMENT_BYTES: u64 = 32 << 20;

const SEGMENT_MAGIC: &[u8; 8] = b"TSSEGMNT";
const RECORD_MAGIC: &[u8; 8] = b"TSRECORD";
const RECORD_HEAD: usize = 40;
const EMPTY_BLOCK: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// A file on its way into the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where the file belongs, relative to `exams/`.
    pub name: String,
    /// What precedes the data in the file: preamble and file meta information.
    pub prefix: Vec<u8>,
}

impl Entry {
    /// Bytes that a record of this entry takes; `None` if its head is larger than a block.
    pub(super) fn record_bytes(&self, data: &[u8]) -> Option<u64> {
        let head = RECORD_HEAD + self.name.len() + self.prefix.len();
        (head as u64 <= BLOCK).then(|| BLOCK + (data.len() as u64).next_multiple_of(BLOCK))
    }
}

/// Where a record lies in its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub entry: Entry,
    pub offset: u64,
    pub data_bytes: u64,
}

impl Record {
    pub(super) fn data_offset(&self) -> u64 {
        self.offset + BLOCK
    }
}

/// What lies in a segment that was in use when the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Whole(Record),
    /// The beginning of a record that was never acknowledged.
    Torn {
        offset: u64,
        bytes: u64,
    },
}

#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    file: File,
    nonce: AtomicU64,
    sync: Mutex<SyncState>,
    synced: Condvar,
    /// Records that were reserved and are not yet placed in the exams' folders.
    outstanding: AtomicUsize,
}

/// Writes are numbered as they end; a sync covers all that had ended when it began.
#[derive(Debug, Default)]
struct SyncState {
    written: u64,
    synced: u64,
    syncing: bool,
    failed: Option<io::ErrorKind>,
}

impl Segment {
    /// Makes a segment: every block is written and synced.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let made = (|| {
            let zeros = vec![0_u8; 1 << 20];
            for _ in 0..SEGMENT_BYTES / zeros.len() as u64 {
                file.write_all(&zeros)?;
            }
            file.sync_all()?;
            super::sync_parent(path)
        })();
        // The first error is the one to report.
        made.inspect_err(|_| drop(std::fs::remove_file(path)))?;
        let segment = Self::of(path, file);
        segment.renew()?;
        Ok(segment)
    }

    /// Opens a segment of an earlier run; `None` if its making was cut short: its head is written last.
    ///
    /// # Errors
    /// If it cannot be read, or is a segment of another size: what is in it must not be lost.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().read(true).write(true).open(path)?;
        let mut block = EMPTY_BLOCK;
        match file.read_exact_at(&mut block, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        if !block.starts_with(SEGMENT_MAGIC) || number::<4>(&block, 16) != u64::from(crc32fast::hash(&block[..16])) {
            return Ok(None);
        }
        if file.metadata()?.len() != SEGMENT_BYTES {
            let message =
                format!("{} is not of this version of tableside: start the one before once more", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let segment = Self::of(path, file);
        segment.nonce.store(number::<8>(&block, 8), Ordering::Relaxed);
        Ok(Some(segment))
    }

    fn of(path: &Path, file: File) -> Self {
        Self {
            path: path.to_owned(),
            file,
            nonce: AtomicU64::new(0),
            sync: Mutex::default(),
            synced: Condvar::new(),
            outstanding: AtomicUsize::new(0),
        }
    }

    /// Makes all its records void, for another use.
    pub(super) fn renew(&self) -> io::Result<()> {
        let nonce: u64 = rand::random();
        let mut block = EMPTY_BLOCK;
        block[..8].copy_from_slice(SEGMENT_MAGIC);
        block[8..16].copy_from_slice(&nonce.to_le_bytes());
        let crc = crc32fast::hash(&block[..16]);
        block[16..20].copy_from_slice(&crc.to_le_bytes());
        self.file.write_all_at(&block, 0)?;
        self.file.sync_data()?;
        self.nonce.store(nonce, Ordering::Relaxed);
        *self.state() = SyncState::default();
        Ok(())
    }

    /// Writes a record at a place that was reserved for it. Records at other places may be written at the same time.
    pub(super) fn write(&self, offset: u64, entry: &Entry, data: &[u8]) -> io::Result<Record> {
        let mut head = Vec::with_capacity(BLOCK as usize);
        head.extend_from_slice(RECORD_MAGIC);
        head.extend_from_slice(&self.nonce.load(Ordering::Relaxed).to_le_bytes());
        head.extend_from_slice(&(entry.name.len() as u16).to_le_bytes());
        head.extend_from_slice(&(entry.prefix.len() as u16).to_le_bytes());
        head.extend_from_slice(&(data.len() as u64).to_le_bytes());
        head.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
        head.extend_from_slice(&[0; RECORD_HEAD - 32]);
        head.extend_from_slice(entry.name.as_bytes());
        head.extend_from_slice(&entry.prefix);
        let crc = crc32fast::hash(&head);
        head[32..36].copy_from_slice(&crc.to_le_bytes());
        head.resize(BLOCK as usize, 0);
        let record = Record { entry: entry.clone(), offset, data_bytes: data.len() as u64 };
        self.file.write_all_at(&head, offset)?;
        // Whole blocks only: to write a part of one, the system would have to read the rest of it from the disk.
        let (blocks, rest) = data.split_at(data.len() - data.len() % BLOCK as usize);
        self.file.write_all_at(blocks, record.data_offset())?;
        if !rest.is_empty() {
            let mut last = EMPTY_BLOCK;
            last[..rest.len()].copy_from_slice(rest);
            self.file.write_all_at(&last, record.data_offset() + blocks.len() as u64)?;
        }
        Ok(record)
    }

    /// Returns once everything that was written before the call is on the disk. Whoever finds nobody syncing does it for
    /// all who have written by then; the others wait for the next sync at most.
    ///
    /// After a failure nothing that was not synced before may be trusted: the system may have thrown it away.
    pub(super) fn commit(&self) -> io::Result<()> {
        let mut state = self.state();
        state.written += 1;
        let ticket = state.written;
        loop {
            if state.synced >= ticket {
                return Ok(());
            }
            if let Some(kind) = state.failed {
                return Err(kind.into());
            }
            if state.syncing {
                self.synced.wait(&mut state);
                continue;
            }
            state.syncing = true;
            let covered = state.written;
            drop(state);
            let result = self.file.sync_data();
            state = self.state();
            state.syncing = false;
            match result {
                Ok(()) => state.synced = covered,
                Err(error) => state.failed = Some(error.kind()),
            }
            self.synced.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, SyncState> {
        self.sync.lock()
    }

    /// A handle of its own to read records with.
    pub(super) fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    pub(super) fn reserve(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// A record that was reserved is in its place, or was never acknowledged.
    pub(super) fn release(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn is_placed(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) == 0
    }

    /// Looks for records, whatever their order: of records that were written at the same time any may be torn.
    pub(super) fn scan(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut offset = BLOCK;
        let mut block = EMPTY_BLOCK;
        while offset + BLOCK <= SEGMENT_BYTES {
            self.file.read_exact_at(&mut block, offset)?;
            if block.starts_with(RECORD_MAGIC) && number::<8>(&block, 8) == self.nonce.load(Ordering::Relaxed) {
                let next = self.read_record(&block, offset)?;
                offset += match &next {
                    Found::Whole(record) => BLOCK + record.data_bytes.next_multiple_of(BLOCK),
                    Found::Torn { .. } => BLOCK,
                };
                found.push(next);
            } else {
                offset += BLOCK;
            }
        }
        Ok(found)
    }

    fn read_record(&self, block: &[u8; BLOCK as usize], offset: u64) -> io::Result<Found> {
        let (name_bytes, prefix_bytes) = (number::<2>(block, 16) as usize, number::<2>(block, 18) as usize);
        let (data_bytes, data_crc) = (number::<8>(block, 20), number::<4>(block, 28));
        let end = RECORD_HEAD + name_bytes + prefix_bytes;
        let room = SEGMENT_BYTES - offset - BLOCK;
        let torn = Found::Torn { offset, bytes: BLOCK + data_bytes.min(room) };
        if end > block.len() || data_bytes > room {
            return Ok(Found::Torn { offset, bytes: BLOCK });
        }
        let mut head = block[..end].to_vec();
        head[32..36].fill(0);
        let name = String::from_utf8(head[RECORD_HEAD..RECORD_HEAD + name_bytes].to_vec());
        let (Ok(name), true) = (name, number::<4>(block, 32) == u64::from(crc32fast::hash(&head))) else {
            return Ok(Found::Torn { offset, bytes: BLOCK });
        };
        let mut data = vec![0; data_bytes as usize];
        self.file.read_exact_at(&mut data, offset + BLOCK)?;
        if u64::from(crc32fast::hash(&data)) != data_crc {
            return Ok(torn);
        }
        let entry = Entry { name, prefix: head[RECORD_HEAD + name_bytes..].to_vec() };
        Ok(Found::Whole(Record { entry, offset, data_bytes }))
    }
}

/// A little-endian number of `N` bytes, 8 at most.
fn number<const N: usize>(block: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes[..N].copy_from_slice(&block[at..at + N]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str) -> Entry {
        Entry { name: name.to_owned(), prefix: b"DICM".to_vec() }
    }

    fn write_all(segment: &Segment, sizes: &[usize]) -> Vec<Record> {
        let mut offset = BLOCK;
        let mut records = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let (entry, data) = (entry(&format!("{index}.dcm")), vec![index as u8 + 1; *size]);
            let bytes = entry.record_bytes(&data).unwrap();
            records.push(segment.write(offset, &entry, &data).unwrap());
            offset += bytes;
        }
        segment.commit().unwrap();
        records
    }

    fn whole(found: Vec<Found>) -> Vec<Record> {
        found
            .into_iter()
            .filter_map(|found| if let Found::Whole(record) = found { Some(record) } else { None })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn what_was_committed_is_found_again_and_one_torn_record_hides_no_other(
            sizes in prop::collection::vec(0_usize..20_000, 1..8),
            victim in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("1.segment");
            let segment = Segment::create(&path).unwrap();
            let mut records = write_all(&segment, &sizes);
            let reopened = Segment::open(&path).unwrap().unwrap();
            prop_assert_eq!(whole(reopened.scan().unwrap()), records.clone());
            // One byte of one record's data does not reach the disk.
            let victim = victim.index(records.len());
            if sizes[victim] > 0 {
                let at = records[victim].data_offset() + byte.index(sizes[victim]) as u64;
                segment.file.write_all_at(&[0], at).unwrap();
                let torn = records.remove(victim);
                let found = reopened.scan().unwrap();
                let rest = Found::Torn { offset: torn.offset, bytes: BLOCK + torn.data_bytes };
                prop_assert!(found.contains(&rest));
                prop_assert_eq!(whole(found), records);
            }
        }
    }

    #[test]
    fn a_renewed_segment_has_no_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.segment");
        let segment = Segment::create(&path).unwrap();
        write_all(&segment, &[5000, 0, 4096]);
        segment.renew().unwrap();
        assert_eq!(Segment::open(&path).unwrap().unwrap().scan().unwrap(), []);
    }

    #[test]
    fn what_is_no_whole_segment_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.segment");
        std::fs::write(&path, b"TSSEGMNT").unwrap();
        assert!(Segment::open(&path).unwrap().is_none());
        std::fs::write(&path, vec![0; SEGMENT_BYTES as usize]).unwrap();
        assert!(Segment::open(&path).unwrap().is_none());
    }

    #[test]
    fn a_segment_of_another_size_is_not_taken_for_an_unfinished_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.segment");
        Segment::create(&path).unwrap().file.set_len(SEGMENT_BYTES / 2).unwrap();
        assert_eq!(Segment::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn many_who_commit_at_once_are_all_served() {
        let folder = tempfile::tempdir().unwrap();
        let segment = Segment::create(&folder.path().join("1.segment")).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let segment = &segment;
                scope.spawn(move || {
                    for turn in 0..4 {
                        let place = BLOCK + (thread * 4 + turn) * 2 * BLOCK;
                        segment.write(place, &entry(&format!("{thread}-{turn}")), b"data").unwrap();
                        segment.commit().unwrap();
                    }
                });
            }
        });
        assert_eq!(whole(segment.scan().unwrap()).len(), 32);
    }
}
