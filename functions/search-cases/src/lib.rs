//! `POST /api/v1/cases/search`: the list of cases, with filters, order and page in the body.

use shared::{
    case::CaseLists,
    http::{self, Query, Request},
    lab::Labs,
};

/// Returns 200 with the requested page.
pub async fn handler(labs: Labs, req: Request) -> http::Result {
    http::ok(&CaseLists::of(&labs).page(Query::of_body(&req)?).await?)
}
