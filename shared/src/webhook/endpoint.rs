//! The endpoints of webhooks: which URLs and addresses the service sends requests to. A lab chooses the URL, so it must not lead
//! to anything that only this service can reach (server-side request forgery).

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::{config::Stage, upstream};

/// The longest URL of a webhook.
pub(super) const MAX_URL_LENGTH: usize = 2048;
/// Below are the ports of other protocols, except that of HTTPS.
const FIRST_FREE_PORT: u16 = 1024;

/// A URL that requests may be sent to, as far as the URL alone shows. It may have a password in its path, so it has no
/// `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL for a request.
    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }
}

/// Reads the URL of a webhook.
///
/// # Errors
/// What is wrong with it, as the end of a sentence such as "url must ...".
pub fn parse_url(text: &str, stage: Stage) -> Result<Endpoint, &'static str> {
    const URL: &str = "must be a URL such as https://example.com/hook";
    let is_dev = stage == Stage::Dev;
    if text.len() > MAX_URL_LENGTH {
        return Err("must have at most 2048 characters");
    }
    let url = Url::parse(text).map_err(|_| URL)?;
    match url.scheme() {
        "https" => {}
        "http" if is_dev => {}
        "http" => return Err("must begin with https://"),
        _ => return Err(URL),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password");
    }
    if url.fragment().is_some() {
        return Err("must have no fragment (#)");
    }
    let host = url.host_str().ok_or(URL)?;
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) if !is_allowed(address, stage) => return Err("must have a public address"),
        // A name without a dot is never public.
        Err(_) if !host.trim_end_matches('.').contains('.') && !is_dev => {
            return Err("must have a public host name");
        }
        _ => {}
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if port < FIRST_FREE_PORT && port != 443 && !is_dev {
        return Err("must have the port 443 or one from 1024");
    }
    Ok(Endpoint(url))
}

/// Whether requests may go to this address. A developer's receiver runs on the same machine.
fn is_allowed(address: IpAddr, stage: Stage) -> bool {
    is_public(address) || stage == Stage::Dev && address.is_loopback()
}

/// Whether an address belongs to the public internet, by the registries of special-purpose addresses of IANA. Addresses that
/// carry another one (IPv4-mapped, 6to4, Teredo, NAT64) count as not public.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, and multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [(Ipv4Addr, u32); 16] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
        (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
        (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
        (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
        (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, metadata of the cloud
        (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
        (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
        (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
        (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
        (Ipv4Addr::new(192, 52, 193, 0), 24), // AMT
        (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
        (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
        (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
        (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
        (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
        (Ipv4Addr::new(224, 0, 0, 0), 3),     // multicast, reserved, broadcast
    ];
    let bits = u32::from(address);
    !SPECIAL.iter().any(|(network, length)| (bits ^ u32::from(*network)) >> (32 - length) == 0)
}

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>. Only 2000::/3 is global unicast.
fn is_public_v6(address: Ipv6Addr) -> bool {
    const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
    const SPECIAL: [(Ipv6Addr, u32); 5] = [
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
        (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
        (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
        (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
    ];
    let bits = u128::from(address);
    let is_in = |(network, length): &(Ipv6Addr, u32)| (bits ^ u128::from(*network)) >> (128 - length) == 0;
    is_in(&GLOBAL) && !SPECIAL.iter().any(is_in)
}

/// Makes the client for requests to endpoints. It resolves a name once for a connection, connects to exactly the addresses that
/// it has checked, and follows no redirects and no proxy.
pub(super) fn client(
    stage: Stage,
    connect_timeout: Duration,
    dns: Arc<dyn Resolve>,
) -> Result<Client, String> {
    upstream::builder(upstream::web_roots(), connect_timeout)?
        .https_only(stage != Stage::Dev)
        .dns_resolver(Arc::new(PublicOnly { stage, dns }))
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

/// The system's resolver.
pub(super) struct SystemDns;

impl Resolve for SystemDns {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| NotResolved)?;
            let addresses: Vec<SocketAddr> = addresses.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Refuses a name if one of its addresses is not public.
struct PublicOnly {
    stage: Stage,
    dns: Arc<dyn Resolve>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let (stage, resolving) = (self.stage, self.dns.resolve(name));
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await?.collect();
            if addresses.iter().all(|address| is_allowed(address.ip(), stage)) {
                return Ok(Box::new(addresses.into_iter()) as Addrs);
            }
            Err(Blocked.into())
        })
    }
}

/// A name has an address that is not public.
#[derive(Debug)]
pub(super) struct Blocked;

/// A name has no address.
#[derive(Debug)]
pub(super) struct NotResolved;

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has an address that is not public")
    }
}

impl fmt::Display for NotResolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no address")
    }
}

impl Error for Blocked {}
impl Error for NotResolved {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for address in ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "223.255.255.255"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "2600:1f18::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            // Loopback, unspecified, IPv4-mapped, IPv4-compatible, NAT64.
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "::169.254.169.254",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            // 6to4, Teredo, ORCHID, benchmarks, documentation, AS112.
            "2002:7f00:1::",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:2::1",
            "2001:db8::1",
            "3fff::1",
            "2620:4f:8000::1",
            // Unique local (metadata of the cloud), link-local, site-local, multicast, segment routing.
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_must_be_of_https_and_of_a_public_host() {
        let error = |text: &str| parse_url(text, Stage::Prod).err();
        for text in [
            "https://example.com",
            "https://example.com/hook?key=1",
            "https://example.com:8443/",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]/",
        ] {
            assert_eq!(error(text), None, "{text}");
        }
        for (text, expected) in [
            ("", "must be a URL such as https://example.com/hook"),
            ("example.com/hook", "must be a URL such as https://example.com/hook"),
            ("ftp://example.com/", "must be a URL such as https://example.com/hook"),
            ("file:///etc/passwd", "must be a URL such as https://example.com/hook"),
            ("http://example.com/", "must begin with https://"),
            ("https://user:secret@example.com/", "must have no user and no password"),
            ("https://user@example.com/", "must have no user and no password"),
            ("https://example.com/#part", "must have no fragment (#)"),
            ("https://localhost/", "must have a public host name"),
            ("https://localhost./", "must have a public host name"),
            ("https://intranet/", "must have a public host name"),
            ("https://example.com:22/", "must have the port 443 or one from 1024"),
            ("https://example.com:80/", "must have the port 443 or one from 1024"),
        ] {
            assert_eq!(error(text), Some(expected), "{text}");
        }
        // Several ways to write an address.
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "127.0.0.1.",
        ] {
            assert_eq!(error(&format!("https://{host}/")), Some("must have a public address"), "{host}");
        }
        assert_eq!(
            error(&format!("https://example.com/{}", "a".repeat(2048))),
            Some("must have at most 2048 characters")
        );
    }

    #[test]
    fn in_the_dev_stage_a_receiver_may_run_on_the_same_machine() {
        for text in ["http://127.0.0.1:5003/hook", "http://localhost:5003/", "http://[::1]:80/"] {
            assert!(parse_url(text, Stage::Dev).is_ok(), "{text}");
        }
        assert!(parse_url("http://169.254.169.254/latest", Stage::Dev).is_err());
        assert!(parse_url("http://10.0.0.1/", Stage::Dev).is_err());
    }

    /// A name that has another address at each look-up.
    struct Rebinding(std::sync::Mutex<Vec<&'static str>>);

    impl Resolve for Rebinding {
        fn resolve(&self, _: Name) -> Resolving {
            let address: IpAddr = self.0.lock().unwrap().remove(0).parse().unwrap();
            Box::pin(async move { Ok(Box::new([SocketAddr::new(address, 0)].into_iter()) as Addrs) })
        }
    }

    #[tokio::test]
    async fn a_name_that_changes_to_a_private_address_is_refused() {
        let dns = Arc::new(Rebinding(vec!["1.1.1.1", "127.0.0.1", "::ffff:127.0.0.1"].into()));
        let guarded = PublicOnly { stage: Stage::Prod, dns };
        let resolve = async || guarded.resolve("example.com".parse().unwrap()).await;
        let first: Vec<SocketAddr> = resolve().await.unwrap().collect();
        assert_eq!(first, ["1.1.1.1:0".parse().unwrap()]);
        for _ in 0..2 {
            assert!(resolve().await.err().unwrap().downcast_ref::<Blocked>().is_some());
        }
    }
}
