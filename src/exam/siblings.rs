//! Which exam an instance belongs to where exams share Study Instance UID and Patient ID: the one of its own person, unless it
//! corrects an instance of another one. A corrected name must reach the exam that it corrects, although the name is part of
//! the exam's key; two people must not become one. The image tells them apart: whoever corrects a name sends the same
//! pixels under the same UIDs.

use std::collections::{BTreeMap, BTreeSet};

use super::ExamKey;

/// The exams that are known, and under which other particulars they were sent again.
#[derive(Debug, Default)]
pub struct Siblings {
    exams: BTreeSet<ExamKey>,
    /// From the key of the corrected particulars to the exam that they belong to.
    corrected: BTreeMap<ExamKey, ExamKey>,
}

/// What is asked of an exam's instances.
pub trait Holdings {
    /// Whether the exam has an instance of the same series and SOP Instance UID.
    fn has(&self, exam: &ExamKey) -> bool;
    /// Whether it has one, and the pixels are the same.
    fn has_the_image(&self, exam: &ExamKey) -> bool;
}

/// Where an instance belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedExam {
    pub exam: ExamKey,
    /// It is the first to say that its particulars are a correction of this exam's.
    pub is_first_correction: bool,
}

impl Siblings {
    pub fn insert(&mut self, exam: ExamKey) {
        self.exams.insert(exam);
    }

    /// Takes up what an earlier run had noted: `own` is a correction of the particulars of `exam`.
    pub fn note_correction(&mut self, own: ExamKey, exam: ExamKey) {
        self.corrected.insert(own, exam);
    }

    /// Forgets an exam that is gone.
    pub fn remove(&mut self, exam: &ExamKey) {
        self.exams.remove(exam);
        self.corrected.retain(|_, corrected| corrected != exam);
    }

    /// The exams that share study and Patient ID with this one.
    pub fn of<'a>(&'a self, exam: &'a ExamKey) -> impl Iterator<Item = &'a ExamKey> {
        let of_study = self.exams.range(exam.lowest_of_study()..).take_while(|other| other.study() == exam.study());
        of_study.filter(move |other| *other != exam)
    }

    /// Where an instance belongs whose own particulars make the key `own`.
    pub fn assign(&mut self, own: ExamKey, holdings: &impl Holdings) -> AssignedExam {
        let other = if holdings.has(&own) {
            None
        } else {
            self.of(&own).find(|sibling| holdings.has_the_image(sibling)).cloned()
        };
        if let Some(exam) = other {
            let is_new = !self.exams.contains(&own) && !self.corrected.contains_key(&own);
            if is_new {
                self.corrected.insert(own, exam.clone());
            }
            return AssignedExam { exam, is_first_correction: is_new };
        }
        let exam = match self.corrected.get(&own) {
            // Another image under the same UID is another person's.
            Some(exam) if !self.exams.contains(&own) && !holdings.has(exam) => exam.clone(),
            _ => own,
        };
        self.exams.insert(exam.clone());
        AssignedExam { exam, is_first_correction: false }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Patient;
    use super::*;

    /// The exams that have the instance, and whether its pixels are the same there.
    struct Made(Vec<(ExamKey, bool)>);

    impl Holdings for Made {
        fn has(&self, exam: &ExamKey) -> bool {
            self.0.iter().any(|(holder, _)| holder == exam)
        }

        fn has_the_image(&self, exam: &ExamKey) -> bool {
            self.0.contains(&(exam.clone(), true))
        }
    }

    fn key(name: &str) -> ExamKey {
        ExamKey::new("1.2", &Patient { name: name.to_owned(), ..Patient::default() })
    }

    fn at(exam: ExamKey, is_first_correction: bool) -> AssignedExam {
        AssignedExam { exam, is_first_correction }
    }

    #[test]
    fn another_person_is_another_exam_even_under_the_same_uids() {
        let mut siblings = Siblings::default();
        assert_eq!(siblings.assign(key("DOE"), &Made(vec![])), at(key("DOE"), false));
        let other_image = Made(vec![(key("DOE"), false)]);
        assert_eq!(siblings.assign(key("ROE"), &other_image), at(key("ROE"), false));
        assert_eq!(siblings.of(&key("ROE")).collect::<Vec<_>>(), [&key("DOE")]);
    }

    #[test]
    fn a_corrected_name_reaches_the_exam_that_it_corrects_and_so_do_slices_that_were_not_there_before() {
        let mut siblings = Siblings::default();
        siblings.assign(key("DEO"), &Made(vec![]));
        let same_image = Made(vec![(key("DEO"), true)]);
        assert_eq!(siblings.assign(key("DOE"), &same_image), at(key("DEO"), true));
        assert_eq!(siblings.assign(key("DOE"), &same_image), at(key("DEO"), false));
        assert_eq!(siblings.assign(key("DOE"), &Made(vec![])), at(key("DEO"), false));
        assert_eq!(siblings.of(&key("DEO")).count(), 0);
        let other_image = Made(vec![(key("DEO"), false)]);
        assert_eq!(siblings.assign(key("DOE"), &other_image), at(key("DOE"), false), "another person after all");
        siblings.remove(&key("DOE"));
        siblings.remove(&key("DEO"));
        assert_eq!(siblings.assign(key("DOE"), &Made(vec![])), at(key("DOE"), false));
    }

    #[test]
    fn exams_of_other_studies_are_no_siblings() {
        let mut siblings = Siblings::default();
        for study in ["1.1", "1.2", "1.3", "1.4", "1.5"] {
            siblings.insert(ExamKey::new(study, &Patient::default()));
        }
        assert_eq!(siblings.of(&key("DOE")).collect::<Vec<_>>(), [&key("")]);
    }
}
