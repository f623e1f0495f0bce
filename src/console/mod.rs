//! The console: what people see and press, over HTTP. The hub keeps what is shown and sends it to everybody who watches.

pub mod access;
mod api;
mod connection;
mod events;
mod feed;
mod files;
mod hub;
mod machine;
mod outcomes;
mod server;
mod status;
mod view;

pub use hub::Hub;
pub use machine::{Certificate, Disk, Engine, Machine, MachineOf, ShadowModel};
pub use server::{MetricsOf, StatusOf, WebOptions, console_tls, serve, serve_metrics};
pub use status::Status;
pub use view::{ShownExam, ShownSlab, outlines_of};
