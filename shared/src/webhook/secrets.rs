//! The secrets that sign the messages of a webhook, in the formats of Standard Webhooks.

use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::WebhookId;
use crate::base::{LabId, encryption::EncryptionKeys, error::Error, private::Secret};

/// The bytes of the key for HMAC-SHA-256, and of the seed of the Ed25519 key.
const PART: usize = 32;

/// A secret for HMAC-SHA-256 (`v1`), which the receiver has as well, and an Ed25519 key pair (`v1a`), of which the receiver has
/// only the public key. It has no `Debug`.
pub struct SigningSecrets {
    hmac: [u8; PART],
    seed: [u8; PART],
    ed25519: Ed25519KeyPair,
}

impl SigningSecrets {
    /// Makes new random secrets.
    ///
    /// # Errors
    /// Internal, when the system has no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 2 * PART];
        rand::fill(&mut bytes).map_err(|_| Error::internal("no random bytes"))?;
        Self::of_bytes(&bytes)
    }

    /// Makes the secrets of 64 bytes: the secret for HMAC, then the seed of the Ed25519 key.
    ///
    /// # Errors
    /// Internal, for another number of bytes.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let invalid = || Error::internal("the bytes are not the secrets of a webhook");
        let (hmac, seed) = bytes.split_first_chunk::<PART>().ok_or_else(invalid)?;
        let seed: [u8; PART] = seed.try_into().map_err(|_| invalid())?;
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| invalid())?;
        Ok(Self { hmac: *hmac, seed, ed25519 })
    }

    /// The key for HMAC-SHA-256.
    pub fn hmac(&self) -> &[u8] {
        &self.hmac
    }

    /// The key pair for Ed25519.
    pub fn ed25519(&self) -> &Ed25519KeyPair {
        &self.ed25519
    }

    /// The secret for the receiver: `whsec_` and the key for HMAC-SHA-256 in base64.
    pub fn secret(&self) -> Secret {
        Secret::new(format!("whsec_{}", STANDARD.encode(self.hmac)))
    }

    /// The public key for the receiver: `whpk_` and the Ed25519 key in base64.
    pub fn public_key(&self) -> String {
        format!("whpk_{}", STANDARD.encode(self.ed25519.public_key()))
    }

    /// Encrypts them for the item of the webhook.
    ///
    /// # Errors
    /// Internal, when they cannot be encrypted.
    pub fn encrypted(&self, keys: &EncryptionKeys, lab: LabId, id: &WebhookId) -> Result<String, Error> {
        keys.encrypt(&[self.hmac, self.seed].concat(), &context(lab, id))
    }

    /// Decrypts the text in the item of a webhook.
    ///
    /// # Errors
    /// Internal, when the text is of another webhook or was changed, or its key is not configured any more.
    pub fn decrypt(text: &str, keys: &EncryptionKeys, lab: LabId, id: &WebhookId) -> Result<Self, Error> {
        Self::of_bytes(&keys.decrypt(text, &context(lab, id))?)
    }
}

/// What the secrets are of.
fn context(lab: LabId, id: &WebhookId) -> String {
    format!("lhcms webhook 1 {lab} {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> EncryptionKeys {
        EncryptionKeys::new([("2026", &Secret::new(STANDARD.encode([1; 32])))]).unwrap()
    }

    #[test]
    fn the_secrets_of_a_webhook_are_of_no_other_webhook_and_no_other_lab() {
        let (lab, other_lab) = (LabId::new(123).unwrap(), LabId::new(456).unwrap());
        let (id, other_id) = (WebhookId::new(), WebhookId::new());
        let secrets = SigningSecrets::generate().unwrap();
        let text = secrets.encrypted(&keys(), lab, &id).unwrap();
        let back = SigningSecrets::decrypt(&text, &keys(), lab, &id).unwrap();
        assert_eq!((back.secret(), back.public_key()), (secrets.secret(), secrets.public_key()));
        assert!(SigningSecrets::decrypt(&text, &keys(), other_lab, &id).is_err());
        assert!(SigningSecrets::decrypt(&text, &keys(), lab, &other_id).is_err());
    }

    #[test]
    fn every_webhook_gets_secrets_of_its_own() {
        let (one, other) = (SigningSecrets::generate().unwrap(), SigningSecrets::generate().unwrap());
        assert_ne!(one.hmac(), other.hmac());
        assert_ne!(one.public_key(), other.public_key());
        assert_ne!(one.hmac(), &one.seed[..]);
    }

    /// The key pair of RFC 8032, 7.1, test 1.
    #[test]
    fn the_formats_are_those_of_standard_webhooks() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let secrets = SigningSecrets::of_bytes(&[[0; 32], seed].concat()).unwrap();
        assert_eq!(secrets.secret().expose(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(secrets.public_key(), "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        for bytes in [0, 63, 65] {
            assert!(SigningSecrets::of_bytes(&vec![0; bytes]).is_err(), "{bytes}");
        }
    }
}
