//! Requests and responses: typed bodies, path and query parameters, problem details, and the headers of every response.

mod body;
mod compress;
mod conditional;
mod cors;
mod event;
mod idempotency;
mod json;
mod origin;
mod page;
mod params;
mod problem;
mod query;
mod rate_limit;
mod respond;

pub(crate) use body::parse;
pub use body::{MAX_BODY_BYTES, json_body, merge_patch_body};
pub(crate) use compress::{accepts_gzip, compress};
pub use conditional::{EntityTags, if_match, ok_or_not_modified};
pub(crate) use cors::allow_origin;
pub use cors::{is_preflight, preflight};
pub(crate) use event::Readable;
pub use event::make_readable;
pub use idempotency::{IdempotencyKey, idempotency_key};
pub(crate) use origin::pass_origin;
pub(crate) use page::PageRequest;
pub use page::Pagination;
pub(crate) use params::is_for_all_labs;
pub use params::{
    attachment_id, case_id, comment_id, doctor_id, lab_header, no_query, path_parameter, raw_path,
    requested_lab, wants_csv,
};
pub(crate) use problem::problem;
pub use problem::problem_response;
pub use query::{Query, Source};
pub use rate_limit::RateLimitStatus;
pub use respond::{
    File, Located, Resource, accepted, catalogue, created, created_at, created_once, file, no_content, ok,
    resource, with_header, with_status,
};
pub(crate) use respond::{MAX_RESPONSE_BYTES, add_standard_headers, length_in_json, size_in_response};

/// An HTTP request as the gateway delivers it.
pub type Request = lambda_http::Request;
/// An HTTP response as the gateway sends it.
pub type Response = lambda_http::Response<lambda_http::Body>;
/// The result of a handler. Every [`Error`](crate::base::error::Error) becomes problem details.
pub type Result = std::result::Result<Response, crate::base::error::Error>;
