//! Access tokens: taken from the request and verified before anything else is done.

mod bearer;
mod jwks;
mod keyset;

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use reqwest::Client;
use serde::Deserialize;

use crate::{
    base::{LabId, Subject, error::Error, private::Secret},
    config::{KeyConfig, TokenConfig},
    http::Request,
};
use jwks::Keys;

/// Seconds by which the clocks of UMS and of this service may differ.
const LEEWAY_SECONDS: u64 = 30;

/// The claims that matter here.
#[derive(Deserialize)]
struct Claims {
    sub: Subject,
    exp: u64,
    iat: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    labs: Option<Vec<LabClaim>>,
}

/// A membership at the top level of a token or of `/me`.
#[derive(Deserialize, Clone)]
pub(super) struct LabClaim {
    pub lab_id: LabId,
    #[serde(default)]
    pub lab_name: String,
    pub role: String,
    pub membership_status: String,
}

/// A verified access token: its signature, times and type are good.
pub(crate) struct AccessToken {
    raw: Secret,
    subject: Subject,
    expires_at: u64,
    labs: Option<Vec<LabClaim>>,
}

impl AccessToken {
    /// The user.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// When it expires, in seconds since the Unix epoch.
    pub(crate) fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// The token itself, for asking UMS and LinksHub on the caller's behalf.
    pub(crate) fn raw(&self) -> &Secret {
        &self.raw
    }

    /// The memberships that some UMS installations put into the token.
    pub(super) fn labs(&self) -> Option<&[LabClaim]> {
        self.labs.as_deref()
    }
}

/// Verifies tokens with the keys that the configuration names, each for its own algorithm.
pub(crate) struct Verifier {
    keys: Keys,
    validation: Validation,
    type_required: bool,
}

impl Verifier {
    /// A verifier; keys behind a URL are fetched with `client`.
    pub(crate) fn new(config: &TokenConfig, client: Client) -> Self {
        // The algorithm is that of the key, for every token anew.
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
        // UMS names the type of all its tokens; the access tokens of OpenID providers have no such claim.
        let type_required = matches!(config.keys, KeyConfig::Secret(_));
        Self { keys: Keys::new(&config.keys, client), validation, type_required }
    }

    /// The request's bearer token, verified.
    ///
    /// # Errors
    /// Unauthorized; the detail says what is wrong, and never shows the token. Unavailable when there are no keys yet
    /// and none can be fetched.
    pub(crate) async fn verify(&self, request: &Request) -> Result<AccessToken, Error> {
        let raw = bearer::token(request)?;
        let header = decode_header(raw).map_err(|_| Error::unauthorized("The token is malformed."))?;
        check_header(&header)?;
        let key = self.keys.find(&header).await?;
        let validation = Validation { algorithms: vec![key.algorithm], ..self.validation.clone() };
        let claims =
            decode::<Claims>(raw, &key.decoding, &validation).map_err(|error| refusal(error.kind()))?.claims;
        match claims.kind.as_deref() {
            Some("access") => {}
            None if !self.type_required => {}
            _ => return Err(Error::unauthorized("The token is not an access token.")),
        }
        if claims.iat.is_some_and(|issued| issued > jsonwebtoken::get_current_timestamp() + LEEWAY_SECONDS) {
            return Err(Error::unauthorized("The token is from the future."));
        }
        Ok(AccessToken {
            raw: Secret::new(raw),
            subject: claims.sub,
            expires_at: claims.exp,
            labs: claims.labs,
        })
    }
}

/// Rejects members that could change the meaning of the signature (RFC 8725, 3.10), and a type that is not that of access tokens (3.11;
/// `at+jwt` is of RFC 9068).
fn check_header(header: &Header) -> Result<(), Error> {
    let names_its_own_key = header.crit.is_some()
        || header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some();
    if names_its_own_key {
        return Err(Error::unauthorized("The token's header has members that are not accepted."));
    }
    let is_typed_well = |typ: &String| ["jwt", "at+jwt"].iter().any(|good| typ.eq_ignore_ascii_case(good));
    if !header.typ.as_ref().is_none_or(is_typed_well) {
        return Err(Error::unauthorized("The token is not an access token."));
    }
    Ok(())
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
