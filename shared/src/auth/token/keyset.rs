//! Public keys as a provider publishes them (RFC 7517), each bound to the one algorithm that it is for.

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

    /// `None` for a key that is not for verifying RS256, ES256 or EdDSA. Symmetric keys are none: what is published
    /// is no secret.
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

/// The usable keys of a JSON Web Key Set. What is of an unknown kind or unreadable is left out, as RFC 7517 section 5
/// wants.
pub(super) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// The only key for this algorithm that has this id, or the only one at all when the token names none.
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
            // One by one: a key of a kind that came up later must not take the others along.
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

    /// A key of each kind; whether the numbers are good shows only when a signature is verified.
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

    /// The algorithms that a set has a key for, when a token names this key or none.
    fn fitting(keys: Value, id: Option<&str>) -> Vec<Algorithm> {
        let set = set(keys);
        ALGORITHMS.into_iter().filter(|algorithm| set.find(id, *algorithm).is_some()).collect()
    }

    #[test]
    fn a_key_is_for_the_algorithm_of_its_kind_and_no_other() {
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
    fn a_key_that_is_for_something_else_is_left_out() {
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
    fn unreadable_keys_do_not_take_the_others_along() {
        let keys = json!([7, null, {}, {"kty": "AKP", "pub": "AA"}, {"kty": "RSA"}, {"kty": 7},
            with("RSA", json!({"n": "!"})), with("EC", json!({"kid": 7})), key("OKP")]);
        assert_eq!(fitting(keys, None), [Algorithm::EdDSA]);
    }

    #[test]
    fn a_key_is_found_by_its_id_and_without_one_only_if_it_is_clear() {
        let keys = json!([with("RSA", json!({"kid": "a"})), with("RSA", json!({"kid": "b"})), key("EC")]);
        assert_eq!(fitting(keys.clone(), Some("a")), [Algorithm::RS256]);
        assert_eq!(fitting(keys.clone(), Some("c")), []);
        assert_eq!(fitting(keys.clone(), Some("")), []);
        assert_eq!(fitting(keys, None), [Algorithm::ES256]);
        let twice = json!([with("RSA", json!({"kid": "a"})), with("RSA", json!({"kid": "a"}))]);
        assert_eq!(fitting(twice, Some("a")), []);
    }

    #[test]
    fn what_is_no_key_set_is_an_error_and_an_empty_one_is_not() {
        for odd in ["{}", "[]", "null", r#"{"keys": {}}"#, r#"{"keys": null}"#, "<html>"] {
            assert!(serde_json::from_str::<KeySet>(odd).is_err(), "{odd}");
        }
        assert_eq!(fitting(json!([]), None), []);
    }
}
