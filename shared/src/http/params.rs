//! Path, query and header parameters.

use std::collections::BTreeMap;

use lambda_http::RequestExt;
use serde_json::{Value, json};

use super::Request;
use crate::{
    case::CaseId,
    error::{Error, Fault},
    validate::{self, Checked, Choice},
};

/// The path as the gateway received it.
pub fn raw_path(request: &Request) -> &str {
    request.raw_http_path()
}

/// The case that the path names.
///
/// # Errors
/// Case not found, when the text can be no case's id.
pub fn case_id(request: &Request) -> Result<CaseId, Error> {
    CaseId::parse(path_parameter(request, "id")?).ok_or_else(Error::case_not_found)
}

/// The doctor that the path names.
///
/// # Errors
/// Invalid parameter, unless it is 1 to 128 of `A-Z a-z 0-9 _ -`: the gateway decodes paths and the local emulator does
/// not, so nothing is allowed that could be encoded.
pub fn doctor_id(request: &Request) -> Result<String, Error> {
    let id = path_parameter(request, "doctor_id")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=128).contains(&id.len()) && id.bytes().all(legal) {
        Ok(id.to_owned())
    } else {
        Err(Error::parameter("/path/doctor_id", "must have 1 to 128 characters of A-Z a-z 0-9 _ -"))
    }
}

/// Not found when the route has no such parameter: the function was invoked on a path that is not its own.
fn path_parameter<'r>(request: &'r Request, name: &str) -> Result<&'r str, Error> {
    request.path_parameters_ref().and_then(|params| params.first(name)).ok_or_else(Error::not_found)
}

/// Whether `format` asks for CSV instead of JSON.
///
/// # Errors
/// Invalid parameter, when it is neither.
pub fn wants_csv(request: &Request) -> Result<bool, Error> {
    match Query::of(request).text("format").as_deref() {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Error::parameter("/query/format", "must be one of json, csv")),
    }
}

/// Refuses query parameters, for operations that have none but the lab.
pub fn no_query(request: &Request) -> Result<(), Error> {
    Query::of(request).finish()
}

/// The `X-Lab-Id` header's text, if there is one.
///
/// # Errors
/// A repeated header or one that is not text is refused: it must be clear which lab is meant.
pub fn lab_header(request: &Request) -> Result<Option<&str>, Error> {
    let mut values = request.headers().get_all("x-lab-id").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::parameter("/header/X-Lab-Id", "must be a lab's id")),
        },
        _ => Err(Error::parameter("/header/X-Lab-Id", "must be given once")),
    }
}

/// The query parameters, taken one by one; whatever is left at the end was not known.
pub struct Query {
    values: BTreeMap<String, Vec<String>>,
    faults: Vec<Fault>,
}

impl Query {
    /// The request's parameters. `lab_id` belongs to every lab route and is read by the lab scope, not here.
    pub fn of(request: &Request) -> Self {
        let mut values = BTreeMap::<String, Vec<String>>::new();
        if let Some(parameters) = request.query_string_parameters_ref() {
            for (name, value) in parameters.iter().filter(|(name, _)| *name != "lab_id") {
                values.entry(name.to_owned()).or_default().push(value.to_owned());
            }
        }
        Self { values, faults: Vec::new() }
    }

    /// Takes a parameter that may be given once.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.fault(name, "must be given once");
        }
        values.pop()
    }

    /// Takes a whole number in `range`.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        // `+5` parses, but is not what the contract calls an integer.
        if number.is_none() || text.starts_with('+') {
            self.fault(name, &format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.fault(name, "must be true or false");
        }
        value
    }

    /// Takes what a check of JSON text accepts.
    pub fn checked<T>(&mut self, name: &str, check: impl FnOnce(&Value) -> Checked<T>) -> Option<T> {
        let text = self.text(name)?;
        check(&Value::String(text)).map_err(|detail| self.fault(name, &detail)).ok()
    }

    /// Takes some of an enumeration's values: repeated, or separated by commas.
    pub fn choices<T: Choice + PartialEq>(&mut self, name: &str) -> Option<Vec<T>> {
        let given = self.values.remove(name)?;
        let mut choices = Vec::new();
        for text in given.iter().flat_map(|values| values.split(',')) {
            match validate::choice(&Value::String(text.to_owned())) {
                Ok(choice) if choices.contains(&choice) => {}
                Ok(choice) => choices.push(choice),
                Err(detail) => {
                    self.fault(name, &format!("each {detail}"));
                    return None;
                }
            }
        }
        Some(choices)
    }

    /// All parameters that are left, but for these, as text that is the same whenever they are.
    pub fn canonical_without(&self, names: &[&str]) -> String {
        let left: Vec<_> = self.values.iter().filter(|(name, _)| !names.contains(&name.as_str())).collect();
        json!(left).to_string()
    }

    /// Records a fault of a parameter.
    pub fn fault(&mut self, name: &str, detail: &str) {
        self.faults.push(Fault::new(format!("/query/{name}"), detail));
    }

    /// All faults at once, unknown parameters among them.
    pub fn finish(mut self) -> Result<(), Error> {
        for name in std::mem::take(&mut self.values).into_keys() {
            let shown: String = name.chars().take(64).collect();
            self.fault(&validate::escape(&shown), "is not a parameter of this operation");
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Error::parameters(self.faults)) }
    }
}
