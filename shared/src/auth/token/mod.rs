//! Access tokens. They are verified before any other work for the request.

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

/// The accepted difference between the clocks of UMS and of this service, in seconds.
pub(crate) const LEEWAY_SECONDS: u64 = 30;

/// The claims that this service reads.
#[derive(Deserialize)]
struct Claims {
    sub: Subject,
    exp: u64,
    iat: Option<u64>,
    auth_time: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    labs: Option<Vec<LabClaim>>,
}

/// A membership in the claim `labs` of a token, or at the top level of `/me`.
#[derive(Deserialize, Clone)]
pub(super) struct LabClaim {
    pub lab_id: LabId,
    #[serde(default)]
    pub lab_name: String,
    pub role: String,
    pub membership_status: String,
}

/// A verified access token with a valid signature, valid times and the right type.
pub(crate) struct AccessToken {
    raw: Secret,
    subject: Subject,
    expires_at: u64,
    signed_in_at: Option<u64>,
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

    /// When the user signed in (the claim `auth_time`), in seconds since the Unix epoch. Only some providers state it.
    pub(crate) fn signed_in_at(&self) -> Option<u64> {
        self.signed_in_at
    }

    /// The token itself, for calls to UMS and LinksHub on the caller's behalf.
    pub(crate) fn raw(&self) -> &Secret {
        &self.raw
    }

    /// The memberships in the token. Only some UMS installations write them there.
    pub(super) fn labs(&self) -> Option<&[LabClaim]> {
        self.labs.as_deref()
    }
}

/// Verifies tokens with the configured keys, each with its own algorithm.
pub(crate) struct Verifier {
    keys: Keys,
    validation: Validation,
    type_claim: TypeClaim,
}

/// Whether tokens must have the claim `type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TypeClaim {
    Required,
    Optional,
}

impl Verifier {
    /// Makes a verifier, which fetches keys at a URL with `client`.
    pub(crate) fn new(config: &TokenConfig, client: Client) -> Self {
        // `verify` replaces the algorithm with the key's, for every token.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        // `Claims` requires `sub` as well. The library would require text there, but UMS writes a number.
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
        // All tokens of UMS have the claim. The access tokens of OpenID providers do not.
        let type_claim = match config.keys {
            KeyConfig::Secret(_) => TypeClaim::Required,
            KeyConfig::Url(_) => TypeClaim::Optional,
        };
        Self { keys: Keys::new(&config.keys, client), validation, type_claim }
    }

    /// Verifies the request's bearer token.
    ///
    /// # Errors
    /// Unauthorized, with a detail that says what is wrong and never shows the token. Unavailable, when there are no keys
    /// yet and fetching them fails.
    pub(crate) async fn verify(&self, request: &Request) -> Result<AccessToken, Error> {
        let raw = bearer::token(request)?;
        let header = decode_header(raw).map_err(|_| Error::unauthorized("The token is malformed."))?;
        check_header(&header)?;
        let key = self.keys.find(&header).await?;
        let validation = Validation { algorithms: vec![key.algorithm], ..self.validation.clone() };
        let claims = decode::<Claims>(raw, &key.decoding, &validation)
            .map_err(|error| rejection(error.kind()))?
            .claims;
        match claims.kind.as_deref() {
            Some("access") => {}
            None if self.type_claim == TypeClaim::Optional => {}
            _ => return Err(Error::unauthorized("The token is not an access token.")),
        }
        if claims.iat.is_some_and(|issued| issued > jsonwebtoken::get_current_timestamp() + LEEWAY_SECONDS) {
            return Err(Error::unauthorized("The token is from the future."));
        }
        Ok(AccessToken {
            raw: Secret::new(raw),
            subject: claims.sub,
            expires_at: claims.exp,
            signed_in_at: claims.auth_time,
            labs: claims.labs,
        })
    }
}

/// Rejects members that could change the meaning of the signature (RFC 8725, 3.10), and types of other tokens (3.11).
/// `at+jwt` is the type of access tokens in RFC 9068.
fn check_header(header: &Header) -> Result<(), Error> {
    let names_its_own_key = header.crit.is_some()
        || header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some();
    if names_its_own_key {
        return Err(Error::unauthorized("The token's header has members that are not accepted."));
    }
    let is_accepted = |typ: &String| ["jwt", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
    if !header.typ.as_ref().is_none_or(is_accepted) {
        return Err(Error::unauthorized("The token is not an access token."));
    }
    Ok(())
}

fn rejection(kind: &ErrorKind) -> Error {
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
