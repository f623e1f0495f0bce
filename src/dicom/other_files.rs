//! Files that lie beside DICOM files and are something else. Whatever is not known to be something else may be a slice: a file
//! that is empty or damaged must not pass for a text.

use std::path::Path;

/// Endings of names that no DICOM file has.
const ENDINGS: [&str; 40] = [
    "txt", "csv", "tsv", "json", "xml", "html", "htm", "css", "js", "pdf", "png", "jpg", "jpeg", "gif", "bmp", "svg",
    "tif", "tiff", "md", "log", "zip", "gz", "tar", "7z", "rar", "db", "ini", "inf", "exe", "dll", "bat", "sh", "py",
    "nii", "nrrd", "mha", "mhd", "npy", "npz", "toml",
];

/// Names, in capitals, that files beside images have.
const NAMES: [&str; 9] =
    ["DICOMDIR", "README", "LICENSE", "LICENCE", "COPYING", "VERSION", "MD5SUMS", "SHA256SUMS", "MANIFEST"];

/// How files of other kinds begin.
const BEGINNINGS: [&[u8]; 8] =
    [b"\x89PNG", b"\xFF\xD8\xFF", b"%PDF", b"PK\x03\x04", b"\x1F\x8B", b"MZ", b"\x7FELF", b"SQLite format 3"];

/// Whether a file that cannot be read as an instance is recognisably none.
#[must_use]
pub fn is_something_else(path: &Path, content: &[u8]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    name.starts_with('.')
        || NAMES.contains(&name.to_uppercase().as_str())
        || ENDINGS.contains(&ending.as_str())
        || BEGINNINGS.iter().any(|beginning| content.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_something_else_may_be_a_slice() {
        for (name, content) in [
            ("DICOMDIR", &b""[..]),
            ("dicomdir", b""),
            (".DS_Store", b""),
            ("Readme", b"read me"),
            ("cases.CSV", b"a,b"),
            ("image", b"\x89PNG\r\n"),
            ("IM0001.dcm", b"\xFF\xD8\xFF\xE0"),
        ] {
            assert!(is_something_else(Path::new(name), content), "{name}");
        }
        for name in ["IM0001", "0001.dcm", "1.2.840.1", "0001.ima", "I1"] {
            assert!(!is_something_else(Path::new(name), b""), "{name}");
            assert!(!is_something_else(Path::new(name), b"<html>"), "{name}");
        }
    }
}
