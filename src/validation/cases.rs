//! The list of labelled cases: a CSV file with the columns `name,folder,label` and, where wanted,
//! `site,group,lung_mask,lesion_mask`. Paths are relative to the list's own folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use serde::{Deserialize, Serialize};

use super::masks::MaskFile;

/// What a list is refused for as a whole.
#[derive(Debug, thiserror::Error)]
pub enum CaseListError {
    #[error("cannot read the list of cases {path}: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error("{path}, line {line}: {reason}")]
    Line { path: PathBuf, line: u64, reason: String },
    #[error("{0} lists no case: one line for each is expected below the line name,folder,label")]
    Empty(PathBuf),
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedCase {
    /// Unique in the list; fit to be part of a file's name.
    pub name: String,
    /// Whether the case must be flagged: label 1. `false` too where the label is neither 0 nor 1 (see `fault`).
    pub positive: bool,
    pub site: String,
    pub group: String,
    pub input: CaseInput,
    /// Why the case cannot be run, if what the line says is wrong already.
    pub fault: Option<String>,
}

/// What is read of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseInput {
    /// The folder with the exam's DICOM files.
    pub folder: PathBuf,
    pub lung_mask: Option<MaskFile>,
    pub lesion_mask: Option<MaskFile>,
}

/// A case with a label, to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledCase {
    /// Unique in the list; fit to be part of a file's name.
    pub name: String,
    /// The folder with the exam's DICOM files, absolute.
    pub folder: PathBuf,
    /// Whether the case must be flagged.
    pub positive: bool,
}

/// Writes a list of cases, as [`read`] takes it. No cell begins as a formula of a spreadsheet does: a name is an exam's key, and an
/// absolute path begins with a slash.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: impl std::io::Write, cases: &[LabelledCase]) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(REQUIRED)?;
    for LabelledCase { name, folder, positive } in cases {
        let label = if *positive { "1" } else { "0" };
        writer.write_record([name.as_str(), &folder.to_string_lossy(), label])?;
    }
    writer.flush()
}

const REQUIRED: [&str; 3] = ["name", "folder", "label"];
const OPTIONAL: [&str; 4] = ["site", "group", "lung_mask", "lesion_mask"];

/// Reads a list of cases.
///
/// # Errors
/// If the file is no CSV, a column is unknown, missing or there twice, a name is missing or there twice, or no case is
/// listed. A line whose label, folder or masks are wrong is kept with its fault.
pub fn read(path: &Path) -> Result<Vec<ListedCase>, CaseListError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| CaseListError::Read { path: path.to_owned(), reason: error.to_string() })?;
    let refuse = |line: u64, reason: String| CaseListError::Line { path: path.to_owned(), line, reason };
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        refuse(line, error.to_string())
    };
    let columns = columns(reader.headers().map_err(broken)?).map_err(|reason| refuse(1, reason))?;
    let base = path.parent().unwrap_or(Path::new(""));
    let mut lines_of: BTreeMap<String, u64> = BTreeMap::new();
    let mut cases = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let case = Row { record: &record, columns: &columns, base }.case(line);
        check_name(&case.name).map_err(|reason| refuse(line, reason))?;
        if let Some(first) = lines_of.insert(case.name.clone(), line) {
            return Err(refuse(line, format!("the name {} stands in line {first} already", case.name)));
        }
        cases.push(case);
    }
    if cases.is_empty() { Err(CaseListError::Empty(path.to_owned())) } else { Ok(cases) }
}

/// Where each column stands.
fn columns(header: &StringRecord) -> Result<BTreeMap<String, usize>, String> {
    let mut columns = BTreeMap::new();
    for (at, name) in header.iter().enumerate() {
        if !REQUIRED.contains(&name) && !OPTIONAL.contains(&name) {
            let (required, optional) = (REQUIRED.join(", "), OPTIONAL.join(", "));
            return Err(format!("unknown column {name:?}: expected {required} and, where wanted, {optional}"));
        }
        if columns.insert(name.to_owned(), at).is_some() {
            return Err(format!("the column {name} is there twice"));
        }
    }
    match REQUIRED.iter().find(|name| !columns.contains_key(**name)) {
        Some(missing) => Err(format!("the column {missing} is missing: the first line names the columns")),
        None => Ok(columns),
    }
}

/// Pictures are named after their case.
fn check_name(name: &str) -> Result<(), String> {
    let usable = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(usable) {
        return Err(format!("the name {name:?} is not 1 to 100 letters, digits, spaces or any of -_."));
    }
    Ok(())
}

struct Row<'a> {
    record: &'a StringRecord,
    columns: &'a BTreeMap<String, usize>,
    base: &'a Path,
}

impl Row<'_> {
    fn text(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|at| self.record.get(*at)).unwrap_or_default()
    }

    fn mask(&self, column: &str) -> Option<MaskFile> {
        let text = self.text(column);
        (!text.is_empty()).then(|| MaskFile::parse(self.base, text))
    }

    fn case(&self, line: u64) -> ListedCase {
        let input = CaseInput {
            folder: self.base.join(self.text("folder")),
            lung_mask: self.mask("lung_mask"),
            lesion_mask: self.mask("lesion_mask"),
        };
        let label = self.text("label");
        let fault = fault(label, self.text("folder"), &input).map(|reason| format!("line {line}: {reason}"));
        ListedCase {
            name: self.text("name").to_owned(),
            positive: label == "1",
            site: self.text("site").to_owned(),
            group: self.text("group").to_owned(),
            input,
            fault,
        }
    }
}

fn fault(label: &str, folder: &str, input: &CaseInput) -> Option<String> {
    if !matches!(label, "0" | "1") {
        return Some(format!("the label is {label:?}, expected 0 or 1"));
    }
    if folder.is_empty() {
        return Some("the folder is missing".to_owned());
    }
    if !input.folder.is_dir() {
        return Some(format!("there is no folder {}", input.folder.display()));
    }
    let masks = [&input.lung_mask, &input.lesion_mask];
    let missing = masks.into_iter().flatten().find(|mask| !mask.path.is_file())?;
    Some(format!("there is no mask file {}", missing.path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> (tempfile::TempDir, Result<Vec<ListedCase>, CaseListError>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("exam")).unwrap();
        std::fs::write(folder.path().join("lesions.nii.gz"), "").unwrap();
        let path = folder.path().join("cases.csv");
        std::fs::write(&path, text).unwrap();
        let cases = read(&path);
        (folder, cases)
    }

    fn refusal(text: &str) -> String {
        list(text).1.unwrap_err().to_string()
    }

    #[test]
    fn columns_may_come_in_any_order_and_paths_are_relative_to_the_list() {
        let (folder, cases) =
            list("label,name,lesion_mask,group,folder\n1,a,lesions.nii.gz#2,covid-19,exam\n0, b ,,,exam\n");
        let cases = cases.unwrap();
        assert_eq!(cases[0].input.folder, folder.path().join("exam"));
        assert_eq!((cases[0].positive, cases[0].group.as_str(), &cases[0].fault), (true, "covid-19", &None));
        let mask = cases[0].input.lesion_mask.as_ref().unwrap();
        assert_eq!((mask.path.clone(), mask.label), (folder.path().join("lesions.nii.gz"), Some(2)));
        assert_eq!((cases[1].name.as_str(), cases[1].positive, &cases[1].input.lesion_mask), ("b", false, &None));
    }

    #[test]
    fn what_is_written_is_read_back_whatever_the_folder_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let exam = folder.path().join("data, \"spool\"");
        std::fs::create_dir(&exam).unwrap();
        let case = |name: &str, positive| LabelledCase { name: name.to_owned(), folder: exam.clone(), positive };
        let mut text = Vec::new();
        write(&mut text, &[case("00000000000000aa", true), case("00000000000000ab", false)]).unwrap();
        let path = folder.path().join("cases.csv");
        std::fs::write(&path, text).unwrap();
        let read = read(&path).unwrap();
        let told =
            |case: &ListedCase| (case.name.clone(), case.positive, case.input.folder.clone(), case.fault.clone());
        assert_eq!(
            read.iter().map(told).collect::<Vec<_>>(),
            [
                ("00000000000000aa".to_owned(), true, exam.clone(), None),
                ("00000000000000ab".to_owned(), false, exam, None)
            ]
        );
    }

    #[test]
    fn a_wrong_row_is_kept_with_its_line_and_fault() {
        let (_folder, cases) =
            list("name,folder,label,lung_mask\na,exam,2,\nb,exam,1,\nc,nowhere,0,\nd,exam,1,gone.nii\ne,,1,\n");
        let faults: Vec<String> = cases.unwrap().into_iter().map(|case| case.fault.unwrap_or_default()).collect();
        assert!(faults[0].starts_with("line 2: the label is \"2\""), "{faults:?}");
        assert_eq!(faults[1], "");
        assert!(faults[2].starts_with("line 4: there is no folder"), "{faults:?}");
        assert!(faults[3].starts_with("line 5: there is no mask file"), "{faults:?}");
        assert!(faults[4].starts_with("line 6: the folder is missing"), "{faults:?}");
    }

    #[test]
    fn what_makes_the_list_ambiguous_is_refused_with_its_line() {
        assert!(refusal("name,folder,label,colour\na,exam,1,red\n").contains("line 1: unknown column \"colour\""));
        assert!(refusal("name,label\na,1\n").contains("line 1: the column folder is missing"));
        assert!(refusal("name,folder,label,label\na,exam,1,1\n").contains("line 1: the column label is there twice"));
        assert!(refusal("name,folder,label\na,exam,1\nb,exam,1\na,exam,0\n").contains("line 4: the name a"));
        assert!(refusal("name,folder,label\n../a,exam,1\n").contains("line 2: the name \"../a\""));
        assert!(refusal("name,folder,label\na,exam,1\nb,exam\n").contains("line 3"));
        assert!(refusal("name,folder,label\n").contains("lists no case"));
    }
}
