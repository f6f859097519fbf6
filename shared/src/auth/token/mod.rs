//! Access tokens. They are verified before any other work for the request. docs/adr/0019-what-a-token-can-do.md has the
//! reasons for the rules.

mod bearer;
mod jwks;
mod keyset;

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use reqwest::Client;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::{
    base::{LabId, Subject, error::Error, private::Secret},
    config::{KeyConfig, TokenConfig},
    http::Request,
};
use jwks::Keys;
use keyset::Key;

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
    /// The type of a token of Amazon Cognito.
    token_use: Option<Value>,
    // Only ID tokens have these (OpenID Connect Core, 2 and 3.3.2.11).
    nonce: Option<IgnoredAny>,
    at_hash: Option<IgnoredAny>,
    c_hash: Option<IgnoredAny>,
    /// Text with spaces between the scopes (RFC 9068).
    scope: Option<Value>,
    /// A list, or text like `scope`, as some providers write it.
    scp: Option<Value>,
    labs: Option<Vec<LabClaim>>,
}

impl Claims {
    fn has_scope(&self, scope: &str) -> bool {
        [&self.scope, &self.scp].into_iter().flatten().any(|claim| match claim {
            Value::String(text) => text.split(' ').any(|one| one == scope),
            Value::Array(list) => list.iter().any(|one| one == scope),
            _ => false,
        })
    }
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

impl LabClaim {
    pub(super) fn is_active(&self) -> bool {
        self.membership_status == "active"
    }
}

/// A verified access token with a valid signature, valid times and the right type.
pub(crate) struct AccessToken {
    raw: Secret,
    subject: Subject,
    expires_at: u64,
    signed_in_at: Option<u64>,
    labs: Option<LabsClaim>,
}

/// The memberships in a token's claim `labs`.
pub(super) struct LabsClaim {
    pub memberships: Vec<LabClaim>,
    /// Whether they replace what UMS says. Otherwise they narrow it.
    pub is_trusted: bool,
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

    /// The memberships in the token. Only some UMS installations and providers write them there.
    pub(super) fn labs(&self) -> Option<&LabsClaim> {
        self.labs.as_ref()
    }
}

/// Verifies tokens with the configured keys, each with its own algorithm.
pub(crate) struct Verifier {
    keys: Keys,
    validation: Validation,
    type_claim: TypeClaim,
    required_scope: Option<String>,
    max_lifetime: Duration,
    trusts_labs_claim: bool,
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
        Self {
            keys: Keys::new(&config.keys, client),
            validation,
            type_claim,
            required_scope: config.required_scope.clone(),
            max_lifetime: config.max_lifetime,
            trusts_labs_claim: config.trusts_labs_claim,
        }
    }

    /// Fetches the keys before the first token, if they are behind a URL.
    pub(crate) async fn warm_up(&self) {
        self.keys.warm_up().await;
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
        let keys = self.keys.find(&header).await?;
        let claims = self.decode(raw, &keys)?;
        self.check_type(&claims)?;
        self.check_times(&claims)?;
        if self.required_scope.as_ref().is_some_and(|scope| !claims.has_scope(scope)) {
            return Err(Error::unauthorized("The token lacks the required scope."));
        }
        let is_trusted = self.trusts_labs_claim;
        Ok(AccessToken {
            raw: Secret::new(raw),
            subject: claims.sub,
            expires_at: claims.exp,
            signed_in_at: claims.auth_time,
            labs: claims.labs.map(|memberships| LabsClaim { memberships, is_trusted }),
        })
    }

    /// Verifies the signature with the first key that fits, and the claims that the library knows.
    fn decode(&self, raw: &str, keys: &[Arc<Key>]) -> Result<Claims, Error> {
        let mut rejected = Error::unauthorized("The token's algorithm is not accepted.");
        for key in keys {
            let validation = Validation { algorithms: vec![key.algorithm], ..self.validation.clone() };
            match decode::<Claims>(raw, &key.decoding, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => {
                    rejected = rejection(error.kind());
                    if *error.kind() != ErrorKind::InvalidSignature {
                        break;
                    }
                }
            }
        }
        Err(rejected)
    }

    /// Rejects refresh tokens and ID tokens.
    fn check_type(&self, claims: &Claims) -> Result<(), Error> {
        let has_type = match claims.kind.as_deref() {
            Some(kind) => kind == "access",
            None => self.type_claim == TypeClaim::Optional,
        };
        let has_use = claims.token_use.as_ref().is_none_or(|token_use| token_use == "access");
        let is_id_token = claims.nonce.is_some() || claims.at_hash.is_some() || claims.c_hash.is_some();
        if has_type && has_use && !is_id_token {
            return Ok(());
        }
        Err(Error::unauthorized("The token is not an access token."))
    }

    /// Rejects tokens from the future and tokens with a long life. The library checks `exp` and `nbf`.
    fn check_times(&self, claims: &Claims) -> Result<(), Error> {
        let Some(issued) = claims.iat else {
            return Err(Error::unauthorized("The token lacks a required claim."));
        };
        if issued > jsonwebtoken::get_current_timestamp() + LEEWAY_SECONDS {
            return Err(Error::unauthorized("The token is from the future."));
        }
        if claims.exp.saturating_sub(issued) > self.max_lifetime.as_secs() {
            return Err(Error::unauthorized("The token is valid for too long."));
        }
        Ok(())
    }
}

/// Rejects members that could change the meaning of the signature (RFC 8725, 3.10), and types of other tokens (3.11).
/// `at+jwt` is the type of access tokens in RFC 9068, also with its prefix.
fn check_header(header: &Header) -> Result<(), Error> {
    let names_its_own_key = header.crit.is_some()
        || header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some();
    if names_its_own_key {
        return Err(Error::unauthorized("The token's header has members that are not accepted."));
    }
    let known = ["jwt", "at+jwt", "application/at+jwt"];
    let is_accepted = |typ: &String| known.iter().any(|known| typ.eq_ignore_ascii_case(known));
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
