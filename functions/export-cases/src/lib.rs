//! `GET /api/v1/cases/export`: the cases of a list as a file, part by part.

use shared::{
    case::CaseLists,
    http::{self, Request},
    lab::Labs,
};

/// Answers 200 with the part that `cursor` names, as CSV or NDJSON.
pub async fn handler(labs: Labs, req: Request) -> http::Result {
    http::file(CaseLists::of(&labs).export(&req).await?)
}
