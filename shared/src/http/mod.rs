//! Requests in, responses out: typed bodies, path and query parameters, and the headers every response carries.

mod body;
mod conditional;
mod cors;
mod params;
mod respond;

pub use body::{FromObject, MAX_BODY_BYTES, idempotency_key, json_body};
pub use conditional::{Tags, if_match, ok_or_not_modified};
pub(crate) use cors::allow_origin;
pub use cors::{is_preflight, preflight};
pub use params::{Query, case_id, doctor_id, lab_header, no_query, raw_path, wants_csv};
pub(crate) use respond::{ENOUGH, add_standard_headers, length_in_json, size_in_answer};
pub use respond::{access_export, catalogue, created, done, export, health, no_content, ok, ok_case};

/// An HTTP request as the gateway delivers it.
pub type Request = lambda_http::Request;
/// An HTTP response as the gateway sends it.
pub type Response = lambda_http::Response<lambda_http::Body>;
/// What a handler answers: every [`Error`](crate::error::Error) becomes problem details.
pub type Result = std::result::Result<Response, crate::error::Error>;
