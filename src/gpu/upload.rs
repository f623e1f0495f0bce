//! The way up: a ring of slices in memory that the card reads itself, each with its place on the card. While one slice travels or
//! waits for its kernel, the next one is filled in.
#![expect(unsafe_code, reason = "memory that the card reads is handed out unset")]

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaSlice, CudaStream, DevicePtr as _, DriverError, PinnedHostSlice};

use super::GpuError;
use super::arguments::{Address, Slice};

/// Slices on their way at a time.
const SLOTS: usize = 4;

/// The largest slice, cells: 2048 x 2048 of 16 bits.
const MAX_BYTES: usize = 2048 * 2048 * 2;

/// Cells and what the kernel must know of them.
struct Slot {
    cells: PinnedHostSlice<u8>,
    cells_on_card: CudaSlice<u8>,
    slice: PinnedHostSlice<Slice>,
    slice_on_card: CudaSlice<Slice>,
    /// When the slot's last slice had left the host's memory. Without event tracking that memory does not know.
    sent: CudaEvent,
}

pub(super) struct UploadRing {
    slots: Vec<Slot>,
    next: usize,
}

impl UploadRing {
    pub fn new(context: &Arc<CudaContext>, stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let slot = |_| {
            // SAFETY: bytes that are written before they are sent.
            let cells = unsafe { context.alloc_pinned(MAX_BYTES) }?;
            // SAFETY: as above.
            let slice = unsafe { context.alloc_pinned(1) }?;
            Ok(Slot {
                cells,
                cells_on_card: stream.alloc_zeros(MAX_BYTES)?,
                slice,
                slice_on_card: stream.alloc_zeros(1)?,
                sent: context.new_event(None)?,
            })
        };
        Ok(Self { slots: (0..SLOTS).map(slot).collect::<Result<_, DriverError>>()?, next: 0 })
    }

    /// Queues the copies of a slice's cells and of what `describe` says of it once it knows where the cells lie. Returns where that
    /// lies, until the ring has come round: what is queued on the stream before finds the slice there.
    pub fn send(
        &mut self,
        stream: &Arc<CudaStream>,
        cells: &[u8],
        describe: impl FnOnce(Address) -> Slice,
    ) -> Result<Address, GpuError> {
        if cells.len() > MAX_BYTES {
            return Err(GpuError::TooLarge(cells.len()));
        }
        let slot = &mut self.slots[self.next];
        self.next = (self.next + 1) % SLOTS;
        slot.sent.synchronize()?;
        let pinned = &mut slot.cells.as_mut_slice()?[..cells.len()];
        pinned.copy_from_slice(cells);
        stream.memcpy_htod(&*pinned, &mut slot.cells_on_card)?;
        slot.slice.as_mut_slice()?[0] = describe(slot.cells_on_card.device_ptr(stream).0);
        stream.memcpy_htod(&slot.slice, &mut slot.slice_on_card)?;
        slot.sent.record(stream)?;
        Ok(slot.slice_on_card.device_ptr(stream).0)
    }
}
