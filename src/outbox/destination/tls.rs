//! Encrypted connections to destinations: whom we believe, and who we are.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Files for TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// Who may have signed the destination's certificate.
    pub authorities: PathBuf,
    /// Our certificate and its key, where the destination wants to know who calls.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// Reads the files, anew for each connection: they may be changed at any time.
    ///
    /// # Errors
    /// If a file cannot be read or does not hold what it should.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|error| named(&self.authorities, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(Error::other)?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, &error))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|error| named(certificate, &error))?
            }
        };
        Ok(Arc::new(config))
    }
}

/// The certificates in a PEM file.
///
/// # Errors
/// If it cannot be read or holds none.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| named(file, &error))?;
    if certificates.is_empty() {
        return Err(Error::other(format!("{}: it holds no certificate", file.display())));
    }
    Ok(certificates)
}

fn named(file: &Path, error: &dyn std::error::Error) -> Error {
    Error::other(format!("{}: {error}", file.display()))
}
