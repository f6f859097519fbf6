//! Encryption of secrets at rest (AES-256-GCM) with keys of the stage. A text belongs to a context, such as the lab and the
//! thing that the secret is of, so it cannot be moved to another one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

use super::{error::Error, private::Secret};

/// Reads keys with and without the `=` at the end, which files of variables may not allow.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys for encryption. The first one encrypts; all of them decrypt.
pub struct EncryptionKeys(Vec<Key>);

struct Key {
    id: String,
    key: RandomizedNonceKey,
}

impl EncryptionKeys {
    /// Makes the keys of pairs of id and secret, of which the first encrypts. A secret is 32 bytes in base64.
    ///
    /// # Errors
    /// The text names the id whose secret is not such a key.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Result<Self, String> {
        let key = |(id, secret): (&str, &Secret)| {
            let key = Self::key(secret.expose()).ok_or_else(|| format!("{id} is no key for encryption"))?;
            Ok(Key { id: id.to_owned(), key })
        };
        keys.into_iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the text is a key: 32 bytes in base64.
    pub fn is_key(text: &str) -> bool {
        Self::key(text).is_some()
    }

    fn key(text: &str) -> Option<RandomizedNonceKey> {
        let bytes = KEYS.decode(text).ok().filter(|bytes| bytes.len() == 32)?;
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()
    }

    /// Encrypts. The result has the id of the key, a random nonce and the code that authenticates text and context.
    ///
    /// # Errors
    /// Internal, without any key, which the configuration does not allow.
    pub(crate) fn encrypt(&self, plain: &[u8], context: &str) -> Result<String, Error> {
        let Key { id, key } = self.0.first().ok_or_else(|| Error::internal("no key for encryption"))?;
        let mut bytes = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(context), &mut bytes)
            .map_err(|_| Error::internal("a secret cannot be encrypted"))?;
        Ok(format!("{id}:{}", STANDARD.encode([nonce.as_ref().as_slice(), &bytes].concat())))
    }

    /// Decrypts with the key that the text names.
    ///
    /// # Errors
    /// Internal, when the key is not configured any more, or the text is not of this context or was changed.
    pub(crate) fn decrypt(&self, text: &str, context: &str) -> Result<Vec<u8>, Error> {
        let (id, encrypted) = text.split_once(':').unwrap_or_default();
        let Some(Key { key, .. }) = self.0.iter().find(|key| key.id == id) else {
            return Err(Error::internal("the key of an encrypted secret is not configured"));
        };
        Self::open(key, encrypted, context)
            .ok_or_else(|| Error::internal("an encrypted secret is not of this place, or was changed"))
    }

    fn open(key: &RandomizedNonceKey, encrypted: &str, context: &str) -> Option<Vec<u8>> {
        let mut bytes = STANDARD.decode(encrypted).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        key.open_in_place(nonce, Aad::from(context), sealed).ok().map(|plain| plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, u8)]) -> EncryptionKeys {
        let secret = |byte: u8| Secret::new(STANDARD.encode([byte; 32]));
        let secrets: Vec<_> = pairs.iter().map(|(id, byte)| (*id, secret(*byte))).collect();
        EncryptionKeys::new(secrets.iter().map(|(id, secret)| (*id, secret))).unwrap()
    }

    #[test]
    fn only_the_same_context_decrypts() {
        let keys = keys(&[("2026", 1)]);
        let text = keys.encrypt(b"hunter2", "123 wh_1").unwrap();
        assert_eq!(keys.decrypt(&text, "123 wh_1").unwrap(), b"hunter2");
        for other in ["123 wh_2", "456 wh_1", ""] {
            assert!(keys.decrypt(&text, other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_same_secret_is_encrypted_differently_each_time() {
        let keys = keys(&[("2026", 1)]);
        let texts: std::collections::BTreeSet<_> =
            (0..100).map(|_| keys.encrypt(b"hunter2", "context").unwrap()).collect();
        assert_eq!(texts.len(), 100);
        assert!(texts.iter().all(|text| text.starts_with("2026:") && !text.contains("hunter2")));
    }

    #[test]
    fn a_text_with_any_changed_byte_is_rejected() {
        let keys = keys(&[("2026", 1)]);
        let text = keys.encrypt(b"hunter2", "context").unwrap();
        let (id, encrypted) = text.split_once(':').unwrap();
        let bytes = STANDARD.decode(encrypted).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(keys.decrypt(&format!("{id}:{}", STANDARD.encode(changed)), "context").is_err(), "{at}");
        }
        for short in ["", "2026", "2026:", "2026:AAAA", encrypted] {
            assert!(keys.decrypt(short, "context").is_err(), "{short}");
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let text = keys(&[("old", 1)]).encrypt(b"hunter2", "context").unwrap();
        let rotated = keys(&[("new", 2), ("old", 1)]);
        assert_eq!(rotated.decrypt(&text, "context").unwrap(), b"hunter2");
        assert!(rotated.encrypt(b"hunter2", "context").unwrap().starts_with("new:"));
        assert!(keys(&[("new", 2)]).decrypt(&text, "context").is_err());
        assert!(keys(&[("old", 2)]).decrypt(&text, "context").is_err());
    }

    #[test]
    fn a_key_has_32_bytes_in_base64() {
        let key = STANDARD.encode([7; 32]);
        assert!(EncryptionKeys::is_key(&key) && EncryptionKeys::is_key(key.trim_end_matches('=')));
        for bad in ["", "key", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33]), &"é".repeat(32)] {
            assert!(!EncryptionKeys::is_key(bad), "{bad}");
        }
    }
}
