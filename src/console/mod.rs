//! The console: what people see and press, over HTTP. The hub keeps what is shown and sends it to everybody who watches.

mod http;
mod hub;
mod status;
mod view;

pub use http::{MetricsOf, StatusOf, WebOptions, serve};
pub use hub::{Event, Hub};
pub use status::Status;
pub use view::{ShownExam, ShownSlab, outlines_of};
