//! One exam's analysis, without threads: what has come of it, its evidence, its conclusion. The caller decides which thread
//! runs it, and in which order exams take turns.

mod conclusion;
mod decode;
mod exam_analysis;
mod layout;
mod listener;
mod placed_image;
mod replay;
mod series_analysis;
mod tally;
mod versions;
mod view;

pub use conclusion::Conclusion;
pub use decode::{Arrival, DecodeEvent, DecodeTimes, Decoded, DecodedSlice, PlaneCentres, ReadInstance, Waiting};
pub use exam_analysis::{ExamAnalysis, ON_TABLE, Stage};
pub use listener::Listener;
pub use placed_image::{PlacedImage, edition};
pub use replay::{Replay, ReplayError, ReplayStep, WindowEngine};
pub use series_analysis::lung_mm;
pub use view::{ExamState, ExamView, SlabView};
