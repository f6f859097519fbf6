//! The keys that encrypt the secrets of webhooks.

use super::Env;
use crate::base::{encryption::EncryptionKeys, private::Secret};

/// The keys for the secrets of webhooks. Only functions that sign messages or make secrets have them.
#[derive(Clone, Debug)]
pub struct WebhookKeysConfig {
    /// `WEBHOOK_KEYS`: pairs of an id and a key of 32 bytes in base64, such as `2026:key,2025:key`. The first pair encrypts; all
    /// of them decrypt.
    pub keys: Vec<(String, Secret)>,
}

impl WebhookKeysConfig {
    /// Makes the keys.
    ///
    /// # Errors
    /// The text names the id of a pair that is no key.
    pub(crate) fn encryption_keys(&self) -> Result<EncryptionKeys, String> {
        EncryptionKeys::new(self.keys.iter().map(|(id, key)| (id.as_str(), key)))
    }

    /// Reads and checks.
    pub fn read(env: &mut Env) -> Self {
        const NAME: &str = "WEBHOOK_KEYS";
        let keys = env.keys(NAME);
        if !keys.iter().all(|(_, key)| EncryptionKeys::is_key(key.expose())) {
            env.reject(NAME, "must have keys of 32 bytes in base64");
        }
        Self { keys }
    }
}
