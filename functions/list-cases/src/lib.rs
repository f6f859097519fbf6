//! `GET /api/v1/cases`: a list of the cases of a lab or of all of the caller's labs, with filters, order and pages.

use shared::{
    case::CaseLists,
    http::{self, Query, Request},
    lab::Labs,
};

/// Returns 200 with the requested page.
pub async fn handler(labs: Labs, req: Request) -> http::Result {
    http::ok(&CaseLists::of(&labs).page(Query::of(&req)).await?)
}
