//! Which model package serves, and how another one takes its place. There is one rule: the package that the configuration names
//! (`engine.model`) serves; without one the package that was promoted last; without one the package in the program. One that cannot
//! serve is an error at the start: no other model takes its place unasked.
//!
//! ```text
//! <data>/models/serving.json         which promoted package serves and which did before; replaced in one step
//! <data>/models/<SHA-256>/           a package that was promoted, under the SHA-256 of its model.toml
//! <data>/models/<SHA-256>.part/      one that is being copied
//! <data>/models/lock                 held by whoever promotes or goes back
//! ```

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, ModelPackage, PackageError};
use crate::spool::{make_folders, sync_parent, write_durably};

/// Why a package cannot serve, be promoted, or be gone back to.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("the promoted model package cannot serve: {0}; tableside model rollback goes back to the one before")]
    Promoted(PackageError),
    #[error(
        "the promoted model package {0} was changed: its model.toml is not the one that was promoted; \
         tableside model rollback goes back to the one before"
    )]
    Changed(PathBuf),
    #[error("{path} does not say which model package was promoted: {reason}; promote one again")]
    Unclear { path: PathBuf, reason: String },
    #[error(
        "{path} cannot be read, so that nobody can tell which model package was promoted: {source}; run this command as \
         the daemon's user (sudo -u tableside)"
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "engine.model in the configuration names the package that serves ({0}): take the key out, then promote or roll back"
    )]
    Configured(PathBuf),
    #[error("the package has no self-test to hold it against: tableside model pin writes one")]
    NoSelfTest,
    #[error("{0}; the model that serves is as it was")]
    SelfTest(EngineError),
    #[error("no model package was promoted: there is nothing to go back to")]
    NothingPromoted,
    #[error("this model package serves already")]
    ServesAlready,
    #[error("there is no data folder {0}: has the daemon run with this configuration?")]
    NoData(PathBuf),
    #[error("{0} belongs to another user, who runs the daemon: run this command as that user (sudo -u tableside)")]
    OtherUser(PathBuf),
    #[error("somebody else promotes a model package at present: try again")]
    InUse,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

/// Where the package that serves is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The folder that the configuration names.
    Configured(PathBuf),
    /// The folder of a package that was promoted.
    Promoted(PathBuf),
    /// In the program.
    BuiltIn,
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured(folder) => write!(f, "{}, which engine.model names", folder.display()),
            Self::Promoted(folder) => write!(f, "{}, which was promoted", folder.display()),
            Self::BuiltIn => f.write_str("the one in the program"),
        }
    }
}

impl ModelSource {
    /// Chooses by the rule.
    ///
    /// # Errors
    /// If nobody can tell which package was promoted.
    pub fn chosen(configured: Option<&Path>, data: &Path) -> Result<Self, PromotionError> {
        if let Some(folder) = configured {
            return Ok(Self::Configured(folder.to_owned()));
        }
        let store = ModelStore::of(data);
        Ok(store.source(store.selection()?.unwrap_or_default().serves.as_ref()))
    }

    /// Reads the package.
    ///
    /// # Errors
    /// As [`ModelPackage::load`], or if a promoted package is not the one that was promoted.
    pub fn load(&self) -> Result<ModelPackage, PromotionError> {
        match self {
            Self::Configured(folder) => Ok(ModelPackage::load(folder)?),
            Self::BuiltIn => Ok(ModelPackage::built_in()?),
            Self::Promoted(folder) => {
                let package = ModelPackage::load(folder).map_err(PromotionError::Promoted)?;
                let is_the_same = folder.file_name().is_some_and(|name| name == package.sha256().as_str());
                if is_the_same { Ok(package) } else { Err(PromotionError::Changed(folder.clone())) }
            }
        }
    }
}

/// `serving.json`. Packages are named by the SHA-256 of their model.toml; `null` is the package in the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    serves: Option<Sha256Name>,
    before: Option<Sha256Name>,
}

/// The name of a promoted package's folder: it leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Sha256Name(String);

impl TryFrom<String> for Sha256Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { Ok(Self(text)) } else { Err(format!("{text:?} is no SHA-256")) }
    }
}

impl From<Sha256Name> for String {
    fn from(name: Sha256Name) -> Self {
        name.0
    }
}

/// A package that serves from the daemon's next start on, and the one before it.
#[derive(Debug)]
pub struct Switched {
    pub serves: ModelPackage,
    /// Its title, or why it cannot be read any more.
    pub before: String,
}

/// Holds a package against its self-test.
pub type SelfTest<'a> = &'a dyn Fn(&ModelPackage) -> Result<(), EngineError>;

/// The packages that were promoted.
#[derive(Debug)]
pub struct ModelStore {
    data: PathBuf,
    folder: PathBuf,
}

impl ModelStore {
    /// Those in a daemon's data folder.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self { data: data.to_owned(), folder: data.join("models") }
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// If the configuration names the package that serves: nothing that is promoted would serve then.
    pub fn to_change(configured: Option<&Path>, data: &Path) -> Result<Self, PromotionError> {
        match configured {
            Some(folder) => Err(PromotionError::Configured(folder.to_owned())),
            None => Ok(Self::of(data)),
        }
    }

    /// Lets a package serve from the daemon's next start on: copies it, tests the copy, and switches. Whatever ends this before the switch
    /// leaves what serves as it was.
    ///
    /// # Errors
    /// If the package has no self-test or does not pass it, serves already, or the disk does not take it.
    pub fn promote(&self, package: &ModelPackage, self_test: SelfTest<'_>) -> Result<Switched, PromotionError> {
        if package.manifest.self_test.is_none() {
            return Err(PromotionError::NoSelfTest);
        }
        let _lock = self.lock()?;
        // Promoting is also the way out of a file that nobody can read.
        let selection = match self.selection() {
            Err(PromotionError::Unclear { .. }) => Selection::default(),
            selection => selection?.unwrap_or_default(),
        };
        let serves = match &package.folder {
            Some(_) => Some(self.copy(package)?),
            None => None,
        };
        self.switch(&Selection { serves, before: selection.serves }, "promoted", self_test)
    }

    /// Lets the package serve again that served before the last change; a second time goes forward again.
    ///
    /// # Errors
    /// If nothing was promoted, the package before does not pass its self-test, or the disk does not take the change.
    pub fn roll_back(&self, self_test: SelfTest<'_>) -> Result<Switched, PromotionError> {
        let _lock = self.lock()?;
        let selection = self.selection()?.ok_or(PromotionError::NothingPromoted)?;
        self.switch(&Selection { serves: selection.before, before: selection.serves }, "rolled back", self_test)
    }

    /// Tests the package that is to serve, and lets it.
    fn switch(
        &self,
        selection: &Selection,
        change: &'static str,
        self_test: SelfTest<'_>,
    ) -> Result<Switched, PromotionError> {
        if selection.serves == selection.before {
            return Err(PromotionError::ServesAlready);
        }
        let serves = self.source(selection.serves.as_ref()).load()?;
        self_test(&serves).map_err(PromotionError::SelfTest)?;
        let before = self.source(selection.before.as_ref()).load();
        let before = before.map_or_else(|error| error.to_string(), |package| package.title());
        let path = self.selection_file();
        let text = serde_json::to_string_pretty(selection).map_err(io::Error::from);
        let written = text.and_then(|text| write_durably(&path.with_extension("part"), &path, &[text.as_bytes()]));
        written.map_err(|source| PromotionError::File { path, source })?;
        tracing::info!(
            change,
            serves = serves.title(),
            package = serves.sha256(),
            before,
            "another model package serves from the next start on"
        );
        Ok(Switched { serves, before })
    }

    /// Where a package of a selection is.
    fn source(&self, name: Option<&Sha256Name>) -> ModelSource {
        name.map_or(ModelSource::BuiltIn, |name| ModelSource::Promoted(self.folder.join(&name.0)))
    }

    fn selection_file(&self) -> PathBuf {
        self.folder.join("serving.json")
    }

    /// `None` if nothing was ever promoted.
    fn selection(&self) -> Result<Option<Selection>, PromotionError> {
        let path = self.selection_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| PromotionError::Unclear { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PromotionError::Unreadable { path, source }),
        }
    }

    /// Copies a package, unless it was promoted before; all of it is on the disk under its name when this returns.
    fn copy(&self, package: &ModelPackage) -> Result<Sha256Name, PromotionError> {
        let name = Sha256Name(package.sha256());
        let (part, place) = (self.folder.join(format!("{}.part", name.0)), self.folder.join(&name.0));
        if place.exists() {
            return Ok(name);
        }
        let failed = |source| PromotionError::File { path: place.clone(), source };
        // What an earlier attempt left.
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        package.write_with(&package.manifest_text, &part)?;
        sync_all(&part).and_then(|()| fs::rename(&part, &place)).and_then(|()| sync_parent(&place)).map_err(failed)?;
        Ok(name)
    }

    /// Makes the folder, and keeps others from changing what serves for as long as the file is open.
    fn lock(&self) -> Result<File, PromotionError> {
        // What another user writes here the daemon could not read.
        let owner = fs::metadata(&self.data).map_err(|_| PromotionError::NoData(self.data.clone()))?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(PromotionError::OtherUser(self.data.clone()));
        }
        let path = self.folder.join("lock");
        let failed = |source| PromotionError::File { path: path.clone(), source };
        make_folders(&path).and_then(|()| sync_parent(&self.folder)).map_err(failed)?;
        let file = File::options().create(true).write(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(PromotionError::InUse),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Syncs all files and folders below a folder, and the folder.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(&path)?.sync_all()? }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: SelfTest<'static> = &|_| Ok(());
    const FAILS: SelfTest<'static> = &|_| Err(EngineError::SelfTest { engine: "test", reason: "it is another".into() });

    /// The built-in package in a folder, with another threshold.
    fn package(folder: &Path, suspected: &str) -> ModelPackage {
        let built_in = ModelPackage::built_in().unwrap();
        let threshold = format!("\nsuspected = {}", built_in.manifest.operating_point.suspected);
        assert!(built_in.manifest_text.contains(&threshold));
        let manifest = built_in.manifest_text.replace(&threshold, &format!("\nsuspected = {suspected}"));
        let folder = folder.join(suspected);
        built_in.write_with(&manifest, &folder).unwrap();
        ModelPackage::load(&folder).unwrap()
    }

    fn serving(data: &Path) -> Result<f64, PromotionError> {
        Ok(ModelSource::chosen(None, data)?.load()?.manifest.operating_point.suspected)
    }

    #[test]
    fn a_promoted_package_serves_until_it_is_rolled_back_and_what_the_configuration_names_always_does() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path(), ModelStore::of(folder.path()));
        let built_in = serving(data).unwrap();
        assert!(matches!(store.roll_back(PASSES), Err(PromotionError::NothingPromoted)));
        let [one, other] = ["0.61", "0.62"].map(|suspected| package(&data.join("made"), suspected));
        assert_eq!(store.promote(&one, PASSES).unwrap().before, ModelPackage::built_in().unwrap().title());
        assert_eq!(serving(data).unwrap(), 0.61);
        assert!(matches!(store.promote(&one, PASSES), Err(PromotionError::ServesAlready)));
        store.promote(&other, PASSES).unwrap();
        for expected in [0.61, 0.62, 0.61] {
            store.roll_back(PASSES).unwrap();
            assert_eq!(serving(data).unwrap(), expected);
        }
        store.promote(&ModelPackage::built_in().unwrap(), PASSES).unwrap();
        assert_eq!(serving(data).unwrap(), built_in);
        let configured = ModelSource::chosen(other.folder.as_deref(), data).unwrap();
        assert_eq!(configured, ModelSource::Configured(other.folder.clone().unwrap()));
        assert!(matches!(ModelStore::to_change(other.folder.as_deref(), data), Err(PromotionError::Configured(_))));
    }

    #[test]
    fn a_package_that_does_not_pass_its_self_test_or_has_none_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path(), ModelStore::of(folder.path()));
        let mut package = package(&data.join("made"), "0.61");
        assert!(matches!(store.promote(&package, FAILS), Err(PromotionError::SelfTest(_))));
        assert_eq!(ModelSource::chosen(None, data).unwrap(), ModelSource::BuiltIn);
        store.promote(&package, PASSES).unwrap();
        assert!(matches!(store.roll_back(FAILS), Err(PromotionError::SelfTest(_))));
        assert_eq!(serving(data).unwrap(), 0.61);
        package.manifest.self_test = None;
        assert!(matches!(store.promote(&package, PASSES), Err(PromotionError::NoSelfTest)));
    }

    #[test]
    fn what_an_attempt_that_was_cut_short_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path(), ModelStore::of(folder.path()));
        let package = package(&data.join("made"), "0.61");
        let models = data.join("models");
        fs::create_dir_all(models.join(format!("{}.part/half", package.sha256()))).unwrap();
        fs::write(models.join("serving.part"), "{").unwrap();
        assert_eq!(ModelSource::chosen(None, data).unwrap(), ModelSource::BuiltIn);
        store.promote(&package, PASSES).unwrap();
        assert_eq!(serving(data).unwrap(), 0.61);
        assert!(!models.join(package.sha256()).join("half").exists());
    }

    #[test]
    fn a_promoted_package_that_was_changed_or_is_gone_is_an_error_and_no_other_model() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path(), ModelStore::of(folder.path()));
        let package = package(&data.join("made"), "0.61");
        store.promote(&package, PASSES).unwrap();
        let copy = data.join("models").join(package.sha256());
        let manifest = copy.join("model.toml");
        fs::write(&manifest, format!("{}\n", package.manifest_text)).unwrap();
        assert!(matches!(serving(data), Err(PromotionError::Changed(_))));
        fs::remove_dir_all(&copy).unwrap();
        let error = serving(data).unwrap_err();
        assert!(error.to_string().contains("tableside model rollback"), "{error}");
        store.roll_back(PASSES).unwrap();
        assert_eq!(ModelSource::chosen(None, data).unwrap(), ModelSource::BuiltIn);
        fs::write(data.join("models/serving.json"), "{\"serves\": \"../made/0.61\", \"before\": null}").unwrap();
        assert!(matches!(serving(data), Err(PromotionError::Unclear { .. })));
        store.promote(&package, PASSES).unwrap();
        assert_eq!(serving(data).unwrap(), 0.61);
    }

    #[test]
    fn two_do_not_promote_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = ModelStore::of(folder.path());
        let _lock = store.lock().unwrap();
        assert!(matches!(store.roll_back(PASSES), Err(PromotionError::InUse)));
        assert!(matches!(ModelStore::of(&folder.path().join("none")).lock(), Err(PromotionError::NoData(_))));
    }
}
