//! TLS with mutual authentication for DICOM (PS3.15 B.9 and annex B.12, the BCP 195 profiles): TLS 1.2 and 1.3, ephemeral keys,
//! authenticated ciphers, and no peer without a certificate of the hospital's own authority.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::{pem, telemetry};

/// Where TLS is served, and the PEM files it is served with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    pub listen: SocketAddr,
    /// Our certificate, then those between it and the authority's.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities whose certificates peers must have.
    pub authorities: PathBuf,
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pem(#[from] std::io::Error),
    #[error("{path}: {source}")]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("the authorities cannot be used: {0}")]
    Verifier(#[from] VerifierBuilderError),
    #[error("certificate and key cannot be used: {0}")]
    Key(rustls::Error),
}

/// When the three files were last changed.
type Changed = [Option<SystemTime>; 3];

/// The certificates in use; files that change are read again at the next connection.
#[derive(Debug)]
pub struct Tls {
    options: TlsOptions,
    current: Mutex<(Changed, Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be read or used.
    pub fn load(options: TlsOptions) -> Result<Self, TlsError> {
        let current = Mutex::new((changed(&options), Arc::new(read(&options)?)));
        Ok(Self { options, current })
    }

    /// What to serve the next connection with. Files that cannot be used leave what was in use.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock();
        let now = changed(&self.options);
        if now != current.0 {
            current.0 = now;
            match read(&self.options) {
                Ok(config) => {
                    tracing::info!("certificates read again");
                    current.1 = Arc::new(config);
                }
                Err(error) => {
                    tracing::error!(%error, "changed certificates cannot be used: the ones before stay in use");
                }
            }
        }
        current.1.clone()
    }
}

fn changed(options: &TlsOptions) -> Changed {
    [&options.certificate, &options.key, &options.authorities]
        .map(|path| std::fs::metadata(path).and_then(|about| about.modified()).ok())
}

fn read(options: &TlsOptions) -> Result<ServerConfig, TlsError> {
    let mut authorities = RootCertStore::empty();
    for certificate in pem::certificates(&options.authorities)? {
        authorities
            .add(certificate)
            .map_err(|source| TlsError::Authority { path: options.authorities.clone(), source })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider.clone()).build()?;
    let certificates = pem::certificates(&options.certificate)?;
    telemetry::certificate(&options.certificate, certificates.first().and_then(pem::valid_until));
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Key)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, pem::private_key(&options.key)?)
        .map_err(TlsError::Key)
}
