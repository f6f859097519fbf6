//! The keys that tokens are verified with: one secret, or what a URL publishes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use jsonwebtoken::{Algorithm, Header};
use reqwest::{Client, StatusCode};

use super::keyset::{Key, KeySet};
use crate::{
    base::error::Error,
    config::{JwksConfig, KeyConfig},
    upstream::{self, Call},
};

/// Half of what a request has for UMS, so that time is left when older keys have to do.
const FETCH_TIMEOUT: Duration = Duration::from_secs(1);
/// What published keys may be for.
const PUBLISHED: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Where keys come from.
pub(super) enum Keys {
    Secret(Arc<Key>),
    Published(Published),
}

impl Keys {
    pub(super) fn new(config: &KeyConfig, client: Client) -> Self {
        match config {
            KeyConfig::Secret(secret) => Self::Secret(Arc::new(Key::of_secret(secret.expose()))),
            KeyConfig::Url(config) => Self::Published(Published::new(config.clone(), client)),
        }
    }

    /// The key that a token with this header must be signed with.
    ///
    /// # Errors
    /// Unauthorized when there is none; unavailable when no keys could be fetched yet.
    pub(super) async fn find(&self, header: &Header) -> Result<Arc<Key>, Error> {
        match self {
            Self::Secret(key) if header.alg == key.algorithm => Ok(key.clone()),
            Self::Published(keys) if PUBLISHED.contains(&header.alg) => {
                keys.find(header.kid.as_deref(), header.alg).await
            }
            _ => Err(Error::unauthorized("The token's algorithm is not accepted.")),
        }
    }
}

/// Keys behind a URL. They are fetched when the first token has to be verified: a function starts because a request
/// came, so fetching earlier would save nothing, and a function that starts while the URL fails works once it does not.
pub(super) struct Published {
    client: Client,
    config: JwksConfig,
    held: Mutex<Held>,
    /// Held by whoever fetches. Others who want to wait for it and find the keys.
    turn: tokio::sync::Mutex<()>,
}

/// The last keys that were fetched, also when a later fetch failed. Times are of the wall clock: a monotonic one may stand
/// still while Lambda has an instance frozen.
#[derive(Clone, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    fetched: Option<SystemTime>,
    tried: Option<SystemTime>,
}

impl Published {
    fn new(config: JwksConfig, client: Client) -> Self {
        Self { client, config, held: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, Error> {
        let held = self.held();
        if is_within(held.fetched, self.config.max_age)
            && let Some(key) = held.keys.and_then(|keys| keys.find(id, algorithm))
        {
            return Ok(key);
        }
        let _turn = self.turn.lock().await;
        let failure = self.fetch_unless_just_tried().await.err();
        let Some(keys) = self.held().keys else {
            return Err(unavailable(failure.unwrap_or_else(|| "the last try has just failed".to_owned())));
        };
        if let Some(cause) = failure {
            tracing::warn!(error.cause = cause, "token keys not fetched, the older ones are kept");
        }
        keys.find(id, algorithm)
            .ok_or_else(|| Error::unauthorized("The token is not signed with a key that is accepted."))
    }

    async fn fetch_unless_just_tried(&self) -> Result<(), String> {
        if is_within(self.held().tried, self.config.pause) {
            return Ok(());
        }
        // Noted before the answer is there, so that a request that gives up meanwhile counts as a try.
        self.change(|held| held.tried = Some(SystemTime::now()));
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, self.fetch()).await;
        let keys = fetched.unwrap_or_else(|_| Err(format!("no answer within {FETCH_TIMEOUT:?}")))?;
        self.change(|held| {
            held.keys = Some(Arc::new(keys));
            held.fetched = held.tried;
        });
        Ok(())
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let answer = upstream::send(&self.client, Call::get(&self.config.url)).await?;
        match answer.status {
            StatusCode::OK => answer.json(),
            status => Err(format!("it answered {status}")),
        }
    }

    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A moment in the future, by a clock that was set back, is not within any time.
fn is_within(moment: Option<SystemTime>, time: Duration) -> bool {
    moment.and_then(|moment| moment.elapsed().ok()).is_some_and(|elapsed| elapsed < time)
}

fn unavailable(cause: String) -> Error {
    Error::unavailable("The service that publishes the keys of tokens", format!("token keys: {cause}"))
}
