//! A calibrated operating point, written into a package's `model.toml`.

use toml_edit::{DocumentMut, Item, Table, value};

use super::calibration::Calibration;

/// Why the operating point cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OperatingPointError {
    #[error("model.toml cannot be read: {0}")]
    Toml(#[from] toml_edit::TomlError),
    #[error("model.toml has no [operating_point]")]
    Missing,
}

/// The text of a `model.toml` with these thresholds. `note` says where they come from: it replaces the comment at the head of
/// the section, which spoke of the earlier ones. All else stays as it is written.
///
/// # Errors
/// If the text is no TOML or has no operating point.
pub fn with_operating_point(
    model_toml: &str,
    calibration: &Calibration,
    note: &str,
) -> Result<String, OperatingPointError> {
    let mut document: DocumentMut = model_toml.parse()?;
    let point = document.get_mut("operating_point").and_then(Item::as_table_mut).ok_or(OperatingPointError::Missing)?;
    set(point, "suspected", calibration.suspected);
    set(point, "early", calibration.early);
    set(point, "early_alpha", calibration.rate);
    let comment = wrapped(note).into_iter().fold(String::new(), |comment, line| comment + "# " + &line + "\n");
    let first = point.iter().next().map(|(key, _)| key.to_owned());
    if let Some(mut key) = first.and_then(|key| point.key_mut(&key)) {
        key.leaf_decor_mut().set_prefix(comment);
    }
    Ok(document.to_string())
}

/// Keeps what is written around the number.
fn set(point: &mut Table, key: &str, number: f64) {
    let decor = point.get(key).and_then(Item::as_value).map(|before| before.decor().clone());
    let mut item = value(number);
    if let (Some(decor), Some(value)) = (decor, item.as_value_mut()) {
        *value.decor_mut() = decor;
    }
    point[key] = item;
}

/// Lines of a comment are no longer than this.
const COMMENT_COLUMNS: usize = 118;

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= COMMENT_COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALIBRATION: Calibration = Calibration {
        rate: 0.05,
        negatives: 40,
        never_early: 0,
        suspected: 0.612_345_678_901_234_5,
        early: 0.9,
        sensitivity: None,
        early_sensitivity: None,
        negatives_not_analysed: 0,
        failed: 0,
    };

    #[test]
    fn only_the_thresholds_and_the_comment_that_spoke_of_them_change() {
        let before = "# A model.\nname = \"m\" # its name\n\n[operating_point]\n# Old words.\nsuspected = 0.5\nearly = 0.8 # early\nearly_alpha = 0.1\nlung_probability = 0.5\n";
        let after = with_operating_point(before, &CALIBRATION, "New words.").unwrap();
        assert_eq!(
            after,
            "# A model.\nname = \"m\" # its name\n\n[operating_point]\n# New words.\nsuspected = 0.6123456789012345\nearly = 0.9 # early\nearly_alpha = 0.05\nlung_probability = 0.5\n"
        );
    }

    #[test]
    fn a_manifest_without_an_operating_point_is_refused() {
        assert!(matches!(with_operating_point("name = \"m\"\n", &CALIBRATION, ""), Err(OperatingPointError::Missing)));
        assert!(matches!(with_operating_point("name =", &CALIBRATION, ""), Err(OperatingPointError::Toml(_))));
    }

    #[test]
    fn long_notes_are_broken_between_words() {
        let lines = wrapped(&"word ".repeat(60));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= COMMENT_COLUMNS), "{lines:?}");
        assert_eq!(lines.join(" ").split(' ').count(), 60);
    }
}
