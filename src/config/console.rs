//! `[console]` and `[metrics]`: where browsers and Prometheus connect, and who may.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;

use super::Config;
use super::destinations::AUTHORITIES;
use super::reader::Document;
use crate::console::access::{AccessMode, Names, ProviderOptions};
use crate::database::Role;
use crate::ingest::parse_network;

const LOOPBACK_METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9108);

/// The first of these that a person is given counts: who scans sees exams, whatever else the person does.
const ROLES: [(&str, Role); 4] = [
    ("technician", Role::Technician),
    ("clinic", Role::Clinic),
    ("reader", Role::Reader),
    ("administrator", Role::Administrator),
];

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
    access.provider = provider(document);
    if access.provider.is_some() && access.mode == AccessMode::Open {
        document.refuse("console.access is open: nobody logs in, and [openid] has nobody to let in");
    }
    document.section("metrics", |metrics| {
        let expected = "an address and port such as \"127.0.0.1:9108\"";
        metrics.parsed_into("listen", expected, |listen| access.metrics_listen = Some(listen));
        metrics.path("token_file", |path| access.metrics_token = Some(path));
    });
    if let Some(why) = access.forbids(console_listen.ip()) {
        document.refuse(why);
    }
}

/// `[openid]`: the provider at which people log in too.
fn provider(document: &mut Document<'_>) -> Option<ProviderOptions> {
    if !document.has("openid") {
        return None;
    }
    let mut options = ProviderOptions { authorities: PathBuf::from(AUTHORITIES), ..ProviderOptions::default() };
    document.section("openid", |openid| {
        if !cfg!(feature = "openid") {
            openid.refuse_section("this program was built without OpenID Connect (feature openid)".to_owned());
        }
        openid.text(
            "issuer",
            &mut options.issuer,
            "an address such as \"https://login.example/realms/ct\"",
            is_trusted,
        );
        openid.text("client_id", &mut options.client_id, "a name", |name| !name.trim().is_empty());
        openid.path("client_secret_file", |path| options.client_secret = path);
        openid.text(
            "console_url",
            &mut options.console_url,
            "an address such as \"https://tableside.example\"",
            is_trusted,
        );
        options.console_url.truncate(options.console_url.trim_end_matches('/').len());
        openid.path("authorities", |path| options.authorities = path);
        let mut scopes = Vec::new();
        openid.strings("scopes", "a list of scopes such as \"profile\"", |scope| {
            scopes.push(scope.to_owned());
            !scope.is_empty() && !scope.contains(char::is_whitespace)
        });
        if !scopes.is_empty() {
            options.scopes = scopes;
        }
        openid.text("name_claim", &mut options.name_claim, "the name of a claim", |claim| !claim.is_empty());
        openid.text("role_claim", &mut options.role_claim, "the name of a claim", |claim| !claim.is_empty());
        for (key, role) in ROLES {
            let mut values = Vec::new();
            openid.strings(key, "a list of values of role_claim", |value| {
                values.push(value.to_owned());
                !value.is_empty()
            });
            options.roles.extend((!values.is_empty()).then_some((role, values)));
        }
        let missing = [
            ("issuer", options.issuer.is_empty()),
            ("client_id", options.client_id.is_empty()),
            ("client_secret_file", options.client_secret.as_os_str().is_empty()),
            ("console_url", options.console_url.is_empty()),
        ];
        for (key, _) in missing.into_iter().filter(|(_, is_missing)| *is_missing) {
            openid.refuse_section(format!("openid.{key} is missing"));
        }
        if options.roles.is_empty() {
            openid.refuse_section(
                "[openid] gives nobody a role: say technician, clinic, reader or administrator".to_owned(),
            );
        }
    });
    Some(options)
}

/// An address where nobody between can read or change what is said: encrypted, or on this machine.
fn is_trusted(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let Some(host) = url.host().filter(|_| url.query().is_none()) else { return false };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme_str() == Some("https") || (url.scheme_str() == Some("http") && is_here)
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

    const OPENID: &str = "[openid]\nissuer = \"https://login.example\"\nclient_id = \"tableside\"\nclient_secret_file = \"s\"\n\
        console_url = \"https://ct.example\"\ntechnician = [\"ct\"]\n";

    #[test]
    #[cfg(feature = "openid")]
    fn a_provider_is_taken_whole_or_it_is_told_what_is_missing() {
        let provider = Config::parse(OPENID).unwrap().access.provider.unwrap();
        assert_eq!(provider.roles, [(Role::Technician, vec!["ct".to_owned()])]);
        assert_eq!((provider.name_claim.as_str(), provider.role_claim.as_str()), ("preferred_username", "groups"));
        for (from, to, told) in [
            ("client_id = \"tableside\"\n", "", "openid.client_id is missing"),
            ("technician = [\"ct\"]\n", "", "gives nobody a role"),
            ("https://login.example", "http://login.example", "https://login.example/realms/ct"),
            ("https://ct.example", "ct.example", "https://tableside.example"),
            ("[openid]\n", "[console]\naccess = \"open\"\n[openid]\n", "console.access is open"),
        ] {
            let errors = Config::parse(&OPENID.replace(from, to)).unwrap_err();
            assert!(errors.iter().any(|error| error.to_string().contains(told)), "{told}: {errors:?}");
        }
        for here in ["http://localhost:3000", "http://127.0.0.1:3000/x", "http://[::1]:3000"] {
            assert!(Config::parse(&OPENID.replace("https://login.example", here)).is_ok(), "{here}");
        }
    }

    #[test]
    #[cfg(not(feature = "openid"))]
    fn a_program_without_openid_connect_takes_no_provider() {
        let errors = Config::parse(OPENID).unwrap_err();
        assert!(errors[0].to_string().contains("feature openid"), "{errors:?}");
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
