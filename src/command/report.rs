//! `report`: a report as DICOM objects, without a network.

use std::path::{Path, PathBuf};

use clap::Args;
use tableside::audit::{Event, ExportKind, Subject, person_at_shell};
use tableside::config::Config;
use tableside::database::{Database, Deliveries, DeliveryKind, DeliveryObject};
use tableside::exam::ExamKey;
use tableside::offline::{self, ExamObjects};
use tableside::outbox::{self, ObjectsError};
use tableside::report::ReportOptions;
use tableside::telemetry::{self, LogFormat};

use super::{DONE, FAILED, Outcome, configuration, tell_audit};

#[derive(Args)]
pub struct ReportArgs {
    /// A folder of DICOM files to analyse, or the key of an exam that the daemon keeps
    #[arg(value_name = "DIR|EXAM")]
    source: PathBuf,
    /// Write the objects into this folder, a subfolder for each exam
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Configuration file; it says where the daemon keeps its exams
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write a segmentation's frames also where nothing is drawn
    #[arg(long)]
    empty_frames: bool,
}

pub fn report(args: &ReportArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let keeps_empty_frames = args.empty_frames || config.report.keeps_empty_frames;
    let options = ReportOptions { keeps_empty_frames, ..config.report };
    let exams = if args.source.is_dir() {
        offline::triage(&args.source, &config)?.objects(&options)
    } else {
        let name = args.source.to_string_lossy();
        let key = ExamKey::parse(&name).ok_or_else(|| format!("{name} is neither a folder nor the key of an exam"))?;
        let sent = if options == config.report { sent_objects(&key, &config)? } else { Vec::new() };
        if !sent.is_empty() {
            write(&args.out.join(key.to_string()), &sent)?;
            tell(&config, &key, &args.out)?;
            return Ok(DONE);
        }
        vec![kept_exam(key, &config, &options)?]
    };
    let mut outcome = DONE;
    for ExamObjects { exam, objects } in exams {
        match objects {
            Ok(objects) => {
                let objects: Vec<Written> =
                    objects.into_iter().map(|object| (object.kind.into(), object.file)).collect();
                write(&args.out.join(exam.to_string()), &objects)?;
                if !args.source.is_dir() {
                    tell(&config, &exam, &args.out)?;
                }
            }
            Err(error) => {
                eprintln!("exam {exam} has no objects: {error}");
                outcome = FAILED;
            }
        }
    }
    Ok(outcome)
}

/// An object as a file.
type Written = (DeliveryKind, Vec<u8>);

/// The objects that the outbox made of an exam's last verdict: what was sent is what is written. Empty if it made none, or they
/// are gone.
fn sent_objects(key: &ExamKey, config: &Config) -> Result<Vec<Written>, Box<dyn std::error::Error>> {
    let objects = Deliveries::open(&config.database())?.last_objects(key)?;
    let read = |(kind, object): (DeliveryKind, DeliveryObject)| Some((kind, std::fs::read(object.path).ok()?));
    Ok(objects.into_iter().map(read).collect::<Option<_>>().unwrap_or_default())
}

/// Has the audit trail say that an exam that the daemon keeps was written out.
fn tell(config: &Config, exam: &ExamKey, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let record = Database::open_kept(&config.database())?.record(exam);
    let subject = Some(record.map_or_else(|| Subject::of_exam(exam), |record| record.subject()));
    let (kind, file) = (ExportKind::Report, folder.join(exam.to_string()).display().to_string());
    Ok(tell_audit(config, Event::Exported { who: person_at_shell(), kind, file, subject })?)
}

fn kept_exam(
    key: ExamKey,
    config: &Config,
    options: &ReportOptions,
) -> Result<ExamObjects, Box<dyn std::error::Error>> {
    let database = Database::open_kept(&config.database())?;
    let record = database.record(&key).ok_or_else(|| format!("the database has no exam {key}"))?;
    let report = record.final_report().ok_or_else(|| format!("exam {key} has no final verdict yet"))?;
    let plane = config.model_package()?.manifest.input;
    let objects = database
        .basis(&key)
        .ok_or(ObjectsError::NoBasis)
        .and_then(|basis| outbox::objects(report, &basis, None, &plane, options));
    Ok(ExamObjects { exam: key, objects })
}

fn write(folder: &Path, objects: &[Written]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, (kind, file)) in objects.iter().enumerate() {
        let kind = kind.as_str().replace('_', "-");
        let path = folder.join(format!("{:02}-{kind}.dcm", number + 1));
        std::fs::write(&path, file)?;
        println!("{}", path.display());
    }
    Ok(())
}
