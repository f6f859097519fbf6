//! Path, query and header parameters.

use lambda_http::RequestExt;

use super::{Query, Request};
use crate::base::{AttachmentId, CaseId, LabId, error::Error, field_error::Invalid, validate::not_one_of};

/// The value of `lab_id` for all of the caller's labs.
const ALL_LABS: &str = "all";

/// The path as the gateway received it.
pub fn raw_path(request: &Request) -> &str {
    request.raw_http_path()
}

/// The id of the case in the path.
///
/// # Errors
/// Case not found, when the text cannot be a case's id.
pub fn case_id(request: &Request) -> Result<CaseId, Error> {
    CaseId::parse(path_parameter(request, "id")?).ok_or_else(Error::case_not_found)
}

/// The number of the comment in the path.
///
/// # Errors
/// Comment not found, when the text cannot be a comment's number.
pub fn comment_id(request: &Request) -> Result<u32, Error> {
    let text = path_parameter(request, "comment_id")?;
    let is_number =
        !text.starts_with('0') && text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(Error::comment_not_found)
}

/// The id of the file in the path.
///
/// # Errors
/// Attachment not found, when the text cannot be a file's id.
pub fn attachment_id(request: &Request) -> Result<AttachmentId, Error> {
    AttachmentId::parse(path_parameter(request, "attachment_id")?).ok_or_else(Error::attachment_not_found)
}

/// The id of the doctor in the path.
///
/// # Errors
/// Invalid parameter, unless it is 1 to 128 characters of `A-Z a-z 0-9 _ -`. The gateway decodes paths and the local
/// emulator does not, so characters that could be encoded are not allowed.
pub fn doctor_id(request: &Request) -> Result<String, Error> {
    let id = path_parameter(request, "doctor_id")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=128).contains(&id.len()) && id.bytes().all(legal) {
        return Ok(id.to_owned());
    }
    let detail = "must have 1 to 128 characters of A-Z a-z 0-9 _ -";
    Err(Error::parameter("/path/doctor_id", Invalid::format("doctor_id", detail)))
}

/// A parameter of the path.
///
/// # Errors
/// Not found, when the route has no such parameter: the path belongs to another function.
pub fn path_parameter<'r>(request: &'r Request, name: &str) -> Result<&'r str, Error> {
    request.path_parameters_ref().and_then(|params| params.first(name)).ok_or_else(Error::not_found)
}

/// Whether the query parameter `format` requests CSV instead of JSON.
///
/// # Errors
/// Invalid parameter, when it is neither.
pub fn wants_csv(request: &Request) -> Result<bool, Error> {
    match Query::of(request).text("format").as_deref() {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Error::parameter("/query/format", not_one_of(&["json", "csv"]))),
    }
}

/// Rejects all query parameters except `lab_id`.
pub fn no_query(request: &Request) -> Result<(), Error> {
    Query::of(request).finish()
}

/// The lab that the request names in the header or the query. The request may use both if they agree.
///
/// # Errors
/// Invalid parameter, when the request does not clearly name one lab.
pub fn requested_lab(request: &Request) -> Result<Option<LabId>, Error> {
    let parse = |pointer: &str, text: &str| {
        let invalid = || Error::parameter(pointer, Invalid::format("lab_id", "must be a lab's id"));
        LabId::parse(text).ok_or_else(invalid)
    };
    let header = lab_header(request)?.map(|text| parse("/header/X-Lab-Id", text)).transpose()?;
    let query = lab_query(request)?.map(|text| parse("/query/lab_id", text)).transpose()?;
    match (header, query) {
        (Some(header), Some(query)) if header != query => Err(Error::parameter(
            "/query/lab_id",
            Invalid::inconsistent("/header/X-Lab-Id", "must name the same lab as the header X-Lab-Id"),
        )),
        (header, query) => Ok(header.or(query)),
    }
}

/// Whether the request is for all of the caller's labs.
pub(crate) fn is_for_all_labs(request: &Request) -> bool {
    lab_query(request).is_ok_and(|lab| lab == Some(ALL_LABS))
}

/// The text of the query parameter `lab_id`, if it is there.
fn lab_query(request: &Request) -> Result<Option<&str>, Error> {
    let values =
        request.query_string_parameters_ref().and_then(|query| query.all("lab_id")).unwrap_or_default();
    match values[..] {
        [] => Ok(None),
        [text] => Ok(Some(text)),
        _ => Err(Error::parameter("/query/lab_id", Invalid::given_more_than_once())),
    }
}

/// The `X-Lab-Id` header's text, if there is one.
///
/// # Errors
/// Invalid parameter, when it is repeated or not text, because then the lab is not clear.
pub fn lab_header(request: &Request) -> Result<Option<&str>, Error> {
    const POINTER: &str = "/header/X-Lab-Id";
    let mut values = request.headers().get_all("x-lab-id").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::parameter(POINTER, Invalid::format("lab_id", "must be a lab's id"))),
        },
        _ => Err(Error::parameter(POINTER, Invalid::given_more_than_once())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lambda_http::http;

    use super::*;
    use crate::base::error::ErrorCode;

    fn requested(header: &[&str], query: &[&str]) -> Result<Option<u64>, ErrorCode> {
        let mut builder = http::Request::builder();
        for value in header {
            builder = builder.header("X-Lab-Id", *value);
        }
        let values = query.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let parameters = HashMap::from([("lab_id".to_owned(), values)]);
        let request = builder.body(().into()).unwrap().with_query_string_parameters(parameters);
        requested_lab(&request).map(|lab| lab.map(LabId::get)).map_err(|error| error.code())
    }

    #[test]
    fn the_header_and_the_query_may_name_a_lab_if_they_agree() {
        assert_eq!(requested(&[], &[]), Ok(None));
        assert_eq!(requested(&["123"], &[]), Ok(Some(123)));
        assert_eq!(requested(&[], &["123"]), Ok(Some(123)));
        assert_eq!(requested(&["123"], &["123"]), Ok(Some(123)));
        assert_eq!(requested(&["123"], &["456"]), Err(ErrorCode::InvalidParameter));
    }

    #[test]
    fn a_value_that_is_not_clearly_one_lab_is_rejected() {
        for header in
            [&["0"][..], &["-1"], &["1 OR 1"], &["0123"], &["99999999999999999999"], &["123", "456"], &[""]]
        {
            assert_eq!(requested(header, &[]), Err(ErrorCode::InvalidParameter), "{header:?}");
        }
        assert_eq!(requested(&[], &["123", "123"]), Err(ErrorCode::InvalidParameter));
    }
}
