//! Alert: what people are told. Flags and their life, the hub that keeps and spreads them, the console.

mod flag;
mod hub;
mod moment;
mod picture;
mod store;
mod view;
mod web;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, FlagState, Flags, Severity};
pub use hub::{Event, Hub};
pub use moment::{FlagEvent, Moment, Seen};
pub use picture::{PictureError, PlacedImage, edition, picture, picture_with_outlines};
pub use store::{Store, StoreError};
pub use view::{ExamState, ExamView, Record, SlabView, Status};
pub use web::{WebOptions, serve};
