//! That the associations which carried an exam are released, below the exam's folder: `released`, the number of images that they
//! carried. It is there until another association carries more.
//!
//! It says when an exam is over, not what is in it: it is not synced. Where it is lost the exam ends by its silence, some seconds later.

use std::fs::{self, File};
use std::io::{ErrorKind, Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const FILE_NAME: &str = "released";

/// Notes it, or that it does not hold any more.
///
/// # Errors
/// If it cannot be written or removed.
pub(super) fn note(folder: &Path, images: Option<usize>) -> Result<()> {
    let path = folder.join(FILE_NAME);
    match images {
        Some(images) => {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            write!(file, "{images}")
        }
        None => fs::remove_file(path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    }
}

/// How many images they carried, where they are released.
pub(super) fn images(folder: &Path) -> Option<usize> {
    fs::read_to_string(folder.join(FILE_NAME)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_until_more_comes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(images(folder.path()), None);
        for carried in [312, 7] {
            note(folder.path(), Some(carried)).unwrap();
            assert_eq!(images(folder.path()), Some(carried));
        }
        note(folder.path(), None).unwrap();
        note(folder.path(), None).unwrap();
        assert_eq!(images(folder.path()), None);
        fs::write(folder.path().join(FILE_NAME), "").unwrap();
        assert_eq!(images(folder.path()), None, "half written");
    }
}
