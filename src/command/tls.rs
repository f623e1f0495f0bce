//! `tls init`: an authority and certificates for a trial.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::{DONE, EXIT_CODES, Outcome};

#[derive(Args)]
pub struct TlsArgs {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Subcommand)]
enum TlsCommand {
    /// Make an authority and certificates for Tableside and one scanner, for a trial
    #[command(after_help = EXIT_CODES)]
    Init(InitArgs),
}

#[derive(Args)]
struct InitArgs {
    /// Folder for the PEM files; made if it is not there, nothing in it is overwritten
    folder: PathBuf,
    /// A name or address under which scanners reach this machine; may be given several times
    #[arg(long = "name", value_name = "HOST", default_values = ["localhost", "127.0.0.1"])]
    names: Vec<String>,
}

pub fn tls(args: &TlsArgs) -> Outcome {
    match &args.command {
        TlsCommand::Init(args) => init(args),
    }
}

fn init(args: &InitArgs) -> Outcome {
    std::fs::create_dir_all(&args.folder).map_err(|error| format!("{}: {error}", args.folder.display()))?;
    let authority_key = KeyPair::generate()?;
    let mut authority = params(Vec::new(), "Tableside trial authority")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = params(args.names.clone(), "Tableside")?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut scanner = params(Vec::new(), "Scanner")?;
    scanner.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];

    write(&args.folder, "authority.pem", &certificate.pem(), 0o644)?;
    write(&args.folder, "authority.key", &issuer.key().serialize_pem(), 0o600)?;
    for (name, mut params) in [("tableside", server), ("scanner", scanner)] {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        write(&args.folder, &format!("{name}.pem"), &params.signed_by(&key, &issuer)?.pem(), 0o644)?;
        write(&args.folder, &format!("{name}.key"), &key.serialize_pem(), 0o600)?;
    }
    let path = |name: &str| args.folder.join(name).display().to_string();
    println!("Configuration of Tableside:\n");
    println!("[tls]\nlisten = \"0.0.0.0:2762\"");
    println!(
        "certificate = \"{}\"\nkey = \"{}\"\nauthorities = \"{}\"",
        path("tableside.pem"),
        path("tableside.key"),
        path("authority.pem")
    );
    println!(
        "\nFor the scanner: authority.pem, scanner.pem, scanner.key. For a trial only: authority.key can make more scanners."
    );
    Ok(DONE)
}

/// A certificate's contents, valid for two years.
fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = std::time::SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + std::time::Duration::from_hours(24 * 730)).into();
    Ok(params)
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) -> Result<(), String> {
    let path = folder.join(name);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::options().write(true).create_new(true).mode(mode).open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
