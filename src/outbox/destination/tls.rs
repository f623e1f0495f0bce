//! Encrypted connections to destinations: whom we believe, and who we are.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::pem::{self, in_file};
use crate::telemetry;

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
        for certificate in pem::certificates(&self.authorities)? {
            roots.add(certificate).map_err(|error| in_file(&self.authorities, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(Error::other)?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificates = pem::certificates(certificate)?;
                telemetry::certificate(certificate, certificates.first().and_then(pem::valid_until));
                builder
                    .with_client_auth_cert(certificates, pem::private_key(key)?)
                    .map_err(|error| in_file(certificate, &error))?
            }
        };
        Ok(Arc::new(config))
    }
}
