//! Alert: what people are told. Flags and their life, the hub that keeps and spreads them, the console.

mod flag;
mod hub;
mod outline;
mod picture;
mod store;
mod web;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, FlagState, Flags, Severity};
pub use hub::{Event, ExamState, ExamView, Hub, SlabView, Status};
pub use outline::{Outline, outlines};
pub use picture::{PictureError, picture, picture_with_outlines};
pub use store::{Store, StoreError};
pub use web::{WebOptions, serve};
