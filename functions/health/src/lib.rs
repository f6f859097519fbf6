//! `GET /health`: whether the service runs. `GET /api/v1/health`: whether the services that it needs answer.

use std::sync::Arc;

use shared::{
    http::{self, Request},
    runtime::health::{self, Probe},
};

/// Returns 200 at `/health`, without any call. At `/api/v1/health` it returns 200 when the table, UMS and LinksHub answer,
/// otherwise 503; the body shows which one does not answer.
pub async fn handler(probe: Arc<Probe>, req: Request) -> http::Result {
    if http::raw_path(&req).ends_with("/api/v1/health") {
        probe.check().await.response()
    } else {
        health::alive()
    }
}
