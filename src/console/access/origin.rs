//! Where a request comes from: through which name, from which address, from which site.

use std::net::IpAddr;

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, Method, Uri};
use ipnet::IpNet;

use super::options::AccessOptions;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The name and port that the client used; `None` if it does not say one.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    // HTTP/2 has it in the request line, HTTP/1.1 in a header, of which there must be one.
    let in_line = uri.authority().map(axum::http::uri::Authority::as_str);
    in_line.or_else(|| only(headers, &header::HOST))
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The host of `HOST` or `HOST:PORT`, without brackets.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether the console may be asked under this name. A site elsewhere can give its own name our address (DNS rebinding), and browsers
/// then take what it asks of us for its own; of an address or `localhost` it cannot.
pub(super) fn is_ours(options: &AccessOptions, uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(host) = authority(uri, headers).map(host_of) else { return false };
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || options.hosts.iter().any(|known| known.eq_ignore_ascii_case(host.trim_end_matches('.')))
}

fn is_proxy(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

/// Who asks: the peer, or where that is one of our proxies, the last address that no proxy of ours has. Nobody else's word is taken.
pub(super) fn address_of(proxies: &[IpNet], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut address = peer.to_canonical();
    let named: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let named = named.join(",");
    let mut named = named.rsplit(',').map(str::trim);
    while is_proxy(proxies, address) {
        // What cannot be read was not written by our proxy: the proxy itself is the last that is known.
        match named.next().and_then(|text| text.parse::<IpAddr>().ok()) {
            Some(before) => address = before.to_canonical(),
            None => break,
        }
    }
    address
}

/// Whether a request may change something: one from our own page, or from a program that is no browser. A browser says from which site
/// a request comes, and a site cannot have it say something else.
pub(super) fn may_change(
    options: &AccessOptions,
    peer: IpAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    if headers.contains_key(FETCH_SITE) {
        return only(headers, &FETCH_SITE) == Some("same-origin");
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let proxied = is_proxy(&options.proxies, peer.to_canonical()).then(|| only(headers, &FORWARDED_HOST)).flatten();
    let asked = proxied.or_else(|| authority(uri, headers));
    let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.zip(asked).is_some_and(|((scheme, of_page), asked)| {
        let encrypted = options.tls.is_none() || scheme == "https";
        encrypted && without_usual_port(scheme, of_page).eq_ignore_ascii_case(without_usual_port(scheme, asked))
    })
}

fn without_usual_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(usual).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn options() -> AccessOptions {
        let proxies = vec!["10.0.0.1/32".parse().unwrap(), "10.0.1.0/24".parse().unwrap()];
        AccessOptions { hosts: vec!["ct.example".to_owned()], proxies, ..AccessOptions::default() }
    }

    #[test]
    fn only_our_names_and_addresses_are_answered() {
        let ours = |host: &str| is_ours(&options(), &Uri::from_static("/"), &headers(&[("host", host)]));
        for host in
            ["ct.example", "CT.example:8080", "ct.example.", "localhost:1", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7"]
        {
            assert!(ours(host), "{host}");
        }
        for host in
            ["evil.example", "ct.example.evil.example", "localhost.evil.example", "", "ct.example@evil.example", "[ct"]
        {
            assert!(!ours(host), "{host}");
        }
        assert!(!is_ours(&options(), &Uri::from_static("/"), &HeaderMap::new()));
        let two = headers(&[("host", "ct.example"), ("host", "evil.example")]);
        assert!(!is_ours(&options(), &Uri::from_static("/"), &two));
        let http2 = Uri::from_static("https://evil.example/");
        assert!(!is_ours(&options(), &http2, &headers(&[("host", "ct.example")])));
    }

    #[test]
    fn an_address_is_believed_from_our_proxies_alone() {
        let address = |peer: &str, forwarded: &str| {
            let headers = headers(&[("x-forwarded-for", forwarded)]);
            address_of(&options().proxies, peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(address("10.9.9.9", "127.0.0.1"), "10.9.9.9");
        assert_eq!(address("10.0.0.1", "192.168.1.5"), "192.168.1.5");
        assert_eq!(address("::ffff:10.0.0.1", "192.168.1.5"), "192.168.1.5");
        // What the client itself had written stands further left.
        assert_eq!(address("10.0.0.1", "127.0.0.1, 192.168.1.5, 10.0.1.9"), "192.168.1.5");
        assert_eq!(address("10.0.0.1", "127.0.0.1, nonsense"), "10.0.0.1");
        assert_eq!(
            address_of(&options().proxies, "10.0.0.1".parse().unwrap(), &HeaderMap::new()).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn only_our_own_page_and_programs_change_anything() {
        let may = |peer: &str, pairs: &[(&str, &str)]| {
            let headers = headers(&[&[("host", "ct.example")], pairs].concat());
            may_change(&options(), peer.parse().unwrap(), &Method::POST, &Uri::from_static("/"), &headers)
        };
        assert!(may("10.9.9.9", &[]));
        assert!(may("10.9.9.9", &[("sec-fetch-site", "same-origin"), ("origin", "https://elsewhere.example")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!may("10.9.9.9", &[("sec-fetch-site", site), ("origin", "http://ct.example")]), "{site}");
        }
        assert!(
            may("10.9.9.9", &[("origin", "http://ct.example")])
                && may("10.9.9.9", &[("origin", "http://ct.example:80")])
        );
        for origin in ["http://evil.example", "null", "http://ct.example:8080", "ct.example"] {
            assert!(!may("10.9.9.9", &[("origin", origin)]), "{origin}");
        }
        let proxied = [("origin", "https://console.example"), ("x-forwarded-host", "console.example")];
        assert!(may("10.0.0.1", &proxied) && !may("10.9.9.9", &proxied));
        let get = headers(&[("host", "ct.example"), ("sec-fetch-site", "cross-site")]);
        assert!(may_change(&options(), "10.9.9.9".parse().unwrap(), &Method::GET, &Uri::from_static("/"), &get));
    }
}
