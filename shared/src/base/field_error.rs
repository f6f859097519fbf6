//! Errors of single fields and parameters, for people (`detail`) and for programs (`code` and `params`).

use serde::Serialize;
use serde_json::{Map, Value};

use crate::wire_enum;

wire_enum! {
    /// A stable machine word for an error of a field. `openapi.yaml` lists the same words and their params at
    /// `FieldError.code`. Clients must expect new ones.
    FieldCode {
        Required = "required", UnknownField = "unknown_field", UnknownParameter = "unknown_parameter",
        WrongType = "wrong_type", Length = "length", Blank = "blank", Characters = "characters", Items = "items",
        Duplicate = "duplicate", Range = "range", OneOf = "one_of", Format = "format", NotNull = "not_null",
        ReadOnly = "read_only", Inconsistent = "inconsistent", NotFound = "not_found", NotRelated = "not_related",
        GivenMoreThanOnce = "given_more_than_once", PageTooFar = "page_too_far", PageTooLarge = "page_too_large",
        SearchTooBroad = "search_too_broad",
        BeforeEarliestDueDate = "before_earliest_due_date",
    }
}

/// Why a value is not accepted. The detail never repeats the value, which may be patient data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    code: FieldCode,
    detail: String,
    params: Map<String, Value>,
}

impl Invalid {
    /// Makes a reason. `detail` continues a sentence that starts with the field's name, as in "must be text".
    pub fn new(code: FieldCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), params: Map::new() }
    }

    /// The value does not have the format that the contract calls `format`.
    pub fn format(format: &str, detail: impl Into<String>) -> Self {
        Self::new(FieldCode::Format, detail).with("format", format)
    }

    /// The request has the field or parameter more than once.
    pub fn given_more_than_once() -> Self {
        Self::new(FieldCode::GivenMoreThanOnce, "must be given once")
    }

    /// The value contradicts the value at `other`, a JSON pointer.
    pub fn inconsistent(other: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldCode::Inconsistent, detail).with("with", other.into())
    }

    /// Adds a variable of the detail, for clients that write their own texts.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// Says the same about each item of a list.
    pub fn of_each(mut self) -> Self {
        self.detail = format!("each item {}", self.detail);
        self.with("each", true)
    }
}

/// One error in the request, with its place.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// RFC 6901 JSON pointer into the body, or `/query/…`, `/path/…`, `/header/…`. It repeats the names of unknown fields,
    /// so it goes to the client only, never into the log.
    pub pointer: String,
    /// What is wrong there, in words.
    pub detail: String,
    /// What is wrong there, as a machine word.
    pub code: FieldCode,
    /// The variables of the detail.
    pub params: Map<String, Value>,
}

impl FieldError {
    /// Makes the error at `pointer`.
    pub fn new(pointer: impl Into<String>, Invalid { code, detail, params }: Invalid) -> Self {
        Self { pointer: pointer.into(), detail, code, params }
    }
}
