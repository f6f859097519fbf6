//! The keys for verifying tokens: shared secrets, or the keys published at a URL.

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
    telemetry::{self, Incident},
    upstream::{self, Call},
};

/// Half of a request's time for UMS, so that time is left to use the older keys when a fetch fails.
const FETCH_TIMEOUT: Duration = Duration::from_secs(1);
/// The algorithms that published keys may have.
const PUBLISHED: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// The source of the keys.
pub(super) enum Keys {
    /// One secret, and during a rotation the previous one.
    Secrets(Vec<Arc<Key>>),
    Published(Published),
}

impl Keys {
    pub(super) fn new(config: &KeyConfig, client: Client) -> Self {
        match config {
            KeyConfig::Secret(secrets) => {
                let all = [Some(&secrets.current), secrets.previous.as_ref()];
                let keys = all.into_iter().flatten().map(|secret| Arc::new(Key::of_secret(secret.expose())));
                Self::Secrets(keys.collect())
            }
            KeyConfig::Url(config) => Self::Published(Published::new(config.clone(), client)),
        }
    }

    /// Fetches published keys, so that the first token does not wait for them. A failure changes nothing: the first token
    /// fetches them.
    pub(super) async fn warm_up(&self) {
        if let Self::Published(keys) = self
            && let Ok(fetched) = keys.fetch().await
        {
            keys.change(|cached| {
                cached.keys = Some(Arc::new(fetched));
                cached.fetched = Some(SystemTime::now());
            });
        }
    }

    /// Returns the keys of which one must have signed a token with this header.
    ///
    /// # Errors
    /// Unauthorized when there is no such key; unavailable when there are no keys that are fresh enough.
    pub(super) async fn find(&self, header: &Header) -> Result<Vec<Arc<Key>>, Error> {
        match self {
            Self::Secrets(keys) if header.alg == Algorithm::HS256 => Ok(keys.clone()),
            Self::Published(keys) if PUBLISHED.contains(&header.alg) => {
                keys.find(header.kid.as_deref(), header.alg).await.map(|key| vec![key])
            }
            _ => Err(Error::unauthorized("The token's algorithm is not accepted.")),
        }
    }
}

/// Keys published at a URL.
///
/// The warm-up fetches them, or else the first token. A function that starts while the URL fails works as soon as the URL
/// works.
pub(super) struct Published {
    client: Client,
    config: JwksConfig,
    cached: Mutex<Cached>,
    /// A request holds this lock while it fetches. Other requests wait for the lock and then find the keys.
    fetch_lock: tokio::sync::Mutex<()>,
}

/// The keys of the last successful fetch. The times are of the wall clock, because a monotonic clock may stop while Lambda
/// freezes an instance.
#[derive(Clone, Default)]
struct Cached {
    keys: Option<Arc<KeySet>>,
    fetched: Option<SystemTime>,
    tried: Option<SystemTime>,
}

impl Published {
    fn new(config: JwksConfig, client: Client) -> Self {
        Self { client, config, cached: Mutex::default(), fetch_lock: tokio::sync::Mutex::default() }
    }

    async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, Error> {
        let cached = self.cached();
        if is_within(cached.fetched, self.config.max_age)
            && let Some(key) = cached.keys.and_then(|keys| keys.find(id, algorithm))
        {
            return Ok(key);
        }
        let _guard = self.fetch_lock.lock().await;
        let failure = self.fetch_unless_just_tried().await.err();
        let cached = self.cached();
        let usable = cached.keys.filter(|_| is_within(cached.fetched, self.config.max_stale_age));
        let Some(keys) = usable else {
            return Err(unavailable(failure.unwrap_or_else(|| "the last fetch has just failed".to_owned())));
        };
        if let Some(cause) = failure {
            telemetry::count(Incident::StaleKeys);
            tracing::warn!(error.cause = cause, "token keys not fetched, older keys stay in use");
        }
        keys.find(id, algorithm)
            .ok_or_else(|| Error::unauthorized("The token is not signed with a key that is accepted."))
    }

    async fn fetch_unless_just_tried(&self) -> Result<(), String> {
        if is_within(self.cached().tried, self.config.pause) {
            return Ok(());
        }
        // Set before the answer arrives, so that a fetch that is cancelled counts as a try.
        self.change(|cached| cached.tried = Some(SystemTime::now()));
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, self.fetch()).await;
        let keys = fetched.unwrap_or_else(|_| Err(format!("no answer within {FETCH_TIMEOUT:?}")))?;
        self.change(|cached| {
            cached.keys = Some(Arc::new(keys));
            cached.fetched = cached.tried;
        });
        Ok(())
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let sent = upstream::send(&self.client, Call::get(None, &self.config.url)).await;
        let answer = sent.map_err(|error| error.cause)?;
        match answer.status {
            StatusCode::OK => answer.json(),
            status => Err(format!("it answered {status}")),
        }
    }

    fn cached(&self) -> Cached {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Cached)) {
        change(&mut self.cached.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn is_within(moment: Option<SystemTime>, time: Duration) -> bool {
    moment.is_some_and(|moment| upstream::is_within(moment, time, SystemTime::now()))
}

fn unavailable(cause: String) -> Error {
    Error::unavailable("The service that publishes the keys of tokens", format!("token keys: {cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::error::ErrorCode;

    /// Keys that were fetched so long ago, behind a URL where nobody answers.
    async fn keys_of_age(age: Duration) -> Published {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let config = JwksConfig::new(format!("http://{nobody}/keys"));
        let published = Published::new(config, upstream::client().unwrap());
        let key = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a"});
        let keys = serde_json::from_value(json!({"keys": [key]})).unwrap();
        published.change(|cached| {
            cached.keys = Some(Arc::new(keys));
            cached.fetched = Some(SystemTime::now() - age);
        });
        published
    }

    #[tokio::test]
    async fn keys_that_cannot_be_fetched_again_are_used_for_an_hour() {
        let minute = Duration::from_secs(60);
        for (age, accepted) in
            [(minute, true), (minute * 59, true), (minute * 60, false), (minute * 600, false)]
        {
            let keys = keys_of_age(age).await;
            // The second try comes in the pause after the first one.
            for _ in 0..2 {
                let found =
                    keys.find(Some("a"), Algorithm::RS256).await.map(|_| ()).map_err(|error| error.code());
                let expected = if accepted { Ok(()) } else { Err(ErrorCode::ServiceUnavailable) };
                assert_eq!(found, expected, "{age:?}");
            }
        }
    }
}
