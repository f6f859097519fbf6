//! `GET /api/v1/cases/export`: exports the cases of a list as a file, in parts.

use shared::{
    case::CaseLists,
    http::{self, Request},
    lab::Labs,
};

/// Returns 200 with the part at `cursor`, as CSV or NDJSON.
pub async fn handler(labs: Labs, req: Request) -> http::Result {
    http::file(CaseLists::of(&labs).export(&req).await?)
}
