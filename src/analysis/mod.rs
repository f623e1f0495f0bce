//! One exam's analysis, without threads: what has come of it, its evidence, its conclusion. Who runs it, and in which order exams
//! take turns, is another's business.

mod case;
mod conclusion;
mod decode;
mod judged_series;
mod layout;
mod tally;
mod versions;

pub use case::{Case, ON_TABLE, Stage};
pub use conclusion::Conclusion;
pub use decode::{Arrival, Decoded, DecodedSlice, PlaneCentres, ReadInstance, Step, Waiting};
pub use judged_series::lung_mm;
