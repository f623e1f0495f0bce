//! Cases through all doors, what must come out of each, and the table of what did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tableside::dicom::UidSource;

use crate::answer::{Answer, Answers, NEGATIVE, Tolerance};
use crate::delivery::Delivery;
use crate::doors::network::{Network, Sent};
use crate::doors::triage::{self, Triage};
use crate::doors::validate;
use crate::patients::Patients;
use crate::series::Series;
use crate::table::{Row, Table};
use crate::transformations::{self, Aspect, Expected, Transformation, breathed_out};

/// Exams that one daemon and one validation take before the next ones come: the disk holds no more at a time.
const BATCH: usize = 24;

/// Whose exam it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    Healthy,
    Ill,
}

impl Input {
    pub const ALL: [Self; 2] = [Self::Healthy, Self::Ill];

    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ill => "ill",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Healthy => Self::Ill,
            Self::Ill => Self::Healthy,
        }
    }
}

/// A patient scanned, and what is done to the exam.
pub struct Case<'a> {
    pub input: Input,
    pub transformations: Vec<&'a Transformation>,
    pub expected: Expected,
}

impl Case<'_> {
    fn name(&self) -> String {
        let names: Vec<&str> = self.transformations.iter().map(|transformation| transformation.name.as_str()).collect();
        if names.is_empty() { "as scanned".to_owned() } else { names.join(" + ") }
    }
}

/// The answers that others are compared with.
struct Bases {
    as_scanned: BTreeMap<Input, Answer>,
    breathed_out: BTreeMap<Input, Answer>,
}

/// Runs cases on two patients and gives the table of what came of them.
pub fn run(patients: &Patients, cases: &[Case<'_>]) -> Table {
    let mut table = Table::default();
    let bases = Bases::of(patients, &mut table);
    for (number, batch) in cases.chunks(BATCH).enumerate() {
        for (case, answers) in batch.iter().zip(answers(patients, batch, number)) {
            let failures = [bases.failures(case, &answers), answers.contradictions()].concat();
            table.add(row(case.input, case.name(), &answers, failures));
        }
    }
    table
}

fn of(patients: &Patients, input: Input) -> &Series {
    match input {
        Input::Healthy => &patients.healthy,
        Input::Ill => &patients.ill,
    }
}

impl Bases {
    fn of(patients: &Patients, table: &mut Table) -> Self {
        let mut triaged = |name: &str, change: fn(&Series) -> Series| {
            let each = Input::ALL.map(|input| {
                let folder = tempfile::tempdir().unwrap();
                let exam = folder.path().join("exam");
                Delivery::of(change(of(patients, input)).encoded()).write(&exam);
                let answers = triage::start(&exam, folder.path()).answers();
                let (_, answer) =
                    answers.unwrap_or_else(|reason| panic!("{} {name}: {reason}", input.name())).remove(0);
                let answers = Answers { triage: vec![answer.clone()], ..Answers::default() };
                table.add(row(input, name.to_owned(), &answers, Vec::new()));
                (input, answer)
            });
            BTreeMap::from(each)
        };
        let as_scanned = triaged("as scanned", Series::clone);
        let breathed_out = triaged("breathed out alone", |series| {
            let slices = breathed_out(&series.slices);
            Series { slices, ..series.clone() }
        });
        let verdicts = Input::ALL.map(|input| as_scanned[&input].verdict.as_str());
        assert_eq!(verdicts, [NEGATIVE, "suspected"], "the patients are not what the suite is about");
        Self { as_scanned, breathed_out }
    }

    fn failures(&self, case: &Case<'_>, answers: &Answers) -> Vec<String> {
        let usual = &self.as_scanned[&case.input];
        let exhaled = &self.breathed_out[&case.input];
        let triage = answers.triage.as_slice();
        match (&case.expected, triage) {
            (Expected::NoNegative, _) => unwanted(answers, &[NEGATIVE]),
            (Expected::NothingNew, _) if case.input == Input::Ill => unwanted(answers, &[NEGATIVE]),
            (Expected::NothingNew, _) => unwanted(answers, &[NEGATIVE, "suspected", "abnormal"]),
            (Expected::Same(tolerance, announced), [only]) => only.differences(usual, *tolerance, announced),
            (Expected::OneOfTwoAcquisitionsOrNone, [only]) if only.verdict == "not_analysed" => Vec::new(),
            (Expected::OneOfTwoAcquisitions | Expected::OneOfTwoAcquisitionsOrNone, [only]) => {
                nearest(only, &[usual, exhaled])
            }
            (Expected::BothPatients, [_, _]) => {
                let other = &self.as_scanned[&case.input.other()];
                both(triage, [usual, other])
            }
            (Expected::BothPatients, exams) => vec![format!("{} exams instead of 2", exams.len())],
            (_, []) => vec![format!("no report: {}", answers.triage_refusal.as_deref().unwrap_or_default())],
            (_, exams) => vec![format!("{} exams instead of 1", exams.len())],
        }
    }
}

/// Which doors gave one of these verdicts.
fn unwanted(answers: &Answers, verdicts: &[&str]) -> Vec<String> {
    let by = |door: &str, exams: &[Answer]| {
        let found = exams.iter().find(|answer| verdicts.contains(&answer.verdict.as_str()));
        found.map(|answer| format!("{door} says {}: {}", answer.verdict, answer.reason))
    };
    let validated = answers.validated.as_ref().filter(|validated| verdicts.contains(&validated.outcome.as_str()));
    [
        by("triage", &answers.triage),
        by("the daemon", answers.daemon.as_deref().unwrap_or_default()),
        validated.map(|validated| format!("validate says {}: {}", validated.outcome, validated.reason)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What keeps an answer from being one of several: the differences to the nearest.
fn nearest(answer: &Answer, expected: &[&Answer]) -> Vec<String> {
    const ANNOUNCED: [&str; 2] = ["duplicate_position", "other_volumes"];
    let differences = expected.iter().map(|expected| answer.differences(expected, Tolerance::SAME, &ANNOUNCED));
    differences.min_by_key(Vec::len).unwrap_or_default()
}

fn both(exams: &[Answer], expected: [&Answer; 2]) -> Vec<String> {
    let by_order = |[one, other]: [&Answer; 2]| {
        let differences =
            |exam: &Answer, expected: &Answer| exam.differences(expected, Tolerance::SAME, &["shared_study"]);
        [differences(&exams[0], one), differences(&exams[1], other)].concat()
    };
    let (one_way, other_way) = (by_order(expected), by_order([expected[1], expected[0]]));
    if one_way.len() <= other_way.len() { one_way } else { other_way }
}

/// A case that was written and sent.
struct Arrived {
    name: String,
    study_instance_uid: String,
    folder: PathBuf,
    /// Where the folder is looked at alone, because what is damaged in it may belong to any exam beside it.
    alone: Option<Triage>,
    sent: Option<Sent>,
}

/// What the doors say of a batch of cases, in their order.
fn answers(patients: &Patients, cases: &[Case<'_>], batch: usize) -> Vec<Answers> {
    let work = tempfile::tempdir().unwrap();
    let network = Network::start();
    let arrived: Vec<Arrived> =
        cases.iter().enumerate().map(|(at, case)| arrive(patients, case, (batch, at), work.path(), &network)).collect();
    // All doors work at the same time: the daemon has begun already.
    let whole = arrived.iter().any(|arrived| arrived.alone.is_none());
    let whole = whole.then(|| triage::start(&work.path().join(WHOLE), work.path()));
    let listed: Vec<_> = arrived.iter().map(|arrived| (arrived.name.clone(), arrived.folder.clone())).collect();
    let mut validated = validate::validate(&listed, work.path());
    let whole = whole.map_or(Ok(Vec::new()), Triage::answers);
    let answers_to = |arrived: Arrived| {
        let of_the_folder = arrived.alone.map_or_else(|| whole.clone(), Triage::answers);
        let is_of_it = |(study, _): &(String, Answer)| *study == arrived.study_instance_uid;
        let (triage, triage_refusal) = match of_the_folder {
            Ok(all) => (all.into_iter().filter(is_of_it).map(|(_, answer)| answer).collect(), None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let daemon = arrived.sent.map(|sent| network.answers(&sent));
        Answers { triage, triage_refusal, daemon, validated: validated.remove(&arrived.name) }
    };
    arrived.into_iter().map(answers_to).collect()
}

/// Folder of the exams whose files are all whole.
const WHOLE: &str = "whole";

fn arrive(
    patients: &Patients,
    case: &Case<'_>,
    (batch, at): (usize, usize),
    work: &Path,
    network: &Network,
) -> Arrived {
    let name = format!("case-{batch}-{at}");
    let patient_id = format!("META-{batch}-{at}");
    let seed = (batch * BATCH + at) as u64;
    let series = of(patients, case.input).renamed(&patient_id, &mut UidSource::seeded(seed));
    let delivery = transformations::apply(&case.transformations, &series);
    let is_damaged = case.transformations.iter().any(|transformation| transformation.aspect == Aspect::Damage);
    let folder = work.join(if is_damaged { "damaged" } else { WHOLE }).join(&name);
    delivery.write(&folder);
    let alone = is_damaged.then(|| triage::start(&folder, work));
    let sent = delivery.can_be_sent().then(|| network.send(&patient_id, &delivery));
    Arrived { name, study_instance_uid: series.study_instance_uid(), folder, alone, sent }
}

fn row(input: Input, transformation: String, answers: &Answers, failures: Vec<String>) -> Row {
    Row { input: input.name(), transformation, answers: answers.triage.clone(), failures }
}
