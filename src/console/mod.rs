//! The console: what people see and press, over HTTP.

mod http;
mod picture;
mod status;

pub use http::{WebOptions, serve};
pub use picture::{PictureError, picture, picture_with_outlines};
pub use status::Status;
