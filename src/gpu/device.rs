//! The GPU: its context, the one stream on which all work is queued, and the kernels.
#![expect(unsafe_code, reason = "kernels take raw addresses")]

use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaModule, CudaStream, DeviceRepr, DriverError, LaunchConfig,
    PushKernelArg as _, sys,
};
use cudarc::nvrtc::Ptx;

use super::arguments::{
    EVIDENCE_THREADS, EvidenceArguments, SLICE_THREADS, SliceArguments, TILE_COLUMNS, TILE_ROWS, WINDOW_PIXELS,
    WINDOW_THREADS, WindowArguments,
};

/// The kernels for every GPU, as `tools/kernels` compiled them.
static FATBIN: &[u8] = include_bytes!("../../kernels/tableside.fatbin");

/// The first GPU. Whoever opens it has asked [`crate::engine::GpuProbe`] before whether there is one: without a driver the calls
/// below would panic.
pub struct Device {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    add_slices: CudaFunction,
    windows_f32: CudaFunction,
    windows_f16: CudaFunction,
    evidence: CudaFunction,
}

impl Device {
    /// Opens the first GPU and loads the kernels.
    ///
    /// # Errors
    /// If the driver refuses either.
    pub fn open() -> Result<Self, DriverError> {
        let context = CudaContext::new(0)?;
        // SAFETY: all work is on one stream, so that there is nothing for events to keep in order.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        // A fatbin is a binary image; nothing is compiled here.
        let module: Arc<CudaModule> = context.load_module(Ptx::from_binary(FATBIN.to_vec()))?;
        Ok(Self {
            add_slices: module.load_function("add_slices")?,
            windows_f32: module.load_function("windows_f32")?,
            windows_f16: module.load_function("windows_f16")?,
            evidence: module.load_function("evidence")?,
            context,
            stream,
        })
    }

    #[must_use]
    pub fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// The stream on which all work is queued.
    #[must_use]
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// A moment in the stream, for measuring times.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn moment(&self) -> Result<CudaEvent, DriverError> {
        self.stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT))
    }

    /// Queues `add_slices` for this many slices, 65,535 at most.
    ///
    /// # Safety
    /// All addresses in the arguments, and in what they point to, must be the GPU's and as long as `kernels/interface.h` says,
    /// until the kernel has run.
    ///
    /// # Errors
    /// If the driver refuses.
    pub unsafe fn add_slices(&self, arguments: &SliceArguments, slices: usize) -> Result<(), DriverError> {
        let (columns, rows) = (arguments.columns as usize, arguments.rows as usize);
        let grid = (columns.div_ceil(TILE_COLUMNS), rows.div_ceil(TILE_ROWS), slices);
        // SAFETY: as the caller vouches.
        unsafe { self.launch(&self.add_slices, grid, SLICE_THREADS, arguments) }
    }

    /// Queues `windows_f32` for this many windows.
    ///
    /// # Safety
    /// As for [`Self::add_slices`].
    ///
    /// # Errors
    /// If the driver refuses.
    pub unsafe fn windows_f32(&self, arguments: &WindowArguments, windows: usize) -> Result<(), DriverError> {
        // SAFETY: as the caller vouches.
        unsafe { self.windows(&self.windows_f32, arguments, windows) }
    }

    /// Queues `windows_f16` for this many windows.
    ///
    /// # Safety
    /// As for [`Self::add_slices`].
    ///
    /// # Errors
    /// If the driver refuses.
    pub unsafe fn windows_f16(&self, arguments: &WindowArguments, windows: usize) -> Result<(), DriverError> {
        // SAFETY: as the caller vouches.
        unsafe { self.windows(&self.windows_f16, arguments, windows) }
    }

    unsafe fn windows(
        &self,
        kernel: &CudaFunction,
        arguments: &WindowArguments,
        windows: usize,
    ) -> Result<(), DriverError> {
        let grid = (window_blocks(arguments.plane_len as usize), windows, 1);
        // SAFETY: as the caller vouches.
        unsafe { self.launch(kernel, grid, WINDOW_THREADS, arguments) }
    }

    /// Queues `evidence` for this many windows.
    ///
    /// # Safety
    /// As for [`Self::add_slices`].
    ///
    /// # Errors
    /// If the driver refuses.
    pub unsafe fn evidence(&self, arguments: &EvidenceArguments, windows: usize) -> Result<(), DriverError> {
        // SAFETY: as the caller vouches.
        unsafe { self.launch(&self.evidence, (windows, 1, 1), EVIDENCE_THREADS, arguments) }
    }

    unsafe fn launch<Arguments: DeviceRepr>(
        &self,
        kernel: &CudaFunction,
        (x, y, z): (usize, usize, usize),
        threads: usize,
        arguments: &Arguments,
    ) -> Result<(), DriverError> {
        let shape = LaunchConfig {
            grid_dim: (x as u32, y as u32, z as u32),
            block_dim: (threads as u32, 1, 1),
            // The kernels' shared memory is static.
            shared_mem_bytes: 0,
        };
        // SAFETY: the driver copies the arguments before it returns; their addresses are as the caller vouches.
        unsafe { self.stream.launch_builder(kernel).arg(arguments).launch(shape) }?;
        Ok(())
    }
}

/// Blocks that the window kernels need for a plane: they write one sum of changes for each.
#[must_use]
pub(crate) fn window_blocks(plane_len: usize) -> usize {
    plane_len.div_ceil(WINDOW_PIXELS)
}
