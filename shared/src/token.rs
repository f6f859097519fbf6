//! Access tokens: taken from the request and verified before anything else is done.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header, errors::ErrorKind};
use lambda_http::http::header;
use serde::Deserialize;

use crate::{
    config::{Secret, TokenConfig},
    error::Error,
    http::Request,
    ums::wire::LabClaim,
};

/// The longest token that is looked at; the gateway allows 10,240 bytes for the request line and all headers.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Seconds by which the clocks of UMS and of this service may differ.
const LEEWAY_SECONDS: u64 = 30;

/// The user that a token was issued to, as UMS numbers users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// UMS writes an integer, newer versions of its library a string (RFC 7519 wants one). It must be a number either
/// way, because it becomes part of the URLs that UMS is asked with.
impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(u64),
            Text(String),
        }
        let text = match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text,
        };
        let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        number.map(|_| Self(text)).ok_or_else(|| serde::de::Error::custom("not a user id"))
    }
}

/// The claims of UMS's tokens that matter here.
#[derive(Deserialize)]
struct Claims {
    sub: Subject,
    exp: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
    labs: Option<Vec<LabClaim>>,
}

/// A verified access token: its signature, times and type are good.
pub struct AccessToken {
    raw: Secret,
    subject: Subject,
    expires_at: u64,
    labs: Option<Vec<LabClaim>>,
}

impl AccessToken {
    /// The user.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// When it expires, in seconds since the Unix epoch.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// The token itself, for asking UMS and LinksHub on the caller's behalf.
    pub(crate) fn raw(&self) -> &Secret {
        &self.raw
    }

    /// The memberships that some UMS installations put into the token.
    pub(crate) fn labs(&self) -> Option<&[LabClaim]> {
        self.labs.as_deref()
    }
}

/// Verifies tokens with one algorithm and one key, fixed by the configuration.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier of HS256 tokens.
    pub fn new(config: &TokenConfig) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        // `sub` is required as well, by the claims; the library would insist on text, and UMS writes a number.
        let mut required = vec!["exp"];
        match &config.issuer {
            Some(issuer) => {
                validation.set_issuer(&[issuer]);
                required.push("iss");
            }
            None => validation.iss = None,
        }
        match &config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        Self { key: DecodingKey::from_secret(config.secret.expose().as_bytes()), validation }
    }

    /// The request's bearer token, verified.
    ///
    /// # Errors
    /// Unauthorized; the detail says what is wrong, and never shows the token.
    pub fn verify(&self, request: &Request) -> Result<AccessToken, Error> {
        let raw = bearer(request)?;
        if raw.len() > MAX_TOKEN_BYTES {
            return Err(Error::unauthorized("The token is too long."));
        }
        // `crit` and the key-carrying headers could change what the signature means (RFC 8725, 3.10).
        let header = decode_header(raw).map_err(|_| Error::unauthorized("The token is malformed."))?;
        if names_its_own_key(&header) {
            return Err(Error::unauthorized("The token's header has members that are not accepted."));
        }
        let claims =
            decode::<Claims>(raw, &self.key, &self.validation).map_err(|error| refusal(error.kind()))?.claims;
        if claims.kind.as_deref() != Some("access") {
            return Err(Error::unauthorized("The token is not an access token."));
        }
        Ok(AccessToken {
            raw: Secret::new(raw),
            subject: claims.sub,
            expires_at: claims.exp,
            labs: claims.labs,
        })
    }
}

/// The credentials of the `Bearer` scheme (RFC 6750), whose name is case-insensitive (RFC 9110, 11.1).
fn bearer(request: &Request) -> Result<&str, Error> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::unauthorized("Send one Authorization header with a bearer token."));
    };
    let credentials = value.to_str().ok().and_then(|text| text.split_once(' '));
    match credentials {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        _ => Err(Error::unauthorized("The Authorization header must be: Bearer, a space, the token.")),
    }
}

fn names_its_own_key(header: &Header) -> bool {
    header.crit.is_some()
        || header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
}

fn refusal(kind: &ErrorKind) -> Error {
    Error::unauthorized(match kind {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token is not valid yet.",
        ErrorKind::InvalidSignature => "The token's signature is wrong.",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
            "The token's algorithm is not accepted."
        }
        ErrorKind::InvalidIssuer => "The token's issuer is not accepted.",
        ErrorKind::InvalidAudience => "The token's audience is not accepted.",
        ErrorKind::MissingRequiredClaim(_) => "The token lacks a required claim.",
        _ => "The token is malformed.",
    })
}

#[cfg(test)]
mod tests;
