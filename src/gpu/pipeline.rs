//! From a slice's stored cells to a slab's evidence, all work queued on one stream in one thread.
//!
//! A window: its slabs' sums become the model's input, tissue and bone come back, and while the model runs the CPU finds the
//! body; then the body's mask goes up and the evidence comes back. The next window may be queued as soon as the kernel that
//! makes this one's evidence is: the stream keeps them from each other's buffers, and the model runs on while the CPU makes
//! regions of what came back.
#![expect(unsafe_code, reason = "kernels are handed addresses")]

use cudarc::driver::{DriverError, result};

use super::DeviceModel;
use super::GpuError;
use super::arguments::{Address, EvidenceArguments, Slab, SliceArguments, Statistics, WindowArguments};
use super::device::{Device, window_blocks};
use super::slabs::SlabStore;
use super::staged_buffer::StagedBuffer;
use super::taps::{Axis, KeptTaps};
use super::upload::{MAX_BYTES, SentSlice, UploadRing};
use crate::engine::{Manifest, OperatingPoint};
use crate::exam::{ExamKey, SeriesKey, WindowJob};
use crate::inference::StoredSlice;
use crate::preprocess::{InPlane, InputGeometry, Padding, Plane, StoredImage, Window};
use crate::raster::Mask;
use crate::triage::{BONE_HU, Body, SlabEvidence, TISSUE_HU, Tissue, change_of_parts};

/// Hounsfield units of a lesion that come back with its mask: so large is hardly any on one slab. What is left is fetched after.
const LESION_AT_ONCE: usize = if cfg!(test) { 64 } else { 4096 };

/// The GPU, the slabs that lie on it, and the model that runs on their windows.
pub struct DevicePipeline<'a> {
    device: &'a Device,
    model: &'a mut dyn DeviceModel,
    input: InputGeometry,
    point: OperatingPoint,
    ring: UploadRing,
    taps: KeptTaps,
    store: SlabStore,
    buffers: Buffers,
}

/// A window whose model is queued. Until its evidence is queued too nothing else may touch the slabs.
#[must_use]
pub struct BegunWindow<'pipeline, 'device>(&'pipeline mut DevicePipeline<'device>);

/// A window whose evidence is queued.
#[must_use]
pub struct QueuedEvidence {
    body: Option<Body>,
    change_hu: f32,
}

impl<'a> DevicePipeline<'a> {
    /// A pipeline whose model takes windows of this manifest. At most `slabs` slabs lie on the GPU, of all exams together.
    ///
    /// # Errors
    /// If the GPU has too little memory.
    pub fn new(
        device: &'a Device,
        model: &'a mut dyn DeviceModel,
        manifest: &Manifest,
        slabs: usize,
    ) -> Result<Self, GpuError> {
        let input = manifest.input.clone();
        Ok(Self {
            ring: UploadRing::new(device, input.plane_len())?,
            taps: KeptTaps::default(),
            store: SlabStore::new(device.stream(), input.plane_len(), slabs)?,
            buffers: Buffers::new(device, &input)?,
            point: manifest.operating_point,
            device,
            model,
            input,
        })
    }

    /// Slabs that lie on the GPU.
    #[must_use]
    pub fn slabs(&self) -> usize {
        self.store.len()
    }

    /// Sums that had to be uploaded so far, since on the GPU they were not what a window is made of.
    #[must_use]
    pub fn uploaded(&self) -> usize {
        self.store.uploaded()
    }

    /// Frees what an exam has on the GPU.
    pub fn forget(&mut self, exam: &ExamKey) {
        self.store.forget(exam);
    }

    /// The model that runs on windows.
    pub fn model(&mut self) -> &mut dyn DeviceModel {
        self.model
    }

    /// Queues a slice up and into its slab, and its plane back. `None` if the GPU does not take its size. Each
    /// of as many slices as the ring has places must be waited for ([`Self::plane`]) before the next one is sent.
    ///
    /// # Errors
    /// If the GPU fails.
    pub fn add(&mut self, slice: &StoredSlice) -> Result<Option<SentSlice>, GpuError> {
        let StoredSlice { series, slab, id, image, in_plane } = slice;
        let bytes = image.cells.len();
        if bytes > MAX_BYTES || bytes != image.rows * image.columns * image.cell_bytes {
            return Ok(None);
        }
        let stream = self.device.stream();
        let [x, y] = axes(image, in_plane, &self.input);
        let (x, y) = (self.taps.of(stream, &x)?, self.taps.of(stream, &y)?);
        let sum = self.store.add(stream, series, *slab, *id)?;
        let describe =
            |cells, levels| super::arguments::Slice { cells, sum, levels, x, y, ..described(image, in_plane) };
        let (sent, slices) = self.ring.send(stream, &image.cells, describe)?;
        // SAFETY: the slice, its cells and its taps lie on the GPU until work that is queued later takes their place; the image has
        // as many cells as its rows and columns say, and the taps stay within it; the levels are a plane.
        unsafe { self.device.add_slices(&slice_arguments(slices, &self.input), 1) }?;
        self.ring.fetch(stream, sent)?;
        Ok(Some(sent))
    }

    /// Waits for a slice's plane.
    ///
    /// # Errors
    /// If the GPU fails.
    pub fn plane(&self, sent: SentSlice) -> Result<Plane, GpuError> {
        Ok(self.ring.plane(sent)?)
    }

    /// The evidence of one window.
    ///
    /// # Errors
    /// If one of its slabs has no slices, an output of the model is no number, or the GPU fails.
    pub fn infer_window(&mut self, series: &SeriesKey, job: &WindowJob) -> Result<SlabEvidence, GpuError> {
        let queued = self.begin(series, job)?.queue_evidence()?;
        self.evidence(queued)
    }

    /// Queues a window up to its model.
    ///
    /// # Errors
    /// If one of its slabs has no slices, or the GPU fails.
    pub fn begin(&mut self, series: &SeriesKey, job: &WindowJob) -> Result<BegunWindow<'_, 'a>, GpuError> {
        self.queue_window(series, job)?;
        self.model.enqueue().map_err(|error| GpuError::Model(error.to_string()))?;
        Ok(BegunWindow(self))
    }

    /// What the model says of a window that the host made: lung, lesion, attention, logit. No other window may be under way.
    ///
    /// # Errors
    /// If the GPU fails.
    pub fn infer(&mut self, window: &Window) -> Result<[Vec<f32>; 4], GpuError> {
        let (stream, plane_len) = (self.device.stream(), self.input.plane_len());
        if window.values().len() != self.input.slabs * plane_len {
            return Err(GpuError::Window(window.values().len()));
        }
        let mut outputs = [plane_len, plane_len, 1, 1].map(|len| vec![0.0_f32; len]);
        // SAFETY: the model's input is a window of the manifest, and so are these values.
        unsafe { result::memcpy_htod_async(self.model.input(), window.values(), stream.cu_stream()) }?;
        self.model.enqueue().map_err(|error| GpuError::Model(error.to_string()))?;
        for (output, address) in outputs.iter_mut().zip(self.model.outputs()) {
            // SAFETY: its outputs are planes and numbers of the manifest. Memory that is not pinned has been written on return.
            unsafe { result::memcpy_dtoh_async(output, address, stream.cu_stream()) }?;
        }
        stream.synchronize()?;
        Ok(outputs)
    }

    /// Queues the window into the model's input, and tissue, bone and change back.
    fn queue_window(&mut self, series: &SeriesKey, job: &WindowJob) -> Result<(), GpuError> {
        let (stream, buffers) = (self.device.stream(), &mut self.buffers);
        let slabs = job.inputs.iter().zip(&job.sums);
        for (to, (slab, sum)) in buffers.slabs.host_mut()?.iter_mut().zip(slabs) {
            *to = self.store.slab(stream, series, *slab, sum)?;
        }
        buffers.slabs.send(stream, self.input.slabs)?;
        let [hu_low, hu_high] = self.input.hu_window;
        let (words, found) = (buffers.words, buffers.found.address(stream));
        let arguments = WindowArguments {
            slabs: buffers.slabs.address(stream),
            input: self.model.input(),
            tissue: found,
            bone: found + (words * 8) as u64,
            change: found + (2 * words * 8) as u64,
            slab_count: self.input.slabs as i32,
            plane_len: self.input.plane_len() as i32,
            hu_low,
            hu_high,
            tissue_hu: TISSUE_HU,
            bone_hu: BONE_HU,
        };
        // SAFETY: the sums are planes in the store, the model's input is a window of the manifest that the model was
        // checked against, and `found` has room for two masks and a sum a block.
        unsafe { self.device.windows_f32(&arguments, 1) }?;
        buffers.found.fetch(stream, buffers.found.len())?;
        Ok(())
    }

    /// Waits for tissue and bone, but not for the model that is queued behind them.
    fn tissue(&self) -> Result<(Tissue, u64), GpuError> {
        let found = self.buffers.found.read()?;
        let (tissue, rest) = found.split_at(self.buffers.words);
        let (bone, change) = rest.split_at(self.buffers.words);
        let mask = |words: &[u64]| Mask::from_words(self.input.rows, self.input.columns, words.to_vec());
        Ok((Tissue { tissue: mask(tissue), bone: mask(bone) }, change.iter().sum()))
    }

    /// Queues the body up, and masks and statistics back.
    fn queue_evidence(&mut self, body: Option<&Body>) -> Result<(), GpuError> {
        let (stream, buffers) = (self.device.stream(), &mut self.buffers);
        let to = buffers.body.host_mut()?;
        match body {
            Some(body) => to.copy_from_slice(&body.mask().words()),
            None => to.fill(u64::MAX),
        }
        buffers.body.send(stream, buffers.words)?;
        let [hu_low, hu_high] = self.input.hu_window;
        let [lung, lesion, attention, logit] = self.model.outputs();
        let masks = buffers.masks.address(stream);
        let arguments = EvidenceArguments {
            lung,
            lesion,
            attention,
            logit,
            slabs: buffers.slabs.address(stream),
            body: buffers.body.address(stream),
            lung_mask: masks,
            lesion_mask: masks + (buffers.words * 8) as u64,
            lesion_hu: buffers.lesion_hu.address(stream),
            statistics: buffers.statistics.address(stream),
            slab_count: self.input.slabs as i32,
            plane_len: self.input.plane_len() as i32,
            lung_probability: self.point.lung_probability,
            lesion_probability: self.point.lesion_probability,
            hu_low,
            hu_high,
        };
        // SAFETY: the model's outputs are planes and numbers of the manifest that it was checked against, the slabs are those
        // of the window, and the buffers are made for one window of it.
        unsafe { self.device.evidence(&arguments, 1) }?;
        buffers.masks.fetch(stream, 2 * buffers.words)?;
        buffers.statistics.fetch(stream, 1)?;
        buffers.lesion_hu.fetch(stream, LESION_AT_ONCE.min(self.input.plane_len()))?;
        Ok(())
    }

    /// Waits for a window's evidence.
    ///
    /// # Errors
    /// If an output of the model is no number, or the GPU fails.
    pub fn evidence(&mut self, queued: QueuedEvidence) -> Result<SlabEvidence, GpuError> {
        let (stream, buffers) = (self.device.stream(), &mut self.buffers);
        let QueuedEvidence { body, change_hu } = queued;
        let statistics = buffers.statistics.read()?[0];
        let outputs = ["lung", "lesion", "attention", "logit"];
        if let Some((output, _)) = outputs.iter().zip(statistics.not_finite).find(|(_, wrong)| *wrong > 0) {
            return Err(GpuError::NotFinite(output));
        }
        let pixels = statistics.lesion_pixels as usize;
        if pixels > buffers.lesion_hu.len() {
            return Err(GpuError::Impossible);
        }
        if pixels > LESION_AT_ONCE {
            buffers.lesion_hu.fetch(stream, pixels)?;
        }
        let lesion_hu = &buffers.lesion_hu.read()?[..pixels];
        let (lung, lesion) = buffers.masks.read()?.split_at(buffers.words);
        let mask = |words: &[u64]| Mask::from_words(self.input.rows, self.input.columns, words.to_vec());
        let numbers = [statistics.attention, statistics.logit];
        let section = body.map(|body| body.section);
        let evidence = SlabEvidence::of_masks(mask(lung), mask(lesion), lesion_hu, numbers, section, &self.input);
        Ok(SlabEvidence { change_hu, ..evidence })
    }
}

impl Drop for DevicePipeline<'_> {
    /// Waits for what is still queued: it reads and writes memory that is freed now, the model's too.
    fn drop(&mut self) {
        if let Err(error) = self.device.stream().synchronize() {
            tracing::error!(%error, "the GPU did not finish what was queued");
        }
    }
}

impl BegunWindow<'_, '_> {
    /// Waits for the evidence of the window before.
    ///
    /// # Errors
    /// As [`DevicePipeline::evidence`].
    pub fn evidence_of(&mut self, earlier: QueuedEvidence) -> Result<SlabEvidence, GpuError> {
        self.0.evidence(earlier)
    }

    /// Waits for the window's tissue and finds the body, while the model runs; then queues its evidence into the place where that
    /// of the window before was.
    ///
    /// # Errors
    /// If the GPU fails.
    pub fn queue_evidence(self) -> Result<QueuedEvidence, GpuError> {
        let (tissue, change) = self.0.tissue()?;
        let body = Body::find(&tissue, &self.0.input);
        self.0.queue_evidence(body.as_ref())?;
        Ok(QueuedEvidence { body, change_hu: change_of_parts(change, &self.0.input) })
    }
}

/// Along x and along y of the plane.
pub(crate) fn axes(image: &StoredImage, in_plane: &InPlane, input: &InputGeometry) -> [Axis; 2] {
    let (along_x, along_y) =
        if in_plane.x.along_columns { (image.columns, image.rows) } else { (image.rows, image.columns) };
    let target_mm = input.pixel_mm;
    [
        Axis { source: in_plane.x, source_len: along_x, target_len: input.columns, target_mm },
        Axis { source: in_plane.y, source_len: along_y, target_len: input.rows, target_mm },
    ]
}

/// An image as the kernel knows it, without addresses.
pub(crate) fn described(image: &StoredImage, in_plane: &InPlane) -> super::arguments::Slice {
    let nowhere = super::arguments::Taps { first: 0, count: 0, weights: 0 };
    let padding = image.padding.unwrap_or(Padding::NONE);
    super::arguments::Slice {
        cells: 0,
        sum: 0,
        levels: 0,
        x: nowhere,
        y: nowhere,
        rows: image.rows as i32,
        columns: image.columns as i32,
        cell_bytes: image.cell_bytes as i32,
        shift_up: image.layout.shift_up as i32,
        shift_down: image.layout.shift_down as i32,
        is_signed: i32::from(image.layout.signed),
        slope: image.rescale_slope,
        intercept: image.rescale_intercept,
        padding_first: padding.first,
        padding_last: padding.last,
        x_along_columns: i32::from(in_plane.x.along_columns),
    }
}

pub(crate) fn slice_arguments(slices: Address, input: &InputGeometry) -> SliceArguments {
    let [hu_low, hu_high] = input.hu_window;
    SliceArguments {
        slices,
        rows: input.rows as i32,
        columns: input.columns as i32,
        hu_low,
        hu_high,
        hu_scale: 1.0 / (hu_high - hu_low),
    }
}

/// One window's.
struct Buffers {
    /// Words of a mask.
    words: usize,
    slabs: StagedBuffer<Slab>,
    /// Words of tissue, words of bone, sums of changes.
    found: StagedBuffer<u64>,
    body: StagedBuffer<u64>,
    /// Words of lung, words of lesion.
    masks: StagedBuffer<u64>,
    statistics: StagedBuffer<Statistics>,
    lesion_hu: StagedBuffer<f32>,
}

impl Buffers {
    fn new(device: &Device, input: &InputGeometry) -> Result<Self, DriverError> {
        let words = input.plane_len().div_ceil(64);
        Ok(Self {
            words,
            slabs: StagedBuffer::new(device, input.slabs)?,
            found: StagedBuffer::new(device, 2 * words + window_blocks(input.plane_len()))?,
            body: StagedBuffer::new(device, words)?,
            masks: StagedBuffer::new(device, 2 * words)?,
            statistics: StagedBuffer::new(device, 1)?,
            lesion_hu: StagedBuffer::new(device, input.plane_len())?,
        })
    }
}
