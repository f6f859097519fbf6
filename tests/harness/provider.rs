//! A stand-in for an OpenID provider: key pairs made at run time, and a URL that publishes their public halves.

use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use local::server::Server;
use serde_json::{Value, json};

use super::proxy::Proxy;

/// The path of the key set.
pub(crate) const JWKS: &str = "/jwks.json";

/// Key pairs that tests share, because RSA keys take long to generate.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa-1"));
pub(crate) static OTHER_RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa-2"));
pub(crate) static EC: LazyLock<Signer> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    Signer { id: "ec-1", pair: Pair::Ec(pair) }
});
pub(crate) static ED: LazyLock<Signer> =
    LazyLock::new(|| Signer { id: "ed-1", pair: Pair::Ed(Ed25519KeyPair::generate().unwrap()) });

/// A key pair with its id.
pub(crate) struct Signer {
    pub(crate) id: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn rsa(id: &'static str) -> Self {
        Self { id, pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// The name of the algorithm.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// The public key as providers publish it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encoded(&public.n), "e": encoded(&public.e)})
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key())}),
        };
        let common = json!({"kid": self.id, "use": "sig", "alg": self.algorithm()});
        jwk.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
        jwk
    }

    /// The public key in DER, as in a certificate.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'static> = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ec(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ed(pair) => pair.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&json!({}), claims)
    }

    /// A token with some members of its header changed; null removes one.
    pub(crate) fn sign_with_header(&self, changes: &Value, claims: &Value) -> String {
        let mut header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.id});
        let members = header.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let (message, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", encoded(signature))
    }
}

/// The running stand-in, behind a proxy that counts calls and fails on demand.
pub(crate) struct Provider {
    keys: Arc<Mutex<Value>>,
    pub(crate) proxy: Proxy,
    _server: Server,
}

impl Provider {
    /// Publishes these keys.
    pub(crate) async fn start(keys: Value) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let publish = |State(keys): State<Arc<Mutex<Value>>>| async move {
            let keys = keys.lock().unwrap().clone();
            Json(json!({"keys": keys}))
        };
        let router = Router::new().route(JWKS, get(publish)).with_state(keys.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start("provider", listener, router).unwrap();
        Self { keys, proxy: Proxy::start(server.url()).await, _server: server }
    }

    /// Publishes these keys instead.
    pub(crate) fn publish(&self, keys: Value) {
        *self.keys.lock().unwrap() = keys;
    }

    /// The URL of the keys.
    pub(crate) fn url(&self) -> String {
        format!("{}{JWKS}", self.proxy.url())
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
