//! The console: what people see and press, over HTTP. The hub keeps what is shown and sends it to everybody who watches.

mod api;
mod events;
mod feed;
mod files;
mod hub;
mod server;
mod status;
mod view;

pub use hub::Hub;
pub use server::{MetricsOf, StatusOf, WebOptions, serve};
pub use status::Status;
pub use view::{ShownExam, ShownSlab, outlines_of};
