//! Tableside stands beside a CT scanner, analyses every chest-CT slice the moment it is received, and tells the
//! technician before the patient leaves the table. Research use only; not a medical device.
//!
//! Data goes one way, and no stage knows the one after it:
//!
//! ```text
//! scanner --C-STORE--> ingest --> spool (fsync) --> C-STORE-RSP
//!                                   |
//!                                   v
//!              pipeline (threads), analysis (one exam): exam: slices in z order, slabs, completion, quality
//!                                   |
//!                                   v
//!              serving, inference: preprocess -> window -> engine (CPU) or accelerator (gpu)
//!                                   |
//!                                   v
//!                       triage: evidence table, case score, lesions, verdict
//!                                   |
//!                                   v
//!              alert: flags      console: hub, pages      database      telemetry: metrics, logs
//! ```
//!
//! A slice's way:
//!
//! - [`scanner`] simulates the peer that sends slices, with its phantom.
//! - [`ingest`] speaks DICOM with scanners and decides what to answer.
//! - [`spool`] puts on the disk what was acknowledged; [`audit`] keeps the trail of who did what.
//! - [`pipeline`] runs the threads between spool and listener, and decides whose turn it is.
//! - [`analysis`] brings one exam to its conclusion, without threads.
//! - [`exam`] reads geometry, orders slices into slabs, knows which windows are due and when an exam is over.
//! - [`preprocess`] turns stored values into the model's plane: the specification of the arithmetic.
//! - [`serving`] chooses the engine that serves, and the one that replaces it.
//! - [`inference`] is the contract: from slices to the evidence of windows, by the CPU or by an accelerator.
//! - `gpu` (feature `cuda`) is the accelerator on an NVIDIA GPU.
//! - [`engine`] runs a model package on a window.
//! - [`triage`] folds the slabs' evidence into a case score, finds lesions, and judges.
//! - [`report`] writes a report down as DICOM objects.
//! - [`alert`] keeps flags and their life.
//! - [`database`] keeps what must survive a restart.
//! - [`slices`] reads slices from the spool at full resolution, for people who look at them.
//! - [`console`] shows exams and flags to people, over HTTP.
//!
//! Around it:
//!
//! - [`daemon`] starts and stops everything; [`config`] is read whole before anything listens.
//! - [`synthetic`] sends the synthetic patient through the daemon's own doors.
//! - [`offline`] analyses a folder without a network.
//! - [`shadow`] lets a second model judge exams that have their verdict, for comparison; [`promotion`] says which model serves.
//! - [`validation`] runs a model package on labelled cases; [`parity`] compares the package's outputs in all engines with
//!   each other, and the kernels with the CPU.
//!
//! Beneath it:
//!
//! - [`dicom`] is what files and the network have in common: data sets, instance files read frame by frame, PDUs, DIMSE.
//! - [`raster`] handles sets of pixels: masks, connected regions, outlines.
//! - [`telemetry`] is metrics and logs.
//! - [`texts`] is everything that people read, by language.
//! - `hex` and `words` are small helpers of texts, `wilson` of shares, `pem`, `client_tls` and `backoff` of connections; `fuzzing` has the entry points of the fuzz targets.

// Programs, tests and benches have nobody who could reach what they say is public; the library does.
#![warn(unreachable_pub)]

pub mod alert;
pub mod analysis;
pub mod audit;
mod backoff;
mod client_tls;
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
mod meanwhile;
pub mod offline;
pub mod outbox;
pub mod parity;
mod pem;
pub mod picture;
pub mod pipeline;
pub mod preprocess;
pub mod promotion;
pub mod raster;
pub mod report;
pub mod scanner;
mod server_tls;
pub mod serving;
pub mod shadow;
pub mod slices;
pub mod spool;
pub mod synthetic;
pub mod telemetry;
pub mod texts;
pub mod triage;
pub mod validation;
mod wilson;
mod words;
