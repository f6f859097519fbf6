//! Reads the request headers that decide about the response: `Accept-Encoding` and `If-None-Match`.

use lambda_http::http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, IF_NONE_MATCH};

/// The members of a list header, from all its lines.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether the client accepts gzip: the header has `gzip` or `*` with a weight above zero. An entry for gzip has priority
/// over `*`. Without the header the response is not compressed, which every client understands.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for member in members(headers, ACCEPT_ENCODING) {
        let mut parts = member.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let accepted = parts.all(|part| match part.split_once('=') {
            Some((name, weight)) if name.trim().eq_ignore_ascii_case("q") => {
                weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0)
            }
            _ => true,
        });
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            return accepted;
        }
        any |= coding == "*" && accepted;
    }
    any
}

/// Whether the client already has the representation with this strong `etag`. It ignores `W/`, as RFC 9110 requires for
/// `If-None-Match`, because a proxy may have weakened the tag. Our tags have no comma, so the list can be split at commas.
pub(crate) fn matches(headers: &HeaderMap, etag: &str) -> bool {
    members(headers, IF_NONE_MATCH)
        .any(|member| member == "*" || member.strip_prefix("W/").unwrap_or(member) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), line.parse().unwrap())).collect()
    }

    #[test]
    fn gzip_is_used_only_when_the_client_accepts_it() {
        for yes in ["gzip", "GZIP", "x-gzip", "br, gzip;q=0.5", "*", "gzip; q=1", "*;q=0, gzip"] {
            assert!(accepts_gzip(&headers(ACCEPT_ENCODING, &[yes])), "{yes}");
        }
        for no in
            ["", "br", "identity", "gzip;q=0", "gzip; Q=0.000", "*, gzip;q=0", "*;q=0", "gzip;q=x", "xgzip"]
        {
            assert!(!accepts_gzip(&headers(ACCEPT_ENCODING, &[no])), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
        assert!(accepts_gzip(&headers(ACCEPT_ENCODING, &["br", "gzip"])));
    }

    #[test]
    fn an_etag_matches_alone_in_a_list_as_a_weak_tag_or_as_a_star() {
        for yes in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "*"] {
            assert!(matches(&headers(IF_NONE_MATCH, &[yes]), "\"a\""), "{yes}");
        }
        for no in ["", "a", "\"A\"", "\"b\"", "\"a\"x", "w/\"a\""] {
            assert!(!matches(&headers(IF_NONE_MATCH, &[no]), "\"a\""), "{no}");
        }
        assert!(matches(&headers(IF_NONE_MATCH, &["\"b\"", "\"a\""]), "\"a\""));
        assert!(!matches(&HeaderMap::new(), "\"a\""));
    }
}
