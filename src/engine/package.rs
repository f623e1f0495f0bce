//! Model packages: `model.toml`, the weights, the card. What a package says of itself is checked before it may serve.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::self_test::{BLOCKS as SELF_TEST_BLOCKS, SelfTest, window_of};
use crate::exam::WINDOW_SLABS;
use crate::hex::hex;
use crate::preprocess::{InputGeometry, Window};

/// The package that is built into the program, so that it works with no file at all.
const BUILT_IN_MANIFEST: &str = include_str!("../../engines/reference/model.toml");
const BUILT_IN_WEIGHTS: &[u8] = include_bytes!("../../engines/reference/model.onnx");
/// In every program, for `model calibrate` writes the whole package whichever engines that program has.
const BUILT_IN_HALF_PRECISION: &[u8] = include_bytes!("../../engines/reference/model.half.onnx");
const BUILT_IN_CARD: &str = include_str!("../../engines/reference/MODEL_CARD.md");
const BUILT_IN_SELF_TEST: &[u8] = include_bytes!("../../engines/reference/self_test.png");

/// The one manifest format that this program reads.
const FORMAT: u32 = 1;

/// Why a model package cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("cannot read {path}: {source}; a model package is a folder with model.toml and its weights")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a valid model.toml: {reason}")]
    Manifest { path: PathBuf, reason: String },
    #[error(
        "the weights {path} are not those that model.toml names (SHA-256 {found}, expected {expected}): \
         the package is damaged or was changed; install it again"
    )]
    Checksum { path: PathBuf, found: String, expected: String },
    #[error("cannot read the models folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(
        "there is no model package {name:?}; there are {}; or give the path of a folder with a model.toml",
        known.join(", ")
    )]
    Unknown { name: String, known: Vec<String> },
}

/// `model.toml`, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    pub name: String,
    pub version: String,
    weights: PathBuf,
    /// Of the weights, as written.
    pub sha256: String,
    card: PathBuf,
    pub intended_use: String,
    pub input: InputGeometry,
    pub outputs: OutputNames,
    pub case: CaseHead,
    pub operating_point: OperatingPoint,
    /// What every engine must find; written by `tableside model pin`.
    pub self_test: Option<SelfTest>,
    /// The same model in half precision; written by `engines/training/half_precision.py`.
    pub half_precision: Option<HalfPrecision>,
}

/// `[half_precision]` of model.toml: an ONNX file whose input and outputs are the model's own, in single precision, and
/// which computes in half precision in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfPrecision {
    weights: PathBuf,
    /// Of these weights, as written.
    pub sha256: String,
}

/// Names of the model's outputs: `lung` and `lesion` are probabilities in the plane of the window's centre slab,
/// `attention` and `logit` one number each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputNames {
    pub lung: String,
    pub lesion: String,
    pub attention: String,
    pub logit: String,
}

/// From the slabs' attentions and logits to the case probability: `sigmoid(slope * (sum softmax(a)_i z_i + bias) + intercept)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseHead {
    pub bias: f64,
    pub calibration_slope: f64,
    pub calibration_intercept: f64,
    /// Makes attention and logit of a slab from its masks, in place of the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesions: Option<LesionHead>,
}

/// `[case.lesions]` of model.toml: a slab's attention and logit as a function of what of its lung is ill, within the body.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LesionHead {
    pub gain: f64,
    pub offset: f64,
    /// A lesion's pixel counts if it is denser than healthy lung of the same height by this, HU,
    pub above_lung_hu: f64,
    /// and by so much more for each HU that this lung is denser than well inflated lung.
    pub above_dense_lung: f64,
}

/// The decision thresholds, all probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// A finished exam is suspected from this case probability on.
    pub suspected: f64,
    /// A running exam is flagged from this running probability on.
    pub early: f64,
    /// How much lung must have been inferred before an early flag, mm: a running score over less means little.
    pub early_min_lung_mm: f64,
    /// The share of negative exams that `early` is calibrated to flag at most.
    pub early_alpha: f64,
    pub lung_probability: f32,
    pub lesion_probability: f32,
}

/// A package whose manifest makes sense and whose weights are the ones it names.
#[derive(Debug, Clone)]
pub struct ModelPackage {
    pub manifest: Manifest,
    /// `model.toml` as it is written.
    pub manifest_text: String,
    /// Where it lies; `None` for the one that is part of the program.
    pub folder: Option<PathBuf>,
    weights: FileContent,
    /// The ONNX file that `[half_precision]` names.
    half_precision: Option<FileContent>,
    /// The PNG that the self-test names.
    self_test_window: Option<FileContent>,
}

type FileContent = std::borrow::Cow<'static, [u8]>;

/// A file that the manifest names and a package cannot be without.
#[derive(Debug, Clone, Copy)]
enum Part {
    Weights,
    HalfPrecision,
    SelfTestWindow,
}

impl ModelPackage {
    /// The reference model that is part of the program.
    ///
    /// # Errors
    /// If the program was built from a package whose weights and manifest disagree.
    pub fn built_in() -> Result<Self, PackageError> {
        let files = |part, _: &Path| {
            Ok(FileContent::Borrowed(match part {
                Part::Weights => BUILT_IN_WEIGHTS,
                Part::HalfPrecision => BUILT_IN_HALF_PRECISION,
                Part::SelfTestWindow => BUILT_IN_SELF_TEST,
            }))
        };
        Ok(Self { folder: None, ..Self::check(Path::new("engines/reference"), BUILT_IN_MANIFEST, files)? })
    }

    /// Reads the package in `folder`.
    ///
    /// # Errors
    /// If a file is missing, the manifest is not of format 1 or makes no sense, or the SHA-256 of weights differs.
    pub fn load(folder: &Path) -> Result<Self, PackageError> {
        let manifest_path = folder.join("model.toml");
        let text = std::fs::read_to_string(&manifest_path)
            .map_err(|source| PackageError::Read { path: manifest_path.clone(), source })?;
        Self::check(folder, &text, |_, path| Ok(std::fs::read(path)?.into()))
    }

    fn check(
        folder: &Path,
        manifest: &str,
        read: impl Fn(Part, &Path) -> std::io::Result<FileContent>,
    ) -> Result<Self, PackageError> {
        let invalid = |reason: String| PackageError::Manifest { path: folder.join("model.toml"), reason };
        let manifest_text = manifest.to_owned();
        let manifest: Manifest = toml::from_str(manifest).map_err(|error| invalid(error.to_string()))?;
        manifest.make_sense().map_err(invalid)?;
        let read = |part: Part, file: &Path| {
            let path = folder.join(file);
            read(part, &path).map_err(|source| PackageError::Read { path, source })
        };
        let read_weights = |part: Part, file: &Path, sha256: &str| {
            let weights = read(part, file)?;
            let found = hex(&Sha256::digest(&weights));
            if found == sha256.to_lowercase() {
                return Ok(weights);
            }
            Err(PackageError::Checksum { path: folder.join(file), found, expected: sha256.to_owned() })
        };
        let weights = read_weights(Part::Weights, &manifest.weights, &manifest.sha256)?;
        let half_precision = match &manifest.half_precision {
            Some(half) => Some(read_weights(Part::HalfPrecision, &half.weights, &half.sha256)?),
            None => None,
        };
        let self_test_window = match &manifest.self_test {
            Some(test) => {
                let png = read(Part::SelfTestWindow, &test.window)?;
                window_of(&png, &manifest.input).map_err(|reason| invalid(format!("self_test.window: {reason}")))?;
                Some(png)
            }
            None => None,
        };
        let folder = Some(folder.to_owned());
        Ok(Self { manifest, manifest_text, folder, weights, half_precision, self_test_window })
    }

    /// The ONNX file's bytes.
    #[must_use]
    pub fn weights(&self) -> &[u8] {
        &self.weights
    }

    /// The package as it runs in half precision: that model for its only one, nothing else differs. `None` where it has none.
    #[must_use]
    pub fn in_half_precision(&self) -> Option<Self> {
        let (weights, mut manifest) = (self.half_precision.clone()?, self.manifest.clone());
        let half = manifest.half_precision.take()?;
        (manifest.weights, manifest.sha256) = (half.weights, half.sha256);
        Some(Self { manifest, weights, half_precision: None, ..self.clone() })
    }

    /// The window of the self-test, and what the model must say of it.
    #[must_use]
    pub fn self_test(&self) -> Option<(&SelfTest, Window)> {
        let window = window_of(self.self_test_window.as_ref()?, &self.manifest.input).ok()?;
        Some((self.manifest.self_test.as_ref()?, window))
    }

    /// Writes manifest, weights, those in half precision, the window of the self-test and the card, where there are any, into a
    /// folder, with another text for the manifest.
    ///
    /// # Errors
    /// If that text makes no valid package, or the files cannot be written.
    pub fn write_with(&self, manifest_text: &str, folder: &Path) -> Result<(), PackageError> {
        self.write(manifest_text, self.self_test_window.as_deref(), folder)
    }

    /// Writes the package with a self-test on another window, given as its PNG.
    ///
    /// # Errors
    /// As [`ModelPackage::write_with`].
    pub fn write_with_self_test(&self, manifest_text: &str, png: &[u8], folder: &Path) -> Result<(), PackageError> {
        self.write(manifest_text, Some(png), folder)
    }

    fn write(&self, manifest_text: &str, png: Option<&[u8]>, folder: &Path) -> Result<(), PackageError> {
        let changed = Self::check(folder, manifest_text, |part, _| {
            let content = match part {
                Part::Weights => Some(self.weights.clone()),
                Part::HalfPrecision => self.half_precision.clone(),
                Part::SelfTestWindow => png.map(|png| png.to_owned().into()),
            };
            content.ok_or_else(|| std::io::Error::other("the manifest names a file that the package lacks"))
        })?;
        let write = |path: PathBuf, bytes: &[u8]| {
            let parent = path.parent().unwrap_or(folder);
            let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes));
            written.map_err(|source| PackageError::Write { path, source })
        };
        write(folder.join(&changed.manifest.weights), &changed.weights)?;
        if let (Some(half), Some(weights)) = (&changed.manifest.half_precision, &changed.half_precision) {
            write(folder.join(&half.weights), weights)?;
        }
        if let (Some(test), Some(png)) = (&changed.manifest.self_test, png) {
            write(folder.join(&test.window), png)?;
        }
        // A package runs without its card, so it can be copied without one too.
        if let Ok(card) = self.card() {
            write(folder.join(&changed.manifest.card), card.as_bytes())?;
        }
        write(folder.join("model.toml"), manifest_text.as_bytes())
    }

    /// The text of the model card.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn card(&self) -> Result<String, PackageError> {
        let Some(folder) = &self.folder else { return Ok(BUILT_IN_CARD.to_owned()) };
        let path = folder.join(&self.manifest.card);
        std::fs::read_to_string(&path).map_err(|source| PackageError::Read { path, source })
    }

    /// The SHA-256 of `model.toml`, which names those of the weights: it stands for the whole package.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.manifest_text))
    }

    /// Name and version, as reports and metrics show them.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.manifest.name, self.manifest.version)
    }
}

impl Manifest {
    fn make_sense(&self) -> Result<(), String> {
        let input = &self.input;
        let point = &self.operating_point;
        let probability = |p: f64| p > 0.0 && p < 1.0;
        let checks = [
            (self.format == FORMAT, format!("format is {}, this program reads format {FORMAT}", self.format)),
            (inside(&self.weights), "weights must be a file inside the package".into()),
            (inside(&self.card), "card must be a file inside the package".into()),
            (
                self.half_precision.as_ref().is_none_or(|half| inside(&half.weights)),
                "half_precision.weights must be a file inside the package".into(),
            ),
            (
                self.half_precision.as_ref().is_none_or(|half| half.weights != self.weights),
                "half_precision.weights must be another file than weights".into(),
            ),
            (
                self.self_test.as_ref().is_none_or(|test| inside(&test.window) && is_picture(&test.window)),
                "self_test.window must be a .png inside the package".into(),
            ),
            (
                self.self_test.as_ref().is_none_or(SelfTest::is_whole),
                format!("self_test.lung and self_test.lesion must have {SELF_TEST_BLOCKS} numbers"),
            ),
            (
                input.slabs == WINDOW_SLABS,
                format!("input.slabs is {}, this program makes windows of {WINDOW_SLABS} slabs", input.slabs),
            ),
            (input.slab_mm > 0.0, "input.slab_mm must be above 0".into()),
            (input.pixel_mm > 0.0, "input.pixel_mm must be above 0".into()),
            (input.rows > 0 && input.columns > 0, "input.rows and input.columns must be above 0".into()),
            (input.hu_window[0] < input.hu_window[1], "input.hu_window must rise".into()),
            (
                probability(point.suspected)
                    && probability(point.early)
                    && probability(f64::from(point.lung_probability))
                    && probability(f64::from(point.lesion_probability)),
                "the operating point's probabilities must lie between 0 and 1".into(),
            ),
            (point.early_min_lung_mm >= 0.0, "operating_point.early_min_lung_mm must not be negative".into()),
            (self.case.calibration_slope > 0.0, "case.calibration_slope must be above 0".into()),
            (
                self.case.lesions.is_none_or(|head| head.gain > 0.0 && head.offset.is_finite()),
                "case.lesions.gain must be above 0, its offset a number".into(),
            ),
            (
                self.case.lesions.is_none_or(|head| head.above_lung_hu >= 0.0 && head.above_dense_lung >= 0.0),
                "case.lesions.above_lung_hu and case.lesions.above_dense_lung must not be negative".into(),
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(reason),
            None => Ok(()),
        }
    }
}

fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "png")
}

/// Whether a path leads nowhere but down.
fn inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of_the_built_in(folder: &Path, manifest: &str) {
        std::fs::write(folder.join("model.toml"), manifest).unwrap();
        std::fs::write(folder.join("model.onnx"), BUILT_IN_WEIGHTS).unwrap();
        std::fs::write(folder.join("model.half.onnx"), BUILT_IN_HALF_PRECISION).unwrap();
        std::fs::write(folder.join("self_test.png"), BUILT_IN_SELF_TEST).unwrap();
    }

    #[test]
    fn the_built_in_package_is_whole() {
        let package = ModelPackage::built_in().unwrap();
        assert_eq!(package.manifest.name, "reference");
    }

    #[test]
    fn weights_that_were_changed_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        copy_of_the_built_in(folder.path(), BUILT_IN_MANIFEST);
        for file in ["model.onnx", "model.half.onnx"] {
            let whole = std::fs::read(folder.path().join(file)).unwrap();
            let mut weights = whole.clone();
            weights[100] ^= 1;
            std::fs::write(folder.path().join(file), weights).unwrap();
            let error = ModelPackage::load(folder.path()).unwrap_err();
            assert!(matches!(&error, PackageError::Checksum { path, .. } if path.ends_with(file)), "{error}");
            std::fs::write(folder.path().join(file), whole).unwrap();
        }
        ModelPackage::load(folder.path()).unwrap();
    }

    #[test]
    fn a_package_in_half_precision_differs_in_its_model_alone() {
        let package = ModelPackage::built_in().unwrap();
        let half = package.in_half_precision().unwrap();
        assert_eq!(half.weights(), BUILT_IN_HALF_PRECISION);
        assert_eq!(half.manifest.sha256, package.manifest.half_precision.as_ref().unwrap().sha256);
        assert_eq!(half.self_test(), package.self_test());
        assert!(half.in_half_precision().is_none());
    }

    #[test]
    fn a_package_that_is_written_keeps_its_model_in_half_precision() {
        let (package, folder) = (ModelPackage::built_in().unwrap(), tempfile::tempdir().unwrap());
        package.write_with(&package.manifest_text, folder.path()).unwrap();
        let written = ModelPackage::load(folder.path()).unwrap();
        assert_eq!(written.in_half_precision().unwrap().weights(), BUILT_IN_HALF_PRECISION);
    }

    #[test]
    fn a_package_needs_no_model_in_half_precision() {
        let folder = tempfile::tempdir().unwrap();
        copy_of_the_built_in(folder.path(), BUILT_IN_MANIFEST.split("\n# The same network in").next().unwrap());
        std::fs::remove_file(folder.path().join("model.half.onnx")).unwrap();
        let package = ModelPackage::load(folder.path()).unwrap();
        assert!(package.in_half_precision().is_none());
        let copied = tempfile::tempdir().unwrap();
        package.write_with(&package.manifest_text, copied.path()).unwrap();
        assert!(!copied.path().join("model.half.onnx").exists());
        assert!(package.write_with(BUILT_IN_MANIFEST, copied.path()).is_err());
    }

    #[test]
    fn an_unknown_key_or_another_format_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        copy_of_the_built_in(folder.path(), &format!("colour = 1\n{BUILT_IN_MANIFEST}"));
        assert!(ModelPackage::load(folder.path()).unwrap_err().to_string().contains("colour"));
        copy_of_the_built_in(folder.path(), &BUILT_IN_MANIFEST.replace("format = 1", "format = 2"));
        assert!(ModelPackage::load(folder.path()).unwrap_err().to_string().contains("format is 2"));
    }

    #[test]
    fn a_file_outside_the_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (named, key, value) in [
            ("card", "card", "MODEL_CARD.md"),
            ("weights", "weights", "model.onnx"),
            ("half_precision.weights", "weights", "model.half.onnx"),
        ] {
            let outside = format!("{key} = \"../{value}\"");
            copy_of_the_built_in(folder.path(), &BUILT_IN_MANIFEST.replace(&format!("{key} = \"{value}\""), &outside));
            let error = ModelPackage::load(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&format!(" {named} must be a file inside")), "{error}");
        }
    }

    #[test]
    fn a_missing_folder_says_what_a_package_is() {
        let error = ModelPackage::load(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("model.toml"), "{error}");
    }
}
