//! Seals: message authentication codes (HMAC-SHA-256) that only a holder of the stage's key can make. A seal shows whether
//! an item was changed by anybody else, such as a person with access to the table.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::private::Secret;

/// The keys for seals. The first one makes seals; all of them verify.
pub struct SealKeys(Vec<Key>);

struct Key {
    id: String,
    key: hmac::Key,
}

/// A message authentication code, and the key that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The id of the key in `SEAL_KEYS`.
    pub key_id: String,
    /// HMAC-SHA-256 in base64url without padding.
    pub mac: String,
}

/// The kind of a sealed item. It is part of the code, so the seal of one kind is never valid for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// An event of a case's history.
    Event,
    /// An audit record.
    AuditRecord,
}

impl Sealed {
    const fn purpose(self) -> &'static [u8] {
        match self {
            Self::Event => b"lhcms event 1",
            Self::AuditRecord => b"lhcms audit record 1",
        }
    }
}

/// Why a seal is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// There is no seal.
    Missing,
    /// The service does not have the key with this id.
    UnknownKey,
    /// The code does not fit the content.
    WrongMac,
}

impl SealKeys {
    /// Makes the keys of pairs of id and secret, of which the first makes seals.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        let key = |secret: &Secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Self(keys.into_iter().map(|(id, secret)| Key { id: id.to_owned(), key: key(secret) }).collect())
    }

    /// Seals a message; `None` without any key, which the configuration does not allow.
    pub fn seal(&self, kind: Sealed, message: &[&str]) -> Option<Seal> {
        let Key { id, key } = self.0.first()?;
        let mac = context(key, kind, message).sign();
        Some(Seal { key_id: id.clone(), mac: URL_SAFE_NO_PAD.encode(mac) })
    }

    /// Checks the seal of a message, with the key that the seal names.
    ///
    /// # Errors
    /// Why the seal is not accepted.
    pub fn verify(&self, kind: Sealed, message: &[&str], seal: &Seal) -> Result<(), Broken> {
        let key = self.0.iter().find(|key| key.id == seal.key_id).ok_or(Broken::UnknownKey)?;
        let mac = URL_SAFE_NO_PAD.decode(&seal.mac).map_err(|_| Broken::WrongMac)?;
        let expected = context(&key.key, kind, message).sign();
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), &mac)
            .map_err(|_| Broken::WrongMac)
    }
}

/// The code over the kind and all parts of a message. Each part has its length before it, so no byte can move between parts.
fn context(key: &hmac::Key, kind: Sealed, message: &[&str]) -> hmac::Context {
    let mut context = hmac::Context::with_key(key);
    for part in [kind.purpose()].into_iter().chain(message.iter().map(|part| part.as_bytes())) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: &[&str]) -> SealKeys {
        let secrets: Vec<(&str, Secret)> =
            ids.iter().map(|id| (*id, Secret::new(format!("secret {id}")))).collect();
        SealKeys::new(secrets.iter().map(|(id, secret)| (*id, secret)))
    }

    #[test]
    fn a_seal_is_valid_for_its_own_message_and_kind_only() {
        let keys = keys(&["a"]);
        let seal = keys.seal(Sealed::Event, &["123", "hash"]).unwrap();
        assert_eq!((seal.key_id.as_str(), seal.mac.len()), ("a", 43));
        assert_eq!(keys.verify(Sealed::Event, &["123", "hash"], &seal), Ok(()));
        for message in
            [&["456", "hash"][..], &["123", "hasH"], &["123hash", ""], &["12", "3hash"], &["123", "hash", ""]]
        {
            assert_eq!(keys.verify(Sealed::Event, message, &seal), Err(Broken::WrongMac), "{message:?}");
        }
        assert_eq!(keys.verify(Sealed::AuditRecord, &["123", "hash"], &seal), Err(Broken::WrongMac));
        for mac in ["", "AAAA", "!", &seal.mac[1..]] {
            let forged = Seal { mac: mac.to_owned(), ..seal.clone() };
            assert_eq!(keys.verify(Sealed::Event, &["123", "hash"], &forged), Err(Broken::WrongMac), "{mac}");
        }
    }

    #[test]
    fn an_old_key_still_verifies_and_a_removed_one_does_not() {
        let seal = keys(&["old"]).seal(Sealed::Event, &["m"]).unwrap();
        let rotated = keys(&["new", "old"]);
        assert_eq!(rotated.verify(Sealed::Event, &["m"], &seal), Ok(()));
        assert_eq!(rotated.seal(Sealed::Event, &["m"]).unwrap().key_id, "new");
        assert_eq!(keys(&["new"]).verify(Sealed::Event, &["m"], &seal), Err(Broken::UnknownKey));
        let renamed = Seal { key_id: "new".into(), ..seal };
        assert_eq!(rotated.verify(Sealed::Event, &["m"], &renamed), Err(Broken::WrongMac));
    }
}
