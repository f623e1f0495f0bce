//! The scanner on the command line: what to send, and what goes wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use super::arrange::{drop_slices, duplicate_slices, reorder};
use super::enhanced::enhanced;
use super::phantom::{Phantom, PhantomKind, PhantomOptions};
use super::renumber::new_uids;
use super::send::SendOptions;
use super::series::{Unreadable, load_folder};
use super::{Instance, Order, ScannerError};
use crate::dicom::UidSource;

/// Where the exam comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder of Part 10 files, or one such file.
    Folder(PathBuf),
    /// The synthetic patient.
    Phantom(PhantomKind),
}

/// [`Source`] on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SourceArgs {
    /// Send the DICOM files below this folder
    #[arg(long, value_name = "DIR", conflicts_with = "phantom")]
    pub series: Option<PathBuf>,
    /// Send a synthetic patient
    #[arg(long, value_enum, value_name = "KIND")]
    pub phantom: Option<PhantomKind>,
}

impl SourceArgs {
    /// The source that was asked for, if any.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        let folder = self.series.clone().map(Source::Folder);
        folder.or(self.phantom.map(Source::Phantom))
    }
}

/// How the simulated scanner sends.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ScanOptions {
    /// Slices per second; 0 sends as fast as the receiver answers
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    pub rate: f64,
    /// Order in which the slices leave the scanner
    #[arg(long, value_enum, default_value_t = Order::Acquired)]
    pub order: Order,
    /// Makes everything random repeatable, the phantom and its UIDs included [default: new UIDs each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Leave out this many slices, never the first or last
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub drop: usize,
    /// Send this many slices a second time, later
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub duplicate: usize,
    /// Deal the slices out to this many associations
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub associations: usize,
    /// Where an association is lost, try for so long to go on over a new one, from the slice that was not answered
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub retry: u64,
    /// Send each series as one Enhanced CT object, or as a concatenation of this many, with the slices as frames in their order
    #[arg(long, value_name = "OBJECTS", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub enhanced: Option<u16>,
    /// Give a recorded exam new study, series and instance UIDs, so that it arrives as a new one
    #[arg(long)]
    pub new_uids: bool,
    /// AE title the scanner calls itself
    #[arg(long, value_name = "AE", default_value = "TABLESIDE-SCAN")]
    pub calling_ae: String,
}

impl Default for ScanOptions {
    fn default() -> Self {
        let send = SendOptions::default();
        Self {
            rate: send.rate,
            order: Order::default(),
            seed: None,
            drop: 0,
            duplicate: 0,
            associations: send.associations,
            retry: send.retry.as_secs(),
            enhanced: None,
            new_uids: false,
            calling_ae: send.calling_ae,
        }
    }
}

impl ScanOptions {
    /// The part of the options that concerns the network, with the default timeouts.
    #[must_use]
    pub fn send_options(&self) -> SendOptions {
        SendOptions {
            calling_ae: self.calling_ae.clone(),
            rate: self.rate,
            associations: self.associations.max(1),
            retry: Duration::from_secs(self.retry),
            ..SendOptions::default()
        }
    }
}

/// What is to be sent, in the order in which it is to be sent, encoded. Reads or draws the whole exam: some seconds of work
/// that belong on a blocking thread.
///
/// # Errors
///
/// If nothing can be read, or the options ask for more than the exam has.
pub fn instances(source: &Source, options: &ScanOptions) -> Result<Vec<Instance>, ScannerError> {
    prepare(source, options).map(|prepared| prepared.instances)
}

/// What there is to send, and what cannot be sent.
#[derive(Debug, Default)]
pub struct Prepared {
    /// In the order in which they are to be sent.
    pub instances: Vec<Instance>,
    /// Files that may be DICOM instances and cannot be read as such.
    pub unreadable: Vec<Unreadable>,
}

/// As [`instances`], and what is left out.
///
/// # Errors
///
/// If nothing can be read, or the options ask for more than the exam has.
pub fn prepare(source: &Source, options: &ScanOptions) -> Result<Prepared, ScannerError> {
    let random = options.seed.unwrap_or_else(rand::random);
    let mut unreadable = Vec::new();
    let mut instances = match source {
        Source::Folder(folder) => {
            let found = load_folder(folder)?;
            for (path, reason) in &found.skipped {
                tracing::debug!(path = %path.display(), reason, "file skipped");
            }
            unreadable = found.unreadable;
            found.instances
        }
        Source::Phantom(kind) => {
            let defaults = PhantomOptions::default();
            let phantom = PhantomOptions { seed: options.seed.unwrap_or(defaults.seed), ..defaults };
            let uids = options.seed.map_or_else(UidSource::fresh, UidSource::seeded);
            Phantom::new(*kind, phantom).instances(uids)?
        }
    };
    if options.new_uids {
        // Seeded UIDs would be those of the last run with the seed: not new.
        instances = new_uids(&instances, &mut UidSource::fresh())?;
    }
    drop_slices(&mut instances, options.drop, random)?;
    reorder(&mut instances, options.order, random);
    if let Some(objects) = options.enhanced {
        let mut uids = options.seed.map_or_else(UidSource::fresh, |seed| UidSource::seeded(!seed));
        instances = enhanced(&instances, objects.into(), &mut uids)?;
    }
    duplicate_slices(&mut instances, options.duplicate, random)?;
    Ok(Prepared { instances, unreadable })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        scan: ScanOptions,
    }

    #[test]
    fn the_command_line_has_the_defaults_of_the_library() {
        let line = CommandLine::try_parse_from(["scan", "--phantom", "normal"]).expect("valid");
        assert_eq!(line.scan, ScanOptions::default());
        let source = line.source.source();
        assert_eq!(source, Some(Source::Phantom(PhantomKind::Normal)));
    }

    #[test]
    fn a_folder_and_a_phantom_exclude_each_other() {
        let both = ["scan", "--phantom", "normal", "--series", "/tmp"];
        assert!(CommandLine::try_parse_from(both).is_err());
        let none = CommandLine::try_parse_from(["scan"]).expect("valid");
        assert_eq!(none.source.source(), None);
    }
}
