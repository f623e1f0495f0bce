//! Exams and slabs as the console shows them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::alert::{
    Acknowledgement, CaseOutcome, Flag, FlagKind, FlagState, Moment, OutcomeKind, Outcomes, Severity, Stage, Standing,
    Statement, Urgency, statements,
};
use crate::analysis::{ExamView, SlabView, edition};
use crate::database::{Delivery, DeliveryKind, DeliveryState, ExamFilter, ListedExam, Record};
use crate::exam::{ExamKey, Remedy, SlabIndex};
use crate::raster::{Outline, PackedMask, outlines};
use crate::texts::Phrase;

/// An exam with its flags, and all that it says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Exam")]
pub struct ShownExam {
    #[serde(flatten)]
    pub exam: ExamView,
    pub stage: Stage,
    /// Gravest first.
    pub statements: Vec<Statement>,
    pub phrases: ExamPhrases,
    #[serde(serialize_with = "shown_flags")]
    #[schemars(with = "Vec<ShownFlag<'static>>")]
    pub flags: Vec<Flag>,
    pub urgency: Urgency,
    /// The filters of lists that let it through.
    pub filters: Vec<ExamFilter>,
    /// What became of the verdict that it has now.
    pub outcome: Option<CaseOutcome>,
    /// All outcomes that were recorded, also of earlier verdicts, oldest first.
    pub outcomes: Vec<CaseOutcome>,
    /// The outcomes that can be recorded now.
    pub outcome_choices: &'static [OutcomeKind],
    /// Its slices are received and none of them is on its way to the engine; absent once its turn has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingPlace>,
}

/// What is said of an exam beside its statements, in no language yet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExamPhrases {
    /// Why the verdict is what it is; absent without a verdict.
    #[serde(skip_serializing_if = "Phrase::is_nothing")]
    pub reason: Phrase,
}

/// Where an exam that waits for its turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitingPlace {
    /// 1 for the exam that is next.
    pub place: usize,
}

impl ShownExam {
    #[must_use]
    pub fn new(listed: ListedExam, waiting: Option<WaitingPlace>) -> Self {
        let ListedExam { exam, flags, outcomes } = &listed;
        let said = statements(exam, flags.all(), waiting.map(|waiting| waiting.place));
        let urgency = Urgency::of(exam, flags.all(), &said, outcomes);
        Self {
            phrases: ExamPhrases { reason: exam.said_reason() },
            stage: Stage::of(exam),
            statements: said,
            flags: flags.all().to_vec(),
            filters: ExamFilter::of(&listed, &urgency),
            urgency,
            outcome: outcomes.of(exam).cloned(),
            outcomes: outcomes.all().to_vec(),
            outcome_choices: Outcomes::choices(exam),
            waiting,
            exam: listed.exam,
        }
    }

    #[must_use]
    pub fn of(record: &Record, waiting: Option<WaitingPlace>) -> Self {
        let Record { exam, flags, outcomes, .. } = record;
        let listed = ListedExam { exam: exam.clone(), flags: flags.clone(), outcomes: outcomes.clone() };
        Self::new(listed, waiting)
    }

    /// What decides where it stands in lists.
    pub(in crate::console) fn standing(&self) -> Standing<'_> {
        Standing { key: &self.exam.key, started: self.exam.started, urgency: &self.urgency }
    }
}

fn shown_flags<S: Serializer>(flags: &[Flag], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(flags.iter().map(ShownFlag::of))
}

/// A flag, and its words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Flag")]
struct ShownFlag<'a> {
    id: &'a str,
    kind: FlagKind,
    severity: Severity,
    state: FlagState,
    /// Whether it asks for something.
    open: bool,
    title: String,
    text: &'a str,
    phrases: FlagPhrases,
    remedy: Option<Remedy>,
    #[schemars(with = "String")]
    raised: Timestamp,
    after_slices: usize,
    score: Option<f64>,
    acknowledged: Option<&'a Acknowledgement>,
    life: Vec<ShownMoment<'a>>,
}

/// The words of a flag in no language yet.
#[derive(Serialize, JsonSchema)]
struct FlagPhrases {
    subject: Phrase,
    title: Phrase,
    text: Phrase,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Moment")]
struct ShownMoment<'a> {
    #[serde(flatten)]
    moment: &'a Moment,
    words: String,
    phrase: Phrase,
}

impl<'a> ShownFlag<'a> {
    fn of(flag: &'a Flag) -> Self {
        let shown = |moment: &'a Moment| {
            let phrase = moment.event.phrase();
            ShownMoment { moment, words: phrase.to_string(), phrase }
        };
        let phrases = FlagPhrases { subject: flag.subject(), title: flag.title(), text: flag.said() };
        Self {
            id: &flag.id,
            kind: flag.kind,
            severity: flag.severity,
            state: flag.state,
            open: flag.is_open(),
            title: phrases.title.to_string(),
            text: &flag.text,
            phrases,
            remedy: flag.remedy,
            raised: flag.raised,
            after_slices: flag.after_slices,
            score: flag.score,
            acknowledged: flag.acknowledged.as_ref(),
            life: flag.life.iter().map(shown).collect(),
        }
    }
}

/// A slab's evidence. Outlines are in plane pixels.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Slab")]
pub struct ShownSlab {
    pub index: SlabIndex,
    pub z_mm: f64,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    pub attention: f32,
    pub logit: f32,
    /// The running score once this slab was judged.
    pub score: Option<f64>,
    /// The address of its picture, without a leading slash, so that it holds below whatever path a proxy puts the console. The
    /// console keeps a picture for as long as its address stays.
    pub picture: String,
    pub lung: Vec<Outline>,
    pub lesion: Vec<Outline>,
}

impl ShownSlab {
    #[must_use]
    pub fn new(exam: &ExamKey, slab: &SlabView) -> Self {
        let edition = slab.image.as_ref().map(edition).unwrap_or_default();
        Self {
            index: slab.index,
            z_mm: slab.z_mm,
            lung_cm2: slab.lung_cm2,
            lesion_cm2: slab.lesion_cm2,
            attention: slab.attention,
            logit: slab.logit,
            score: slab.score,
            picture: format!("api/v1/exams/{exam}/slabs/{}.png?v={edition}", slab.index.0),
            lung: outlines_of(&slab.lung),
            lesion: outlines_of(&slab.lesion),
        }
    }
}

/// What became of the objects of one kind that a verdict became, at one destination. Instances as they were received are hundreds:
/// those in one state are told together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ExamDelivery")]
pub(super) struct ShownDelivery {
    /// Which of the exam's verdicts it belongs to, from 1.
    revision: u32,
    destination: String,
    kind: DeliveryKind,
    state: DeliveryState,
    count: usize,
    reason: Option<String>,
    /// When the first of them was entered, and when the last of them changed its state.
    #[schemars(with = "String")]
    queued: Timestamp,
    #[schemars(with = "String")]
    changed: Timestamp,
}

/// Deliveries as they are shown: verdict by verdict, destination by destination, in the order in which they are sent.
pub(super) fn shown_deliveries(deliveries: &[Delivery]) -> Vec<ShownDelivery> {
    let mut shown: Vec<ShownDelivery> = Vec::new();
    for Delivery { revision, kind, destination, state, reason, queued, changed, .. } in deliveries {
        let alike = shown.iter_mut().find(|known| {
            (known.revision, known.kind, &known.destination, known.state, &known.reason)
                == (*revision, *kind, destination, *state, reason)
        });
        match alike {
            Some(alike) => {
                alike.count += 1;
                alike.queued = alike.queued.min(*queued);
                alike.changed = alike.changed.max(*changed);
            }
            None => shown.push(ShownDelivery {
                revision: *revision,
                destination: destination.clone(),
                kind: *kind,
                state: *state,
                count: 1,
                reason: reason.clone(),
                queued: *queued,
                changed: *changed,
            }),
        }
    }
    shown.sort_by(|one, other| {
        (one.revision, &one.destination, one.kind).cmp(&(other.revision, &other.destination, other.kind))
    });
    shown
}

/// The outlines of a mask that was kept; none of one that is damaged, with a log line.
pub fn outlines_of(mask: &PackedMask) -> Vec<Outline> {
    let unpacked = mask.unpack().inspect_err(|error| tracing::error!(%error, "a mask cannot be drawn: it is damaged"));
    unpacked.map(|mask| outlines(&mask)).unwrap_or_default()
}
