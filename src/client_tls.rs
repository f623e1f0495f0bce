//! Connections that we open: to whom, whom we believe, and who we are.

use std::io::{Error, Result};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::pem::{self, in_file};
use crate::telemetry;

/// Files for TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// Who may have signed the peer's certificate.
    pub authorities: PathBuf,
    /// Our certificate and its key, where the peer wants to know who calls.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// An encrypted connection.
pub(crate) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Connects to `HOST:PORT`, by the first of its addresses that answers. Reading and writing fail after `patience`.
///
/// # Errors
/// If nobody answers.
pub(crate) fn connect(address: &str, connect_timeout: Duration, patience: Duration) -> Result<TcpStream> {
    let mut last = None;
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, connect_timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::other("the name leads to no address")))
}

/// The name or address in `HOST:PORT`.
#[must_use]
pub(crate) fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']'])
}

/// The name or address in a URL; empty where it names none.
#[must_use]
pub(crate) fn host_of_url(url: &str) -> String {
    let url = url.parse::<Uri>().ok();
    url.and_then(|url| Some(url.host()?.trim_matches(['[', ']']).to_owned())).unwrap_or_default()
}

impl ClientTls {
    /// Encrypts a connection to `HOST:PORT`; the peer's certificate must be the host's.
    ///
    /// # Errors
    /// If a file cannot be used, or the host is no name that a certificate can have.
    pub(crate) fn encrypted(&self, stream: TcpStream, address: &str) -> Result<Encrypted> {
        let name = rustls::pki_types::ServerName::try_from(host_of(address).to_owned()).map_err(Error::other)?;
        let connection = ClientConnection::new(self.config()?, name).map_err(Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }

    /// Reads the files, anew for each connection: they may be changed at any time.
    ///
    /// # Errors
    /// If a file cannot be read or does not hold what it should.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>> {
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
/// How an agent encrypts what it asks of a URL; nothing is read for one in the clear.
///
/// # Errors
/// If the service is reached by TLS and the authorities cannot be read.
pub(crate) fn agent_tls(url: &str, authorities: &Path) -> Result<TlsConfig> {
    let authorities = if url.starts_with("https:") { pem::certificates(authorities)? } else { Vec::new() };
    let roots = authorities.iter().map(|authority| Certificate::from_der(authority).to_owned()).collect();
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build())
}
