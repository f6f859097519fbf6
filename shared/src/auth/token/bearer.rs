//! Where a request carries its token, and where it must not.

use lambda_http::{RequestExt, http::header};

use crate::{base::error::Error, http::Request};

/// The longest token that is looked at; the gateway allows 10,240 bytes for the request line and all headers.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Query parameters that clients put tokens into. URLs end up in logs, histories and `Referer` headers.
const IN_THE_URL: [&str; 3] = ["access_token", "token", "jwt"];

/// The credentials of the `Bearer` scheme (RFC 6750), whose name is case-insensitive (RFC 9110, 11.1). The URL is
/// no place for them (RFC 6750, 2.3), not even beside a good header.
pub(super) fn token(request: &Request) -> Result<&str, Error> {
    let query = request.query_string_parameters_ref();
    if query.is_some_and(|query| IN_THE_URL.iter().any(|name| query.first(name).is_some())) {
        return Err(Error::unauthorized(
            "A token in the URL is not accepted: send it as Authorization header.",
        ));
    }
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::unauthorized("Send one Authorization header with a bearer token."));
    };
    let credentials = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token = match credentials {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    match token.len() {
        0 => Err(Error::unauthorized("The Authorization header must be: Bearer, a space, the token.")),
        1..=MAX_TOKEN_BYTES => Ok(token),
        _ => Err(Error::unauthorized("The token is too long.")),
    }
}
