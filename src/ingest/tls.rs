//! TLS with mutual authentication for DICOM (PS3.15 B.9 and annex B.12, the BCP 195 profiles): no peer without a certificate of the
//! hospital's own authority.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::server_tls::ServerFiles;
pub use crate::server_tls::ServerTls as Tls;
pub use crate::server_tls::TlsError;

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

impl TlsOptions {
    /// What is served there.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub(crate) fn load(&self) -> Result<Tls, TlsError> {
        let Self { certificate, key, authorities, .. } = self.clone();
        Tls::load(ServerFiles { certificate, key, authorities: Some(authorities), protocols: &[] })
    }
}
