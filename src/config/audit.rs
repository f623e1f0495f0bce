//! `[audit]`: how long the audit trail is kept, and who gets it too.

use std::path::PathBuf;

use super::destinations::{AUTHORITIES, is_address};
use super::reader::Document;
use crate::audit::{AuditOptions, SyslogOptions};
use crate::client_tls::ClientTls;

pub(super) fn read(document: &mut Document<'_>) -> AuditOptions {
    let mut options = AuditOptions::default();
    document.section("audit", |audit| {
        audit.count("keep_days", 0..=36_500, |days| options.keep_days = Some(days as u32).filter(|days| *days > 0));
        let (mut address, mut authorities) = (String::new(), PathBuf::from(AUTHORITIES));
        audit.text("syslog", &mut address, "a host and port such as \"syslog.example:6514\"", is_address);
        audit.path("authorities", |path| authorities = path);
        let (mut certificate, mut key) = (None, None);
        audit.path("certificate", |path| certificate = Some(path));
        audit.path("key", |path| key = Some(path));
        if certificate.is_some() != key.is_some() {
            audit.refuse_section("audit.certificate and audit.key belong together".to_owned());
        }
        let tls = ClientTls { authorities, identity: certificate.zip(key) };
        options.syslog = Some(SyslogOptions { address, tls }).filter(|syslog| !syslog.address.is_empty());
    });
    options
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn the_trail_is_kept_here_and_sent_where_a_server_is_named() {
        let audit = Config::parse("").unwrap().audit;
        assert_eq!((audit.keep_days, audit.syslog), (Some(2190), None));
        let text = "[audit]\nkeep_days = 0\nsyslog = \"logs:6514\"\nauthorities = \"a.pem\"\ncertificate = \"b.pem\"\nkey = \"b.key\"\n";
        let audit = Config::parse(text).unwrap().audit;
        let syslog = audit.syslog.unwrap();
        assert_eq!((audit.keep_days, syslog.address.as_str()), (None, "logs:6514"));
        assert!(syslog.tls.identity.is_some());
        for (text, told) in [("syslog = \"logs\"", "syslog.example:6514"), ("key = \"b.key\"", "belong together")] {
            let errors = Config::parse(&format!("[audit]\n{text}\n")).unwrap_err();
            assert!(errors[0].to_string().contains(told) && errors[0].line() == Some(2), "{errors:?}");
        }
    }
}
