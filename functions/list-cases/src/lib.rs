//! `GET /api/v1/cases`: the cases of a lab, or of all of the caller's labs, filtered and ordered, a page at a time.

use shared::{
    http::{self, Request},
    lab::Labs,
};

/// Answers 200 with the page that the query asks for.
pub async fn handler(labs: Labs, req: Request) -> http::Result {
    let page = labs.case_lists().page(&req).await?;
    http::ok(&page)
}
