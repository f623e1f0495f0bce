//! The decode pool: threads that turn files of the spool into planes.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use dicom_object::DefaultDicomObject;

use super::step_back::step_back;
use crate::exam::{Content, ExamKey, InstanceHeader};
use crate::preprocess::{InputGeometry, Plane, hounsfield_image, noise_hu};
use crate::telemetry;

/// An instance as it came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its place among the exam's instances.
    pub number: usize,
    pub path: PathBuf,
    /// When it was on the disk.
    pub at: Instant,
    /// How long after the release of the exam's last association, if it is the first since.
    pub after_release: Option<Duration>,
}

/// A file to decode.
#[derive(Debug)]
pub struct DecodeJob {
    pub exam: ExamKey,
    pub arrival: Arrival,
}

/// What became of it.
#[derive(Debug)]
pub struct Decoded {
    pub path: PathBuf,
    pub calling_ae_title: String,
    /// The header, or why the file cannot be read.
    pub header: Result<InstanceHeader, String>,
    /// The plane of a slice, `None` for what is not one, or why the pixels cannot be used.
    pub plane: Result<Option<Plane>, String>,
    /// The noise of a slice; see [`noise_hu`].
    pub noise_hu: Option<f32>,
}

/// Starts `threads` decoders. They end when `jobs` is closed.
///
/// # Errors
/// If the system gives no threads.
pub fn start(
    threads: usize,
    jobs: &Receiver<DecodeJob>,
    results: &Sender<(DecodeJob, Decoded)>,
    input: &InputGeometry,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    (0..threads)
        .map(|number| {
            let (jobs, results, input) = (jobs.clone(), results.clone(), input.clone());
            std::thread::Builder::new().name(format!("decode-{number}")).spawn(move || {
                step_back();
                for job in jobs {
                    let decoded = decode(&job.arrival.path, &input);
                    if results.send((job, decoded)).is_err() {
                        return;
                    }
                }
            })
        })
        .collect()
}

/// Reads a file and makes the model's plane of it.
pub fn decode(path: &Path, input: &InputGeometry) -> Decoded {
    let started = Instant::now();
    let unreadable = |reason: String| Decoded {
        path: path.to_owned(),
        calling_ae_title: String::new(),
        header: Err(format!("a stored instance cannot be read back: {reason}")),
        plane: Ok(None),
        noise_hu: None,
    };
    let object: DefaultDicomObject = match dicom_object::open_file(path) {
        Ok(object) => object,
        Err(error) => return unreadable(error.to_string()),
    };
    let header = match InstanceHeader::read(&object) {
        Ok(header) => header,
        Err(error) => return unreadable(error.to_string()),
    };
    let calling_ae_title = object.meta().source_application_entity_title().unwrap_or_default().trim().to_owned();
    let (plane, noise_hu) = match plane_of(&object, &header, input, started) {
        Ok(Some((plane, noise_hu))) => (Ok(Some(plane)), noise_hu),
        Ok(None) => (Ok(None), None),
        Err(reason) => (Err(reason), None),
    };
    Decoded { path: path.to_owned(), calling_ae_title, header: Ok(header), plane, noise_hu }
}

/// The plane of a slice that was decoded before.
///
/// # Errors
/// Why it cannot be had any more.
pub fn plane_again(path: &Path, input: &InputGeometry) -> Result<Plane, String> {
    let Decoded { header, plane, .. } = decode(path, input);
    header?;
    plane?.ok_or_else(|| "a slice that was read before is none any more".to_owned())
}

fn plane_of(
    object: &DefaultDicomObject,
    header: &InstanceHeader,
    input: &InputGeometry,
    started: Instant,
) -> Result<Option<(Plane, Option<f32>)>, String> {
    let Content::Slice(slice) = &header.content else { return Ok(None) };
    let image = hounsfield_image(object, slice).map_err(|error| {
        telemetry::slice_failed();
        tracing::warn!(sop_instance_uid = %header.sop_instance_uid, %error, "slice cannot be decoded");
        error.to_string()
    })?;
    telemetry::stage("decode", started.elapsed());
    let decoded = Instant::now();
    let plane = Plane::resample(&image, &slice.geometry.in_plane, input);
    let noise_hu = noise_hu(&image, &slice.geometry.in_plane, input.pixel_mm);
    telemetry::stage("preprocess", decoded.elapsed());
    telemetry::slice_prepared();
    Ok(Some((plane, noise_hu)))
}
