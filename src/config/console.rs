//! `[console]` and `[metrics]`: where browsers and Prometheus connect, and who may.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Config;
use super::reader::Document;
use crate::console::access::{AccessMode, Names};
use crate::ingest::parse_network;

const LOOPBACK_METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9108);

const NETWORKS: &str = "a list of addresses or networks such as \"10.0.0.7\" or \"10.0.0.0/24\"";

pub(super) fn read(document: &mut Document<'_>, config: &mut Config) {
    let Config { console_listen, access, .. } = config;
    let (mut certificate, mut key) = (None, None);
    document.section("console", |console| {
        console.parsed("listen", console_listen, "an address and port such as \"0.0.0.0:8080\"");
        let modes = [("accounts", AccessMode::Accounts), ("open", AccessMode::Open)];
        console.choice("access", &mut access.mode, &modes);
        console.boolean("insecure", &mut access.insecure);
        console.strings("hosts", "a list of names such as \"tableside.example\"", |host| {
            access.hosts.push(host.trim_end_matches('.').to_owned());
            is_host(host)
        });
        console.strings("proxies", NETWORKS, |text| {
            let network = parse_network(text);
            access.proxies.extend(network);
            network.is_some()
        });
        console.path("certificate", |path| certificate = Some(path));
        console.path("key", |path| key = Some(path));
        if certificate.is_some() != key.is_some() {
            console.refuse_section("console.certificate and console.key belong together".to_owned());
        }
        let minutes = |count: usize| Duration::from_secs(60 * count as u64);
        console.count("idle_min", 1..=10_080, |count| access.idle = minutes(count));
        console.count("longest_h", 1..=168, |count| access.longest = minutes(60 * count));
        let names = [("full", Names::Full), ("initials", Names::Initials), ("key", Names::Key)];
        console.choice("names", &mut access.names, &names);
        console.choice("table_names", &mut access.table_names, &names);
    });
    access.tls = certificate.zip(key);
    document.section("metrics", |metrics| {
        let expected = "an address and port such as \"127.0.0.1:9108\"";
        metrics.parsed_into("listen", expected, |listen| access.metrics_listen = Some(listen));
        metrics.path("token_file", |path| access.metrics_token = Some(path));
    });
    if let Some(why) = access.forbids(console_listen.ip()) {
        document.refuse(why);
    }
}

impl Config {
    /// Where metrics and health are served beside the console: where it is configured, or where the console asks who comes. An open
    /// console in the clear has them itself.
    #[must_use]
    pub fn metrics_listen(&self) -> Option<SocketAddr> {
        let is_needed = self.access.mode == AccessMode::Accounts || self.access.tls.is_some();
        self.access.metrics_listen.or(is_needed.then_some(LOOPBACK_METRICS))
    }

    /// Where programs on this machine ask for metrics and health.
    #[must_use]
    pub fn health_url(&self) -> String {
        let mut address = self.metrics_listen().unwrap_or(self.console_listen);
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    }
}

/// A name in DNS.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253 && host.trim_end_matches('.').split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    fn console(keys: &str) -> Result<Config, Vec<ConfigError>> {
        Config::parse(&format!("[console]\n{keys}"))
    }

    #[test]
    fn accounts_are_asked_for_and_metrics_are_elsewhere_unless_the_console_is_open() {
        let config = Config::parse("").unwrap();
        assert_eq!((config.access.mode, config.metrics_listen()), (AccessMode::Accounts, Some(LOOPBACK_METRICS)));
        let open = console("access = \"open\"\n").unwrap();
        assert_eq!((open.access.mode, open.metrics_listen()), (AccessMode::Open, None));
        let named = console("access = \"open\"\n[metrics]\nlisten = \"127.0.0.1:9\"\n").unwrap();
        assert_eq!(named.metrics_listen().unwrap().port(), 9);
    }

    #[test]
    fn off_loopback_it_wants_tls_and_accounts_or_to_be_told_that_it_need_not() {
        let listen = "listen = \"0.0.0.0:8080\"\n";
        let told = |keys: &str| console(&format!("{listen}{keys}")).unwrap_err()[0].to_string();
        assert!(told("").contains("without TLS") && told("access = \"open\"\n").contains("console.access is open"));
        let files = "certificate = \"a.pem\"\nkey = \"a.key\"\n";
        assert!(console(&format!("{listen}{files}")).unwrap().access.tls.is_some());
        assert!(told(&format!("{files}access = \"open\"\n")).contains("use accounts"));
        for keys in ["insecure = true\n", "insecure = true\naccess = \"open\"\n"] {
            assert!(console(&format!("{listen}{keys}")).is_ok());
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (keys, told) in [
            ("access = \"maybe\"\n", "accounts or open"),
            ("key = \"a.key\"\n", "belong together"),
            ("hosts = [\"http://ct.example\"]\n", "tableside.example"),
            ("proxies = [\"proxy\"]\n", "10.0.0.0/24"),
            ("names = \"some\"\n", "full, initials or key"),
            ("idle_min = 0\n", "from 1 to 10080"),
        ] {
            let errors = console(keys).unwrap_err();
            assert!(errors[0].to_string().contains(told) && errors[0].line() == Some(2), "{errors:?}");
        }
        let all =
            "hosts = [\"ct.example\"]\nproxies = [\"10.0.0.1\"]\nidle_min = 5\nlongest_h = 8\ntable_names = \"key\"\n";
        let access = console(all).unwrap().access;
        assert_eq!((access.idle.as_secs(), access.longest.as_secs(), access.table_names), (300, 28_800, Names::Key));
    }
}
