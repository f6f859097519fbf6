//! Every function with its handler. Generated from openapi.yaml by `make generate`; do not edit.

use std::collections::BTreeMap;

use shared::auth::Operation;

use super::service::{AnyFunction, Start};

/// Starts every function.
pub(super) fn functions(start: &Start) -> BTreeMap<&'static str, Box<dyn AnyFunction>> {
    BTreeMap::from([
        ("bulk-update-status", start.lab(Operation::BulkUpdateStatus, bulk_update_status::handler)),
        ("case-changes", start.lab(Operation::CaseChanges, case_changes::handler)),
        ("case-stats", start.lab(Operation::CaseStats, case_stats::handler)),
        ("catalog", start.public(catalog::handler)),
        ("complete-attachment", start.lab(Operation::CompleteAttachment, complete_attachment::handler)),
        ("create-attachment", start.lab(Operation::CreateAttachment, create_attachment::handler)),
        ("create-case", start.lab(Operation::CreateCase, create_case::handler)),
        ("create-comment", start.lab(Operation::CreateComment, create_comment::handler)),
        (
            "create-realtime-ticket",
            start.lab(Operation::CreateRealtimeTicket, create_realtime_ticket::handler),
        ),
        ("create-webhook", start.lab(Operation::CreateWebhook, create_webhook::handler)),
        ("delete-attachment", start.lab(Operation::DeleteAttachment, delete_attachment::handler)),
        ("delete-case", start.lab(Operation::DeleteCase, delete_case::handler)),
        ("delete-comment", start.lab(Operation::DeleteComment, delete_comment::handler)),
        ("delete-webhook", start.lab(Operation::DeleteWebhook, delete_webhook::handler)),
        ("docs", start.public(docs::handler)),
        ("export-cases", start.lab(Operation::ExportCases, export_cases::handler)),
        ("fallback", start.public(fallback::handler)),
        ("get-attachment", start.lab(Operation::GetAttachment, get_attachment::handler)),
        ("get-attachment-upload", start.lab(Operation::GetAttachmentUpload, get_attachment_upload::handler)),
        ("get-case", start.lab(Operation::GetCase, get_case::handler)),
        ("get-case-access", start.lab(Operation::GetCaseAccess, get_case_access::handler)),
        ("get-case-history", start.lab(Operation::GetCaseHistory, get_case_history::handler)),
        ("get-doctor", start.lab(Operation::GetDoctor, get_doctor::handler)),
        ("get-webhook", start.lab(Operation::GetWebhook, get_webhook::handler)),
        ("health", start.probe(health::handler)),
        ("list-access", start.lab(Operation::ListAccess, list_access::handler)),
        ("list-attachments", start.lab(Operation::ListAttachments, list_attachments::handler)),
        ("list-cases", start.lab(Operation::ListCases, list_cases::handler)),
        ("list-comments", start.lab(Operation::ListComments, list_comments::handler)),
        (
            "list-webhook-deliveries",
            start.lab(Operation::ListWebhookDeliveries, list_webhook_deliveries::handler),
        ),
        ("list-webhooks", start.lab(Operation::ListWebhooks, list_webhooks::handler)),
        ("patch-case", start.lab(Operation::PatchCase, patch_case::handler)),
        ("remake-case", start.lab(Operation::RemakeCase, remake_case::handler)),
        ("replay-webhook", start.lab(Operation::ReplayWebhook, replay_webhook::handler)),
        ("restore-case", start.lab(Operation::RestoreCase, restore_case::handler)),
        (
            "retry-webhook-delivery",
            start.lab(Operation::RetryWebhookDelivery, retry_webhook_delivery::handler),
        ),
        ("rotate-webhook-secret", start.lab(Operation::RotateWebhookSecret, rotate_webhook_secret::handler)),
        ("search-cases", start.lab(Operation::SearchCases, search_cases::handler)),
        ("test-webhook", start.lab(Operation::TestWebhook, test_webhook::handler)),
        ("update-case", start.lab(Operation::UpdateCase, update_case::handler)),
        ("update-case-status", start.lab(Operation::UpdateCaseStatus, update_case_status::handler)),
        ("update-comment", start.lab(Operation::UpdateComment, update_comment::handler)),
        ("update-webhook", start.lab(Operation::UpdateWebhook, update_webhook::handler)),
        ("verify-audit", start.lab(Operation::VerifyAudit, verify_audit::handler)),
        ("verify-case-history", start.lab(Operation::VerifyCaseHistory, verify_case_history::handler)),
    ])
}
