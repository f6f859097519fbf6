//! The requests of the isolation matrix: a valid one for each operation, and its variations.

use serde_json::{Value, json};

use crate::harness::{
    Reply, Service,
    spec::Operation,
    today,
    webhooks::{DELIVERY, OWN_WEBHOOK},
};

/// The case of the caller's lab. The other lab has cases with higher ids as well.
pub(crate) const OWN_CASE: u64 = 1;
pub(crate) const OTHER_CASE: u64 = 2;

/// A valid request for an operation, and the status when the caller has access.
pub(crate) struct Row {
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
}

/// The row of an operation. A new operation needs one.
pub(crate) fn row(operation: &Operation) -> Row {
    let (body, status) = match operation.id() {
        "createCase" => (Some(json!({"procedure_type": "Crown"})), 201),
        "updateCase" => (Some(json!({"notes": "by its owner"})), 200),
        "patchCase" => (Some(json!({"notes": "by its owner"})), 200),
        "updateCaseStatus" => (Some(json!({"status": "in_progress"})), 200),
        "bulkUpdateStatus" => (Some(json!({"ids": [OWN_CASE], "status": "in_progress"})), 200),
        "createAttachment" => (
            Some(crate::harness::spec::SPEC["components"]["examples"]["NewAttachment"]["value"].clone()),
            201,
        ),
        "createComment" => (Some(json!({"text": "by its owner"})), 201),
        "updateComment" => (Some(json!({"text": "by its author"})), 200),
        "remakeCase" => (Some(json!({"reason_code": "fit", "reason": "too tight"})), 201),
        "searchCases" => (Some(json!({"limit": 1})), 200),
        "createRealtimeTicket" => (None, 201),
        "createWebhook" => (Some(json!({"url": "https://example.com/hook"})), 201),
        "updateWebhook" => (Some(json!({"description": "by its owner"})), 200),
        "testWebhook" | "retryWebhookDelivery" => (None, 202),
        "replayWebhook" => (Some(json!({"since": format!("{}T00:00:00.000Z", today())})), 202),
        "deleteCase" | "deleteComment" | "deleteAttachment" | "deleteWebhook" => (None, 204),
        "restoreCase"
        | "listCases"
        | "getCase"
        | "getCaseHistory"
        | "verifyCaseHistory"
        | "listComments"
        | "listAttachments"
        | "getAttachment"
        | "getAttachmentUpload"
        | "completeAttachment"
        | "getCaseAccess"
        | "listAccess"
        | "verifyAudit"
        | "caseStats"
        | "caseChanges"
        | "exportCases"
        | "getDoctor"
        | "listWebhooks"
        | "getWebhook"
        | "rotateWebhookSecret"
        | "listWebhookDeliveries" => (None, 200),
        _ if operation.is_public() => (None, 200),
        new => panic!("{new} has no row in the isolation matrix"),
    };
    Row { body, status }
}

/// A request for an operation, which a situation can change.
pub(crate) struct TestRequest {
    pub(crate) token: Option<String>,
    pub(crate) case: u64,
    pub(crate) doctor: &'static str,
    pub(crate) webhook: &'static str,
    pub(crate) query: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl TestRequest {
    pub(crate) fn valid(operation: &Operation, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            case: OWN_CASE,
            doctor: "DOC001",
            webhook: OWN_WEBHOOK,
            query: String::new(),
            headers: Vec::new(),
            body: row(operation).body,
        }
    }

    pub(crate) async fn send(self, service: &Service, operation: &Operation) -> Reply {
        let path = operation
            .path
            .replace("{id}", &self.case.to_string())
            .replace("{comment_id}", "1")
            .replace("{attachment_id}", attachment_id(operation))
            .replace("{doctor_id}", self.doctor)
            .replace("{webhook_id}", self.webhook)
            .replace("{delivery_id}", DELIVERY)
            .replace("{asset}", "swagger-ui.css");
        let mut call = service.request(operation.method, &format!("{path}{}", self.query));
        if let Some(token) = &self.token {
            call = call.token(token);
        }
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        match self.body {
            Some(body) => {
                call.header("content-type", media_type(operation)).bytes(body.to_string()).send().await
            }
            None => call.send().await,
        }
    }
}

/// A file in the state that the operation needs.
fn attachment_id(operation: &Operation) -> &'static str {
    let [clean, pending, to_be_removed] = super::fixtures::FILES.map(|(id, _)| id);
    match operation.id() {
        "getAttachmentUpload" => pending,
        "deleteAttachment" => to_be_removed,
        _ => clean,
    }
}

/// The media type of the operation's request body.
fn media_type(operation: &Operation) -> &'static str {
    let content = operation.value["requestBody"]["content"].as_object();
    content.and_then(|content| content.keys().next()).map_or("application/json", String::as_str)
}
