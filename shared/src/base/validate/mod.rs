//! Reads the fields of a JSON object and collects the errors, each with its JSON pointer.

mod characters;
mod checks;
mod read_only;

use serde_json::{Map, Value};

use checks::wrong_type;
pub use checks::{
    any_text, blank, boolean, bytes, case_id, date, distinct, list, name, not_a_case_id, not_boolean,
    not_one_of, not_so_many, not_text, one_of, out_of_range, reference, sha256, string, text, whole,
};
pub(crate) use read_only::{read_only_errors, to_json, whole_object};

use crate::base::{
    error::Error,
    field_error::{FieldCode, FieldError, Invalid},
    private::Private,
};

/// The state of a field in a JSON object. A field with an error counts as absent: the request is rejected anyway.
#[derive(Debug, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is not there.
    Absent,
    /// The field is `null`.
    Null,
    /// The field has this value.
    Value(T),
}

impl<T> Patch<T> {
    /// Applies the field to `target`: a value replaces it, `null` clears it, an absent field keeps it.
    pub fn set(self, target: &mut Option<T>) {
        match self {
            Patch::Absent => {}
            Patch::Null => *target = None,
            Patch::Value(value) => *target = Some(value),
        }
    }

    /// Like [`set`](Self::set) for a field that always has a value: `null` restores the default.
    pub fn set_or_default(self, target: &mut T)
    where
        T: Default,
    {
        match self {
            Patch::Absent => {}
            Patch::Null => *target = T::default(),
            Patch::Value(value) => *target = value,
        }
    }

    /// The value; `None` when the field is absent or `null`.
    pub fn value(self) -> Option<T> {
        match self {
            Patch::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// A value, or the reason why it is not accepted.
pub type Checked<T> = Result<T, Invalid>;

/// A type that reads itself from a JSON object field by field, so that all errors are reported at once.
pub trait FromObject: Sized {
    /// Reads the fields. Returns `None` when recorded errors prevent a value.
    fn from_object(fields: &mut Fields) -> Option<Self>;
}

impl<T: FromObject> FromObject for Private<T> {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        T::from_object(fields).map(Private::new)
    }
}

/// The fields of one object, at any depth.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    pointer: String,
    known: Vec<&'static str>,
    allow_unknown: bool,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// The fields of the whole body.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self::at(object, String::new())
    }

    fn at(object: &'a Map<String, Value>, pointer: String) -> Self {
        Self { object, pointer, known: Vec::new(), allow_unknown: false, errors: Vec::new() }
    }

    /// The object itself.
    pub fn object(&self) -> &'a Map<String, Value> {
        self.object
    }

    /// A field that may be absent or `null`.
    pub fn optional<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Checked<T>) -> Patch<T> {
        self.known.push(name);
        match self.object.get(name) {
            None => Patch::Absent,
            Some(Value::Null) => Patch::Null,
            Some(value) => match parse(value) {
                Ok(value) => Patch::Value(value),
                Err(invalid) => {
                    self.reject(name, invalid);
                    Patch::Absent
                }
            },
        }
    }

    /// A field that must have a value. Records an error and returns `None` without one.
    pub fn required<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Checked<T>) -> Option<T> {
        if matches!(self.object.get(name), None | Some(Value::Null)) {
            self.known.push(name);
            self.reject(name, Invalid::new(FieldCode::Required, "is required"));
            return None;
        }
        self.optional(name, parse).value()
    }

    /// A nested object that may be absent or `null`.
    pub fn nested<T: FromObject>(&mut self, name: &'static str) -> Patch<T> {
        self.known.push(name);
        match self.object.get(name) {
            None => Patch::Absent,
            Some(Value::Null) => Patch::Null,
            Some(Value::Object(object)) => {
                let mut inner = Fields::at(object, format!("{}/{name}", self.pointer));
                let value = T::from_object(&mut inner);
                self.errors.extend(inner.into_errors());
                value.map_or(Patch::Absent, Patch::Value)
            }
            Some(_) => {
                self.reject(name, wrong_type("an object", "object"));
                Patch::Absent
            }
        }
    }

    /// Records why a field is not accepted.
    pub fn reject(&mut self, name: &str, invalid: Invalid) {
        self.errors.push(FieldError::new(self.pointer_to(name), invalid));
    }

    /// The JSON pointer of a field of this object.
    pub fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, escape(name))
    }

    /// Adds errors that other code found, with complete pointers.
    pub fn extend(&mut self, errors: Vec<FieldError>) {
        self.errors.extend(errors);
    }

    /// A field that may be absent, but must not be `null`.
    pub fn optional_but_not_null<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Checked<T>,
    ) -> Option<T> {
        match self.optional(name, parse) {
            Patch::Null => {
                self.reject(name, Invalid::new(FieldCode::NotNull, "must not be null"));
                None
            }
            patch => patch.value(),
        }
    }

    /// Accepts unknown fields, because other code checks them.
    pub fn skip_all(&mut self) {
        self.allow_unknown = true;
    }

    /// Accepts these fields, because other code checks them.
    pub fn skip(&mut self, names: impl IntoIterator<Item = &'static str>) {
        self.known.extend(names);
    }

    /// Whether there is no error so far.
    pub fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// Reports all errors at once, including unknown fields.
    pub fn finish(self) -> Result<(), Error> {
        let errors = self.into_errors();
        if errors.is_empty() { Ok(()) } else { Err(Error::validation(errors)) }
    }

    /// All errors, including unknown fields.
    pub(crate) fn into_errors(mut self) -> Vec<FieldError> {
        if !self.allow_unknown {
            let object = self.object;
            for name in
                object.keys().filter(|key| !self.known.contains(&key.as_str())).cloned().collect::<Vec<_>>()
            {
                self.reject(&name, Invalid::new(FieldCode::UnknownField, "is not a known field"));
            }
        }
        self.errors
    }
}

/// Escapes a name for a JSON pointer (RFC 6901, section 3).
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
