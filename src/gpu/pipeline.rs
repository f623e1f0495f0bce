//! From a slice's stored cells to a slab's evidence, all work queued on one stream in one thread.
//!
//! A window: its slabs' sums become the network's input, tissue and bone come back, the network runs, and while it does the CPU
//! finds the body; then the body's mask goes up and the evidence comes back.
#![expect(unsafe_code, reason = "kernels are handed addresses, and memory that the card reads is handed out unset")]

use std::sync::Arc;

use cudarc::driver::{
    CudaEvent, CudaSlice, CudaStream, DevicePtr as _, DeviceRepr, DriverError, PinnedHostSlice, ValidAsZeroBits,
};

use super::DeviceNetwork;
use super::GpuError;
use super::arguments::{Address, EvidenceArguments, Slab, SliceArguments, Statistics, WindowArguments};
use super::device::{Device, window_blocks};
use super::series::{Axis, DeviceSeries, SlabStore};
use super::upload::UploadRing;
use crate::engine::{Manifest, OperatingPoint};
use crate::exam::SlabIndex;
use crate::preprocess::{InPlane, InputGeometry, StoredImage};
use crate::triage::{BONE_HU, Body, Mask, SlabEvidence, TISSUE_HU, Tissue, change_of_parts};

/// Slabs that all series on the card have between them: sixteen exams of 384 mm in slabs of 3 mm, half a gigabyte.
pub const SLABS: usize = 2048;

/// The card, the slabs that lie on it, and the network that judges their windows.
pub struct DevicePipeline<'a> {
    device: &'a Device,
    network: &'a mut dyn DeviceNetwork,
    input: InputGeometry,
    point: OperatingPoint,
    ring: UploadRing,
    store: SlabStore,
    buffers: Buffers,
}

/// What `add_slices` does with a slice.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Add,
    TakeAway,
}

impl<'a> DevicePipeline<'a> {
    /// A pipeline whose network takes windows of this manifest.
    ///
    /// # Errors
    /// If the card has too little memory.
    pub fn new(device: &'a Device, network: &'a mut dyn DeviceNetwork, manifest: &Manifest) -> Result<Self, GpuError> {
        let input = manifest.input.clone();
        Ok(Self {
            ring: UploadRing::new(device.context(), device.stream())?,
            store: SlabStore::new(device.stream(), input.plane_len(), SLABS)?,
            buffers: Buffers::new(device, &input)?,
            point: manifest.operating_point,
            device,
            network,
            input,
        })
    }

    /// A series without slices.
    #[must_use]
    pub fn series(&self) -> DeviceSeries {
        self.store.series()
    }

    /// Slabs that series have on the card.
    #[must_use]
    pub fn slabs(&self) -> usize {
        self.store.taken()
    }

    /// The network that judges windows.
    pub fn network(&mut self) -> &mut dyn DeviceNetwork {
        self.network
    }

    /// Adds a slice to its slab.
    ///
    /// # Errors
    /// If there is no place for it or the card fails.
    pub fn add(
        &mut self,
        series: &mut DeviceSeries,
        slab: SlabIndex,
        image: &StoredImage,
        in_plane: &InPlane,
    ) -> Result<(), GpuError> {
        self.change(series, slab, image, in_plane, Change::Add)
    }

    /// Takes a slice away that was added.
    ///
    /// # Errors
    /// If the slab has no slices or the card fails.
    pub fn take_away(
        &mut self,
        series: &mut DeviceSeries,
        slab: SlabIndex,
        image: &StoredImage,
        in_plane: &InPlane,
    ) -> Result<(), GpuError> {
        self.change(series, slab, image, in_plane, Change::TakeAway)
    }

    fn change(
        &mut self,
        series: &mut DeviceSeries,
        slab: SlabIndex,
        image: &StoredImage,
        in_plane: &InPlane,
        change: Change,
    ) -> Result<(), GpuError> {
        let stream = self.device.stream();
        if change == Change::TakeAway {
            self.store.slab(stream, series, slab)?;
        }
        let [x, y] = series.taps(stream, &axes(image, in_plane, &self.input))?;
        let sum = self.store.sum(stream, series, slab)?;
        let slices = self.ring.send(stream, &image.cells, |cells| super::arguments::Slice {
            cells,
            sum,
            steps: 0,
            x,
            y,
            is_taken_away: i32::from(change == Change::TakeAway),
            ..described(image, in_plane)
        })?;
        // SAFETY: the slice, its cells and its taps lie on the card until work that is queued later takes their place; the image has
        // as many cells as its rows and columns say, and the taps stay within it.
        unsafe { self.device.add_slices(&slice_arguments(slices, &self.input), 1) }?;
        series.count(slab, change == Change::TakeAway);
        Ok(())
    }

    /// The evidence of the window of these slabs, in ascending z, as many as the model's window has.
    ///
    /// # Errors
    /// If one of them has no slices, the network says what is no number, or the card fails.
    pub fn judge(&mut self, series: &DeviceSeries, slabs: &[SlabIndex]) -> Result<SlabEvidence, GpuError> {
        self.queue_window(series, slabs)?;
        self.network.enqueue().map_err(|error| GpuError::Network(error.to_string()))?;
        let (tissue, change) = self.tissue()?;
        let body = Body::find(&tissue, &self.input);
        self.queue_evidence(body.as_ref())?;
        let evidence = self.evidence(body)?;
        Ok(SlabEvidence { change_hu: change_of_parts(change, &self.input), ..evidence })
    }

    /// Queues the window into the network's input, and tissue, bone and change back.
    fn queue_window(&mut self, series: &DeviceSeries, slabs: &[SlabIndex]) -> Result<(), GpuError> {
        let (stream, buffers) = (self.device.stream(), &mut self.buffers);
        debug_assert_eq!(slabs.len(), self.input.slabs);
        for (to, slab) in buffers.slabs.host_mut()?.iter_mut().zip(slabs) {
            *to = self.store.slab(stream, series, *slab)?;
        }
        buffers.slabs.send(stream)?;
        let [hu_low, hu_high] = self.input.hu_window;
        let (words, found) = (buffers.words, buffers.found.address(stream));
        let arguments = WindowArguments {
            slabs: buffers.slabs.address(stream),
            input: self.network.input(),
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
        // SAFETY: the sums are planes in the store, the network's input is a window of the manifest that the network was held
        // against, and `found` has room for two masks and a sum a block.
        unsafe { self.device.windows_f32(&arguments, 1) }?;
        buffers.found.fetch(stream, buffers.found.card.len())?;
        Ok(())
    }

    /// Waits for tissue and bone, but not for the network that is queued behind them.
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
            Some(body) => to.copy_from_slice(body.mask().words()),
            None => to.fill(u64::MAX),
        }
        buffers.body.send(stream)?;
        let [hu_low, hu_high] = self.input.hu_window;
        let [lung, lesion, attention, logit] = self.network.outputs();
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
        // SAFETY: the network's outputs are planes and numbers of the manifest that it was held against, the slabs are those of the
        // window, and the buffers are made for one window of it.
        unsafe { self.device.evidence(&arguments, 1) }?;
        buffers.masks.fetch(stream, 2 * buffers.words)?;
        buffers.statistics.fetch(stream, 1)?;
        Ok(())
    }

    /// Waits for the evidence, and fetches as much of the lesion's Hounsfield units as there is.
    fn evidence(&mut self, body: Option<Body>) -> Result<SlabEvidence, GpuError> {
        let (stream, buffers) = (self.device.stream(), &mut self.buffers);
        let statistics = buffers.statistics.read()?[0];
        let outputs = ["lung", "lesion", "attention", "logit"];
        if let Some((output, _)) = outputs.iter().zip(statistics.not_finite).find(|(_, wrong)| *wrong > 0) {
            return Err(GpuError::NotFinite(output));
        }
        let pixels = statistics.lesion_pixels as usize;
        if pixels > buffers.lesion_hu.card.len() {
            return Err(GpuError::Impossible);
        }
        if pixels > 0 {
            buffers.lesion_hu.fetch(stream, pixels)?;
        }
        let lesion_hu = &buffers.lesion_hu.read()?[..pixels];
        let (lung, lesion) = buffers.masks.read()?.split_at(buffers.words);
        let mask = |words: &[u64]| Mask::from_words(self.input.rows, self.input.columns, words.to_vec());
        let numbers = [statistics.attention, statistics.logit];
        let section = body.map(|body| body.section);
        Ok(SlabEvidence::of_masks(mask(lung), mask(lesion), lesion_hu, numbers, section, &self.input))
    }
}

/// Along x and along y of the plane.
pub(super) fn axes(image: &StoredImage, in_plane: &InPlane, input: &InputGeometry) -> [Axis; 2] {
    let (along_x, along_y) =
        if in_plane.x.along_columns { (image.columns, image.rows) } else { (image.rows, image.columns) };
    let target_mm = input.pixel_mm;
    [
        Axis { source: in_plane.x, source_len: along_x, target_len: input.columns, target_mm },
        Axis { source: in_plane.y, source_len: along_y, target_len: input.rows, target_mm },
    ]
}

/// An image as the kernel knows it, without addresses.
pub(super) fn described(image: &StoredImage, in_plane: &InPlane) -> super::arguments::Slice {
    let nowhere = super::arguments::Taps { first: 0, count: 0, weights: 0 };
    super::arguments::Slice {
        cells: 0,
        sum: 0,
        steps: 0,
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
        x_along_columns: i32::from(in_plane.x.along_columns),
        is_taken_away: 0,
    }
}

pub(super) fn slice_arguments(slices: Address, input: &InputGeometry) -> SliceArguments {
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

/// Values on the card, and their like in memory that the card reads and writes itself.
struct Pair<T> {
    card: CudaSlice<T>,
    host: PinnedHostSlice<T>,
    /// When the last copy in either direction was done. Without event tracking `host` does not know.
    copied: CudaEvent,
}

impl<T: DeviceRepr + ValidAsZeroBits> Pair<T> {
    fn new(device: &Device, len: usize) -> Result<Self, DriverError> {
        // Write-combined memory, the default, would be slow to read back.
        const READABLE: std::ffi::c_uint = 0;
        // SAFETY: whatever the bytes are, they are a value; they are written before they are read.
        let host = unsafe { device.context().alloc_pinned_with_flags(len, READABLE) }?;
        Ok(Self { card: device.stream().alloc_zeros(len)?, host, copied: device.context().new_event(None)? })
    }

    fn address(&self, stream: &CudaStream) -> Address {
        self.card.device_ptr(stream).0
    }

    /// The host's values, to be written once they are no longer being copied.
    fn host_mut(&mut self) -> Result<&mut [T], DriverError> {
        self.copied.synchronize()?;
        self.host.as_mut_slice()
    }

    /// Queues the copy to the card.
    fn send(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        stream.memcpy_htod(&self.host, &mut self.card)?;
        self.copied.record(stream)
    }

    /// Queues the copy of the first values from the card.
    fn fetch(&mut self, stream: &Arc<CudaStream>, len: usize) -> Result<(), DriverError> {
        if let Some(values) = self.card.try_slice(..len) {
            stream.memcpy_dtoh(&values, &mut self.host)?;
        }
        self.copied.record(stream)
    }

    /// The host's values, once what was fetched has come.
    fn read(&self) -> Result<&[T], DriverError> {
        self.copied.synchronize()?;
        self.host.as_slice()
    }
}

/// One window's.
struct Buffers {
    /// Words of a mask.
    words: usize,
    slabs: Pair<Slab>,
    /// Words of tissue, words of bone, sums of changes.
    found: Pair<u64>,
    body: Pair<u64>,
    /// Words of lung, words of lesion.
    masks: Pair<u64>,
    statistics: Pair<Statistics>,
    lesion_hu: Pair<f32>,
}

impl Buffers {
    fn new(device: &Device, input: &InputGeometry) -> Result<Self, DriverError> {
        let words = input.plane_len().div_ceil(64);
        Ok(Self {
            words,
            slabs: Pair::new(device, input.slabs)?,
            found: Pair::new(device, 2 * words + window_blocks(input.plane_len()))?,
            body: Pair::new(device, words)?,
            masks: Pair::new(device, 2 * words)?,
            statistics: Pair::new(device, 1)?,
            lesion_hu: Pair::new(device, input.plane_len())?,
        })
    }
}
