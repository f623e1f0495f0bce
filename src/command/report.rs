//! `report`: a report as DICOM objects, without a network.

use std::path::{Path, PathBuf};

use clap::Args;
use tableside::config::Config;
use tableside::database::Database;
use tableside::engine::ModelPackage;
use tableside::exam::ExamKey;
use tableside::offline::{self, ExamObjects, ObjectsError};
use tableside::report::{ObjectKind, ReportObject, ReportOptions};
use tableside::telemetry::{self, LogFormat};

use super::{DONE, FAILED, Outcome, configuration};

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
    let options = ReportOptions { keeps_empty_frames: args.empty_frames, ..ReportOptions::default() };
    let exams = if args.source.is_dir() {
        offline::triage(&args.source, &config)?.objects(&options)
    } else {
        vec![kept_exam(&args.source, &config, &options)?]
    };
    let mut outcome = DONE;
    for ExamObjects { exam, objects } in exams {
        match objects {
            Ok(objects) => write(&args.out.join(exam.to_string()), &objects)?,
            Err(error) => {
                eprintln!("exam {exam} has no objects: {error}");
                outcome = FAILED;
            }
        }
    }
    Ok(outcome)
}

fn kept_exam(
    source: &Path,
    config: &Config,
    options: &ReportOptions,
) -> Result<ExamObjects, Box<dyn std::error::Error>> {
    let name = source.to_string_lossy();
    let key = ExamKey::parse(&name).ok_or_else(|| format!("{name} is neither a folder nor the key of an exam"))?;
    let path = config.data.join("tableside.db");
    let database = Database::open_kept(&path)?;
    let record = database.record(&key).ok_or_else(|| format!("the database has no exam {key}"))?;
    let report = record.final_report().ok_or_else(|| format!("exam {key} has no final verdict yet"))?;
    let plane = ModelPackage::find(config.model.as_deref())?.manifest.input;
    let objects = database
        .basis(&key)
        .ok_or(ObjectsError::NoBasis)
        .and_then(|basis| offline::objects(report, &basis, None, &plane, options));
    Ok(ExamObjects { exam: key, objects })
}

fn write(folder: &Path, objects: &[ReportObject]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, object) in objects.iter().enumerate() {
        let kind = match object.kind {
            ObjectKind::Segmentation => "segmentation",
            ObjectKind::SecondaryCapture => "secondary-capture",
            ObjectKind::StructuredReport => "structured-report",
        };
        let path = folder.join(format!("{:02}-{kind}.dcm", number + 1));
        std::fs::write(&path, &object.file)?;
        println!("{}", path.display());
    }
    Ok(())
}
