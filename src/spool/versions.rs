//! Versions of an instance: whatever comes under a SOP Instance UID that was taken is kept beside the first, numbered in the
//! order in which it came, and the newest one counts.

use std::path::{Path, PathBuf};

use super::path_component;
use crate::exam::{ExamKey, InstanceHeader};

/// How the name of an instance's first version ends.
const FIRST: &str = "dcm";

/// The name of an instance's first version, below `exams/`.
pub(super) fn first_name(exam: &ExamKey, header: &InstanceHeader) -> String {
    let (series, file) = (path_component(&header.series_instance_uid), path_component(&header.sop_instance_uid));
    format!("{exam}/{series}/{file}.dcm")
}

/// The name of a version; the first is 0.
pub(super) fn name_of(first: &str, version: u32) -> String {
    if version == 0 { first.to_owned() } else { format!("{first}.{version}") }
}

/// Which version of its instance a file is; `None` for other files.
pub(super) fn version_of(file: &Path) -> Option<u32> {
    let name = file.file_name()?.to_str()?;
    match name.rsplit_once('.')? {
        (_, FIRST) => Some(0),
        (first, version) => first.rsplit_once('.').filter(|(_, end)| *end == FIRST).and(version.parse().ok()),
    }
}

/// The name of the first version of the instance that a file is one of.
pub(super) fn first_of(file: &Path) -> PathBuf {
    if version_of(file) == Some(0) { file.to_owned() } else { file.with_extension("") }
}

/// The newest version that is there. Versions have no gaps: of thousands of images under one UID not all are looked for.
pub(super) fn newest(is_there: impl Fn(u32) -> bool) -> Option<u32> {
    if !is_there(0) {
        return None;
    }
    let mut beyond = 1;
    while is_there(beyond) {
        beyond *= 2;
    }
    let (mut there, mut beyond) = (beyond / 2, beyond);
    while there + 1 < beyond {
        let middle = u32::midpoint(there, beyond);
        if is_there(middle) {
            there = middle;
        } else {
            beyond = middle;
        }
    }
    Some(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found_whatever_their_number() {
        assert_eq!(newest(|_| false), None);
        for count in 1..70 {
            assert_eq!(newest(|version| version < count), Some(count - 1));
        }
    }

    #[test]
    fn a_name_says_which_version_it_is() {
        for (name, version) in [
            ("1.2.dcm", Some(0)),
            ("1.2.dcm.3", Some(3)),
            ("1.2.part", None),
            ("1.2.dcm.part", None),
            ("refused.jsonl", None),
        ] {
            assert_eq!(version_of(Path::new(name)), version, "{name}");
        }
        assert_eq!(
            ["a/1.2.dcm", "a/1.2.dcm.3"].map(|name| first_of(Path::new(name))),
            ["a/1.2.dcm", "a/1.2.dcm"].map(PathBuf::from)
        );
        assert_eq!([name_of("a/1.dcm", 0), name_of("a/1.dcm", 2)], ["a/1.dcm", "a/1.dcm.2"]);
    }
}
