//! `GET /api/v1/cases`: the cases of a lab, or of all of the caller's labs, filtered and ordered, a page at a time.

use shared::{
    case::CaseLists,
    http::{self, Request},
    lab::Labs,
};

/// Answers 200 with the page that the query asks for.
pub async fn handler(labs: Labs, req: Request) -> http::Result {
    http::ok(&CaseLists::of(&labs).page(&req).await?)
}
