//! The parameters that select what an operation returns, in the URL or in the body.

use std::{collections::BTreeMap, ops::RangeInclusive};

use lambda_http::RequestExt;
use serde_json::{Value, json};

use super::{Request, body, no_query};
use crate::base::{
    error::Error,
    field_error::{FieldCode, FieldError, Invalid},
    validate::{self, Checked, distinct, not_boolean, out_of_range},
};

/// Where the parameters of an operation are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the query of the URL, as texts.
    Url,
    /// In the JSON object of the body, as members of the same names.
    Body,
}

impl Source {
    /// The pointer of a parameter in the entries of `errors`.
    pub(crate) fn pointer(self, name: &str) -> String {
        let name = validate::escape(name);
        match self {
            Source::Url => format!("/query/{name}"),
            Source::Body => format!("/{name}"),
        }
    }

    /// The error of a request with one wrong parameter.
    pub(crate) fn error(self, name: &str, invalid: Invalid) -> Error {
        self.errors(vec![FieldError::new(self.pointer(name), invalid)])
    }

    fn errors(self, errors: Vec<FieldError>) -> Error {
        match self {
            Source::Url => Error::parameters(errors),
            Source::Body => Error::validation(errors),
        }
    }

    fn unknown(self) -> Invalid {
        match self {
            Source::Url => Invalid::new(FieldCode::UnknownParameter, "is not a parameter of this operation"),
            Source::Body => Invalid::new(FieldCode::UnknownField, "is not a known field"),
        }
    }
}

/// The parameters that select what an operation returns. An operation takes each one that it knows; at the end the remaining
/// ones are unknown.
pub struct Query {
    values: BTreeMap<String, Vec<Value>>,
    source: Source,
    errors: Vec<FieldError>,
}

impl Query {
    /// The parameters of the URL without `lab_id`, which [`requested_lab`] reads on every route of a lab.
    pub fn of(request: &Request) -> Self {
        let mut values = BTreeMap::<String, Vec<Value>>::new();
        if let Some(parameters) = request.query_string_parameters_ref() {
            for (name, value) in parameters.iter().filter(|(name, _)| *name != "lab_id") {
                values.entry(name.to_owned()).or_default().push(value.into());
            }
        }
        Self { values, source: Source::Url, errors: Vec::new() }
    }

    /// The members of the body. The URL can have only `lab_id`.
    ///
    /// # Errors
    /// Invalid parameter, for another parameter in the URL; the errors of [`json_body`](super::json_body) for a body that is
    /// not a JSON object.
    pub fn of_body(request: &Request) -> Result<Self, Error> {
        no_query(request)?;
        let members = body::object(request, body::JSON)?;
        let values = members.into_iter().map(|(name, value)| (name, vec![value])).collect();
        Ok(Self { values, source: Source::Body, errors: Vec::new() })
    }

    /// Where the parameters are.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Takes a parameter that the request may have once.
    fn take(&mut self, name: &str) -> Option<Value> {
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.reject(name, Invalid::given_more_than_once());
        }
        values.pop()
    }

    /// Takes a text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.checked(name, |value| value.as_str().map(str::to_owned).ok_or_else(validate::not_text))
    }

    /// Takes a whole number in `range`.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match (self.take(name)?, self.source) {
            // `+5` parses, but is not an integer of the contract.
            (Value::String(text), Source::Url) if !text.starts_with('+') => text.parse().ok(),
            (value, Source::Body) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.reject(name, out_of_range(*range.start(), *range.end()));
        }
        number
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = match (self.take(name)?, self.source) {
            (Value::String(text), Source::Url) => text.parse().ok(),
            (value, _) => value.as_bool(),
        };
        if value.is_none() {
            self.reject(name, not_boolean());
        }
        value
    }

    /// Takes a value that a check for JSON accepts.
    pub fn checked<T>(&mut self, name: &str, check: impl FnOnce(&Value) -> Checked<T>) -> Option<T> {
        let value = self.take(name)?;
        check(&value).map_err(|invalid| self.reject(name, invalid)).ok()
    }

    /// Takes 1 to `most` values that a check for JSON accepts. In the URL: a repeated parameter, or values separated by commas.
    /// In the body: a value, or a list of distinct values.
    pub fn several<T: PartialEq>(
        &mut self,
        name: &str,
        most: usize,
        check: impl Fn(&Value) -> Checked<T>,
    ) -> Option<Vec<T>> {
        if self.source == Source::Body {
            return self.checked(name, |value| match value {
                Value::String(_) => check(value).map(|value| vec![value]),
                _ => distinct(1..=most, check)(value),
            });
        }
        let mut values = Vec::new();
        for text in self.values.remove(name)?.iter().flat_map(parts) {
            match check(&Value::String(text)) {
                Ok(value) if values.contains(&value) => {}
                Ok(value) => values.push(value),
                Err(invalid) => {
                    self.reject(name, invalid.of_each());
                    return None;
                }
            }
        }
        if values.len() > most {
            self.reject(name, validate::not_so_many(&(1..=most)));
            return None;
        }
        Some(values)
    }

    /// A text of the remaining parameters except `names`. Equal parameters give equal texts, wherever they are.
    pub fn canonical_without(&self, names: &[&str]) -> String {
        let left = self.values.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        let left: Vec<_> =
            left.map(|(name, values)| (name, values.iter().flat_map(parts).collect::<Vec<_>>())).collect();
        json!(left).to_string()
    }

    /// Records why a parameter is not accepted.
    pub fn reject(&mut self, name: &str, invalid: Invalid) {
        self.errors.push(FieldError::new(self.source.pointer(name), invalid));
    }

    /// Reports all errors at once, including unknown parameters.
    pub fn finish(mut self) -> Result<(), Error> {
        for name in std::mem::take(&mut self.values).into_keys() {
            let shown: String = name.chars().take(64).collect();
            self.reject(&shown, self.source.unknown());
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.source.errors(self.errors)) }
    }
}

/// The single values of a parameter: those of a list, or those between commas.
fn parts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split(',').map(str::to_owned).collect(),
        Value::Array(items) => items.iter().flat_map(parts).collect(),
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lambda_http::http;

    use super::*;
    use crate::base::{csv::Format, error::ErrorCode, validate::one_of};

    fn of_url(parameters: &[(&str, &[&str])]) -> Query {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let parameters: HashMap<String, Vec<String>> =
            parameters.iter().map(|(name, values)| ((*name).to_owned(), texts(values))).collect();
        Query::of(&http::Request::new(().into()).with_query_string_parameters(parameters))
    }

    fn of_body(body: &Value) -> Query {
        let request = http::Request::builder().header("content-type", "application/json");
        Query::of_body(&request.body(body.to_string().into()).unwrap())
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn pointers(query: Query) -> (ErrorCode, Vec<String>) {
        let error = query.finish().unwrap_err();
        (error.code(), error.report().errors.iter().map(|error| error.pointer.clone()).collect())
    }

    #[test]
    fn the_same_parameters_in_the_url_and_in_the_body_have_the_same_values_and_canonical_text() {
        let url = of_url(&[
            ("files", &["csv,ndjson"]),
            ("q", &["Doe, Jane"]),
            ("rush", &["true"]),
            ("limit", &["5"]),
            ("lab_id", &["1"]),
        ]);
        let body = of_body(&json!({"files": ["csv", "ndjson"], "q": "Doe, Jane", "rush": true, "limit": 5}));
        let repeated = of_url(&[("files", &["csv", "ndjson"]), ("q", &["Doe, Jane"]), ("rush", &["true"])]);
        let canonical = url.canonical_without(&["limit"]);
        assert_eq!(body.canonical_without(&["limit"]), canonical);
        assert_eq!(repeated.canonical_without(&["limit"]), canonical);
        for mut query in [url, body] {
            assert_eq!(query.several("files", 2, one_of::<Format>), Some(vec![Format::Csv, Format::Ndjson]));
            assert_eq!(query.text("q").as_deref(), Some("Doe, Jane"));
            assert_eq!(query.boolean("rush"), Some(true));
            assert_eq!(query.number("limit", 1..=5), Some(5));
            assert!(query.finish().is_ok());
        }
        assert_ne!(of_body(&json!({"q": "a"})).canonical_without(&[]), canonical);
    }

    #[test]
    fn values_in_the_body_have_json_types_and_errors_point_into_the_body() {
        let mut query = of_body(&json!({
            "a": "5", "b": 6, "c": "true", "d": null, "e": ["csv", "csv"], "f": [], "g": "csv,ndjson", "h": 1, "~/": 1,
        }));
        assert_eq!((query.number("a", 1..=5), query.number("b", 1..=5)), (None, None));
        assert_eq!((query.boolean("c"), query.boolean("d")), (None, None));
        for name in ["e", "f", "g"] {
            assert!(query.several(name, 2, one_of::<Format>).is_none());
        }
        assert_eq!(query.text("h"), None);
        let expected = ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/~0~1"].map(str::to_owned).to_vec();
        assert_eq!(pointers(query), (ErrorCode::ValidationFailed, expected));
    }

    #[test]
    fn values_in_the_url_are_texts_and_errors_name_the_parameter() {
        let mut query =
            of_url(&[("a", &["+5"]), ("b", &["5", "6"]), ("c", &["yes"]), ("e", &["csv,xls"]), ("z", &[""])]);
        query.number("a", 1..=5);
        query.number("b", 1..=9);
        query.boolean("c");
        query.several("e", 2, one_of::<Format>);
        let expected = ["a", "b", "c", "e", "z"].map(|name| format!("/query/{name}")).to_vec();
        assert_eq!(pointers(query), (ErrorCode::InvalidParameter, expected));
    }
}
