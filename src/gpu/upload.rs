//! The way up: a ring of slices in memory that the GPU reads itself, each with its place on the GPU. The next slice is filled
//! in while one travels or waits for its kernel.

use std::sync::Arc;

use cudarc::driver::{CudaStream, DriverError};

use super::arguments::{Address, Slice};
use super::device::Device;
use super::staged_buffer::StagedBuffer;
use crate::preprocess::Plane;

/// Slices on their way at a time.
pub(super) const SLOTS: usize = 4;

/// The largest slice: 2048 x 2048 of 16 bits.
pub(super) const MAX_BYTES: usize = 2048 * 2048 * 2;

/// Cells, what the kernel must know of them, and the levels that it makes of them.
struct Slot {
    cells: StagedBuffer<u8>,
    slice: StagedBuffer<Slice>,
    levels: StagedBuffer<u16>,
}

pub(super) struct UploadRing {
    slots: Vec<Slot>,
    next: usize,
}

/// A slice on its way: until the ring has come round to its place.
#[derive(Debug, Clone, Copy)]
pub struct SentSlice(usize);

impl UploadRing {
    pub(super) fn new(device: &Device, plane_len: usize) -> Result<Self, DriverError> {
        let slot = |_| {
            Ok(Slot {
                cells: StagedBuffer::to_write(device, MAX_BYTES)?,
                slice: StagedBuffer::to_write(device, 1)?,
                levels: StagedBuffer::new(device, plane_len)?,
            })
        };
        Ok(Self { slots: (0..SLOTS).map(slot).collect::<Result<_, DriverError>>()?, next: 0 })
    }

    /// Queues the copies of a slice's cells, [`MAX_BYTES`] at most, and of what `describe` says of it once it knows where cells and
    /// levels lie. Returns where that lies: what is queued on the stream before the ring has come round finds the slice there.
    pub(super) fn send(
        &mut self,
        stream: &Arc<CudaStream>,
        cells: &[u8],
        describe: impl FnOnce(Address, Address) -> Slice,
    ) -> Result<(SentSlice, Address), DriverError> {
        let sent = SentSlice(self.next);
        let slot = &mut self.slots[self.next];
        self.next = (self.next + 1) % SLOTS;
        slot.cells.host_mut()?[..cells.len()].copy_from_slice(cells);
        slot.cells.send(stream, cells.len())?;
        slot.slice.host_mut()?[0] = describe(slot.cells.address(stream), slot.levels.address(stream));
        slot.slice.send(stream, 1)?;
        Ok((sent, slot.slice.address(stream)))
    }

    /// Queues a slice's levels back, behind its kernel.
    pub(super) fn fetch(&mut self, stream: &Arc<CudaStream>, sent: SentSlice) -> Result<(), DriverError> {
        let levels = &mut self.slots[sent.0].levels;
        levels.fetch(stream, levels.len())
    }

    /// Waits for a slice's levels.
    pub(super) fn plane(&self, sent: SentSlice) -> Result<Plane, DriverError> {
        Ok(Plane::from_levels(self.slots[sent.0].levels.read()?.to_vec()))
    }
}
