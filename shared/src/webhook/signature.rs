//! The signatures of Standard Webhooks: HMAC-SHA-256 (`v1`) and Ed25519 (`v1a`) over the id, the time and the body.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::SigningSecrets;
use crate::{base::time::Timestamp, message::DeliveryId};

/// The headers that prove who sent a message and when. Each of the secrets makes a signature of both kinds, so that a receiver
/// may have any one of them.
pub(super) fn headers(
    secrets: &[SigningSecrets],
    id: &DeliveryId,
    at: Timestamp,
    body: &str,
) -> [(&'static str, String); 3] {
    let at = at.epoch_seconds();
    let signed = format!("{id}.{at}.{body}");
    let symmetric = secrets.iter().map(|secrets| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secrets.hmac());
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
    });
    let asymmetric = secrets.iter().map(|secrets| {
        let signature = secrets.ed25519().sign(signed.as_bytes());
        format!("v1a,{}", STANDARD.encode(signature))
    });
    let signatures: Vec<String> = symmetric.chain(asymmetric).collect();
    [
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};

    use super::*;

    #[test]
    fn each_secret_signs_in_both_ways() {
        let secrets = [SigningSecrets::generate().unwrap(), SigningSecrets::generate().unwrap()];
        let id = DeliveryId::parse("20261128T224106123Z-42-7").unwrap();
        let at = Timestamp::parse("2026-11-28T22:41:06.123Z").unwrap();
        let [(_, webhook_id), (_, timestamp), (_, signatures)] = headers(&secrets, &id, at, "{}");
        assert_eq!((webhook_id.as_str(), timestamp.as_str()), (id.as_str(), "1795905666"));
        let signed = format!("{id}.1795905666.{{}}");
        let signatures: Vec<(&str, Vec<u8>)> = signatures
            .split(' ')
            .map(|one| one.split_once(',').unwrap())
            .map(|(version, text)| (version, STANDARD.decode(text).unwrap()))
            .collect();
        let versions: Vec<&str> = signatures.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, ["v1", "v1", "v1a", "v1a"]);
        for (place, secrets) in secrets.iter().enumerate() {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secrets.hmac());
            hmac::verify(&key, signed.as_bytes(), &signatures[place].1).unwrap();
            let public_key = UnparsedPublicKey::new(&ED25519, secrets.ed25519().public_key().as_ref());
            public_key.verify(signed.as_bytes(), &signatures[place + 2].1).unwrap();
        }
    }
}
