//! Encrypted connections that others open: TLS 1.2 and 1.3 with ephemeral keys and authenticated ciphers, from PEM files that are read
//! again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use crate::{pem, telemetry};

/// The PEM files that TLS is served with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerFiles {
    /// Our certificate, then those between it and the authority's.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities whose certificates peers must have; `None` lets in peers without one.
    pub authorities: Option<PathBuf>,
    /// What may be spoken (RFC 7301), most wanted first; nothing is agreed on where it is empty.
    pub protocols: &'static [&'static [u8]],
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

/// When the files were last changed.
type Changed = [Option<SystemTime>; 3];

/// The certificates in use; files that change are read again at the next connection.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerFiles,
    current: Mutex<InUse>,
}

#[derive(Debug)]
struct InUse {
    changed: Changed,
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be read or used.
    pub(crate) fn load(files: ServerFiles) -> Result<Self, TlsError> {
        let changed = files.changed();
        let (config, certificate) = files.read()?;
        Ok(Self { current: Mutex::new(InUse { changed, config: Arc::new(config), certificate }), files })
    }

    /// What to serve the next connection with. Files that cannot be used leave what was in use.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock();
        let now = self.files.changed();
        if now != current.changed {
            current.changed = now;
            match self.files.read() {
                Ok((config, certificate)) => {
                    tracing::info!("certificates read again");
                    (current.config, current.certificate) = (Arc::new(config), certificate);
                }
                Err(error) => {
                    tracing::error!(%error, "changed certificates cannot be used: the ones before stay in use");
                }
            }
        }
        current.config.clone()
    }

    /// The file with our certificate.
    pub(crate) fn certificate_file(&self) -> &Path {
        &self.files.certificate
    }

    /// Until when the certificate is valid that the last connection was served with; `None` if it does not say so.
    pub(crate) fn valid_until(&self) -> Option<Timestamp> {
        pem::valid_until(&self.current.lock().certificate)
    }

    /// For connections of this process to itself: the peer must have the certificate that is in use here, whoever signed it and
    /// whatever name it is for.
    ///
    /// # Errors
    /// If no version of TLS can be spoken.
    pub(crate) fn client_of_this_server(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        // What would be served now.
        self.config();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ThisServer { certificate: self.current.lock().certificate.clone(), provider: provider.clone() };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// Takes one certificate and no other.
#[derive(Debug)]
struct ThisServer {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ThisServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("another server answers".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerFiles {
    fn changed(&self) -> Changed {
        [Some(&self.certificate), Some(&self.key), self.authorities.as_ref()]
            .map(|path| path.and_then(|path| std::fs::metadata(path).and_then(|about| about.modified()).ok()))
    }

    fn read(&self) -> Result<(ServerConfig, CertificateDer<'static>), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Key)?;
        let builder = match &self.authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut authorities = RootCertStore::empty();
                for certificate in pem::certificates(path)? {
                    authorities
                        .add(certificate)
                        .map_err(|source| TlsError::Authority { path: path.clone(), source })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider).build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let certificates = pem::certificates(&self.certificate)?;
        let ours = certificates.first().cloned().unwrap_or_else(|| CertificateDer::from_slice(&[]));
        telemetry::certificate(&self.certificate, pem::valid_until(&ours));
        let mut config = builder.with_single_cert(certificates, pem::private_key(&self.key)?).map_err(TlsError::Key)?;
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok((config, ours))
    }
}
