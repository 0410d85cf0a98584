//! The HTTP client of one page.

use std::env;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::config::Config;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector, TcpConnector};
use ureq::{Agent, ProxyProtocol};
use url::{Host, Url};

use crate::engine::CancelFlag;
use crate::job::{Cause, JobError};
use crate::tasks::links::watched::Watch;
use crate::tasks::regular::open_regular;

/// A file of certificate authorities in place of those that tandem brings along, as for curl and OpenSSL.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";
const MAX_ROOTS_BYTES: u64 = 16 << 20;

/// A client for the page at this address, called `name` in messages, for at most `timeout`: its connections know whether the job
/// is cancelled, and none outlives it.
///
/// # Errors
/// Where the environment asks for a proxy or certificates that cannot be had.
pub(super) fn client(url: &Url, name: &str, timeout: Duration, cancel: &CancelFlag) -> Result<Agent, JobError> {
    let mut config = Config::builder()
        .timeout_global(Some(timeout))
        // Whoever asks follows them: this client would follow some that lead away from the web.
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .accept("text/html,application/xhtml+xml;q=0.9,*/*;q=0.1");
    if is_loopback(url) {
        // A proxy knows another machine by that name.
        config = config.proxy(None);
    }
    if let Some(path) = env::var_os(ROOTS_VARIABLE).filter(|path| !path.is_empty()) {
        match roots(Path::new(&path)) {
            Ok(roots) => config = config.tls_config(TlsConfig::builder().root_certs(roots).build()),
            Err(error) if url.scheme() == "https" => {
                return Err(JobError::new(error.cause, format!("{name}: {ROOTS_VARIABLE}: {}", error.message)));
            }
            // Without encryption nobody asks.
            Err(_) => {}
        }
    }
    let config = config.build();
    if let Some(proxy) = config.proxy()
        && !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
    {
        // Going there without it would tell the server what the proxy is to hide.
        let message =
            format!("{name}: the environment asks for a SOCKS proxy: use an http one (HTTPS_PROXY, ALL_PROXY)");
        return Err(JobError::new(Cause::Unsupported, message));
    }
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(Watch(cancel.clone()))
            .chain(RustlsConnector::default());
    Ok(Agent::with_parts(config, connector, DefaultResolver::default()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The certificate authorities in a file.
fn roots(path: &Path) -> Result<RootCerts, JobError> {
    let name = path.display().to_string();
    let mut pem = Vec::new();
    let file = open_regular(path, &name)?;
    file.take(MAX_ROOTS_BYTES).read_to_end(&mut pem).map_err(|error| JobError::io(&name, &error))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(JobError::bad_input(format!("{name}: holds no certificates: name a PEM file with some")));
    }
    Ok(certificates.into_iter().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (url, expected) in [
            ("http://localhost:80/", true),
            ("http://a.localhost/", true),
            ("http://127.1.2.3/", true),
            ("http://[::1]/", true),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        assert!(roots(&path).unwrap_err().message.contains("roots.pem: no such file"));
        std::fs::write(&path, "nothing of the kind").unwrap();
        assert!(roots(&path).unwrap_err().message.contains("roots.pem: holds no certificates"));
    }
}
