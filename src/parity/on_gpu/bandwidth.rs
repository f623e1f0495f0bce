//! How much memory the kernels move in a second, in batches that fill the GPU, compared with a copy within the GPU's memory in
//! the same run.
#![expect(unsafe_code, reason = "kernels take raw addresses")]

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _, DriverError};

use super::Holds;
use super::table::Report;
use crate::dicom::CellLayout;
use crate::engine::ModelPackage;
use crate::gpu::Failure;
use crate::gpu::{Address, EvidenceArguments, MAX_BATCH, Slab, Slice, Statistics, WindowArguments};
use crate::gpu::{AxisTaps, Device, axes, described, slice_arguments, window_blocks};
use crate::preprocess::{InPlane, InputGeometry, SourceAxis, StoredImage, share_of};
use crate::triage::{BONE_HU, TISSUE_HU};

/// What a batch moves: several times what any GPU's caches hold.
const BATCH_BYTES: usize = 1 << 29;

/// A batch takes no more of the free memory than this part.
const LEAST_PART: usize = 8;

/// The share of the copy's rate that a kernel should reach.
const GOAL: f64 = 0.8;

const WARM_UP: usize = 3;
const REPETITIONS: usize = 20;

/// A usual slice: 512 x 512 pixels of 0.7 mm, 16 bits.
const SLICE_SIDE: usize = 512;
const SLICE_MM: f64 = 0.7;

pub(super) fn measure(report: &mut Report<'_>, device: &Device, package: &ModelPackage) -> Result<(), Failure> {
    let (free, _) = device.context().mem_get_info()?;
    let bench = Bench { device, input: &package.manifest.input, bytes: BATCH_BYTES.min(free / LEAST_PART) };
    let copy = bench.copy()?;
    report.note("copy within the GPU's memory", &format!("{copy:.0} GB/s, read and written"));
    let kernels = [
        ("add_slices", bench.add_slices()),
        ("windows_f32", bench.windows_f32()),
        ("windows_f16", bench.windows_f16()),
        ("evidence", bench.evidence()),
    ];
    for (kernel, rate) in kernels {
        let what = format!("{kernel}, batch that fills the GPU");
        match rate {
            Ok(rate) => {
                let found = format!("{rate:.0} GB/s, {:.0} % of the copy", rate / copy * 100.0);
                let goal = format!("{:.0} %", GOAL * 100.0);
                report.row(&what, &found, &goal, Holds::from(rate >= GOAL * copy));
            }
            Err(error) => report.failed(&what, error.as_ref()),
        }
    }
    Ok(())
}

struct Bench<'a> {
    device: &'a Device,
    input: &'a InputGeometry,
    bytes: usize,
}

impl Bench<'_> {
    fn stream(&self) -> &Arc<CudaStream> {
        self.device.stream()
    }

    /// Bytes in a second, GB/s, of work that moves so many bytes each time.
    fn rate(&self, bytes: usize, mut work: impl FnMut() -> Result<(), DriverError>) -> Result<f64, Failure> {
        for _ in 0..WARM_UP {
            work()?;
        }
        let start = self.device.moment()?;
        for _ in 0..REPETITIONS {
            work()?;
        }
        let milliseconds = f64::from(start.elapsed_ms(&self.device.moment()?)?);
        Ok((bytes * REPETITIONS) as f64 / milliseconds / 1e6)
    }

    fn copy(&self) -> Result<f64, Failure> {
        let half = self.bytes / 2;
        let (from, mut to): (CudaSlice<u8>, CudaSlice<u8>) =
            (self.stream().alloc_zeros(half)?, self.stream().alloc_zeros(half)?);
        self.rate(2 * half, || self.stream().memcpy_dtod(&from, &mut to))
    }

    /// How many of something that moves so many bytes make a batch.
    fn batch(&self, bytes: usize) -> usize {
        (self.bytes / bytes).clamp(1, MAX_BATCH)
    }

    /// Cells once, and each sum once in and once out: every slice has a slab of its own.
    fn add_slices(&self) -> Result<f64, Failure> {
        let (stream, plane_len) = (self.stream(), self.input.plane_len());
        let cell_bytes = SLICE_SIDE * SLICE_SIDE * 2;
        let moved = cell_bytes + 2 * plane_len * size_of::<u32>();
        let count = self.batch(moved);
        let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: SLICE_MM, offset_mm: 0.0 };
        let in_plane = InPlane { x: axis(true), y: axis(false) };
        let image = StoredImage {
            rows: SLICE_SIDE,
            columns: SLICE_SIDE,
            cell_bytes: 2,
            cells: Vec::new(),
            layout: CellLayout::new(16, 15, true),
            rescale_slope: 1.0,
            rescale_intercept: -300.0,
            padding: None,
        };
        let [x, y] = axes(&image, &in_plane, self.input);
        let (x, y) = (AxisTaps::upload(stream, &x)?, AxisTaps::upload(stream, &y)?);
        let cells: CudaSlice<u8> = stream.alloc_zeros(count * cell_bytes)?;
        let sums: CudaSlice<u32> = stream.alloc_zeros(count * plane_len)?;
        let slice = |at: usize| Slice {
            cells: address_of(stream, &cells, at * cell_bytes),
            sum: address_of(stream, &sums, at * plane_len),
            x: x.addresses(stream),
            y: y.addresses(stream),
            ..described(&image, &in_plane)
        };
        let slices = stream.clone_htod(&(0..count).map(slice).collect::<Vec<_>>())?;
        let arguments = slice_arguments(address_of(stream, &slices, 0), self.input);
        // SAFETY: every slice has its cells and its sum, and all are kept until the times are known.
        self.rate(count * moved, || unsafe { self.device.add_slices(&arguments, count) })
    }

    fn windows_f32(&self) -> Result<f64, Failure> {
        // SAFETY: `windows` hands in buffers of values of this size.
        self.windows(size_of::<f32>(), |arguments, count| unsafe { self.device.windows_f32(arguments, count) })
    }

    fn windows_f16(&self) -> Result<f64, Failure> {
        // SAFETY: as above.
        self.windows(size_of::<u16>(), |arguments, count| unsafe { self.device.windows_f16(arguments, count) })
    }

    /// Every window has slabs of its own, so that none comes from a cache.
    fn windows(
        &self,
        value_bytes: usize,
        kernel: impl Fn(&WindowArguments, usize) -> Result<(), DriverError>,
    ) -> Result<f64, Failure> {
        let (stream, plane_len, slabs) = (self.stream(), self.input.plane_len(), self.input.slabs);
        let words = plane_len.div_ceil(64);
        let moved = slabs * plane_len * (size_of::<u32>() + value_bytes) + 2 * words * size_of::<u64>();
        let count = self.batch(moved);
        let sums: CudaSlice<u32> = stream.alloc_zeros(count * slabs * plane_len)?;
        let on_gpu = self.slabs(&sums, count * slabs)?;
        let values: CudaSlice<u8> = stream.alloc_zeros(count * slabs * plane_len * value_bytes)?;
        let (tissue, bone) = (stream.alloc_zeros::<u64>(count * words)?, stream.alloc_zeros::<u64>(count * words)?);
        let change: CudaSlice<u64> = stream.alloc_zeros(count * window_blocks(plane_len))?;
        let [hu_low, hu_high] = self.input.hu_window;
        let arguments = WindowArguments {
            slabs: address_of(stream, &on_gpu, 0),
            input: address_of(stream, &values, 0),
            tissue: address_of(stream, &tissue, 0),
            bone: address_of(stream, &bone, 0),
            change: address_of(stream, &change, 0),
            slab_count: slabs as i32,
            plane_len: plane_len as i32,
            hu_low,
            hu_high,
            tissue_hu: TISSUE_HU,
            bone_hu: BONE_HU,
        };
        self.rate(count * moved, || kernel(&arguments, count))
    }

    /// Two planes, the body's mask, and two masks out; a lesion on one pixel in fifty.
    fn evidence(&self) -> Result<f64, Failure> {
        let (stream, plane_len, slabs) = (self.stream(), self.input.plane_len(), self.input.slabs);
        let words = plane_len.div_ceil(64);
        let moved = 2 * plane_len * size_of::<f32>() + 3 * words * size_of::<u64>();
        let count = self.batch(moved);
        let plane = |high: fn(usize) -> bool| -> Vec<f32> {
            (0..count * plane_len).map(|at| if high(at) { 0.9 } else { 0.1 }).collect()
        };
        let lung = stream.clone_htod(&plane(|at| at % 3 != 0))?;
        let lesion = stream.clone_htod(&plane(|at| at % 50 == 1))?;
        let numbers: CudaSlice<f32> = stream.alloc_zeros(count)?;
        let body = stream.clone_htod(&vec![u64::MAX; count * words])?;
        // All windows are of the same slabs, of which little is read.
        let sums: CudaSlice<u32> = stream.alloc_zeros(slabs * plane_len)?;
        let slab = |at: usize| Slab { sum: address_of(stream, &sums, at % slabs * plane_len), share: share_of(1) };
        let on_gpu = stream.clone_htod(&(0..count * slabs).map(slab).collect::<Vec<_>>())?;
        let masks: CudaSlice<u64> = stream.alloc_zeros(2 * count * words)?;
        let lesion_hu: CudaSlice<f32> = stream.alloc_zeros(count * plane_len)?;
        let statistics: CudaSlice<Statistics> = stream.alloc_zeros(count)?;
        let [hu_low, hu_high] = self.input.hu_window;
        let arguments = EvidenceArguments {
            lung: address_of(stream, &lung, 0),
            lesion: address_of(stream, &lesion, 0),
            attention: address_of(stream, &numbers, 0),
            logit: address_of(stream, &numbers, 0),
            slabs: address_of(stream, &on_gpu, 0),
            body: address_of(stream, &body, 0),
            lung_mask: address_of(stream, &masks, 0),
            lesion_mask: address_of(stream, &masks, count * words),
            lesion_hu: address_of(stream, &lesion_hu, 0),
            statistics: address_of(stream, &statistics, 0),
            slab_count: slabs as i32,
            plane_len: plane_len as i32,
            lung_probability: 0.5,
            lesion_probability: 0.5,
            hu_low,
            hu_high,
        };
        // SAFETY: all buffers are as long as this many windows need and are kept until the times are known.
        self.rate(count * moved, || unsafe { self.device.evidence(&arguments, count) })
    }

    /// Slabs of one slice each, whose sums follow each other.
    fn slabs(&self, sums: &CudaSlice<u32>, count: usize) -> Result<CudaSlice<Slab>, DriverError> {
        let plane_len = self.input.plane_len();
        let slab = |at: usize| Slab { sum: address_of(self.stream(), sums, at * plane_len), share: share_of(1) };
        self.stream().clone_htod(&(0..count).map(slab).collect::<Vec<_>>())
    }
}

/// Where a value lies.
fn address_of<T>(stream: &CudaStream, values: &CudaSlice<T>, at: usize) -> Address {
    values.device_ptr(stream).0 + (at * size_of::<T>()) as Address
}
