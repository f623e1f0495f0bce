//! TensorRT's libraries. Each is asked for its version first: classes are called by their places in tables, which are others in
//! another major version, so that a call into one would go anywhere.
#![expect(unsafe_code, reason = "opening NVIDIA's libraries and asking for their versions")]

use std::fmt;
use std::sync::OnceLock;

use libloading::Library;

use super::NAME;
use crate::engine::EngineError;

/// A library under the names with which it is installed: with the version that this program was built for, or without.
struct Installed {
    files: [&'static str; 2],
    /// The function that answers with its version.
    version: &'static str,
}

const TENSORRT: Installed = Installed { files: ["libnvinfer.so.11", "libnvinfer.so"], version: "getInferLibVersion" };
const PARSER: Installed =
    Installed { files: ["libnvonnxparser.so.11", "libnvonnxparser.so"], version: "getNvOnnxParserVersion" };

/// A version as TensorRT gives it: 110400 is 11.4.0; before version 10 it was 8601 for 8.6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version(pub(super) u32);

impl Version {
    /// The one that this program was built for.
    fn built_for() -> Self {
        // SAFETY: it returns a number that was compiled in.
        Self(unsafe { trtx::trtx_sys::get_tensorrt_version() })
    }

    fn parts(self) -> [u32; 3] {
        let major = if self.0 < 10_000 { 1000 } else { 10_000 };
        [self.0 / major, self.0 % major / 100, self.0 % 100]
    }

    fn major(self) -> u32 {
        self.parts()[0]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.parts();
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Opens TensorRT and its parser, once in the life of the process. TensorRT's version.
///
/// # Errors
/// If one of them is not here, or only in another major version.
pub(super) fn open() -> Result<Version, EngineError> {
    static OPENED: OnceLock<Version> = OnceLock::new();
    if let Some(version) = OPENED.get() {
        return Ok(*version);
    }
    let (tensorrt, version) = TENSORRT.find()?;
    let (parser, _) = PARSER.find()?;
    let opened = trtx::dynamically_load_tensorrt(Some(tensorrt.to_owned()))
        .and_then(|()| trtx::dynamically_load_tensorrt_onnxparser(Some(parser.to_owned())));
    opened.map_err(|error| absent(error.to_string()))?;
    Ok(*OPENED.get_or_init(|| version))
}

/// The version of the TensorRT that is here.
///
/// # Errors
/// If there is none, or only one of another major version.
pub(super) fn version() -> Result<Version, EngineError> {
    TENSORRT.find().map(|(_, version)| version)
}

fn absent(reason: String) -> EngineError {
    EngineError::Absent { engine: NAME, reason }
}

impl Installed {
    /// The first file that is of the major version that this program was built for.
    fn find(&self) -> Result<(&'static str, Version), EngineError> {
        let needed = Version::built_for().major();
        let mut refused = Vec::new();
        for file in self.files {
            match self.version_of(file) {
                Ok(version) if version.major() == needed => return Ok((file, version)),
                Ok(version) => refused.push(format!(
                    "{file} is of version {version}, this program needs version {needed}: install that beside it"
                )),
                Err(reason) => refused.push(reason),
            }
        }
        Err(absent(refused.join("; ")))
    }

    fn version_of(&self, file: &str) -> Result<Version, String> {
        // SAFETY: loading runs the library's own initializers; nothing of this program is handed to them.
        let library = unsafe { Library::new(file) }.map_err(|error| error.to_string())?;
        // SAFETY: in every version the function has this type (NvInferRuntimeBase.h, NvOnnxParser.h).
        let version = unsafe { library.get::<unsafe extern "C" fn() -> i32>(self.version.as_bytes()) }
            .map_err(|error| format!("{file} does not say which version it is of: {error}"))
            // SAFETY: it takes nothing and returns a number.
            .map(|ask| unsafe { ask() });
        // What its initializers began may go on: it stays where it is.
        std::mem::forget(library);
        Ok(Version(u32::try_from(version?).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_as_people_write_it_before_and_since_version_10() {
        for (number, text) in [(8601, "8.6.1"), (101_302, "10.13.2"), (110_400, "11.4.0"), (10_701, "1.7.1")] {
            assert_eq!(Version(number).to_string(), text);
        }
        assert_eq!(Version::built_for().major(), 11);
    }
}
