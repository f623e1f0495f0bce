//! The kernels that are checked in as machine code are those that are checked in as sources, for all cards.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::kernel_program::{folder, sources};

#[test]
fn the_fatbin_was_made_from_the_kernels_sources() {
    let noted = std::fs::read_to_string(folder().join("tableside.sha256")).unwrap();
    let lines = noted.lines().filter(|line| !line.starts_with('#'));
    let noted: BTreeMap<&str, &str> =
        lines.map(|line| line.split_once("  ").unwrap()).map(|(hash, name)| (name, hash)).collect();
    let mut files = sources();
    // The test suite's own program is not compiled into it.
    files.retain(|path| path.extension().is_some_and(|kind| kind != "cpp"));
    files.push(folder().join("tableside.fatbin"));
    let found: BTreeMap<String, String> = files
        .iter()
        .map(|path| {
            let digest = Sha256::digest(std::fs::read(path).unwrap());
            let hash = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
            let rest = u128::from_be_bytes(std::array::from_fn(|at| digest[16 + at]));
            (path.file_name().unwrap().to_string_lossy().into_owned(), format!("{hash:032x}{rest:032x}"))
        })
        .collect();
    let found: BTreeMap<&str, &str> = found.iter().map(|(name, hash)| (name.as_str(), hash.as_str())).collect();
    assert_eq!(found, noted, "the kernels were changed: tools/kernels build");
}

/// What an entry of a fatbin holds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    /// Text that a driver compiles for cards of this compute capability and later ones, tenths.
    Ptx(u32),
    /// Machine code for this compute capability, tenths.
    Machine(u32),
}

#[test]
fn the_fatbin_holds_machine_code_for_each_target_and_ptx_for_cards_to_come() {
    let fatbin = std::fs::read(folder().join("tableside.fatbin")).unwrap();
    let expected = [75, 80, 86, 89, 90, 100, 120].map(Code::Machine).into_iter().chain([Code::Ptx(75)]);
    assert_eq!(entries(&fatbin), expected.collect());
}

/// The fatbin's entries: a header of 16 bytes (magic, version, own length, length of all entries), then entry by entry its kind,
/// own length, length of its code and, 28 bytes in, its target.
fn entries(fatbin: &[u8]) -> BTreeSet<Code> {
    let short = |at: usize| u16::from_le_bytes(fatbin[at..at + 2].try_into().unwrap());
    let word = |at: usize| u32::from_le_bytes(fatbin[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(fatbin[at..at + 8].try_into().unwrap()) as usize;
    assert_eq!((word(0), short(6)), (0xba55_ed50, 16));
    assert_eq!(long(8) + 16, fatbin.len());
    let mut entries = BTreeSet::new();
    let mut at = 16;
    while at < fatbin.len() {
        let target = word(at + 28);
        let is_new = entries.insert(match short(at) {
            1 => Code::Ptx(target),
            2 => Code::Machine(target),
            other => panic!("an entry of kind {other}"),
        });
        assert!(is_new, "two entries for {target}");
        at += word(at + 4) as usize + long(at + 8);
    }
    entries
}
