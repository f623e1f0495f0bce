//! One exam on its way to a verdict: what has come of it, its evidence, its flags.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::decode::{Arrival, Decoded, DecodedSlice, PlaneCentres, ReadInstance, Waiting, plane_again};
use super::layout::{Again, Layouts};
use super::series_analysis::{SeriesAnalysis, VolumeId, lung_mm};
use super::tally::Tally;
use super::versions::Versions;
use crate::dicom::ImageFile;
use crate::engine::{EngineError, Manifest};
use crate::exam::{
    AssociationId, AwaitedSeries, CompletionLimits, Content, Doubt, ExamKey, InstanceHeader, Patient, Pauses,
    PerformedSteps, PreparedSlice, Progress, QualityIssue, QualityLimits, Reconstruction, Refusals, Rhythm, SeriesKey,
    SlabIndex, Thumbnail, WindowInputs, best,
};
use crate::inference::{QueuedWindow, WindowResult};
use crate::preprocess::InputGeometry;
use crate::triage::{
    Beginning, CaseReport, Densities, DrivingSlab, EarlyFlag, Findings, LesionSummary, SliceCounts, case_score,
    driving_slabs, is_seen_beside_a_dense_lung, mixed,
};

/// A patient is on the table while the exam has no verdict and something came within this time.
pub const ON_TABLE: Duration = Duration::from_secs(10);

/// Where an exam is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Receiving,
    /// There is a verdict that stands although more comes: it lies beyond the lungs, or in a series that is not judged.
    Trailing,
    Complete,
}

/// What is shown by something that opens a verdict again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refutes {
    /// The rule that had led to the verdict was wrong.
    Rule,
    /// It was right about the series that was judged; another one is judged now.
    Nothing,
}

/// An exam and everything known of it.
#[derive(Debug)]
pub struct ExamAnalysis {
    pub key: ExamKey,
    pub stage: Stage,
    pub rhythm: Rhythm,
    /// Acknowledged instances that wait to be decoded, or for the rest of their images to be.
    pub waiting: VecDeque<Waiting>,
    /// Turns of decoding that are under way.
    pub decoding: usize,
    /// When a window of it was last handed to the engine.
    pub last_served: Instant,
    pub(super) early_flag: Option<EarlyFlag>,
    /// The opacities have been looked at since the last verdict and may isolate the patient.
    pub(super) may_isolate: bool,
    pub patient: Patient,
    pub description: String,
    /// Calling AE title of the scanner.
    pub scanner: String,
    pub started: Timestamp,
    pub engine_failure: Option<String>,
    pub report: Option<CaseReport>,
    pub(super) study_instance_uid: String,
    pub(super) first_arrival: Instant,
    pub(super) last_slice: Instant,
    known: BTreeSet<PathBuf>,
    pub(super) tally: Tally,
    pub(super) versions: Versions,
    pub(super) refusals: Refusals,
    /// Another exam has the same study and Patient ID.
    pub shares_study: bool,
    /// The instance, by its place, that the patient's particulars are taken from.
    identified_by: Option<usize>,
    series: BTreeMap<VolumeId, SeriesAnalysis>,
    /// Which volumes there are, and where their planes lie.
    layouts: Layouts,
    /// Windows that were handed over and have not come back.
    under_way: Vec<(VolumeId, SlabIndex, WindowInputs)>,
    /// SOP Instance UIDs of all that could be read, by series.
    instances: BTreeMap<String, BTreeSet<String>>,
    pub(super) inferences: usize,
    pub(super) inference_time: Duration,
}

impl ExamAnalysis {
    #[must_use]
    pub fn new(key: ExamKey, now: Instant) -> Self {
        Self {
            key,
            stage: Stage::Receiving,
            rhythm: Rhythm::new(now),
            waiting: VecDeque::new(),
            decoding: 0,
            last_served: now,
            early_flag: None,
            may_isolate: false,
            patient: Patient::default(),
            description: String::new(),
            scanner: String::new(),
            started: Timestamp::now(),
            engine_failure: None,
            report: None,
            study_instance_uid: String::new(),
            first_arrival: now,
            last_slice: now,
            known: BTreeSet::new(),
            tally: Tally::default(),
            versions: Versions::default(),
            refusals: Refusals::default(),
            shares_study: false,
            identified_by: None,
            series: BTreeMap::new(),
            layouts: Layouts::default(),
            under_way: Vec::new(),
            instances: BTreeMap::new(),
            inferences: 0,
            inference_time: Duration::ZERO,
        }
    }

    /// Queues an instance for decoding. `false` if it has come before.
    pub fn take(&mut self, path: PathBuf, at: Instant, after_release: Option<Duration>) -> bool {
        let new = self.known.insert(path.clone());
        if new {
            let number = self.known.len();
            self.tally.has_images(number, 1);
            self.waiting.push_back(Waiting::new(Arrival { number, path, at, after_release, again: false }));
        }
        new
    }

    /// Takes the patient's particulars from the instance that waits at the head of the queue, so that an exam has a name before its turn
    /// comes. `false` if they are known already; an instance that cannot be read leaves them open.
    pub fn introduce(&mut self) -> bool {
        let Some(first) = self.waiting.front().filter(|_| self.identified_by.is_none()) else { return false };
        if let Ok(read) = first.read_header() {
            let number = first.arrival.number;
            self.identify(&read.header, &read.calling_ae_title, number);
        }
        true
    }

    /// Adds what decoding made of an image. An earlier verdict is open again unless it cannot be touched by it.
    pub fn add(&mut self, decoded: Decoded, arrival: &Arrival, input: &InputGeometry) {
        let instance = match decoded.instance {
            Ok(instance) => instance,
            Err(reason) => {
                self.tally.defect(arrival.number, reason, false);
                return self.reopen(arrival.at, Refutes::Rule);
            }
        };
        let header = &instance.header;
        self.identify(header, &instance.calling_ae_title, arrival.number);
        if !self.counts_now(header, arrival) {
            return self.reopen(arrival.at, Refutes::Rule);
        }
        let of_series = self.instances.entry(header.series_instance_uid.clone()).or_default();
        of_series.insert(header.sop_instance_uid.clone());
        self.tally.has_images(arrival.number, header.images.len());
        let Some(content) = header.images.get(decoded.image) else { return };
        match (content, decoded.slice) {
            (Content::Slice(_), Ok(Some(slice))) => {
                return self.add_slice(&instance, decoded.image, slice, arrival, input);
            }
            // What is no slice was noted when it was decoded first.
            _ if arrival.again && !self.layouts.know(&header.series_instance_uid, &arrival.path, decoded.image) => {
                return;
            }
            (Content::Slice(slice), Err(reason)) => {
                self.tally.defect(arrival.number, reason, slice.acquisition.is_secondary);
            }
            (_, Err(reason)) => self.tally.defect(arrival.number, reason, false),
            (Content::Defective(reason), Ok(_)) => self.tally.defect(arrival.number, reason.clone(), false),
            (Content::Unfit(reason), _) => {
                self.tally.unfit(arrival.number, reason.clone());
                return self.trail();
            }
            (Content::Kept(_) | Content::Slice(_), Ok(_)) => {
                self.tally.keep(arrival.number);
                return self.trail();
            }
        }
        self.reopen(arrival.at, Refutes::Rule);
    }

    fn add_slice(
        &mut self,
        instance: &ReadInstance,
        image: usize,
        decoded: DecodedSlice,
        arrival: &Arrival,
        input: &InputGeometry,
    ) {
        let header = &instance.header;
        let Some(Content::Slice(slice)) = header.images.get(image) else { return };
        let judged_before = self.judged().map(|(id, _)| id.clone());
        let file = ImageFile { path: arrival.path.clone(), frame: image };
        let placed = self.layouts.place(&header.series_instance_uid, &file, slice, &decoded, arrival);
        let id = match placed {
            Ok(id) => id,
            Err(again) => {
                self.decode_again(again);
                return self.reopen(arrival.at, Refutes::Nothing);
            }
        };
        let series = self.series.entry(id.clone()).or_default();
        header.series_description.clone_into(&mut series.series.description);
        let z_mm = slice.geometry.z_mm;
        series.arrived(arrival, image, z_mm);
        series.look_at(z_mm, &slice.acquisition.kernel, &decoded.plane, input);
        let DecodedSlice { plane, centre, noise_hu, lung_at_border, .. } = decoded;
        let prepared = PreparedSlice {
            sop_class_uid: header.sop_class_uid.clone(),
            sop_instance_uid: header.sop_instance_uid.clone(),
            series_instance_uid: header.series_instance_uid.clone(),
            header: slice.clone(),
            noise_hu,
            file,
            centre,
            arrival: arrival.number,
            thumbnail: Thumbnail::of(&plane, input),
            lung_at_border,
        };
        let read_again = |present: &PreparedSlice| plane_again(&present.file, present.centre, input);
        let mut refutes = if arrival.again { Refutes::Nothing } else { Refutes::Rule };
        if let Err(reason) = series.series.add(prepared, &plane, input, read_again) {
            self.tally.defect(arrival.number, reason, false);
        } else if !self.is_judged(judged_before.as_ref()) {
            refutes = Refutes::Nothing;
        } else if self.stage != Stage::Receiving && self.is_untouched_by(&id) {
            self.last_slice = self.last_slice.max(arrival.at);
            return self.trail();
        }
        self.reopen(arrival.at, refutes);
    }

    /// An association that may have carried it was closed. What was left open only because more might come is judged again.
    pub fn association_closed(&mut self, association: AssociationId, at: Instant) {
        self.rhythm.closed(association, at);
        let waits_for_more = |issue: &QualityIssue| issue.doubt == Some(Doubt::StillSending);
        let is_provisional = self.report.as_ref().is_some_and(|report| report.quality.iter().any(waits_for_more));
        if is_provisional && !self.rhythm.is_open() {
            self.trail();
        }
    }

    /// Forgets volumes that are others now, and has their slices decoded again.
    fn decode_again(&mut self, Again { of_groups, arrivals }: Again) {
        self.series.retain(|id, _| !of_groups.contains(&id.series_instance_uid));
        for arrival in arrivals {
            let is_queued = |waiting: &Waiting| waiting.arrival.again && waiting.arrival.path == arrival.path;
            if !self.waiting.iter().any(is_queued) {
                self.waiting.push_back(Waiting::new(arrival));
            }
        }
    }

    /// Sees to it that all slices lie in the volumes and on the planes that they have by all that has come. `false` if some must be
    /// decoded again for that.
    pub fn finalize_layout(&mut self) -> bool {
        let again = self.layouts.finalize();
        let is_final = again.is_none();
        if let Some(again) = again {
            self.decode_again(again);
        }
        is_final
    }

    /// Where the planes of its series lie, for those who decode.
    #[must_use]
    pub fn plane_centres(&self) -> PlaneCentres {
        self.layouts.centres()
    }

    fn is_judged(&self, volume: Option<&VolumeId>) -> bool {
        self.judged().map(|(id, _)| id) == volume
    }

    /// Whether a slice that came of this volume cannot change the verdict: it is not judged, or the lungs have passed.
    fn is_untouched_by(&self, volume: &VolumeId) -> bool {
        self.judged().is_some_and(|(id, judged)| volume != id || judged.have_lungs_passed())
    }

    /// More has come that leaves a verdict as it is.
    fn trail(&mut self) {
        if self.stage == Stage::Complete {
            self.stage = Stage::Trailing;
        }
    }

    fn reopen(&mut self, arrived: Instant, refutes: Refutes) {
        self.last_slice = self.last_slice.max(arrived);
        self.engine_failure = None;
        self.open_again(refutes);
    }

    /// A verdict no longer stands.
    fn open_again(&mut self, refutes: Refutes) {
        let stood = std::mem::replace(&mut self.stage, Stage::Receiving) != Stage::Receiving;
        if stood
            && refutes == Refutes::Rule
            && let Some(report) = &self.report
        {
            self.rhythm.refute(report.timing.completed_by);
        }
    }

    /// Looks whether the scan has left the lungs behind. Lung that comes after a verdict on their having passed opens it again.
    pub fn look_for_the_end(&mut self, input: &InputGeometry, limits: &CompletionLimits, least_lung_ml: f64) {
        let Some(passed_mm) = limits.lungs_passed_mm else { return };
        let Some(id) = self.judged().map(|(id, _)| id.clone()) else { return };
        let Some(judged) = self.series.get_mut(&id) else { return };
        let had_passed = judged.have_lungs_passed();
        judged.look_for_the_end(input, passed_mm, least_lung_ml);
        if had_passed && !judged.have_lungs_passed() {
            self.open_again(Refutes::Rule);
        }
    }

    /// What there is of the exam, for the rules that say whether it is over.
    #[must_use]
    pub fn completion_progress(&self, steps: &PerformedSteps, usual: Option<Pauses>) -> Progress {
        let Some((id, judged)) = self.judged() else { return Progress { usual, ..Progress::default() } };
        let uid = &id.series_instance_uid;
        let nothing = BTreeSet::new();
        let step = steps.on(&AwaitedSeries {
            patient_id: &self.patient.id,
            study_instance_uid: &self.study_instance_uid,
            series_instance_uid: uid,
            here: self.instances.get(uid).unwrap_or(&nothing),
        });
        Progress {
            slices: judged.series.len(),
            // A count that is reached within the lungs was that of another reconstruction.
            expected: judged.series.expected().filter(|_| !judged.ends_in_lung()),
            step,
            lungs_passed: self.stage == Stage::Receiving && judged.have_lungs_passed(),
            pauses: self.pauses(),
            usual,
        }
    }

    /// The exam's longest pauses so far.
    #[must_use]
    pub fn pauses(&self) -> Pauses {
        self.series.values().map(SeriesAnalysis::pauses).fold(Pauses::default(), Pauses::longest)
    }

    /// Takes the patient's particulars from the instance that came last.
    fn identify(&mut self, header: &InstanceHeader, calling_ae_title: &str, number: usize) {
        if self.scanner.is_empty() {
            calling_ae_title.clone_into(&mut self.scanner);
        }
        if self.identified_by > Some(number) {
            return;
        }
        self.identified_by = Some(number);
        self.study_instance_uid.clone_from(&header.study_instance_uid);
        self.patient = header.patient.clone();
        if !header.study_description.is_empty() {
            self.description.clone_from(&header.study_description);
        }
    }

    /// The volume that is judged; the rules stand in [`crate::exam::best`]'s module.
    #[must_use]
    pub fn judged(&self) -> Option<(&VolumeId, &SeriesAnalysis)> {
        let all: Vec<Reconstruction<'_>> = self.series.iter().map(|(id, series)| series.reconstruction(id)).collect();
        let Reconstruction { series_instance_uid, part, .. } = best(&all)?;
        self.series.iter().find(|(id, _)| (id.series_instance_uid.as_str(), &id.part) == (series_instance_uid, part))
    }

    /// A file that says whose exam this is: a slice of the judged series, or the first instance that came.
    pub(super) fn described_by(&self) -> Option<PathBuf> {
        let slice = self.judged().and_then(|(_, judged)| judged.series.slices().next());
        slice.map(|slice| slice.file.path.clone()).or_else(|| self.known.first().cloned())
    }

    /// Where the other series lie along z.
    pub(super) fn others(&self, judged: &VolumeId) -> Vec<(&str, [f64; 2])> {
        let others = self.series.iter().filter(|(id, _)| id.series_instance_uid != judged.series_instance_uid);
        others.filter_map(|(id, other)| Some((id.series_instance_uid.as_str(), other.range_mm()?))).collect()
    }

    /// Slices in the judged series, and how many the scanner announced.
    #[must_use]
    pub fn progress(&self) -> (usize, Option<usize>) {
        self.judged().map_or((0, None), |(_, judged)| (judged.series.len(), judged.series.expected()))
    }

    /// Why CT slices cannot be analysed, one for each. A secondary image is no slice where primary ones are judged.
    pub(super) fn defects(&self) -> impl Iterator<Item = &str> {
        let judges_secondary = self.judged().is_none_or(|(id, _)| id.part.is_secondary());
        let counting = self.tally.defects().filter(move |defect| judges_secondary || !defect.is_secondary);
        counting.map(|defect| defect.reason.as_str())
    }

    /// Volumes of the judged series beside the one that is judged.
    #[must_use]
    pub fn other_volumes(&self) -> usize {
        let judged = self.judged().map(|(id, _)| &id.series_instance_uid);
        let of_series = self.series.keys().filter(|id| Some(&id.series_instance_uid) == judged);
        of_series.count().saturating_sub(1)
    }

    /// Series that the judged one was joined from.
    #[must_use]
    pub fn joined_series(&self) -> usize {
        self.judged().map_or(1, |(id, _)| self.layouts.series_in(&id.series_instance_uid))
    }

    #[must_use]
    pub fn counts(&self) -> SliceCounts {
        let (analysed, expected) = self.progress();
        let other_slices: usize = self.series.values().map(|series| series.series.len()).sum::<usize>() - analysed;
        let failed = self.defects().count();
        SliceCounts {
            received: self.tally.received(),
            instances: self.known.len() - self.versions.replaced(),
            analysed,
            kept: self.tally.kept() + other_slices + self.tally.defects().count() - failed,
            failed,
            refused: self.refusals.count(),
            replaced: self.versions.replaced(),
            expected,
        }
    }

    /// Something of it is decoded, or on its way.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.decoding > 0 || !self.instances.is_empty() || self.defects().next().is_some()
    }

    /// The patient is still on the table, as far as can be told: no verdict, and something came of late.
    #[must_use]
    pub fn is_on_table(&self, now: Instant) -> bool {
        self.stage == Stage::Receiving && now.saturating_duration_since(self.rhythm.last_arrival()) < ON_TABLE
    }

    /// Nothing waits to be decoded.
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        self.waiting.is_empty() && self.decoding == 0
    }

    /// The next window of the judged series that is due and not under way; see [`crate::exam::Series::next_window`].
    #[must_use]
    pub fn next_window(&self, input: &InputGeometry, finishing: bool) -> Option<QueuedWindow> {
        if self.engine_failure.is_some() {
            return None;
        }
        let (id, judged) = self.judged()?;
        let is_under_way = |slab: SlabIndex, inputs: &WindowInputs| {
            self.under_way.iter().any(|window| (&window.0, window.1, &window.2) == (id, slab, inputs))
        };
        let job = judged.series.next_window(input, finishing, |slab, inputs| {
            judged.table.is_done(slab, inputs) || is_under_way(slab, inputs)
        })?;
        let VolumeId { series_instance_uid, part } = id.clone();
        Some(QueuedWindow { series: SeriesKey { exam: self.key.clone(), series_instance_uid, part }, job })
    }

    /// Notes that a window was handed over.
    pub fn hand_over(&mut self, window: &QueuedWindow) {
        self.under_way.push((VolumeId::of(&window.series), window.job.slab, window.job.inputs));
    }

    #[must_use]
    pub fn has_windows_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Notes what became of a window.
    ///
    /// # Errors
    /// Why there is no evidence of it; the exam is not analysed any further then.
    pub fn take_result(
        &mut self,
        window: &QueuedWindow,
        result: WindowResult,
        manifest: &Manifest,
    ) -> Result<(), EngineError> {
        let (id, job) = (VolumeId::of(&window.series), &window.job);
        self.under_way.retain(|(volume, slab, inputs)| (volume, *slab, *inputs) != (&id, job.slab, job.inputs));
        let evidence = result.evidence.inspect_err(|error| self.engine_failure = Some(error.to_string()))?;
        self.inferences += 1;
        self.inference_time += result.took;
        let slab_plane = job.slab_plane();
        let evidence = evidence.measured(&slab_plane, &manifest.case, &manifest.input);
        // The volume may be another one by now.
        if let Some(judged) = self.series.get_mut(&id)
            && judged.series.slab_z_mm(job.slab).is_some()
        {
            judged.table.put(job.slab, job.inputs, evidence);
        }
        Ok(())
    }

    /// The case score as things stand.
    #[must_use]
    pub fn running_score(&self, manifest: &Manifest) -> Option<f64> {
        case_score(self.judged()?.1.table.evidence(), &manifest.case)
    }

    /// The slabs that add most to the score as things stand.
    #[must_use]
    pub fn driving_slabs(&self, manifest: &Manifest) -> Vec<DrivingSlab> {
        let rows = self.judged().map(|(_, judged)| judged.table.rows(&judged.series)).unwrap_or_default();
        driving_slabs(&rows, &manifest.case)
    }

    /// The lesions as things stand; `None` as long as nothing is judged.
    #[must_use]
    pub fn running_lesions(&self, input: &InputGeometry) -> Option<LesionSummary> {
        let rows = self.judged().map(|(_, judged)| judged.table.rows(&judged.series))?;
        (!rows.is_empty()).then(|| LesionSummary::of(&rows, input))
    }

    /// How much lung has been judged so far, mm along z.
    #[must_use]
    pub fn judged_lung_mm(&self) -> f64 {
        self.judged().map_or(0.0, |(_, judged)| lung_mm(&judged.table.rows(&judged.series)))
    }

    /// The early flag, if the running score calls for one now and the opacities are not of a kind that isolates nobody.
    pub fn early_flag(
        &mut self,
        manifest: &Manifest,
        limits: &QualityLimits,
        densities: Densities,
        now: Instant,
    ) -> Option<EarlyFlag> {
        if self.stage != Stage::Receiving
            || self.is_stale()
            || self.judged_lung_mm() < manifest.operating_point.early_min_lung_mm
        {
            return None;
        }
        let score = self.running_score(manifest).filter(|score| *score >= manifest.operating_point.early)?;
        let (_, judged) = self.judged()?;
        if !self.may_isolate {
            let Findings { lungs, lesions, pattern, .. } = judged.findings(&manifest.input, densities);
            let is_sound = !lungs.summary.spine_in_front
                && is_seen_beside_a_dense_lung(lungs.summary, &lesions, limits)
                && mixed(&judged.series, &manifest.input).is_none()
                && judged.cut_field(&manifest.input, limits).is_none_or(|cut| cut.shows_lesions());
            if !pattern.may_isolate() || !is_sound {
                return None;
            }
        }
        self.may_isolate = true;
        let flag = EarlyFlag {
            after_slices: self.tally.received(),
            after_s: self.since_first(now).as_secs_f64(),
            score,
            scan_share: self.counts().scan_share(),
            driving_slabs: self.driving_slabs(manifest),
        };
        self.early_flag.get_or_insert_with(|| flag.clone());
        Some(flag)
    }

    /// The lung apex is cut off, told once, as soon as it shows.
    pub fn apex_cut_off(&mut self, input: &InputGeometry, limits: &QualityLimits) -> Option<QualityIssue> {
        let (id, judged) = self.judged()?;
        // What was lost on its way may be the apex: that is left for the verdict.
        if judged.beginning_seen || self.defects().next().is_some() || self.refusals.count() > 0 {
            return None;
        }
        let beginning = judged.beginning(input, limits);
        if beginning == Beginning::Unclear {
            return None;
        }
        let id = id.clone();
        self.series.get_mut(&id)?.beginning_seen = true;
        if let Beginning::InTheApex(issue) = beginning { Some(issue) } else { None }
    }

    #[must_use]
    pub fn since_first(&self, now: Instant) -> Duration {
        now - self.first_arrival
    }

    /// When the last slice was on the disk.
    #[must_use]
    pub fn last_slice_time(&self) -> Timestamp {
        let ago = jiff::SignedDuration::try_from(self.last_slice.elapsed()).unwrap_or_default();
        Timestamp::now().checked_sub(ago).unwrap_or_else(|_| Timestamp::now())
    }

    #[must_use]
    pub fn since_last_slice(&self, now: Instant) -> Duration {
        now - self.last_slice
    }
}

#[path = "exam_objects.rs"]
mod objects;

#[cfg(test)]
#[path = "exam_analysis_tests.rs"]
mod tests;
