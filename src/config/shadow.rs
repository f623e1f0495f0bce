//! `[shadow]`: a second package, and what it may take of the machine.

use std::time::Duration;

use super::reader::Document;
use crate::shadow::ShadowOptions;

pub(super) fn read(document: &mut Document<'_>, options: &mut ShadowOptions) {
    document.section("shadow", |shadow| {
        shadow.path("model", |path| options.model = Some(path));
        shadow.count("threads", 1..=256, |threads| options.threads = threads);
        shadow.number("cpu_share", 0.01..=1.0, |share| options.cpu_share = share);
        shadow.number("exam_limit_s", 1.0..=86_400.0, |s| options.exam_limit = Duration::from_secs_f64(s));
    });
}
