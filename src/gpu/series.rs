//! A series on the card: the sums of its slabs, and the taps that its slices are resampled with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _, DriverError};

use super::GpuError;
use super::arguments::{Address, Slab, Taps};
use super::places::Places;
use crate::exam::SlabIndex;
use crate::preprocess::{SourceAxis, share_of, taps};

/// Sums begin at multiples of this many values, so that the kernels read 16 bytes at once.
const ALIGNMENT: usize = 64;

/// The sums of all series' slabs: so many and no more.
pub struct SlabStore {
    memory: CudaSlice<u32>,
    /// From one sum to the next, values.
    stride: usize,
    plane_len: usize,
    count: usize,
    places: Rc<RefCell<Places>>,
}

impl SlabStore {
    /// # Errors
    /// If the card has not so much memory.
    pub fn new(stream: &Arc<CudaStream>, plane_len: usize, count: usize) -> Result<Self, DriverError> {
        let stride = plane_len.next_multiple_of(ALIGNMENT);
        let memory = stream.alloc_zeros(stride * count)?;
        Ok(Self { memory, stride, plane_len, count, places: Rc::new(RefCell::new(Places::new(count))) })
    }

    /// A series without slices. When it goes, its slabs' places are free.
    #[must_use]
    pub fn series(&self) -> DeviceSeries {
        DeviceSeries { slabs: BTreeMap::new(), taps: Vec::new(), places: Rc::clone(&self.places) }
    }

    /// Places that series have.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.places.borrow().taken()
    }

    fn address(&self, stream: &CudaStream, place: usize) -> Address {
        self.memory.device_ptr(stream).0 + (place * self.stride * size_of::<u32>()) as Address
    }

    /// Where the sum of a slab lies; a new one is set to 0.
    pub(super) fn sum(
        &mut self,
        stream: &Arc<CudaStream>,
        series: &mut DeviceSeries,
        slab: SlabIndex,
    ) -> Result<Address, GpuError> {
        if let Some(slab) = series.slabs.get(&slab) {
            return Ok(self.address(stream, slab.place));
        }
        let place = self.places.borrow_mut().take().ok_or(GpuError::NoPlace(self.count))?;
        series.slabs.insert(slab, DeviceSlab { place, slices: 0 });
        let first = place * self.stride;
        let mut sum = self.memory.try_slice_mut(first..first + self.plane_len).ok_or(GpuError::NoPlace(self.count))?;
        stream.memset_zeros(&mut sum)?;
        Ok(self.address(stream, place))
    }

    /// What a window is told of a slab.
    pub(super) fn slab(&self, stream: &CudaStream, series: &DeviceSeries, slab: SlabIndex) -> Result<Slab, GpuError> {
        let found = series.slabs.get(&slab).filter(|slab| slab.slices > 0).ok_or(GpuError::NoSlab(slab.0))?;
        Ok(Slab { sum: self.address(stream, found.place), share: share_of(found.slices) })
    }
}

/// A slab's place in the store, and how many slices are in its sum.
struct DeviceSlab {
    place: usize,
    slices: usize,
}

/// Slices of one series differ in size and place seldom: from so many kinds of taps on, those that are not used go.
const KEPT_TAPS: usize = 8;

/// One series' slabs on the card.
pub struct DeviceSeries {
    slabs: BTreeMap<SlabIndex, DeviceSlab>,
    taps: Vec<AxisTaps>,
    places: Rc<RefCell<Places>>,
}

impl DeviceSeries {
    /// Counts a slice that was added to its slab or taken away from it.
    pub(super) fn count(&mut self, slab: SlabIndex, is_taken_away: bool) {
        if let Some(slab) = self.slabs.get_mut(&slab) {
            slab.slices = if is_taken_away { slab.slices.saturating_sub(1) } else { slab.slices + 1 };
        }
    }

    /// The taps of a slice's axes, uploaded once.
    pub(super) fn taps(&mut self, stream: &Arc<CudaStream>, axes: &[Axis; 2]) -> Result<[Taps; 2], DriverError> {
        if self.taps.len() >= KEPT_TAPS {
            // Freed in the stream's order: the kernels that read them are queued already.
            self.taps.retain(|kept| axes.contains(&kept.axis));
        }
        let [x, y] = axes;
        Ok([self.axis_taps(stream, x)?, self.axis_taps(stream, y)?])
    }

    fn axis_taps(&mut self, stream: &Arc<CudaStream>, axis: &Axis) -> Result<Taps, DriverError> {
        if let Some(kept) = self.taps.iter().find(|kept| kept.axis == *axis) {
            return Ok(kept.addresses(stream));
        }
        let uploaded = AxisTaps::upload(stream, axis)?;
        let addresses = uploaded.addresses(stream);
        self.taps.push(uploaded);
        Ok(addresses)
    }
}

impl Drop for DeviceSeries {
    fn drop(&mut self) {
        let mut places = self.places.borrow_mut();
        self.slabs.values().for_each(|slab| places.give_back(slab.place));
    }
}

/// One axis of a slice and of the plane that it is resampled to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub source: SourceAxis,
    /// Stored pixels.
    pub source_len: usize,
    /// Plane pixels.
    pub target_len: usize,
    pub target_mm: f64,
}

/// `preprocess::taps` on the card.
pub(super) struct AxisTaps {
    axis: Axis,
    first: CudaSlice<i32>,
    count: CudaSlice<i32>,
    weights: CudaSlice<f32>,
}

impl AxisTaps {
    pub fn upload(stream: &Arc<CudaStream>, axis: &Axis) -> Result<Self, DriverError> {
        let taps = taps(axis.source, axis.source_len, axis.target_len, axis.target_mm);
        let first: Vec<i32> = taps.iter().map(|taps| taps.first as i32).collect();
        let count: Vec<i32> = taps.iter().map(|taps| taps.weights.len() as i32).collect();
        // An image beside the plane has no taps, and no memory is no address.
        let most = taps.iter().map(|taps| taps.weights.len()).max().unwrap_or(0).max(1);
        let weight = |tap: usize| taps.iter().map(move |taps| taps.weights.get(tap).copied().unwrap_or(0.0));
        let weights: Vec<f32> = (0..most).flat_map(weight).collect();
        Ok(Self {
            axis: *axis,
            first: stream.clone_htod(&first)?,
            count: stream.clone_htod(&count)?,
            weights: stream.clone_htod(&weights)?,
        })
    }

    pub fn addresses(&self, stream: &CudaStream) -> Taps {
        Taps {
            first: self.first.device_ptr(stream).0,
            count: self.count.device_ptr(stream).0,
            weights: self.weights.device_ptr(stream).0,
        }
    }
}
