//! Public keys from a provider (RFC 7517), each bound to its one algorithm.

use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;

/// A key, and the only algorithm whose signatures it verifies.
pub(super) struct Key {
    id: Option<String>,
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
}

impl Key {
    /// The HS256 key shared with UMS.
    pub(super) fn of_secret(secret: &str) -> Self {
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Self { id: None, algorithm: Algorithm::HS256, decoding }
    }

    /// Returns `None` for a key that does not verify RS256, ES256 or EdDSA. Symmetric keys are not accepted, because a
    /// published key is not secret.
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        };
        let purpose = &jwk.common;
        let fits = purpose.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm))
            && purpose.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && purpose.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let decoding = DecodingKey::from_jwk(jwk).ok().filter(|_| fits)?;
        Some(Self { id: purpose.key_id.clone(), algorithm, decoding })
    }
}

/// The usable keys of a JSON Web Key Set. It leaves out unknown and unreadable keys, as RFC 7517, section 5, requires.
pub(super) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Returns the only key with this algorithm and this id. A token without an id needs a set with only one key of its
    /// algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for KeySet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Published {
            // Parsed one by one, so that a key of a new kind does not make the others unreadable.
            keys: Vec<serde_json::Value>,
        }
        let published = Published::deserialize(deserializer)?.keys;
        let keys = published.into_iter().filter_map(|key| Key::of_jwk(&serde_json::from_value(key).ok()?));
        Ok(Self(keys.map(Arc::new).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ALGORITHMS: [Algorithm; 4] =
        [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256];

    /// A key of each kind. Its numbers need not be valid: only the verification of a signature uses them.
    fn key(kind: &str) -> Value {
        match kind {
            "RSA" => json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            "EC" => json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
            "OKP" => json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            _ => json!({"kty": "oct", "k": "AAAA"}),
        }
    }

    fn with(kind: &str, members: Value) -> Value {
        let mut key = key(kind);
        key.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        key
    }

    fn set(keys: Value) -> KeySet {
        serde_json::from_value(json!({"keys": keys})).unwrap()
    }

    /// The algorithms for which the set has a key, for a token with this key id or without one.
    fn fitting(keys: Value, id: Option<&str>) -> Vec<Algorithm> {
        let set = set(keys);
        ALGORITHMS.into_iter().filter(|algorithm| set.find(id, *algorithm).is_some()).collect()
    }

    #[test]
    fn a_key_works_only_with_the_algorithm_of_its_kind() {
        assert_eq!(fitting(json!([key("RSA")]), None), [Algorithm::RS256]);
        assert_eq!(fitting(json!([key("EC")]), None), [Algorithm::ES256]);
        assert_eq!(fitting(json!([key("OKP")]), None), [Algorithm::EdDSA]);
        assert_eq!(fitting(json!([key("oct")]), None), []);
        assert_eq!(
            fitting(json!([with("oct", json!({"alg": "HS256", "use": "sig", "kid": "a"}))]), Some("a")),
            []
        );
    }

    #[test]
    fn a_key_for_another_purpose_is_ignored() {
        for (kind, members) in [
            ("RSA", json!({"use": "enc"})),
            ("RSA", json!({"use": "tls"})),
            ("RSA", json!({"alg": "RS512"})),
            ("RSA", json!({"alg": "PS256"})),
            ("RSA", json!({"alg": "RSA-OAEP"})),
            ("RSA", json!({"alg": "HS256"})),
            ("RSA", json!({"alg": "ES256"})),
            ("RSA", json!({"key_ops": ["encrypt"]})),
            ("RSA", json!({"key_ops": ["sign"]})),
            ("RSA", json!({"key_ops": []})),
            ("RSA", json!({"use": "sig", "key_ops": ["wrapKey"]})),
            ("EC", json!({"crv": "P-384"})),
            ("EC", json!({"crv": "secp256k1"})),
            ("EC", json!({"alg": "ES384"})),
            ("EC", json!({"alg": "ECDH-ES"})),
            ("OKP", json!({"crv": "X25519"})),
            ("OKP", json!({"crv": "Ed448"})),
            ("OKP", json!({"crv": "P-256"})),
        ] {
            assert_eq!(fitting(json!([with(kind, members.clone())]), None), [], "{kind} {members}");
        }
        let purpose = json!({"use": "sig", "key_ops": ["verify"], "alg": "RS256"});
        assert_eq!(fitting(json!([with("RSA", purpose)]), None), [Algorithm::RS256]);
    }

    #[test]
    fn an_unreadable_key_does_not_affect_the_other_keys() {
        let keys = json!([7, null, {}, {"kty": "AKP", "pub": "AA"}, {"kty": "RSA"}, {"kty": 7},
            with("RSA", json!({"n": "!"})), with("EC", json!({"kid": 7})), key("OKP")]);
        assert_eq!(fitting(keys, None), [Algorithm::EdDSA]);
    }

    #[test]
    fn a_token_without_a_key_id_needs_a_single_key_of_its_algorithm() {
        let keys = json!([with("RSA", json!({"kid": "a"})), with("RSA", json!({"kid": "b"})), key("EC")]);
        assert_eq!(fitting(keys.clone(), Some("a")), [Algorithm::RS256]);
        assert_eq!(fitting(keys.clone(), Some("c")), []);
        assert_eq!(fitting(keys.clone(), Some("")), []);
        assert_eq!(fitting(keys, None), [Algorithm::ES256]);
        let twice = json!([with("RSA", json!({"kid": "a"})), with("RSA", json!({"kid": "a"}))]);
        assert_eq!(fitting(twice, Some("a")), []);
    }

    #[test]
    fn an_invalid_key_set_is_an_error_and_an_empty_one_is_not() {
        for odd in ["{}", "[]", "null", r#"{"keys": {}}"#, r#"{"keys": null}"#, "<html>"] {
            assert!(serde_json::from_str::<KeySet>(odd).is_err(), "{odd}");
        }
        assert_eq!(fitting(json!([]), None), []);
    }
}
