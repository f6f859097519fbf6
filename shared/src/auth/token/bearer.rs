//! Gets the token from a request, and rejects a token in the URL.

use lambda_http::{RequestExt, http::header};

use crate::{base::error::Error, http::Request};

/// The longest accepted token. The gateway allows 10,240 bytes for the request line and all headers.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Query parameters that clients use for tokens. URLs appear in logs, browser histories and `Referer` headers.
const TOKEN_PARAMETERS: [&str; 3] = ["access_token", "token", "jwt"];

/// Returns the token of the `Bearer` scheme (RFC 6750). The scheme's name is case-insensitive (RFC 9110, 11.1).
///
/// # Errors
/// Unauthorized, without a token of a possible length, and with a token in the URL (RFC 6750, 2.3), even when the header
/// is good.
pub(super) fn token(request: &Request) -> Result<&str, Error> {
    let query = request.query_string_parameters_ref();
    if query.is_some_and(|query| TOKEN_PARAMETERS.iter().any(|name| query.first(name).is_some())) {
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
