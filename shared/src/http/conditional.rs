//! Conditional requests (RFC 9110, section 13) on resources whose entity tag is their version.

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};

use super::{Request, Resource, Response, respond};
use crate::base::{
    error::{Error, ErrorCode},
    field_error::Invalid,
};

/// The entity tags of `If-Match` or `If-None-Match`.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct EntityTags(Vec<Tag>);

#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
enum Tag {
    Any,
    Weak(String),
    Strong(String),
}

/// Reads the request's `If-Match`: the client wants to change only a resource with one of these versions.
///
/// # Errors
/// Invalid parameter, when the header is not a list of entity tags.
pub fn if_match(request: &Request) -> Result<Option<EntityTags>, Error> {
    tags(request, header::IF_MATCH, "/header/If-Match")
}

/// 200 with the resource, or 304 when the client's `If-None-Match` names its current version.
pub fn ok_or_not_modified(request: &Request, resource: &impl Resource) -> super::Result {
    let response = respond::resource(resource)?;
    let known = tags(request, header::IF_NONE_MATCH, "/header/If-None-Match")?;
    if !known.is_some_and(|tags| tags.weakly_match(resource.version())) {
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

impl EntityTags {
    /// Checks that a tag names the resource's version. Weak tags never match (RFC 9110, 13.1.1).
    ///
    /// # Errors
    /// Precondition failed, when the resource has another version.
    pub(crate) fn check(&self, version: u32) -> Result<(), Error> {
        let current = respond::entity_tag(version);
        let matches = self.0.iter().any(|tag| match tag {
            Tag::Any => true,
            Tag::Strong(tag) => *tag == current,
            Tag::Weak(_) => false,
        });
        if matches {
            return Ok(());
        }
        Err(Error::new(ErrorCode::PreconditionFailed, "It has changed since it was read. Read it again."))
    }

    fn weakly_match(&self, version: u32) -> bool {
        let current = respond::entity_tag(version);
        self.0.iter().any(|tag| match tag {
            Tag::Any => true,
            Tag::Strong(tag) | Tag::Weak(tag) => *tag == current,
        })
    }
}

fn tags(request: &Request, name: HeaderName, pointer: &str) -> Result<Option<EntityTags>, Error> {
    let mut tags = Vec::new();
    for value in request.headers().get_all(name) {
        let parsed = parse(value).ok_or_else(|| {
            Error::parameter(pointer, Invalid::format("entity_tags", "must be * or a list of entity tags"))
        })?;
        tags.extend(parsed);
    }
    Ok(if tags.is_empty() { None } else { Some(EntityTags(tags)) })
}

/// Parses a list of entity tags (RFC 9110, section 8.8.3). A tag may contain a comma.
fn parse(value: &HeaderValue) -> Option<Vec<Tag>> {
    let mut rest = value.to_str().ok()?.trim();
    if rest == "*" {
        return Some(vec![Tag::Any]);
    }
    let mut tags = Vec::new();
    loop {
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let (inner, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !inner.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let tag = format!("\"{inner}\"");
        tags.push(if weak { Tag::Weak(tag) } else { Tag::Strong(tag) });
        rest = after.trim_start();
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
    fn entity_tags_have_the_syntax_of_rfc_9110() {
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
