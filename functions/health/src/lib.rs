//! `GET /health` and `GET /api/v1/health`: whether the service can do its work.

use std::sync::Arc;

use shared::{
    http::{self, Request},
    runtime::health::Probe,
};

/// Answers 200 when the table and UMS answer, else 503; the body says which does not.
pub async fn handler(probe: Arc<Probe>, _req: Request) -> http::Result {
    probe.check().await.response()
}
