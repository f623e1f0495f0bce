//! Values on the GPU, and their copy in the host's pinned memory, which the GPU reads and writes itself.
#![expect(unsafe_code, reason = "memory that the GPU reads is handed out unset")]

use std::sync::Arc;

use cudarc::driver::{
    CudaEvent, CudaSlice, CudaStream, DevicePtr as _, DeviceRepr, DriverError, PinnedHostSlice, ValidAsZeroBits, sys,
};

use super::arguments::Address;
use super::device::Device;

pub(super) struct StagedBuffer<T> {
    on_device: CudaSlice<T>,
    host: PinnedHostSlice<T>,
    /// When the last copy in either direction was done. Without event tracking `host` does not know.
    copied: CudaEvent,
}

impl<T: DeviceRepr + ValidAsZeroBits> StagedBuffer<T> {
    /// Values that the host reads and writes.
    pub(super) fn new(device: &Device, len: usize) -> Result<Self, DriverError> {
        // Write-combined memory, the default, would be slow to read back.
        const READABLE: std::ffi::c_uint = 0;
        // SAFETY: of the numbers and structs of numbers that are kept so any bytes are a value; they are written before they are read.
        let host = unsafe { device.context().alloc_pinned_with_flags(len, READABLE) }?;
        Self::with(device, host, len)
    }

    /// Values that the host only writes.
    pub(super) fn to_write(device: &Device, len: usize) -> Result<Self, DriverError> {
        // SAFETY: as above.
        let host = unsafe { device.context().alloc_pinned(len) }?;
        Self::with(device, host, len)
    }

    fn with(device: &Device, host: PinnedHostSlice<T>, len: usize) -> Result<Self, DriverError> {
        Ok(Self { on_device: device.stream().alloc_zeros(len)?, host, copied: device.context().new_event(None)? })
    }

    pub(super) fn len(&self) -> usize {
        self.on_device.len()
    }

    pub(super) fn address(&self, stream: &CudaStream) -> Address {
        self.on_device.device_ptr(stream).0
    }

    /// The host's values, to be written once they are no longer being copied.
    pub(super) fn host_mut(&mut self) -> Result<&mut [T], DriverError> {
        self.copied.synchronize()?;
        self.host.as_mut_slice()
    }

    /// Queues the copy of the first values to the GPU.
    pub(super) fn send(&mut self, stream: &Arc<CudaStream>, len: usize) -> Result<(), DriverError> {
        stream.memcpy_htod(&self.host.as_slice()?[..len], &mut self.on_device)?;
        self.copied.record(stream)
    }

    /// Queues the copy of the first values from the GPU.
    pub(super) fn fetch(&mut self, stream: &Arc<CudaStream>, len: usize) -> Result<(), DriverError> {
        let values = self.on_device.try_slice(..len).ok_or(DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE))?;
        // As many as the target has are copied, however few the source has.
        stream.memcpy_dtoh(&values, &mut self.host.as_mut_slice()?[..len])?;
        self.copied.record(stream)
    }

    /// The host's values, once what was fetched has come.
    pub(super) fn read(&self) -> Result<&[T], DriverError> {
        self.copied.synchronize()?;
        self.host.as_slice()
    }
}
