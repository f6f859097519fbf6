//! `GET /health` and `GET /api/v1/health`: the health check.

use std::sync::Arc;

use shared::{
    http::{self, Request},
    runtime::health::Probe,
};

/// Returns 200 when the table and UMS answer, otherwise 503. The body shows which one does not answer.
pub async fn handler(probe: Arc<Probe>, _req: Request) -> http::Result {
    probe.check().await.response()
}
