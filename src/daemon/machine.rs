//! What the console shows of the machine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use jiff::Timestamp;

use crate::console::{Certificate, Disk, Engine, Machine, MachineOf, ShadowModel};
use crate::promotion::ModelSource;
use crate::server_tls::ServerTls;
use crate::serving::EngineState;
use crate::shadow::ShadowLife;
use crate::spool::Spool;

/// Where it is looked.
pub(super) struct MachineParts {
    pub started: Timestamp,
    pub engine: EngineState,
    pub model: String,
    /// Where the package that serves comes from.
    pub source: ModelSource,
    /// The package that the configuration names.
    pub configured: Option<PathBuf>,
    pub shadow: Option<(PathBuf, ShadowLife)>,
    pub data: PathBuf,
    pub database: PathBuf,
    pub spool: Weak<Spool>,
    /// Those that TLS is served with, and where.
    pub certificates: Vec<(&'static str, Arc<ServerTls>)>,
}

impl MachineParts {
    pub(super) fn look(self) -> MachineOf {
        Arc::new(move || self.machine())
    }

    fn machine(&self) -> Machine {
        let certificate = |(of, tls): &(&'static str, Arc<ServerTls>)| Certificate {
            of,
            file: tls.certificate_file().to_owned(),
            valid_until: tls.valid_until(),
        };
        let shadow =
            |(package, life): &(PathBuf, ShadowLife)| ShadowModel { package: package.clone(), works: life.goes_on() };
        Machine {
            version: env!("CARGO_PKG_VERSION"),
            started: self.started,
            engine: Engine {
                serves: self.engine.engine().to_owned(),
                model: self.model.clone(),
                source: self.source.to_string(),
                next: self.next(),
                gpu_failure: self.engine.gpu_failure(),
                shadow: self.shadow.as_ref().map(shadow),
            },
            disk: Disk {
                folder: self.data.clone(),
                room: self.spool.upgrade().and_then(|spool| spool.room()),
                database_bytes: bytes_of_database(&self.database),
            },
            certificates: self.certificates.iter().map(certificate).collect(),
        }
    }

    /// What serves from the next start on, if somebody has promoted another package or gone back since this start.
    fn next(&self) -> Option<String> {
        match ModelSource::chosen(self.configured.as_deref(), &self.data) {
            Ok(source) => (source != self.source).then(|| source.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// The file and its write-ahead log; what is not there takes nothing.
fn bytes_of_database(file: &Path) -> u64 {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    [file, Path::new(&log)].iter().filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}
