//! Webhooks with known ids, and records of deliveries, written behind the service's back: for tests of all operations.

use serde_json::{Value, json};

use super::Service;

/// The webhook of the caller's lab.
pub(crate) const OWN_WEBHOOK: &str = "wh_0123456789abcdef";
/// The webhook of another lab.
pub(crate) const OTHER_WEBHOOK: &str = "wh_fedcba9876543210";
/// The failed delivery of each of them.
pub(crate) const DELIVERY: &str = "20261124T093000000Z-1-1";

impl Service {
    /// Adds a webhook. Nobody can decrypt its secrets.
    pub(crate) async fn put_webhook(&self, lab: i64, id: &str, description: &str) {
        let at = "2026-11-24T09:30:00.000Z";
        let item = json!({
            "lab_id": {"S": lab.to_string()}, "sk": {"S": format!("WEBHOOK#{id}")}, "id": {"S": id},
            "url": {"S": "https://example.com/hook"}, "description": {"S": description}, "types": {"L": []},
            "enabled": {"BOOL": true}, "version": {"N": "1"}, "created_at": {"S": at}, "updated_at": {"S": at},
            "created_by": {"S": "1"}, "secrets": {"S": "test:AAAA"},
            "public_key": {"S": "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
        });
        self.put_typed_items(&[item]).await;
    }

    /// Adds the record of a delivery of the first version of a case, after as many attempts as there are.
    pub(crate) async fn put_delivery(&self, lab: i64, webhook: &str, case: u64, state: &str) {
        let (text, number) =
            (|text: &str| json!({"S": text}), |number: u64| json!({"N": number.to_string()}));
        let data = json!({
            "lab_id": number(lab as u64), "case_id": number(case), "case_number": text(&format!("RIVERSIDE-202611-{case}")),
            "version": number(1), "status_to": text("pending"), "status_from": {"NULL": true},
        });
        let message = json!({
            "type": text("case.created"), "timestamp": text("2026-11-24T09:30:00.000Z"), "schema": number(1),
            "data": {"M": data},
        });
        let sk = format!("DELIVERY#{webhook}#20261124T093000000Z-{case}-1");
        let item: Value = json!({
            "lab_id": text(&lab.to_string()), "sk": text(&sk), "webhook_id": text(webhook), "message": {"M": message},
            "state": text(state), "round": number(1), "attempts": number(10),
            "attempted_at": text("2026-11-27T09:30:00.000Z"), "response_status": number(500), "latency_ms": number(84),
            "error": text("http_500"), "expires_at": number(4_102_444_800),
        });
        self.put_typed_items(&[item]).await;
    }

    /// Adds the webhooks of both labs of the seed, each with a failed delivery and another one.
    pub(crate) async fn put_webhooks_of_both_labs(&self) {
        for (lab, id, description) in [(123, OWN_WEBHOOK, "of its owner"), (456, OTHER_WEBHOOK, "M4RK")] {
            self.put_webhook(lab, id, description).await;
            self.put_delivery(lab, id, 1, "failed").await;
            self.put_delivery(lab, id, 2, "delivered").await;
        }
    }
}
