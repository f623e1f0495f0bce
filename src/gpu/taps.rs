//! `preprocess::taps` on the GPU, uploaded once for all slices of a size and place.

use std::collections::VecDeque;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _, DriverError};

use super::arguments::Taps;
use crate::preprocess::{SourceAxis, taps};

/// Axes whose taps are kept: two for each kind of slice. One series seldom has more than one kind, and few come at a time.
const KEPT: usize = 32;

/// One axis of a slice and of the plane that it is resampled to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    pub source: SourceAxis,
    /// Stored pixels.
    pub source_len: usize,
    /// Plane pixels.
    pub target_len: usize,
    pub target_mm: f64,
}

/// The taps of the axes that were asked for last.
#[derive(Default)]
pub(super) struct KeptTaps {
    kept: VecDeque<AxisTaps>,
}

impl KeptTaps {
    /// The taps of an axis. They stay where they are until those of as many other axes have been asked for; then they are freed in
    /// the stream's order, after the kernels that read them.
    pub(super) fn of(&mut self, stream: &Arc<CudaStream>, axis: &Axis) -> Result<Taps, DriverError> {
        let found = self.kept.iter().position(|kept| kept.axis == *axis);
        let taps = match found.and_then(|at| self.kept.remove(at)) {
            Some(taps) => taps,
            None => AxisTaps::upload(stream, axis)?,
        };
        let addresses = taps.addresses(stream);
        self.kept.push_back(taps);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        Ok(addresses)
    }
}

/// The taps of an axis on the GPU.
pub(crate) struct AxisTaps {
    axis: Axis,
    first: CudaSlice<i32>,
    count: CudaSlice<i32>,
    weights: CudaSlice<f32>,
}

impl AxisTaps {
    pub(crate) fn upload(stream: &Arc<CudaStream>, axis: &Axis) -> Result<Self, DriverError> {
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

    pub(crate) fn addresses(&self, stream: &CudaStream) -> Taps {
        Taps {
            first: self.first.device_ptr(stream).0,
            count: self.count.device_ptr(stream).0,
            weights: self.weights.device_ptr(stream).0,
        }
    }
}
