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
}

/// The source of the keys. It decides which algorithms are accepted.
#[derive(Clone, Debug)]
pub enum KeyConfig {
    /// `JWT_SECRET_KEY`: the HS256 key shared with UMS.
    Secret(Secret),
    /// `UMS_JWKS_URL`: public keys for RS256, ES256 and EdDSA.
    Url(JwksConfig),
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
}

impl JwksConfig {
    /// At most one fetch in 5 s; keys stay in use for 10 minutes. docs/adr/0012-keys-by-url.md says why.
    pub fn new(url: String) -> Self {
        Self { url, pause: Duration::from_secs(5), max_age: Duration::from_secs(600) }
    }
}

impl TokenConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        let config = Self {
            keys: KeyConfig::read(env, stage),
            issuer: env.optional("JWT_ISSUER"),
            audience: env.optional("JWT_AUDIENCE"),
        };
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

impl KeyConfig {
    fn read(env: &mut Env, stage: Stage) -> Self {
        let secret = env.optional("JWT_SECRET_KEY");
        let Some(url) = env.optional("UMS_JWKS_URL") else {
            let secret = secret.unwrap_or_else(|| {
                env.reject("JWT_SECRET_KEY", "is required, unless UMS_JWKS_URL is set");
                String::new()
            });
            env.check_secret("JWT_SECRET_KEY", stage, &secret);
            return Self::Secret(Secret::new(secret));
        };
        if secret.is_some() {
            env.reject("JWT_SECRET_KEY", "must not be set together with UMS_JWKS_URL");
        }
        // Unlike a base URL, it may have a query.
        env.url("UMS_JWKS_URL", stage, &url, &['#', ' ', '@']);
        Self::Url(JwksConfig::new(url))
    }
}
