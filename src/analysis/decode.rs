//! From a file of the spool to planes, a few images at a turn.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dicom::{ImageFile, InstanceFile};
use crate::exam::{
    Content, ExamKey, InstanceHeader, LungAtBorder, Part, PixelError, PlaneCentre, SeriesKey, lung_at_border, plane_of,
    stored_image,
};
use crate::inference::{Planes, StoredSlice};
use crate::preprocess::{InputGeometry, Plane, TissueCells, body_centre_mm};

/// Images of one instance that are decoded at a turn: 0.02 to 0.2 s, after which another exam may come first. A slab has some three
/// slices: so many keep the engine supplied, and are not so many that threads take a series far out of its order.
const IMAGES_A_TURN: usize = 4;

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
    /// It has been decoded before: its plane belongs elsewhere now.
    pub again: bool,
}

/// Where the planes of an exam's series lie; those of others lie about each image.
pub type PlaneCentres = Arc<BTreeMap<String, PlaneCentre>>;

/// An instance whose images wait to be decoded, all of them or those that are left.
#[derive(Debug)]
pub struct Waiting {
    pub arrival: Arrival,
    /// The file, if it has been opened, and the first image that is left.
    opened: Option<(Arc<OpenInstance>, usize)>,
}

/// What a file says of its instance.
#[derive(Debug)]
pub struct ReadInstance {
    pub header: InstanceHeader,
    pub calling_ae_title: String,
}

/// An instance whose file is open.
#[derive(Debug)]
struct OpenInstance {
    read: Arc<ReadInstance>,
    path: PathBuf,
    file: InstanceFile,
}

/// What comes of a job, in this order.
#[derive(Debug)]
pub enum DecodeEvent {
    /// Images are left for another turn.
    Left(Waiting),
    Image(Arrival, Decoded),
    Done,
}

/// What became of one image.
#[derive(Debug)]
pub struct Decoded {
    /// Whose image it is, or why the file cannot be read.
    pub instance: Result<Arc<ReadInstance>, String>,
    /// Which of the instance's images, from 0.
    pub image: usize,
    /// What is made of a slice, `None` for what is not one, or why the pixels cannot be used.
    pub slice: Result<Option<DecodedSlice>, String>,
}

/// What is made of a slice's pixels.
#[derive(Debug)]
pub struct DecodedSlice {
    pub plane: Plane,
    /// Where the plane lies.
    pub centre: PlaneCentre,
    /// See [`TissueCells::noise_hu`].
    pub noise_hu: Option<f32>,
    /// See [`body_centre_mm`].
    pub body_mm: Option<[f64; 2]>,
    /// See [`lung_at_border`].
    pub lung_at_border: Option<Box<LungAtBorder>>,
    /// How long it took from the file to Hounsfield units, and from there to the plane.
    pub took: DecodeTimes,
}

/// How long the parts of decoding took.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeTimes {
    pub decode: Duration,
    pub preprocess: Duration,
}

impl Waiting {
    #[must_use]
    pub fn new(arrival: Arrival) -> Self {
        Self { arrival, opened: None }
    }

    /// What the file says of its instance, without its pixels.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read_header(&self) -> Result<Arc<ReadInstance>, String> {
        let opened = self.opened.as_ref().map(|(instance, _)| instance.read.clone());
        opened.map_or_else(|| OpenInstance::open(&self.arrival.path).map(|instance| instance.read), Ok)
    }

    /// Decodes the next images; what is left is told first, so that other threads can go on with it meanwhile.
    pub fn take_turn(self, exam: &ExamKey, planes: &Planes, centres: &PlaneCentres, mut tell: impl FnMut(DecodeEvent)) {
        let Self { arrival, opened } = self;
        let started = Instant::now();
        let opened =
            opened.map_or_else(|| OpenInstance::open(&arrival.path).map(|instance| (Arc::new(instance), 0)), Ok);
        match opened {
            Ok((instance, first)) => {
                let images = instance.read.header.images.len();
                let turn = first..images.min(first + IMAGES_A_TURN);
                if turn.end < images {
                    let opened = Some((instance.clone(), turn.end));
                    tell(DecodeEvent::Left(Self { arrival: arrival.clone(), opened }));
                }
                let of = Turn { exam, instance: &instance, planes, centres };
                decode_images(of, turn, started, |decoded| tell(DecodeEvent::Image(arrival.clone(), decoded)));
            }
            Err(reason) => {
                let unreadable = Decoded { instance: Err(reason), image: 0, slice: Ok(None) };
                tell(DecodeEvent::Image(arrival, unreadable));
            }
        }
        tell(DecodeEvent::Done);
    }
}

impl OpenInstance {
    fn open(path: &Path) -> Result<Self, String> {
        let unreadable = |error: &dyn std::fmt::Display| format!("a stored instance cannot be read back: {error}");
        let file = InstanceFile::open(path).map_err(|error| unreadable(&error))?;
        let header = InstanceHeader::read(&file.object).map_err(|error| unreadable(&error))?;
        let calling_ae_title =
            file.object.meta().source_application_entity_title().unwrap_or_default().trim().to_owned();
        Ok(Self { read: Arc::new(ReadInstance { header, calling_ae_title }), path: path.to_owned(), file })
    }
}

/// What a turn of decoding is about.
#[derive(Clone, Copy)]
struct Turn<'a> {
    exam: &'a ExamKey,
    instance: &'a OpenInstance,
    planes: &'a Planes,
    centres: &'a PlaneCentres,
}

fn decode_images(of: Turn<'_>, images: Range<usize>, mut started: Instant, mut tell: impl FnMut(Decoded)) {
    for image in images {
        let slice = decoded_slice(of, image, started);
        tell(Decoded { instance: Ok(of.instance.read.clone()), image, slice });
        started = Instant::now();
    }
}

/// The plane of a slice that was decoded before.
///
/// # Errors
/// Why it cannot be had any more.
pub(super) fn plane_again(file: &ImageFile, centre: PlaneCentre, input: &InputGeometry) -> Result<Plane, String> {
    plane_of(file, Some(centre), input).map_err(|error| format!("a stored instance cannot be read back: {error}"))
}

fn decoded_slice(
    Turn { exam, instance: OpenInstance { read, path, file }, planes, centres }: Turn<'_>,
    image: usize,
    started: Instant,
) -> Result<Option<DecodedSlice>, String> {
    let header = &read.header;
    let Some(Content::Slice(slice)) = header.images.get(image) else { return Ok(None) };
    let unusable = |error: PixelError| {
        tracing::warn!(sop_instance_uid = %header.sop_instance_uid, image = image + 1, %error, detail = error.detail(), "slice cannot be decoded");
        slice.frame_number.map_or_else(|| error.to_string(), |frame| format!("frame {frame}: {error}"))
    };
    let stored = stored_image(file, image, slice).map_err(unusable)?;
    let decode = started.elapsed();
    let decoded = Instant::now();
    let hounsfield = stored.hounsfield();
    let (in_plane, input) = (&slice.geometry.in_plane, planes.input());
    let tissue = TissueCells::of(&hounsfield, in_plane, input.pixel_mm);
    if !tissue.show_a_patient() {
        return Err(unusable(PixelError::NoSoftTissue));
    }
    let (noise_hu, body_mm) = (tissue.noise_hu(), body_centre_mm(&hounsfield, in_plane));
    let about_image = PlaneCentre::of_image(slice.geometry.centre);
    let centre = centres.get(&header.series_instance_uid).copied().unwrap_or(about_image);
    let lies_in = ImageFile { path: path.clone(), frame: image };
    // The exam may be another one than the header names: one whose name was corrected.
    let series_instance_uid = header.series_instance_uid.clone();
    let series = SeriesKey { exam: exam.clone(), series_instance_uid, part: Part::WHOLE };
    let plane = planes.plane(StoredSlice::new(series, slice, &lies_in, centre, stored, input), &hounsfield);
    let lung_at_border = lung_at_border(&plane, input).map(Box::new);
    let took = DecodeTimes { decode, preprocess: decoded.elapsed() };
    Ok(Some(DecodedSlice { plane, centre, noise_hu, body_mm, lung_at_border, took }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::UidSource;
    use crate::engine::ModelPackage;
    use crate::scanner::{Phantom, PhantomKind, PhantomOptions, enhanced, series};

    #[test]
    fn each_turn_tells_what_is_left_before_it_decodes_and_every_frame_is_decoded_once() {
        const FRAMES: usize = 10;
        let planes = Planes::new(&ModelPackage::built_in().unwrap().manifest.input);
        let slices =
            Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(FRAMES, 32)).instances(UidSource::seeded(1));
        let object = enhanced(&slices.unwrap(), 1, &mut UidSource::seeded(2)).unwrap().pop().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object.dcm");
        series::write_file(&object, &path).unwrap();
        let mut waiting =
            vec![Waiting::new(Arrival { number: 0, path, at: Instant::now(), after_release: None, again: false })];
        let exam = ExamKey::new("1.2", &crate::exam::Patient::default());
        let mut told = Vec::new();
        while let Some(next) = waiting.pop() {
            next.take_turn(&exam, &planes, &PlaneCentres::default(), |step| {
                told.push(match &step {
                    DecodeEvent::Left(_) => "left".to_owned(),
                    DecodeEvent::Image(_, decoded) => {
                        assert!(matches!(decoded.slice, Ok(Some(_))));
                        decoded.image.to_string()
                    }
                    DecodeEvent::Done => "done".to_owned(),
                });
                if let DecodeEvent::Left(left) = step {
                    waiting.push(left);
                }
            });
        }
        assert_eq!(told.join(" "), "left 0 1 2 3 done left 4 5 6 7 done 8 9 done");
    }
}
