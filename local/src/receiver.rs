//! A receiver of webhooks: it verifies each message with the package of Standard Webhooks, as another system does, and prints a line
//! about it. Lab 123 has a webhook for it.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use shared::{
    base::{LabId, encryption::EncryptionKeys, private::Secret},
    webhook::{SigningSecrets, WebhookId},
};
use standardwebhooks::Webhook;

use crate::{Error, Result, seed, table::Api};

/// The id of the webhook.
pub const WEBHOOK: &str = "wh_localreceiver123";
/// What its secrets are made of. They protect nothing: everybody can read them here.
const BYTES: [u8; 64] = *b"hmac secret, for local use only!ed25519 seed for local use only!";

/// Serves the receiver: a POST to any path is a message.
///
/// # Errors
/// The secret is not one of Standard Webhooks.
pub fn router() -> Result<Router> {
    let verifier = Webhook::new(secrets()?.secret().expose());
    let verifier = verifier.map_err(|error| Error::new(format!("the secret of the receiver: {error}")))?;
    Ok(Router::new().fallback(receive).with_state(Arc::new(verifier)))
}

async fn receive(State(verifier): State<Arc<Webhook>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let is_verified = verifier.verify(&body, &headers).is_ok();
    println!("{}", line(&serde_json::from_slice(&body).unwrap_or_default(), is_verified));
    if is_verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

/// The line about a message.
fn line(message: &Value, is_verified: bool) -> String {
    let (kind, data) = (message["type"].as_str().unwrap_or("no message"), &message["data"]);
    let case = match (&data["case_id"], &data["version"]) {
        (Value::Null, _) => String::new(),
        (case, version) => format!(", case {case}, version {version}"),
    };
    let verified = if is_verified { "verified" } else { "NOT verified" };
    format!("webhook {kind}{case}: {verified}")
}

fn secrets() -> Result<SigningSecrets> {
    SigningSecrets::of_bytes(&BYTES)
        .map_err(|error| Error::new(format!("the secrets of the receiver: {error:?}")))
}

/// Writes the webhook of the receiver at `url`, also over an earlier one. `keys` are those of the functions (`WEBHOOK_KEYS`).
///
/// # Errors
/// The keys are no keys; the table does not answer.
pub async fn register(dynamodb: &str, table: &str, keys: &str, url: &str) -> Result<()> {
    let failed = |why: &str| Error::new(format!("the webhook of the receiver: {why}"));
    let pairs = keys.split(',').filter_map(|pair| pair.split_once(':'));
    let pairs: Vec<(&str, Secret)> = pairs.map(|(id, key)| (id, Secret::new(key))).collect();
    let keys =
        EncryptionKeys::new(pairs.iter().map(|(id, key)| (*id, key))).map_err(|error| failed(&error))?;
    let lab = LabId::parse(&seed::RIVERSIDE.to_string()).ok_or_else(|| failed("the lab"))?;
    let id = WebhookId::parse(WEBHOOK).ok_or_else(|| failed("the id"))?;
    let secrets = secrets()?;
    let encrypted = secrets.encrypted(&keys, lab, &id).map_err(|error| failed(&format!("{error:?}")))?;
    let at = "2026-11-24T09:30:00.000Z";
    let item = json!({
        "lab_id": {"S": lab.to_string()}, "sk": {"S": format!("WEBHOOK#{id}")}, "id": {"S": WEBHOOK}, "url": {"S": url},
        "description": {"S": "The receiver of the development stack"}, "types": {"L": []}, "enabled": {"BOOL": true},
        "version": {"N": "1"}, "created_at": {"S": at}, "updated_at": {"S": at}, "created_by": {"S": "1"},
        "secrets": {"S": encrypted}, "public_key": {"S": secrets.public_key()},
    });
    let put = json!({"TableName": table, "Item": item});
    Api::new(dynamodb).call("PutItem", &put).await.map(drop).map_err(|error| failed(&format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::Client, server::Server};

    #[test]
    fn a_line_says_what_has_happened_and_whether_the_message_is_verified() {
        let message = json!({"type": "case.created", "data": {"lab_id": 123, "case_id": 42, "version": 7}});
        assert_eq!(line(&message, true), "webhook case.created, case 42, version 7: verified");
        let test = json!({"type": "webhook.test", "data": {"lab_id": 123}});
        assert_eq!(line(&test, true), "webhook webhook.test: verified");
        assert_eq!(line(&Value::Null, false), "webhook no message: NOT verified");
    }

    #[tokio::test]
    async fn only_a_signed_message_is_accepted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start("the receiver", listener, router().unwrap()).unwrap();
        let client = Client::new(std::time::Duration::from_secs(5));
        let body = r#"{"type":"webhook.test","data":{"lab_id":123}}"#;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let verifier = Webhook::new(secrets().unwrap().secret().expose()).unwrap();
        let signature = verifier.sign("id-1", now as i64, body.as_bytes()).unwrap();
        for (signature, status) in [(signature.as_str(), 204), ("v1,AAAA", 401)] {
            let at = now.to_string();
            let headers =
                [("webhook-id", "id-1"), ("webhook-timestamp", &at), ("webhook-signature", signature)];
            let url = format!("{}/hook", server.url());
            let answer =
                client.send(axum::http::Method::POST, &url, &headers, body.to_owned()).await.unwrap();
            assert_eq!(answer.status, status);
        }
    }
}
