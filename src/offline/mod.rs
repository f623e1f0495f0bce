//! Analyses a folder of DICOM files without a network: the same stages, the same case report.

mod survey;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::console::{Hub, outlines_of};
use crate::engine::{EngineError, ModelPackage};
use crate::exam::{AssociationId, CompletionLimits, ExamKey, Refusal};
use crate::ingest::{InstanceSink, RefusedInstance, StoredInstance};
use crate::outbox::{ObjectsError, objects};
use crate::picture::{self, PictureError};
use crate::pipeline::{AnalysisMode, Pipeline, PipelineOptions};
use crate::preprocess::InputGeometry;
use crate::promotion::PromotionError;
use crate::report::{ReportObject, ReportOptions};
use crate::serving::{Serving, choice};
use crate::triage::CaseReport;
pub(crate) use survey::{FoundInstance, Survey};

/// Why a folder cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0} holds no DICOM file")]
    NoDicom(PathBuf),
    #[error(transparent)]
    Model(#[from] PromotionError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    #[error("the analysis stopped before its verdict")]
    Stopped,
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// An analysed folder.
pub struct Triage {
    hub: Arc<Hub>,
    plane: InputGeometry,
    /// One report an exam, in the order of their keys.
    pub reports: Vec<CaseReport>,
    /// Files that are something else than DICOM instances.
    pub skipped: usize,
    /// Files that may be slices and cannot be used: what names each, and why.
    pub refused: Vec<(String, String)>,
}

/// Analyses all exams in a folder and those below it.
///
/// # Errors
/// If the folder has no DICOM file or the model or engine cannot serve.
pub fn triage(folder: &Path, config: &Config) -> Result<Triage, FolderError> {
    let package = config.model_package()?;
    let serving = choice::serving(&package, &config.engine)?;
    triage_by(serving, &package, folder, config)
}

/// The same by what is handed in.
pub(crate) fn triage_by(
    serving: Serving,
    package: &ModelPackage,
    folder: &Path,
    config: &Config,
) -> Result<Triage, FolderError> {
    let survey = Survey::of(folder)?;
    let exams = survey.exams();
    if exams.is_empty() {
        return Err(FolderError::NoDicom(folder.to_owned()));
    }
    let hub = Arc::new(Hub::new(None));
    let options = PipelineOptions {
        mode: AnalysisMode::Streaming,
        completion: CompletionLimits::of_whole_exams(),
        limits: config.quality,
        densities: config.densities,
        decoders: config.decoders,
    };
    let pipeline =
        Pipeline::start(options, package, serving, hub.clone(), Box::new(())).map_err(FolderError::Threads)?;
    feed(&pipeline.input(), &survey);
    let reports: Option<Vec<CaseReport>> =
        exams.iter().map(|exam| hub.wait_for_report(exam, || pipeline.is_alive())).collect();
    pipeline.stop();
    let named = |refusal: &Refusal| (refusal.sop_instance_uid.clone(), refusal.reason.clone());
    Ok(Triage {
        hub,
        plane: package.manifest.input.clone(),
        reports: reports.ok_or(FolderError::Stopped)?,
        skipped: survey.others,
        refused: survey.refused.iter().map(|(_, refusal)| named(refusal)).collect(),
    })
}

/// Hands on what a folder holds, as one association that is over.
fn feed(input: &impl InstanceSink, survey: &Survey) {
    let association = AssociationId(1);
    for (exams, refusal) in &survey.refused {
        for exam in exams {
            let (exam, refusal) = (exam.clone(), refusal.clone());
            input.refused(RefusedInstance { exam, refusal, association, at: Instant::now() });
        }
    }
    for instance in &survey.instances {
        let (exam, path) = (instance.exam.clone(), instance.path.clone());
        input.stored(StoredInstance { exam, path, images: 1, association, at: Instant::now() });
    }
    input.association_closed(association, Instant::now());
}

/// All files of a folder and those below it, in the order of their names.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let failed = |source| FolderError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The objects of one exam.
#[derive(Debug)]
pub struct ExamObjects {
    pub exam: ExamKey,
    pub objects: Result<Vec<ReportObject>, ObjectsError>,
}

/// How many slabs are drawn for an exam without lesions.
const PICTURES_WITHOUT_LESIONS: usize = 3;

impl Triage {
    /// The DICOM objects of each report.
    #[must_use]
    pub fn objects(&self, options: &ReportOptions) -> Vec<ExamObjects> {
        let of = |report: &CaseReport| {
            let basis = self.hub.record(&report.exam).and_then(|record| record.basis);
            let basis = basis.ok_or(ObjectsError::NoBasis)?;
            objects(report, &basis, None, &self.plane, options)
        };
        self.reports.iter().map(|report| ExamObjects { exam: report.exam.clone(), objects: of(report) }).collect()
    }

    /// Draws the key slices: those where a lesion is largest; without lesions a few across the lungs. One PNG each,
    /// named `<exam>_z<position>.png`. Returns the files.
    ///
    /// # Errors
    /// If the folder cannot be written or a slice not be drawn.
    pub fn draw(&self, out: &Path) -> Result<Vec<PathBuf>, FolderError> {
        let write = |path: &Path, source| FolderError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(out).map_err(|source| write(out, source))?;
        let mut drawn = Vec::new();
        for report in &self.reports {
            let Some(record) = self.hub.record(&report.exam) else { continue };
            let mut key_slabs: BTreeSet<_> = report.lesions.iter().map(|lesion| lesion.key_slab).collect();
            if key_slabs.is_empty() {
                let step = (record.slabs.len() / (PICTURES_WITHOUT_LESIONS + 1)).max(1);
                key_slabs.extend(record.slabs.keys().skip(step).step_by(step).take(PICTURES_WITHOUT_LESIONS));
            }
            for slab in key_slabs.iter().filter_map(|index| record.slabs.get(index)) {
                let Some(image) = &slab.image else { continue };
                let png = picture::picture_with_outlines(
                    image,
                    &self.plane,
                    &outlines_of(&slab.lung),
                    &outlines_of(&slab.lesion),
                )?;
                let path = out.join(format!("{}_z{:.1}.png", report.exam, slab.z_mm));
                std::fs::write(&path, png).map_err(|source| write(&path, source))?;
                drawn.push(path);
            }
        }
        Ok(drawn)
    }
}
