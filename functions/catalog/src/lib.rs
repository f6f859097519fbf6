//! `GET /api/v1/cases/types`, `…/shades` and `…/materials`: what a lab can be asked to make, and of what. Public.

mod materials;
mod shades;
mod types;

use shared::{
    base::error::Error,
    http::{self, Request},
};

/// Answers 200 with the list that the path names.
pub async fn handler(req: Request) -> http::Result {
    match http::raw_path(&req).trim_end_matches('/') {
        "/api/v1/cases/types" => http::catalogue(&types::list()),
        "/api/v1/cases/shades" => http::catalogue(&shades::list()),
        "/api/v1/cases/materials" => http::catalogue(&materials::list()),
        _ => Err(Error::not_found()),
    }
}
