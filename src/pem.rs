//! Certificates and keys in PEM files.

use std::io::{Error, Result};
use std::path::Path;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

/// The certificates in a file.
///
/// # Errors
/// If it cannot be read or holds none; the error names the file.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| in_file(file, &error))?;
    if certificates.is_empty() {
        return Err(Error::other(format!("{}: it holds no certificate", file.display())));
    }
    Ok(certificates)
}

/// The private key in a file.
///
/// # Errors
/// If it cannot be read or holds none; the error names the file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| in_file(file, &error))
}

/// What is wrong with a file.
pub(crate) fn in_file(file: &Path, error: &dyn std::error::Error) -> Error {
    Error::other(format!("{}: {error}", file.display()))
}

/// Until when a certificate is valid; `None` if it does not say so in a way that can be read.
pub(crate) fn valid_until(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, read) = parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(read.validity().not_after.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_until_when_it_is_valid() {
        let mut params = rcgen::CertificateParams::new(["scanner".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 5, 17);
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        assert_eq!(valid_until(made.der()).unwrap().to_string(), "2031-05-17T00:00:00Z");
        assert_eq!(valid_until(&CertificateDer::from_slice(&[0x30, 1, 0])), None);
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = certificates(file.path()).unwrap_err().to_string();
        assert!(error.starts_with(&file.path().display().to_string()) && error.contains("no certificate"), "{error}");
    }
}
