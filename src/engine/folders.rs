//! Finding model packages by their names.

use std::path::{Path, PathBuf};

use super::{ModelPackage, PackageError};

/// The name of the package that is part of the program.
pub const BUILT_IN: &str = "reference";

/// Where packages lie when nobody says where: beside the working folder, and where they are installed.
const USUAL_FOLDERS: [&str; 2] = ["engines", "/usr/lib/tableside/models"];

/// Folders that hold model packages, each in a folder of its own whose name is the package's.
#[derive(Debug, Clone)]
pub struct ModelFolders {
    folders: Vec<PathBuf>,
}

/// A package as found in a list, whole or not.
#[derive(Debug)]
pub struct ListedPackage {
    /// What [`ModelFolders::find`] finds it by.
    pub name: String,
    /// Its folder; `None` for the package that is part of the program.
    pub folder: Option<PathBuf>,
    pub package: Result<ModelPackage, PackageError>,
}

impl ModelFolders {
    /// This folder alone; without one those of the usual folders that are there: `engines` beside the working folder
    /// and `/usr/lib/tableside/models`.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        let usual = || USUAL_FOLDERS.map(PathBuf::from).into_iter().filter(|folder| folder.is_dir()).collect();
        Self { folders: folder.map_or_else(usual, |folder| vec![folder]) }
    }

    /// The package called `name`: `reference` is the one that is part of the program, then a path to a folder with a
    /// model.toml, then a folder of this name in one of the folders.
    ///
    /// # Errors
    /// If there is none, with those there are; or as [`ModelPackage::load`].
    pub fn find(&self, name: &str) -> Result<ModelPackage, PackageError> {
        if name == BUILT_IN {
            return ModelPackage::built_in();
        }
        let places = std::iter::once(PathBuf::from(name)).chain(self.folders.iter().map(|folder| folder.join(name)));
        for place in places {
            if is_package(&place) {
                return ModelPackage::load(&place);
            }
        }
        let known = self.list()?.into_iter().map(|listed| listed.name).collect();
        Err(PackageError::Unknown { name: name.to_owned(), known })
    }

    /// The package that is part of the program, then those of the folders in the order of their names; damaged ones too.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn list(&self) -> Result<Vec<ListedPackage>, PackageError> {
        let mut listed =
            vec![ListedPackage { name: BUILT_IN.to_owned(), folder: None, package: ModelPackage::built_in() }];
        for folder in &self.folders {
            for place in packages_in(folder)? {
                let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let taken = listed.iter().any(|other| other.name == name);
                let name = if taken { place.display().to_string() } else { name };
                listed.push(ListedPackage { name, package: ModelPackage::load(&place), folder: Some(place) });
            }
        }
        Ok(listed)
    }
}

fn is_package(folder: &Path) -> bool {
    folder.join("model.toml").is_file()
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let unreadable = |source| PackageError::Folder { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        found.push(entry.map_err(unreadable)?.path());
    }
    found.retain(|place| is_package(place));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with_copies(names: &[&str]) -> tempfile::TempDir {
        let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/reference");
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let copy = folder.path().join(name);
            std::fs::create_dir(&copy).unwrap();
            for file in ["model.toml", "model.onnx", "model.half.onnx", "self_test.png"] {
                std::fs::copy(reference.join(file), copy.join(file)).unwrap();
            }
        }
        folder
    }

    #[test]
    fn a_package_is_found_by_its_folders_name_or_path_and_reference_is_the_built_in() {
        let folder = folder_with_copies(&["other"]);
        let folders = ModelFolders::new(Some(folder.path().to_owned()));
        let path = folder.path().join("other").display().to_string();
        for name in [BUILT_IN, "other", &path] {
            assert_eq!(folders.find(name).unwrap().manifest.name, "reference", "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let folder = folder_with_copies(&["larger", "other"]);
        std::fs::create_dir(folder.path().join("training")).unwrap();
        let error = ModelFolders::new(Some(folder.path().to_owned())).find("nonsense").unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("reference, larger, other"), "{error}");
        assert!(!error.contains("training"), "{error}");
    }

    #[test]
    fn a_second_package_of_a_name_is_listed_by_its_path() {
        let folder = folder_with_copies(&[BUILT_IN]);
        let folders = ModelFolders::new(Some(folder.path().to_owned()));
        let listed = folders.list().unwrap();
        let names: Vec<&str> = listed.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, [BUILT_IN, folder.path().join(BUILT_IN).to_str().unwrap()]);
        assert!(folders.find(names[1]).is_ok());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = ModelFolders::new(Some("no/such/folder".into())).list().unwrap_err().to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
