//! Slabs on the GPU. They are copies of sums that the CPU keeps: slices are added to a copy as they come, and the sum is
//! uploaded where the copy is not what a window is made of. So a slab may be dropped at any time, and memory is bounded however many exams come.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaViewMut, DevicePtr as _, DriverError};

use super::GpuError;
use super::arguments::{Address, Slab};
use crate::exam::{ExamKey, SeriesKey, SlabIndex, SlabSlices, SliceId};
use crate::preprocess::SlabSum;
use crate::telemetry;

/// Sums begin at multiples of this many values, so that the kernels read 16 bytes at once.
const ALIGNMENT: usize = 64;

/// A slab of an exam's series.
type SlabKey = (SeriesKey, SlabIndex);

/// The sums of a fixed number of slabs: the one that was not used for longest makes room for the next.
pub(super) struct SlabStore {
    memory: CudaSlice<u32>,
    /// From one sum to the next, values.
    stride: usize,
    plane_len: usize,
    slabs: BTreeMap<SlabKey, StoredSlab>,
    free: Vec<usize>,
    /// Counts uses.
    clock: u64,
    uploaded: usize,
}

struct StoredSlab {
    place: usize,
    /// Those in the sum.
    slices: SlabSlices,
    last_used: u64,
}

impl SlabStore {
    /// # Errors
    /// If the GPU has too little memory.
    pub(super) fn new(stream: &Arc<CudaStream>, plane_len: usize, count: usize) -> Result<Self, DriverError> {
        let stride = plane_len.next_multiple_of(ALIGNMENT);
        Ok(Self {
            memory: stream.alloc_zeros(stride * count)?,
            stride,
            plane_len,
            slabs: BTreeMap::new(),
            free: (0..count).rev().collect(),
            clock: 0,
            uploaded: 0,
        })
    }

    /// Slabs that lie here.
    pub(super) fn len(&self) -> usize {
        self.slabs.len()
    }

    /// Sums that had to be uploaded so far.
    pub(super) fn uploaded(&self) -> usize {
        self.uploaded
    }

    /// The sum that a slice is added to; that of a slab that is not here begins at 0.
    pub(super) fn add(
        &mut self,
        stream: &Arc<CudaStream>,
        series: &SeriesKey,
        slab: SlabIndex,
        slice: SliceId,
    ) -> Result<Address, GpuError> {
        let (stored, is_new) = self.stored(series, slab)?;
        stored.slices.add(slice);
        let place = stored.place;
        if is_new {
            stream.memset_zeros(&mut self.sum_at(place)?)?;
        }
        Ok(self.address(stream, place))
    }

    /// The address and share of a slab that is made of these slices; its sum is uploaded if another one lies here or none.
    pub(super) fn slab(
        &mut self,
        stream: &Arc<CudaStream>,
        series: &SeriesKey,
        (slab, slices): (SlabIndex, SlabSlices),
        sum: &SlabSum,
    ) -> Result<Slab, GpuError> {
        if sum.levels().len() != self.plane_len {
            return Err(GpuError::NoSlab(slab.0));
        }
        let (stored, is_new) = self.stored(series, slab)?;
        let is_here = !is_new && stored.slices == slices;
        stored.slices = slices;
        let place = stored.place;
        if !is_here {
            self.uploaded += 1;
            telemetry::gpu_sum_uploaded();
            stream.memcpy_htod(sum.levels(), &mut self.sum_at(place)?)?;
        }
        Ok(Slab { sum: self.address(stream, place), share: sum.share() })
    }

    /// Frees an exam's places.
    pub(super) fn forget(&mut self, exam: &ExamKey) {
        let of_exam: Vec<SlabKey> = self.slabs.keys().filter(|(series, _)| series.exam == *exam).cloned().collect();
        for key in of_exam {
            self.free.extend(self.slabs.remove(&key).map(|slab| slab.place));
        }
    }

    fn sum_at(&mut self, place: usize) -> Result<CudaViewMut<'_, u32>, GpuError> {
        let first = place * self.stride;
        self.memory.try_slice_mut(first..first + self.plane_len).ok_or(GpuError::NoPlace)
    }

    fn address(&self, stream: &CudaStream, place: usize) -> Address {
        self.memory.device_ptr(stream).0 + (place * self.stride * size_of::<u32>()) as Address
    }

    /// The place of a slab, and whether it has just been given it: then any sum may lie there.
    fn stored(&mut self, series: &SeriesKey, slab: SlabIndex) -> Result<(&mut StoredSlab, bool), GpuError> {
        self.clock += 1;
        let key = (series.clone(), slab);
        if !self.slabs.contains_key(&key) && self.free.is_empty() {
            let unused = self.slabs.iter().min_by_key(|(_, slab)| slab.last_used).map(|(key, _)| key.clone());
            let slab = unused.and_then(|key| self.slabs.remove(&key));
            self.free.extend(slab.map(|slab| slab.place));
        }
        match self.slabs.entry(key) {
            Entry::Occupied(slab) => {
                let slab = slab.into_mut();
                slab.last_used = self.clock;
                Ok((slab, false))
            }
            Entry::Vacant(vacant) => {
                let place = self.free.pop().ok_or(GpuError::NoPlace)?;
                let slab = StoredSlab { place, slices: SlabSlices::default(), last_used: self.clock };
                Ok((vacant.insert(slab), true))
            }
        }
    }
}
