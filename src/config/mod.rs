//! One typed configuration, read whole before anything listens. All errors are reported at once, each with its line and what
//! was expected; unknown keys are errors. `systemd/tableside.toml` documents every key with its default.

mod audit;
mod console;
mod destinations;
mod reader;
mod shadow;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::AuditOptions;
use crate::console::access::AccessOptions;
use crate::engine::ModelPackage;
use crate::exam::{CompletionLimits, QualityLimits};
use crate::ingest::{IngestOptions, Scanner, TlsOptions, parse_network};
use crate::outbox::Destination;
use crate::pipeline::AnalysisMode;
use crate::promotion::{ModelSource, PromotionError};
use crate::report::ReportOptions;
use crate::serving::choice::{EngineChoice, EngineOptions};
use crate::shadow::ShadowOptions;
use crate::spool::RetentionOptions;
use crate::synthetic::SyntheticOptions;
use crate::telemetry::LogFormat;
use crate::triage::Densities;
use reader::Document;

pub use reader::ConfigError;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where scanners connect.
    pub dicom_listen: SocketAddr,
    pub ingest: IngestOptions,
    /// Where scanners connect by TLS, if anywhere.
    pub tls: Option<TlsOptions>,
    /// Anyone on the network may send.
    pub insecure: bool,
    /// Where browsers connect.
    pub console_listen: SocketAddr,
    /// Who may see and do what there.
    pub access: AccessOptions,
    /// The folder of spool and database.
    pub data: PathBuf,
    /// What the spool's journal takes, bytes.
    pub journal_bytes: u64,
    pub retention: RetentionOptions,
    /// How the synthetic patient is sent, if it is.
    pub synthetic_patient: Option<SyntheticOptions>,
    pub audit: AuditOptions,
    /// Who gets the results.
    pub destinations: Vec<Destination>,
    /// How results are written as DICOM objects.
    pub report: ReportOptions,
    /// A model package; where absent the promoted or the built-in one serves ([`Self::model_source`]).
    pub model: Option<PathBuf>,
    pub shadow: ShadowOptions,
    pub engine: EngineOptions,
    /// Threads that decode slices.
    pub decoders: usize,
    pub mode: AnalysisMode,
    pub completion: CompletionLimits,
    pub quality: QualityLimits,
    pub densities: Densities,
    pub log_format: LogFormat,
    pub log_level: String,
}

const MIB: u64 = 1 << 20;
const GIB: f64 = (1_u64 << 30) as f64;
const LOOPBACK_DICOM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 11112);
const LOOPBACK_TLS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2762);
const LOOPBACK_CONSOLE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

impl Default for Config {
    /// What holds without a file: loopback only.
    fn default() -> Self {
        Self {
            dicom_listen: LOOPBACK_DICOM,
            ingest: IngestOptions {
                ae_title: "TABLESIDE".to_owned(),
                require_called_ae_title: false,
                scanners: Vec::new(),
                archives: Vec::new(),
                max_associations: 64,
                max_associations_of_one: 16,
                max_pdu_bytes: 128 * 1024,
                max_object_bytes: 512 * 1024 * 1024,
                request_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_mins(1),
                slowest_bytes_s: 16 * 1024,
            },
            tls: None,
            insecure: false,
            console_listen: LOOPBACK_CONSOLE,
            access: AccessOptions::default(),
            data: default_data_folder(),
            journal_bytes: 512 * MIB,
            retention: RetentionOptions {
                keep: Some(Duration::from_hours(24 * 30)),
                quota_bytes: None,
                min_free_bytes: GIB as u64,
            },
            synthetic_patient: None,
            audit: AuditOptions::default(),
            destinations: Vec::new(),
            report: ReportOptions::default(),
            model: None,
            shadow: ShadowOptions::default(),
            engine: EngineOptions::default(),
            decoders: std::thread::available_parallelism().map_or(2, usize::from),
            mode: AnalysisMode::default(),
            completion: CompletionLimits::default(),
            quality: QualityLimits::default(),
            densities: Densities::default(),
            log_format: LogFormat::default(),
            log_level: "info".to_owned(),
        }
    }
}

/// `tableside` in the XDG state folder (XDG Base Directory Specification 0.8); in the working folder where there is no home.
fn default_data_folder() -> PathBuf {
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = from("XDG_STATE_HOME").or_else(|| Some(from("HOME")?.join(".local/state")));
    state.unwrap_or_default().join("tableside")
}

impl Config {
    /// The file that keeps exams, flags and deliveries.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join("tableside.db")
    }

    /// Which model package serves.
    ///
    /// # Errors
    /// If nobody can tell which package was promoted.
    pub fn model_source(&self) -> Result<ModelSource, PromotionError> {
        ModelSource::chosen(self.model.as_deref(), &self.data)
    }

    /// The model package that serves.
    ///
    /// # Errors
    /// If nobody can tell which package was promoted, or the one that serves is damaged.
    pub fn model_package(&self) -> Result<ModelPackage, PromotionError> {
        self.model_source()?.load()
    }

    /// The sections of `new` that differ and hold from the next start on. What a running daemon takes over is not among them: who may
    /// send (`[[scanner]]`), how long images are kept (`[data]`), what is logged (`log.level`).
    #[must_use]
    pub fn needing_a_restart(&self, new: &Self) -> Vec<&'static str> {
        let scanners = new.ingest.scanners.clone();
        let sections = [
            (
                "[dicom]",
                self.dicom_listen != new.dicom_listen
                    || self.insecure != new.insecure
                    || IngestOptions { scanners, ..self.ingest.clone() } != new.ingest,
            ),
            ("[tls]", self.tls != new.tls),
            ("[console], [metrics]", self.console_listen != new.console_listen || self.access != new.access),
            ("[data] folder, journal_mib", self.data != new.data || self.journal_bytes != new.journal_bytes),
            ("[synthetic_patient]", self.synthetic_patient != new.synthetic_patient),
            ("[audit]", self.audit != new.audit),
            ("[[destination]]", self.destinations != new.destinations),
            ("[report]", self.report != new.report),
            ("[engine], [model]", self.engine != new.engine || self.model != new.model),
            ("[shadow]", self.shadow != new.shadow),
            ("[analysis]", self.decoders != new.decoders || self.mode != new.mode || self.densities != new.densities),
            ("[completion]", self.completion != new.completion),
            ("[quality]", self.quality != new.quality),
            ("[log] format", self.log_format != new.log_format),
        ];
        sections.into_iter().filter_map(|(section, differs)| differs.then_some(section)).collect()
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Vec<ConfigError>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![ConfigError::whole_file(format!("cannot read {}: {error}", path.display()))])?;
        Self::parse(&text)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<ConfigError>> {
        let mut document = Document::parse(text)?;
        let mut config = Self::default();

        read_network(&mut document, &mut config);

        console::read(&mut document, &mut config);

        document.section("data", |data| {
            data.path("folder", |path| config.data = path);
            data.count("journal_mib", 64..=65_536, |mib| config.journal_bytes = mib as u64 * MIB);
            data.number("keep_days", 0.0..=36_500.0, |days| {
                let keep = Duration::from_secs_f64(days * 86_400.0);
                config.retention.keep = Some(keep).filter(|keep| !keep.is_zero());
            });
            data.number("quota_gib", 0.0..=1e6, |gib| {
                config.retention.quota_bytes = Some((gib * GIB) as u64).filter(|bytes| *bytes > 0);
            });
            data.number("min_free_gib", 0.0..=1e6, |gib| config.retention.min_free_bytes = (gib * GIB) as u64);
        });

        read_synthetic_patient(&mut document, &mut config);
        config.audit = audit::read(&mut document);

        document.section("report", |report| {
            let numbers = &mut config.report.series_numbers;
            let kinds = [
                ("pictures_series", &mut numbers.secondary_capture),
                ("segmentation_series", &mut numbers.segmentation),
                ("structured_report_series", &mut numbers.structured_report),
            ];
            for (key, number) in kinds {
                report.count(key, 1..=i32::MAX as usize, |n| *number = n as u32);
            }
            report.boolean("empty_frames", &mut config.report.keeps_empty_frames);
        });
        config.destinations = destinations::read(&mut document, &config.ingest.ae_title);
        config.ingest.archives = destinations::archives(&config.destinations);

        document.section("engine", |engine| {
            engine.choice(
                "kind",
                &mut config.engine.choice,
                &[
                    ("auto", EngineChoice::Auto),
                    ("tensorrt", EngineChoice::TensorRt),
                    ("cuda", EngineChoice::Cuda),
                    ("onnxruntime", EngineChoice::OnnxRuntime),
                    ("embedded", EngineChoice::Embedded),
                ],
            );
            engine.path("model", |path| config.model = Some(path));
            engine.path("onnxruntime", |path| config.engine.onnxruntime_library = Some(path));
            engine.count("threads", 0..=256, |n| config.engine.threads = n);
            engine.count("decoders", 1..=256, |n| config.decoders = n);
        });

        shadow::read(&mut document, &mut config.shadow);

        document.section("analysis", |analysis| {
            let modes = [("streaming", AnalysisMode::Streaming), ("batch", AnalysisMode::Batch)];
            analysis.choice("mode", &mut config.mode, &modes);
        });

        document.section("completion", |completion| {
            let seconds = Duration::from_secs_f64;
            completion.number("quiet_s", 0.1..=3600.0, |s| config.completion.quiet = seconds(s));
            completion.number("least_quiet_s", 0.1..=3600.0, |s| config.completion.least_quiet = seconds(s));
            completion.count("release_grace_ms", 0..=60_000, |ms| {
                config.completion.release_grace = Duration::from_millis(ms as u64);
            });
            completion.count("step_grace_ms", 0..=60_000, |ms| {
                config.completion.step_grace = Duration::from_millis(ms as u64);
            });
            completion.number("lungs_passed_mm", 0.0..=1000.0, |mm| {
                config.completion.lungs_passed_mm = Some(mm).filter(|mm| *mm > 0.0);
            });
        });

        document.section("quality", |quality| {
            quality.number("max_gap_mm", 0.1..=1000.0, |mm| config.quality.max_gap_mm = mm);
            quality.number("cut_off_lung_cm2", 0.1..=1000.0, |cm2| config.quality.cut_off_lung_cm2 = cm2);
            quality.number("min_lung_ml", 1.0..=10_000.0, |ml| config.quality.min_lung_ml = ml);
            quality.number("min_lung_ratio", 0.0..=1.0, |ratio| config.quality.min_lung_ratio = ratio);
            quality.number("min_chest_share", 0.0..=1.0, |share| config.quality.min_chest_share = share);
            quality.count("min_slices", 1..=1000, |n| config.quality.min_slices = n);
            quality.number("max_noise_hu", 1.0..=1000.0, |hu| config.quality.max_noise_hu = hu);
            quality.number("max_thickness_mm", 0.1..=1000.0, |mm| config.quality.max_thickness_mm = mm);
            quality.number("max_cut_lung_cm2", 0.0..=10_000.0, |cm2| config.quality.max_cut_lung_cm2 = cm2);
            quality.number("max_step", 1.0..=1000.0, |times| config.quality.max_step = times);
            quality.number("max_lung_hu", -1000.0..=0.0, |hu| config.quality.max_lung_hu = hu);
        });

        document.section("lesions", |lesions| {
            lesions.integer("ground_glass_hu", &mut config.densities.ground_glass_hu, -1000..=0);
            lesions.integer("consolidation_hu", &mut config.densities.consolidation_hu, -1000..=100);
        });
        if config.densities.ground_glass_hu >= config.densities.consolidation_hu {
            document.refuse("lesions.ground_glass_hu must be below lesions.consolidation_hu");
        }

        document.section("log", |log| {
            log.choice("format", &mut config.log_format, &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
            log.text(
                "level",
                &mut config.log_level,
                "error, warn, info, debug, trace or a filter such as \"info,tableside=debug\"",
                |level| level.parse::<tracing_subscriber::EnvFilter>().is_ok(),
            );
        });

        document.finish().map(|()| config)
    }
}

/// Where and from whom slices come in.
fn read_network(document: &mut Document<'_>, config: &mut Config) {
    document.section("dicom", |dicom| {
        dicom.parsed("listen", &mut config.dicom_listen, "an address and port such as \"0.0.0.0:11112\"");
        dicom.text("ae_title", &mut config.ingest.ae_title, AE_TITLE, is_ae_title);
        dicom.boolean("require_called_ae_title", &mut config.ingest.require_called_ae_title);
        dicom.boolean("insecure", &mut config.insecure);
        dicom.count("max_associations", 1..=1024, |n| config.ingest.max_associations = n);
        dicom.count("max_associations_of_one", 1..=1024, |n| config.ingest.max_associations_of_one = n);
        dicom.count("max_pdu_kib", 4..=1024, |n| config.ingest.max_pdu_bytes = n as u32 * 1024);
        dicom.count("max_object_mib", 1..=4096, |n| config.ingest.max_object_bytes = n * 1024 * 1024);
        dicom.count("request_timeout_s", 1..=3600, |n| {
            config.ingest.request_timeout = Duration::from_secs(n as u64);
        });
        dicom.count("idle_timeout_s", 1..=3600, |n| config.ingest.idle_timeout = Duration::from_secs(n as u64));
        dicom.count("slowest_kib_s", 1..=1_000_000, |n| config.ingest.slowest_bytes_s = n * 1024);
    });

    document.list("scanner", |scanner| {
        let (mut ae_title, mut addresses) = (String::new(), Vec::new());
        scanner.text("ae_title", &mut ae_title, AE_TITLE, is_ae_title);
        scanner.strings(
            "addresses",
            "a list of addresses or networks such as \"10.0.0.7\" or \"10.0.0.0/24\"",
            |text| {
                addresses.extend(parse_network(text));
                parse_network(text).is_some()
            },
        );
        config.ingest.scanners.push(Scanner { ae_title, addresses });
    });
    if config.ingest.scanners.iter().any(|scanner| scanner.ae_title.is_empty()) {
        document.refuse("a [[scanner]] has no ae_title");
    }
    if !config.dicom_listen.ip().is_loopback() && config.ingest.scanners.is_empty() && !config.insecure {
        document.refuse(
            "dicom.listen is open to the network: list who may send as [[scanner]], or say dicom.insecure = true",
        );
    }

    let mut tls = TlsOptions {
        listen: LOOPBACK_TLS,
        certificate: PathBuf::new(),
        key: PathBuf::new(),
        authorities: PathBuf::new(),
    };
    document.section("tls", |section| {
        section.parsed("listen", &mut tls.listen, "an address and port such as \"0.0.0.0:2762\"");
        section.path("certificate", |path| tls.certificate = path);
        section.path("key", |path| tls.key = path);
        section.path("authorities", |path| tls.authorities = path);
    });
    if document.has("tls") {
        if [&tls.certificate, &tls.key, &tls.authorities].iter().any(|path| path.as_os_str().is_empty()) {
            document.refuse("[tls] needs certificate, key and authorities");
        }
        config.tls = Some(tls);
    }
}

fn read_synthetic_patient(document: &mut Document<'_>, config: &mut Config) {
    let (mut every, mut verdict_within) = (None, Duration::from_secs(30));
    document.section("synthetic_patient", |synthetic| {
        synthetic.number("every_min", 0.05..=1440.0, |minutes| every = Some(Duration::from_secs_f64(minutes * 60.0)));
        synthetic.number("verdict_within_s", 1.0..=3600.0, |s| verdict_within = Duration::from_secs_f64(s));
    });
    config.synthetic_patient = every.map(|every| SyntheticOptions { every, verdict_within });
}

const AE_TITLE: &str = "1 to 16 printable characters without backslash";

/// PS3.5 section 6.2, value representation AE.
fn is_ae_title(title: &str) -> bool {
    (1..=16).contains(&title.len())
        && !title.trim().is_empty()
        && title.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_listens_on_loopback_only() {
        let config = Config::parse("").unwrap();
        assert!(config.dicom_listen.ip().is_loopback() && config.console_listen.ip().is_loopback());
        assert_eq!((config.dicom_listen.port(), config.console_listen.port()), (11112, 8080));
    }

    #[test]
    fn every_error_is_told_at_once_with_its_line() {
        let text = "[dicom]\nlisten = \"somewhere\"\nae_title = \"THIS IS FAR TOO LONG\"\nport = 3\n\n[engine]\nkind = \"gpu\"\nthreads = -1\n[colour]\n";
        let errors = Config::parse(text).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let lines: Vec<usize> = errors.iter().filter_map(ConfigError::line).collect();
        assert_eq!(lines, [2, 3, 4, 7, 8, 9], "{told:#?}");
        assert!(told[0].contains("dicom.listen") && told[0].contains("an address and port"), "{told:#?}");
        assert!(told[2].contains("unknown key"), "{told:#?}");
        assert!(told[3].contains("auto, tensorrt, cuda, onnxruntime or embedded"), "{told:#?}");
    }

    #[test]
    fn open_to_the_network_it_wants_to_know_who_may_send() {
        let listen = "[dicom]\nlisten = \"0.0.0.0:11112\"\n";
        assert!(Config::parse(listen).unwrap_err()[0].to_string().contains("[[scanner]]"));
        assert!(Config::parse(&format!("{listen}insecure = true\n")).unwrap().insecure);
        let scanner = "[[scanner]]\nae_title = \"CT1\"\naddresses = [\"10.0.0.7\", \"10.0.1.0/24\"]\n[[scanner]]\nae_title = \"CT2\"\n";
        let config = Config::parse(&format!("{listen}{scanner}")).unwrap();
        assert_eq!(config.ingest.scanners.len(), 2);
        assert_eq!(config.ingest.scanners[0].addresses.len(), 2);
    }

    #[test]
    fn ground_glass_is_less_dense_than_consolidation() {
        let limits = "[lesions]\nground_glass_hu = -700\nconsolidation_hu = -250\n";
        let densities = Config::parse(limits).unwrap().densities;
        assert_eq!((densities.ground_glass_hu, densities.consolidation_hu), (-700, -250));
        let errors = Config::parse("[lesions]\nground_glass_hu = -300\n").unwrap_err();
        assert!(errors[0].to_string().contains("below lesions.consolidation_hu"), "{errors:?}");
        let errors = Config::parse("[lesions]\nconsolidation_hu = 1e3\n").unwrap_err();
        assert!(errors[0].to_string().contains("a whole number from -1000 to 100"), "{errors:?}");
    }

    #[test]
    fn a_synthetic_patient_is_sent_where_it_is_said_how_often() {
        let every = |minutes: &str| Config::parse(&format!("[synthetic_patient]\nevery_min = {minutes}\n"));
        let (every_quarter, verdict_within) = (Duration::from_mins(15), Duration::from_secs(30));
        let options = SyntheticOptions { every: every_quarter, verdict_within };
        assert_eq!(every("15").unwrap().synthetic_patient, Some(options));
        assert_eq!(Config::parse("[synthetic_patient]\n").unwrap().synthetic_patient, None);
        for minutes in ["0", "-1", "1441", "\"often\""] {
            let errors = every(minutes).unwrap_err();
            assert_eq!(errors[0].line(), Some(2));
            assert!(errors[0].to_string().contains("a number from 0.05 to 1440"), "{errors:?}");
        }
    }

    #[test]
    fn tls_needs_all_its_files() {
        assert!(Config::parse("[tls]\nkey = \"a.key\"\n").unwrap_err()[0].to_string().contains("authorities"));
        let files = "[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nauthorities = \"b.pem\"\n";
        assert_eq!(Config::parse(files).unwrap().tls.unwrap().listen.port(), 2762);
        assert_eq!(Config::parse("").unwrap().tls, None);
    }

    #[test]
    fn what_is_wrong_with_a_scanner_is_told_with_its_line() {
        let errors =
            Config::parse("[[scanner]]\nae_title = \"CT1\"\naddresses = [\"10.0.0\"]\nroom = 3\n").unwrap_err();
        assert_eq!(errors.iter().filter_map(ConfigError::line).collect::<Vec<_>>(), [3, 4]);
        assert!(Config::parse("[[scanner]]\n").unwrap_err()[0].to_string().contains("ae_title"));
        assert!(Config::parse("[scanner]\n").unwrap_err()[0].to_string().contains("[[scanner]]"));
    }

    #[test]
    fn a_syntax_error_has_its_line_too() {
        let errors = Config::parse("[dicom]\nae_title = \n").unwrap_err();
        assert_eq!(errors[0].line(), Some(2));
    }

    #[test]
    fn the_sample_configuration_is_valid_and_documents_the_defaults() {
        let sample = Config::parse(include_str!("../../systemd/tableside.toml")).unwrap();
        let mut default = Config { data: sample.data.clone(), decoders: sample.decoders, ..Config::default() };
        default.access.metrics_listen = default.metrics_listen();
        assert_eq!(format!("{sample:?}"), format!("{default:?}"));
    }
}
