//! Conditional requests (RFC 9110, section 13) on single cases, whose entity tag is their version.

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};

use super::{Request, Response, respond};
use crate::{
    case::Case,
    error::{Code, Error},
};

/// The versions that a request says it is about.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Tags(Vec<Tag>);

#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
enum Tag {
    Any,
    Weak(String),
    Strong(String),
}

/// The request's `If-Match`: change the case only if it still has one of these versions.
///
/// # Errors
/// Invalid parameter, when the header is no list of entity tags.
pub fn if_match(request: &Request) -> Result<Option<Tags>, Error> {
    tags(request, header::IF_MATCH, "/header/If-Match")
}

/// 200 with the case, or 304 when the client's `If-None-Match` has its version already.
pub fn ok_or_not_modified(request: &Request, case: &Case) -> super::Result {
    let response = respond::ok_case(case)?;
    let known = tags(request, header::IF_NONE_MATCH, "/header/If-None-Match")?;
    if !known.is_some_and(|tags| tags.weakly_match(case)) {
        return Ok(response);
    }
    let mut not_modified = Response::new(().into());
    *not_modified.status_mut() = StatusCode::NOT_MODIFIED;
    for name in [header::ETAG, header::CACHE_CONTROL] {
        if let Some(value) = response.headers().get(&name) {
            not_modified.headers_mut().insert(name, value.clone());
        }
    }
    Ok(not_modified)
}

impl Tags {
    /// Refuses a change of a case that has another version; weak tags never match (RFC 9110, 13.1.1).
    ///
    /// # Errors
    /// Precondition failed.
    pub fn check(&self, case: &Case) -> Result<(), Error> {
        let current = respond::entity_tag(case);
        let matches = self.0.iter().any(|tag| match tag {
            Tag::Any => true,
            Tag::Strong(tag) => *tag == current,
            Tag::Weak(_) => false,
        });
        if matches {
            return Ok(());
        }
        Err(Error::new(Code::PreconditionFailed, "The case has changed since it was read. Read it again."))
    }

    fn weakly_match(&self, case: &Case) -> bool {
        let current = respond::entity_tag(case);
        self.0.iter().any(|tag| match tag {
            Tag::Any => true,
            Tag::Strong(tag) | Tag::Weak(tag) => *tag == current,
        })
    }
}

fn tags(request: &Request, name: HeaderName, pointer: &str) -> Result<Option<Tags>, Error> {
    let mut tags = Vec::new();
    for value in request.headers().get_all(name) {
        let parsed =
            parse(value).ok_or_else(|| Error::parameter(pointer, "must be * or a list of entity tags"))?;
        tags.extend(parsed);
    }
    Ok(if tags.is_empty() { None } else { Some(Tags(tags)) })
}

/// A list of entity tags as RFC 9110, section 8.8.3, writes them: a comma may stand inside of one.
fn parse(value: &HeaderValue) -> Option<Vec<Tag>> {
    let mut rest = value.to_str().ok()?.trim();
    if rest == "*" {
        return Some(vec![Tag::Any]);
    }
    let mut tags = Vec::new();
    loop {
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let (inner, behind) = quoted.strip_prefix('"')?.split_once('"')?;
        if !inner.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let tag = format!("\"{inner}\"");
        tags.push(if weak { Tag::Weak(tag) } else { Tag::Strong(tag) });
        rest = behind.trim_start();
        if rest.is_empty() {
            return Some(tags);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Vec<Tag>> {
        parse(&HeaderValue::from_str(value).unwrap())
    }

    #[test]
    fn entity_tags_are_read_as_rfc_9110_writes_them() {
        assert_eq!(read("*"), Some(vec![Tag::Any]));
        assert_eq!(read("\"3\""), Some(vec![Tag::Strong("\"3\"".into())]));
        assert_eq!(
            read("W/\"3\" , \"4\""),
            Some(vec![Tag::Weak("\"3\"".into()), Tag::Strong("\"4\"".into())])
        );
        assert_eq!(
            read("\"a,b\",\"c\""),
            Some(vec![Tag::Strong("\"a,b\"".into()), Tag::Strong("\"c\"".into())])
        );
        for bad in ["\"a b\"", "", "3", "\"3", "w/\"3\"", "\"3\" \"4\"", "\"3\",", "*, \"3\""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
