//! Small words for sentences that people read.

/// A count with its noun: "1 slice", "2 slices".
#[must_use]
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "slice")), ["0 slices", "1 slice", "2 slices"]);
    }
}
