//! `support-bundle`: what somebody needs who is asked for help, in one file, and nothing of patients. Logs and metrics name none; UIDs,
//! by which an archive could name one, are replaced by what only equals itself.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tableside::audit::{Event, ExportKind, person_at_shell};
use tableside::config::Config;
use tableside::database;
use tar::{Builder, Header};

use super::{DONE, Outcome, tell_audit};

/// More of a log is not taken: the newest lines count.
const MOST_LOG_BYTES: usize = 20 << 20;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct SupportBundleArgs {
    /// The file, a compressed tar archive that is not there yet
    file: PathBuf,
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log lines of the unit tableside since then, as `journalctl --since` takes it
    #[arg(long, value_name = "TIME", default_value = "-24h")]
    since: String,
    /// Log file, where the log does not go to the journal
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub fn support_bundle(args: &SupportBundleArgs) -> Outcome {
    let text = args.config.as_ref().map(fs::read_to_string).transpose();
    let text = text.map_err(|error| format!("the configuration cannot be read: {error}"))?.unwrap_or_default();
    let named = |error: io::Error| format!("cannot write {}: {error}", args.file.display());
    let file = File::options().write(true).create_new(true).mode(0o600).open(&args.file).map_err(named)?;
    let parsed = Config::parse(&text);
    let config = parsed.as_ref().map_or_else(|_| Config::default(), Clone::clone);
    let problems = parsed.err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let daemon = config.health_url();
    let parts = [
        ("about.txt", about(&config)),
        ("tableside.toml", without_secrets(&text)),
        ("errors-of-the-configuration.txt", problems),
        ("ready.txt", asked(&format!("{daemon}/readyz"))),
        ("metrics.txt", asked(&format!("{daemon}/metrics"))),
        ("doctor.txt", said(&mut doctor(args.config.as_deref()))),
        ("database.txt", counts(&config.database())),
        ("log.txt", log(args)),
    ];
    let mut bundle = Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, text) in &parts {
        // Whatever a part says, and whoever wrote it.
        let text = without_uids(text);
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(Timestamp::now().as_second().unsigned_abs());
        bundle.append_data(&mut header, format!("tableside-support/{name}"), text.as_bytes()).map_err(named)?;
    }
    bundle.into_inner().and_then(GzEncoder::finish).and_then(|mut file| file.flush()).map_err(named)?;
    println!("{} holds:", args.file.display());
    for (name, text) in &parts {
        println!("  {name:<34}{:>10} bytes", text.len());
    }
    println!(
        "Names and IDs of patients are not in it. It names addresses and AE titles of your site: look before you send it."
    );
    let (kind, made) = (ExportKind::SupportBundle, args.file.display().to_string());
    let event = Event::Exported { who: person_at_shell(), kind, file: made, subject: None };
    // Nobody's data are in it: it helps also who may not write in the data folder.
    if let Err(error) = tell_audit(&config, event) {
        eprintln!("{error}");
    }
    Ok(DONE)
}

fn about(config: &Config) -> String {
    let line = |name: &str, value: &str| format!("{name}: {value}\n");
    let file = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| format!("{path}: {error}"));
    let cores = std::thread::available_parallelism().map_or_else(|error| error.to_string(), |cores| cores.to_string());
    [
        line("time", &Timestamp::now().to_string()),
        line("tableside", env!("CARGO_PKG_VERSION")),
        line(
            "features",
            if cfg!(feature = "tensorrt") {
                "cuda tensorrt"
            } else if cfg!(feature = "cuda") {
                "cuda"
            } else {
                "none"
            },
        ),
        line("kernel", file("/proc/version").trim()),
        line("cores", &cores),
        line("memory", file("/proc/meminfo").lines().next().unwrap_or_default()),
        line("disk of the data folder", said(Command::new("df").arg("-h").arg(&config.data)).trim()),
        line(
            "systemd",
            said(Command::new("systemctl").args([
                "show",
                "tableside",
                "--property=ActiveState,SubState,Result,NRestarts,ExecMainStatus,MemoryCurrent",
            ]))
            .trim(),
        ),
    ]
    .concat()
}

/// A password or token does not belong into the configuration; should one be there all the same, it stays there.
fn without_secrets(text: &str) -> String {
    const SECRET: [&str; 4] = ["password", "secret", "token", "key"];
    let line = |line: &str| {
        let Some((key, value)) = line.split_once('=') else { return line.to_owned() };
        let name = key.trim().trim_start_matches('#').trim().to_ascii_lowercase();
        let is_path = value.contains('/') && !value.contains("://");
        if SECRET.iter().any(|secret| name.contains(secret)) && !is_path {
            return format!("{key}= (left out)");
        }
        // Of an address what comes after the host may be as good as a password.
        match value.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.split(['/', '?', '"']).next().unwrap_or_default();
                let host = host.rsplit('@').next().unwrap_or_default();
                format!("{key}={scheme}://{host}\" (shortened)")
            }
            None => line.to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Puts something else in the place of each UID, the same for the same one.
fn without_uids(text: &str) -> String {
    /// An address has three.
    const DOTS_OF_AN_ADDRESS: usize = 3;
    /// No other number with a point is as long: 2.25 and a UUID have two points alone.
    const LONGEST_NUMBER: usize = 24;
    let is_of_uid = |character: char| character.is_ascii_digit() || character == '.';
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_uid) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|character| !is_of_uid(character)).unwrap_or(from.len()));
        cleaned.push_str(before);
        let uid = run.trim_end_matches('.');
        let points = uid.matches('.').count();
        if points > DOTS_OF_AN_ADDRESS || points > 0 && uid.len() > LONGEST_NUMBER {
            let hash = Sha256::digest(uid);
            cleaned.push_str(&hash[..4].iter().fold("uid-".to_owned(), |text, byte| format!("{text}{byte:02x}")));
        } else {
            cleaned.push_str(run);
        }
        rest = after;
    }
    cleaned + rest
}

/// What the daemon answers, or why it does not.
fn asked(url: &str) -> String {
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
    let answer = ureq::Agent::from(agent).get(url).call().and_then(|mut answer| {
        let status = answer.status();
        Ok(format!("{url}: {status}\n{}", answer.body_mut().read_to_string()?))
    });
    answer.unwrap_or_else(|error| format!("{url}: {error}"))
}

fn doctor(config: Option<&Path>) -> Command {
    let mut doctor = Command::new(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tableside")));
    doctor.arg("doctor");
    if let Some(config) = config {
        doctor.arg("--config").arg(config);
    }
    doctor
}

/// What a program says, or why it cannot be asked.
fn said(command: &mut Command) -> String {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => {
            let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            format!("{out}{err}")
        }
        Err(error) => format!("{}: {error}", command.get_program().display()),
    }
}

/// How many of what there are in the database. No row is told: a name stands in some.
fn counts(path: &Path) -> String {
    match database::counts(path) {
        Ok(counts) => counts.iter().fold(String::new(), |text, (what, count)| format!("{text}{what}: {count}\n")),
        Err(error) => error.to_string(),
    }
}

fn log(args: &SupportBundleArgs) -> String {
    let text = match &args.log {
        Some(file) => fs::read(file).map_or_else(
            |error| format!("{}: {error}", file.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        ),
        None => said(
            Command::new("journalctl")
                .args(["--unit=tableside", "--no-pager", "--output=short-iso", "--since"])
                .arg(&args.since),
        ),
    };
    let mut start = text.len().saturating_sub(MOST_LOG_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_replaced_and_addresses_versions_and_times_are_not() {
        let text = "exam 1.2.840.113619.2.55 of 10.0.0.7:11112, version 0.2.0 at 2026-11-30T03:00:00.123Z: 1.2.840.113619.2.55.";
        let cleaned = without_uids(text);
        assert!(!cleaned.contains("1.2.840"), "{cleaned}");
        let [first, second] =
            [0, 1].map(|place| cleaned.match_indices("uid-").nth(place).map(|(at, _)| &cleaned[at..at + 12]).unwrap());
        assert_eq!(first, second);
        for kept in ["10.0.0.7:11112", "0.2.0", "03:00:00.123Z"] {
            assert!(cleaned.contains(kept), "{cleaned}");
        }
        assert!(!without_uids("at the end 2.25.313834771974630421561398686614433743299").contains("3138"));
        assert_eq!(without_uids(""), "");
    }

    #[test]
    fn secrets_stay_where_they_are() {
        let text = "[tls]\nkey = \"/etc/tableside/tls.key\"\n[[destination]]\npassword = \"geheim\"\nwebhook = \"https://tom:geheim@clinic/hook?token=geheim\"\nsecrets_file = \"/etc/secrets\"\n# token = \"geheim\"";
        let cleaned = without_secrets(text);
        assert!(!cleaned.contains("geheim"), "{cleaned}");
        for kept in ["/etc/tableside/tls.key", "https://clinic", "/etc/secrets", "[[destination]]"] {
            assert!(cleaned.contains(kept), "{cleaned}");
        }
    }
}
