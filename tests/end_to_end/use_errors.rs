//! What `docs/use-errors.md` claims to be tested is.

use std::collections::BTreeSet;
use std::path::Path;

use crate::peers::files_below;

#[test]
fn every_test_that_the_use_errors_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/use-errors.md")).unwrap();
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| use error") && !line.starts_with("|--"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    let sources = ["src", "tests"].map(|folder| files_below(&root.join(folder))).concat();
    let is_source = |path: &&std::path::PathBuf| path.extension().is_some_and(|kind| kind == "rs" || kind == "mjs");
    let text: String = sources.iter().filter(is_source).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut named = BTreeSet::new();
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let tests: Vec<&str> = row[3].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || row[3].starts_with("no test"), "{row:?}");
        named.extend(tests);
    }
    for test in named {
        let there = text.contains(&format!("fn {test}()")) || text.contains(&format!("test(\"{test}\""));
        assert!(there, "there is no test {test}");
    }
}
