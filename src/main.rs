//! The command line: parse, dispatch, exit code.

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use command::access::{AdminArgs, KioskArgs, UserArgs, admin, kiosk, user};
use command::allow_list::{AllowListArgs, allow_list};
use command::audit::{AuditArgs, audit};
use command::backup::{BackupArgs, RestoreArgs, backup, restore};
use command::check_config::{CheckConfigArgs, check_config};
use command::demo::{DemoArgs, demo};
use command::doctor::{DoctorArgs, doctor};
use command::generate::{GenerateArgs, generate};
#[cfg(feature = "cuda")]
use command::gpu_check::{GpuCheckArgs, gpu_check};
use command::gpu_probe::gpu_probe;
use command::model::{ModelArgs, model};
use command::outbox::{OutboxArgs, outbox};
use command::outcome::{OutcomeArgs, outcome};
use command::report::{ReportArgs, report};
use command::scan::{ScanArgs, scan};
use command::serve::{ServeArgs, serve};
use command::support_bundle::{SupportBundleArgs, support_bundle};
use command::tls::{TlsArgs, tls};
use command::triage::{TriageArgs, triage};
use command::wait_idle::{WaitIdleArgs, wait_idle};
use command::{EXIT_CODES, FAILED, Outcome, print_json};
use tableside::alert::notice_schema;
use tableside::triage::schema;

/// Analyses every chest-CT slice as the scanner sends it and tells the technician before the patient leaves the table.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon: receive slices, analyse them, show the console
    #[command(after_help = EXIT_CODES)]
    Serve(ServeArgs),
    /// Run daemon and simulated scanner together and print the case report
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Send an exam to any DICOM node as a scanner does
    #[command(after_help = EXIT_CODES)]
    Scan(ScanArgs),
    /// Analyse a folder of DICOM files without a network
    #[command(after_help = EXIT_CODES)]
    Triage(TriageArgs),
    /// Write a report as DICOM objects: segmentation, pictures, structured report
    #[command(after_help = EXIT_CODES)]
    Report(ReportArgs),
    /// List what is to be delivered, send it again or give it up
    #[command(after_help = EXIT_CODES)]
    Outbox(OutboxArgs),
    /// Write the outcomes that people recorded as a list of labelled cases
    #[command(after_help = EXIT_CODES)]
    Outcome(OutcomeArgs),
    /// Add, list and remove the people who may log in to the console
    #[command(after_help = EXIT_CODES)]
    User(UserArgs),
    /// Add, list and revoke screens that nobody logs in at
    #[command(after_help = EXIT_CODES)]
    Kiosk(KioskArgs),
    /// Make the first administrator, or one more
    #[command(after_help = EXIT_CODES)]
    Admin(AdminArgs),
    /// Verify the audit trail
    #[command(after_help = EXIT_CODES)]
    Audit(AuditArgs),
    /// Copy the database of a daemon, which may be running, into a file
    #[command(after_help = EXIT_CODES)]
    Backup(BackupArgs),
    /// Put a copy of the database in its place; the daemon must not be running
    #[command(after_help = EXIT_CODES)]
    Restore(RestoreArgs),
    /// Say what model packages are and whether they run
    Model(ModelArgs),
    /// Say what this machine has, which engine will serve and why not a faster one
    #[command(after_help = EXIT_CODES)]
    Doctor(DoctorArgs),
    /// Collect what somebody needs who is asked for help, and nothing of patients, in one file
    #[command(after_help = EXIT_CODES)]
    SupportBundle(SupportBundleArgs),
    /// Wait until no exam is without a verdict, before a restart that can wait
    #[command(after_help = EXIT_CODES)]
    WaitIdle(WaitIdleArgs),
    /// Print the addresses of the configuration as a drop-in for systemd, which then lets nobody else connect
    #[command(after_help = EXIT_CODES)]
    AllowList(AllowListArgs),
    /// Make certificates for a trial
    Tls(TlsArgs),
    /// Check a configuration file and name every error with its line
    #[command(after_help = EXIT_CODES)]
    CheckConfig(CheckConfigArgs),
    /// Print the JSON schema of the case report, or of what webhooks get
    Schema {
        /// The schema of `data` in the events that webhooks get
        #[arg(long)]
        notification: bool,
    },
    /// Hold the GPU against the CPU: kernels, engines, exams, memory; takes minutes
    #[cfg(feature = "cuda")]
    #[command(after_help = EXIT_CODES)]
    GpuCheck(GpuCheckArgs),
    /// Print the GPUs that NVIDIA's driver gives, as JSON
    #[command(hide = true)]
    GpuProbe,
    /// Write man pages and completions for shells, for a package
    #[command(hide = true)]
    Generate(GenerateArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => on_runtime(serve(args)),
        Command::Demo(args) => on_runtime(demo(args)),
        Command::Scan(args) => on_runtime(scan(args)),
        Command::Triage(args) => triage(&args),
        Command::Report(args) => report(&args),
        Command::Outbox(args) => outbox(&args),
        Command::Outcome(args) => outcome(&args),
        Command::User(args) => user(&args),
        Command::Kiosk(args) => kiosk(&args),
        Command::Admin(args) => admin(&args),
        Command::Audit(args) => audit(&args),
        Command::Backup(args) => backup(&args),
        Command::Restore(args) => restore(&args),
        Command::Model(args) => model(&args),
        Command::Doctor(args) => doctor(&args),
        Command::SupportBundle(args) => support_bundle(&args),
        Command::WaitIdle(args) => wait_idle(&args),
        Command::AllowList(args) => allow_list(&args),
        Command::Tls(args) => tls(&args),
        Command::CheckConfig(args) => check_config(&args),
        Command::Schema { notification: false } => print_json(&schema()),
        Command::Schema { notification: true } => print_json(&notice_schema()),
        #[cfg(feature = "cuda")]
        Command::GpuCheck(args) => gpu_check(&args),
        Command::GpuProbe => gpu_probe(),
        Command::Generate(args) => generate::<Cli>(&args),
    };
    outcome.map_or_else(
        |error| {
            eprintln!("tableside: {error}");
            ExitCode::from(FAILED)
        },
        ExitCode::from,
    )
}

fn on_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // The work is over: what still hangs, on a disk or a peer, keeps nobody.
    runtime.shutdown_background();
    outcome
}
