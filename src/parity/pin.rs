//! Pins what a package's model says of one window, for the self-test that every engine has to pass.

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::windows::{WindowError, phantom_exam, windows_of};
use crate::engine::{EngineError, EngineKind, ModelPackage, SelfTest, WindowPictureError, png_of, window_of};
use crate::serving::choice::{self, EngineOptions};

/// The window's file in the package.
const WINDOW_FILE: &str = "self_test.png";

/// Why a package cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the window cannot be drawn: {0}")]
    Draw(#[from] png::EncodingError),
    #[error("the window cannot be drawn: {0}")]
    ReadBack(#[from] WindowPictureError),
    #[error("model.toml cannot be read: {0}")]
    Toml(#[from] toml_edit::TomlError),
}

/// A package's manifest with a self-test, and the window of it as a PNG.
#[derive(Debug, Clone, PartialEq)]
pub struct Pinned {
    pub manifest_text: String,
    pub png: Vec<u8>,
}

/// What the embedded engine says of the window in the middle of the synthetic patient with pneumonia.
///
/// # Errors
/// If the engine cannot run the package, or its manifest is no TOML.
pub fn pin(package: &ModelPackage, options: &EngineOptions) -> Result<Pinned, PinError> {
    let input = &package.manifest.input;
    let exam = phantom_exam().map_err(WindowError::from)?;
    let window = windows_of(&exam, input, 1)?.pop().ok_or(WindowError::NoSlices)?.window;
    let png = png_of(&window)?;
    let as_read = window_of(&png, input)?;
    // What was pinned before does not count.
    let mut unpinned = package.clone();
    unpinned.manifest.self_test = None;
    let inference = choice::load(&unpinned, EngineKind::Embedded, options)?.infer(&as_read)?;
    let manifest_text = with_self_test(&package.manifest_text, &SelfTest::of(WINDOW_FILE.into(), &inference, input))?;
    Ok(Pinned { manifest_text, png })
}

fn with_self_test(manifest_text: &str, test: &SelfTest) -> Result<String, toml_edit::TomlError> {
    let mut document: DocumentMut = manifest_text.parse()?;
    let mut table = Table::new();
    table.decor_mut().set_prefix(
        "\n# What every engine must find in this window before it serves. Written by tableside model pin.\n",
    );
    table["window"] = value(test.window.display().to_string());
    table["attention"] = value(rounded(test.attention));
    table["logit"] = value(rounded(test.logit));
    table["lung"] = value(numbers(&test.lung));
    table["lesion"] = value(numbers(&test.lesion));
    document["self_test"] = Item::Table(table);
    Ok(document.to_string())
}

fn numbers(values: &[f32]) -> Array {
    values.iter().map(|value| rounded(*value)).collect()
}

/// Far below what is allowed, and short to read.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_package_is_pinned_to_what_pin_writes_today() {
        let package = ModelPackage::built_in().unwrap();
        let pinned = pin(&package, &EngineOptions::default()).unwrap();
        let (_, shipped) = package.self_test().unwrap();
        assert_eq!(
            window_of(&pinned.png, &package.manifest.input).unwrap(),
            shipped,
            "cargo run -- model pin engines/reference"
        );
        choice::load(&package, EngineKind::Embedded, &EngineOptions::default()).unwrap();
    }

    #[test]
    fn a_package_whose_model_says_something_else_is_refused() {
        let mut package = ModelPackage::built_in().unwrap();
        let refused = |package: &ModelPackage| {
            let error = choice::load(package, EngineKind::Embedded, &EngineOptions::default()).err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        if let Some(test) = &mut package.manifest.self_test {
            test.lesion.swap(26, 29);
        }
        assert!(refused(&package).contains("lesion probability"), "{}", refused(&package));
        if let Some(test) = &mut package.manifest.self_test {
            test.lesion.swap(26, 29);
            test.attention += 0.2;
        }
        assert!(refused(&package).contains("attention"), "{}", refused(&package));
    }
}
