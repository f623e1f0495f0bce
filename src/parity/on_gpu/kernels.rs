//! The kernels on the GPU, asked as the comparisons with the CPU ask for them.
#![expect(unsafe_code, reason = "kernels take raw addresses")]

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _, DeviceRepr, DriverError, ValidAsZeroBits};

use crate::gpu::{Address, EvidenceArguments, Slab, Slice, Statistics, WindowArguments};
use crate::gpu::{AxisTaps, Device, axes, described, slice_arguments, window_blocks};
use crate::parity::kernels::{
    KernelError, KernelEvidence, KernelOutputs, KernelSlice, KernelWindows, Kernels, SumsAndLevels,
};
use crate::preprocess::{InputGeometry, SlabSum};
use crate::triage::{BONE_HU, TISSUE_HU};

impl Kernels for Device {
    fn add_slices(
        &self,
        input: &InputGeometry,
        sums: &[Vec<u32>],
        slices: &[KernelSlice],
    ) -> Result<SumsAndLevels, KernelError> {
        run_slices(self, input, sums, slices).map_err(|error| KernelError(error.to_string()))
    }

    fn windows_f32(
        &self,
        input: &InputGeometry,
        windows: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<f32>, KernelError> {
        // SAFETY: `run_windows` calls it with buffers of 32-bit values of the windows' size.
        let kernel = |arguments: &WindowArguments| unsafe { self.windows_f32(arguments, windows.len()) };
        run_windows(self, input, windows, offset, kernel).map_err(|error| KernelError(error.to_string()))
    }

    fn windows_f16(
        &self,
        input: &InputGeometry,
        windows: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<u16>, KernelError> {
        // SAFETY: `run_windows` calls it with buffers of 16-bit values of the windows' size.
        let kernel = |arguments: &WindowArguments| unsafe { self.windows_f16(arguments, windows.len()) };
        run_windows(self, input, windows, offset, kernel).map_err(|error| KernelError(error.to_string()))
    }

    fn evidence(
        &self,
        input: &InputGeometry,
        thresholds: [f32; 2],
        windows: &[KernelOutputs<'_>],
        offset: usize,
    ) -> Result<Vec<KernelEvidence>, KernelError> {
        run_evidence(self, input, thresholds, windows, offset).map_err(|error| KernelError(error.to_string()))
    }
}

/// Values on the GPU that begin at an offset from an aligned address.
struct Placed<T> {
    _memory: CudaSlice<T>,
    address: Address,
}

impl<T: DeviceRepr + ValidAsZeroBits> Placed<T> {
    fn new(stream: &Arc<CudaStream>, values: &[T], offset: usize) -> Result<Self, DriverError> {
        let mut memory = stream.alloc_zeros::<T>(offset + values.len())?;
        if let Some(mut place) = memory.try_slice_mut(offset..) {
            stream.memcpy_htod(values, &mut place)?;
        }
        let address = memory.device_ptr(stream).0 + (offset * size_of::<T>()) as Address;
        Ok(Self { _memory: memory, address })
    }
}

fn run_slices(
    device: &Device,
    input: &InputGeometry,
    sums: &[Vec<u32>],
    slices: &[KernelSlice],
) -> Result<SumsAndLevels, DriverError> {
    let stream = device.stream();
    let sums: Vec<CudaSlice<u32>> = sums.iter().map(|sum| stream.clone_htod(sum)).collect::<Result<_, _>>()?;
    let (mut levels, mut kept, mut described_slices) = (Vec::new(), Vec::new(), Vec::<Slice>::new());
    for KernelSlice { image, in_plane, sum, offset } in slices {
        let cells = Placed::new(stream, &image.cells, *offset)?;
        let own_levels: CudaSlice<u16> = stream.alloc_zeros(input.plane_len())?;
        let [x, y] = axes(image, in_plane, input);
        let (x, y) = (AxisTaps::upload(stream, &x)?, AxisTaps::upload(stream, &y)?);
        described_slices.push(Slice {
            cells: cells.address,
            sum: sums[*sum].device_ptr(stream).0,
            levels: own_levels.device_ptr(stream).0,
            x: x.addresses(stream),
            y: y.addresses(stream),
            ..described(image, in_plane)
        });
        levels.push(own_levels);
        kept.push((cells, x, y));
    }
    let on_gpu = stream.clone_htod(&described_slices)?;
    let arguments = slice_arguments(on_gpu.device_ptr(stream).0, input);
    // SAFETY: all that was uploaded is kept until the results have come back, and is as long as the slices say.
    unsafe { device.add_slices(&arguments, slices.len()) }?;
    let sums = sums.iter().map(|sum| stream.clone_dtoh(sum)).collect::<Result<_, _>>()?;
    let levels = levels.iter().map(|levels| stream.clone_dtoh(levels)).collect::<Result<_, _>>()?;
    stream.synchronize()?;
    Ok((sums, levels))
}

/// The sums of windows' slabs, and what kernels must know of them.
struct Slabs {
    _sums: Vec<Placed<u32>>,
    on_gpu: CudaSlice<Slab>,
}

impl Slabs {
    fn upload(stream: &Arc<CudaStream>, windows: &[Vec<&SlabSum>], offset: usize) -> Result<Self, DriverError> {
        let all = || windows.iter().flatten();
        let sums: Vec<Placed<u32>> =
            all().map(|slab| Placed::new(stream, slab.levels(), offset)).collect::<Result<_, _>>()?;
        let slabs: Vec<Slab> =
            all().zip(&sums).map(|(slab, sum)| Slab { sum: sum.address, share: slab.share() }).collect();
        Ok(Self { on_gpu: stream.clone_htod(&slabs)?, _sums: sums })
    }
}

fn run_windows<Value: DeviceRepr + ValidAsZeroBits + Clone>(
    device: &Device,
    input: &InputGeometry,
    windows: &[Vec<&SlabSum>],
    offset: usize,
    kernel: impl Fn(&WindowArguments) -> Result<(), DriverError>,
) -> Result<KernelWindows<Value>, DriverError> {
    let (stream, count, words) = (device.stream(), windows.len(), input.plane_len().div_ceil(64));
    let slabs = Slabs::upload(stream, windows, offset)?;
    let values: CudaSlice<Value> = stream.alloc_zeros(count * input.slabs * input.plane_len())?;
    let (tissue, bone) = (stream.alloc_zeros::<u64>(count * words)?, stream.alloc_zeros::<u64>(count * words)?);
    let change: CudaSlice<u64> = stream.alloc_zeros(count * window_blocks(input.plane_len()))?;
    let [hu_low, hu_high] = input.hu_window;
    kernel(&WindowArguments {
        slabs: slabs.on_gpu.device_ptr(stream).0,
        input: values.device_ptr(stream).0,
        tissue: tissue.device_ptr(stream).0,
        bone: bone.device_ptr(stream).0,
        change: change.device_ptr(stream).0,
        slab_count: input.slabs as i32,
        plane_len: input.plane_len() as i32,
        hu_low,
        hu_high,
        tissue_hu: TISSUE_HU,
        bone_hu: BONE_HU,
    })?;
    let found = KernelWindows {
        input: split(&stream.clone_dtoh(&values)?, count),
        tissue: split(&stream.clone_dtoh(&tissue)?, count),
        bone: split(&stream.clone_dtoh(&bone)?, count),
        change: split(&stream.clone_dtoh(&change)?, count).iter().map(|blocks| blocks.iter().sum()).collect(),
    };
    stream.synchronize()?;
    Ok(found)
}

fn run_evidence(
    device: &Device,
    input: &InputGeometry,
    [lung_probability, lesion_probability]: [f32; 2],
    windows: &[KernelOutputs<'_>],
    offset: usize,
) -> Result<Vec<KernelEvidence>, DriverError> {
    let (stream, count, words) = (device.stream(), windows.len(), input.plane_len().div_ceil(64));
    let slabs: Vec<Vec<&SlabSum>> = windows.iter().map(|window| window.slabs.clone()).collect();
    let slabs = Slabs::upload(stream, &slabs, offset)?;
    let planes: [Vec<f32>; 2] = [
        windows.iter().flat_map(|window| window.inference.lung.iter().copied()).collect(),
        windows.iter().flat_map(|window| window.inference.lesion.iter().copied()).collect(),
    ];
    let (lung, lesion) = (Placed::new(stream, &planes[0], offset)?, Placed::new(stream, &planes[1], offset)?);
    let attention: Vec<f32> = windows.iter().map(|window| window.inference.attention).collect();
    let logit: Vec<f32> = windows.iter().map(|window| window.inference.logit).collect();
    let (attention, logit) = (stream.clone_htod(&attention)?, stream.clone_htod(&logit)?);
    let body: Vec<u64> = windows.iter().flat_map(|window| window.body.iter().copied()).collect();
    let body = stream.clone_htod(&body)?;
    let (lung_mask, lesion_mask) =
        (stream.alloc_zeros::<u64>(count * words)?, stream.alloc_zeros::<u64>(count * words)?);
    let lesion_hu: CudaSlice<f32> = stream.alloc_zeros(count * input.plane_len())?;
    let statistics: CudaSlice<Statistics> = stream.alloc_zeros(count)?;
    let [hu_low, hu_high] = input.hu_window;
    let arguments = EvidenceArguments {
        lung: lung.address,
        lesion: lesion.address,
        attention: attention.device_ptr(stream).0,
        logit: logit.device_ptr(stream).0,
        slabs: slabs.on_gpu.device_ptr(stream).0,
        body: body.device_ptr(stream).0,
        lung_mask: lung_mask.device_ptr(stream).0,
        lesion_mask: lesion_mask.device_ptr(stream).0,
        lesion_hu: lesion_hu.device_ptr(stream).0,
        statistics: statistics.device_ptr(stream).0,
        slab_count: input.slabs as i32,
        plane_len: input.plane_len() as i32,
        lung_probability,
        lesion_probability,
        hu_low,
        hu_high,
    };
    // SAFETY: all buffers are as long as this many windows need and are kept until the results have come back.
    unsafe { device.evidence(&arguments, count) }?;
    let lungs = split(&stream.clone_dtoh(&lung_mask)?, count);
    let lesions = split(&stream.clone_dtoh(&lesion_mask)?, count);
    let hu = split(&stream.clone_dtoh(&lesion_hu)?, count);
    let statistics = stream.clone_dtoh(&statistics)?;
    stream.synchronize()?;
    let windows = lungs.into_iter().zip(lesions).zip(hu).zip(statistics);
    let window = |(((lung, lesion), mut lesion_hu), found): (((_, _), Vec<f32>), Statistics)| {
        lesion_hu.truncate(found.lesion_pixels as usize);
        KernelEvidence {
            lung,
            lesion,
            lesion_hu,
            not_finite: found.not_finite,
            lung_pixels: found.lung_pixels,
            attention: found.attention,
            logit: found.logit,
        }
    };
    Ok(windows.map(window).collect())
}

/// As many parts of the same size.
fn split<T: Clone>(values: &[T], parts: usize) -> Vec<Vec<T>> {
    values.chunks(values.len() / parts).map(<[T]>::to_vec).collect()
}
