//! Tableside stands beside a CT scanner, analyses every chest-CT slice the moment it is received, and tells the
//! technician before the patient leaves the table. Research use only; not a medical device.
//!
//! Data goes one way, and no stage knows the one after it:
//!
//! ```text
//! scanner --C-STORE--> ingest --> spool (fsync) --> C-STORE-RSP
//!                                   |
//!                                   v
//!                       exam: slices in z order, slabs, completion, quality
//!                                   |
//!                                   v
//!                       preprocess -> window -> engine (embedded | ONNX Runtime)
//!                                   |
//!                                   v
//!                       triage: evidence table, case score, lesions, verdict
//!                                   |
//!                                   v
//!                       alert: flags, hub, console          telemetry: metrics, logs
//! ```
//!
//! - [`ingest`] speaks DICOM with scanners; [`spool`] puts what it acknowledges on the disk.
//! - [`dicom`] is what files and the network have in common: data sets, instance files read frame by frame, PDUs, DIMSE.
//! - [`exam`] reads geometry, orders slices into slabs, knows which windows are due and when an exam is over.
//! - [`raster`] is sets of pixels; [`preprocess`] turns stored values into the model's plane; [`engine`] runs a model package on a window.
//! - [`triage`] folds the slabs' evidence into a case score, finds lesions, and judges.
//! - [`alert`] keeps flags and their life, and the database of what must survive; [`console`] shows them.
//! - [`analysis`] is one exam's way to its conclusion, without threads; [`pipeline`] holds the threads between spool and hub; [`daemon`] starts and stops everything.
//! - [`scanner`] is the simulated scanner and its phantom; [`offline`] analyses a folder without a network.
//! - [`parity`] compares a model package's outputs in all engines with each other, and the kernels with the CPU.
//! - `gpu` (feature `cuda`) is the way of a slice on an NVIDIA GPU.
//! - [`config`] and [`telemetry`] are what operators see.

pub mod alert;
pub mod analysis;
pub mod config;
pub mod console;
pub mod daemon;
pub mod database;
pub mod dicom;
pub mod engine;
pub mod exam;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(feature = "cuda")]
pub mod gpu;
mod hex;
pub mod inference;
pub mod ingest;
pub mod offline;
pub mod parity;
pub mod pipeline;
pub mod preprocess;
pub mod raster;
pub mod scanner;
pub mod serving;
pub mod spool;
pub mod telemetry;
pub mod triage;
pub mod validation;
mod words;
