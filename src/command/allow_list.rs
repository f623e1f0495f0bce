//! `allow-list`: the addresses of the configuration as a drop-in for systemd, whose kernel filter then drops what comes from anywhere
//! else before the daemon sees a byte of it (systemd.resource-control(5), `IPAddressAllow=`).

use std::collections::BTreeMap;
use std::net::ToSocketAddrs as _;
use std::path::PathBuf;

use clap::Args;
use tableside::config::Config;
use tableside::ingest::parse_network;

use super::{DONE, Outcome, configuration};

#[derive(Args)]
pub struct AllowListArgs {
    /// An address or network of browsers, of Prometheus or of others that the configuration does not name
    #[arg(long, value_name = "NETWORK")]
    also: Vec<String>,
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn allow_list(args: &AllowListArgs) -> Outcome {
    let config = configuration(Some(&args.config))?;
    let mut allowed = of_scanners(&config)?;
    let destinations = config.destinations.iter().map(|of| (format!("destination {}", of.name), of.host()));
    let syslog = config.audit.syslog.iter().map(|of| ("the syslog server of [audit]".to_owned(), of.host().to_owned()));
    let provider = config.access.provider.iter().map(|of| ("the OpenID provider".to_owned(), of.host()));
    for (whose, host) in destinations.chain(syslog).chain(provider) {
        let found = (host.as_str(), 0)
            .to_socket_addrs()
            .map_err(|error| format!("the address of {host}, {whose}, is not known: {error}"))?;
        allowed.extend(found.map(|found| (found.ip().to_string(), format!("{whose}, {host}"))));
    }
    for network in &args.also {
        let parsed = parse_network(network).ok_or_else(|| format!("{network} is no address and no network"))?;
        allowed.insert(parsed.to_string(), "--also".to_owned());
    }
    println!("# Of {}: make it again when addresses change there or in the name service.", args.config.display());
    println!("# A name server elsewhere that finds them has to be named with --also.");
    println!("# For tableside.service, and for tableside.socket with [Socket] in place of [Service].");
    println!("[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost");
    for (network, whose) in allowed {
        println!("# {whose}\nIPAddressAllow={network}");
    }
    Ok(DONE)
}

/// Networks of those that may connect, and whose they are.
fn of_scanners(config: &Config) -> Result<BTreeMap<String, String>, String> {
    if config.ingest.scanners.is_empty() {
        return Err("everybody may send: list the scanners first ([[scanner]] with addresses)".to_owned());
    }
    let mut allowed = BTreeMap::new();
    for scanner in &config.ingest.scanners {
        if scanner.addresses.is_empty() {
            return Err(format!("scanner {} may send from anywhere: give it addresses first", scanner.ae_title));
        }
        let whose = |network: &_| (ToString::to_string(network), format!("scanner {}", scanner.ae_title));
        allowed.extend(scanner.addresses.iter().map(whose));
    }
    Ok(allowed)
}
