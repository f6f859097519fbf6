//! Verification of tokens: with a secret or with the keys at a URL, never with both.

use std::time::Duration;

use super::{Env, Stage};
use crate::base::private::Secret;

/// The keys and claims of accepted tokens.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// The keys that verify the signatures.
    pub keys: KeyConfig,
    /// `JWT_ISSUER`: the required claim `iss`, when set.
    pub issuer: Option<String>,
    /// `JWT_AUDIENCE`: the required claim `aud`, when set.
    pub audience: Option<String>,
    /// `JWT_REQUIRED_SCOPE`: the scope that tokens must have, when set.
    pub required_scope: Option<String>,
    /// `JWT_MAX_LIFETIME_HOURS`: the longest accepted time from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// `JWT_TRUST_LABS_CLAIM`: whether a token's claim `labs` replaces what UMS says about memberships. Otherwise the claim
    /// only narrows that.
    pub trusts_labs_claim: bool,
}

/// The source of the keys. It decides which algorithms are accepted.
#[derive(Clone, Debug)]
pub enum KeyConfig {
    /// The HS256 key shared with UMS.
    Secret(SecretConfig),
    /// `UMS_JWKS_URL`: public keys for RS256, ES256 and EdDSA.
    Url(JwksConfig),
}

/// The HS256 keys shared with UMS: two during a rotation.
#[derive(Clone, Debug)]
pub struct SecretConfig {
    /// `JWT_SECRET_KEY`: the key with which UMS signs.
    pub current: Secret,
    /// `JWT_PREVIOUS_SECRET_KEY`: another key whose tokens are accepted, so that a rotation logs nobody out.
    pub previous: Option<Secret>,
}

/// A JSON Web Key Set (RFC 7517) at a URL.
#[derive(Clone, Debug)]
pub struct JwksConfig {
    /// The URL.
    pub url: String,
    /// The shortest time between two fetches, for any tokens, after a success and after a failure.
    pub pause: Duration,
    /// The age at which the keys are fetched again, so that a withdrawn key stops working.
    pub max_age: Duration,
    /// The age from which the keys verify nothing, although newer ones cannot be fetched.
    pub max_stale_age: Duration,
}

impl JwksConfig {
    /// At most one fetch in 5 s; keys stay in use for 10 minutes, and for an hour while the URL fails.
    /// docs/adr/0012-keys-by-url.md and docs/adr/0019-what-a-token-can-do.md say why.
    pub fn new(url: String) -> Self {
        let seconds = Duration::from_secs;
        Self { url, pause: seconds(5), max_age: seconds(600), max_stale_age: seconds(3600) }
    }
}

impl TokenConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        let config = Self {
            keys: KeyConfig::read(env, stage),
            issuer: env.optional("JWT_ISSUER"),
            audience: env.optional("JWT_AUDIENCE"),
            required_scope: env.optional("JWT_REQUIRED_SCOPE"),
            max_lifetime: max_lifetime(env),
            trusts_labs_claim: env.parsed("JWT_TRUST_LABS_CLAIM", false, "must be true or false"),
        };
        if config.required_scope.as_ref().is_some_and(|scope| scope.contains(char::is_whitespace)) {
            env.reject("JWT_REQUIRED_SCOPE", "must be one scope, without spaces");
        }
        if config.trusts_labs_claim && matches!(config.keys, KeyConfig::Secret(_)) {
            env.reject("JWT_TRUST_LABS_CLAIM", "must be true only with UMS_JWKS_URL");
        }
        // A provider uses the same keys for all its applications and for other kinds of tokens.
        if stage != Stage::Dev && matches!(config.keys, KeyConfig::Url(_)) {
            for (name, value) in [("JWT_ISSUER", &config.issuer), ("JWT_AUDIENCE", &config.audience)] {
                if value.is_none() {
                    env.reject(name, "is required with UMS_JWKS_URL outside the dev stage");
                }
            }
        }
        config
    }
}

fn max_lifetime(env: &mut Env) -> Duration {
    const NAME: &str = "JWT_MAX_LIFETIME_HOURS";
    const DETAIL: &str = "must be a whole number of hours from 1 to 720";
    let hours: u64 = env.parsed(NAME, 24, DETAIL);
    if !(1..=720).contains(&hours) {
        env.reject(NAME, DETAIL);
    }
    Duration::from_secs(hours.saturating_mul(3600))
}

impl KeyConfig {
    fn read(env: &mut Env, stage: Stage) -> Self {
        let secret = env.optional("JWT_SECRET_KEY");
        let previous = env.optional("JWT_PREVIOUS_SECRET_KEY");
        let Some(url) = env.optional("UMS_JWKS_URL") else {
            let secret = secret.unwrap_or_else(|| {
                env.reject("JWT_SECRET_KEY", "is required, unless UMS_JWKS_URL is set");
                String::new()
            });
            env.check_secret("JWT_SECRET_KEY", stage, &secret);
            env.check_secret("JWT_PREVIOUS_SECRET_KEY", stage, previous.as_deref().unwrap_or_default());
            return Self::Secret(SecretConfig {
                current: Secret::new(secret),
                previous: previous.map(Secret::new),
            });
        };
        for (name, value) in [("JWT_SECRET_KEY", secret), ("JWT_PREVIOUS_SECRET_KEY", previous)] {
            if value.is_some() {
                env.reject(name, "must not be set together with UMS_JWKS_URL");
            }
        }
        // Unlike a base URL, it may have a query.
        env.url("UMS_JWKS_URL", stage, &url, &['#', ' ', '@']);
        Self::Url(JwksConfig::new(url))
    }
}
