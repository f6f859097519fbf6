//! Reads the fields of a JSON object and collects every fault with its JSON pointer.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Fault},
    http::FromObject,
    privacy::Private,
};

/// What an object says of a field. A field with a fault counts as absent: the request is refused anyway.
#[derive(Debug, PartialEq, Eq)]
pub enum Given<T> {
    /// The field is not there.
    Absent,
    /// The field is `null`.
    Null,
    /// The field has this value.
    Value(T),
}

impl<T> Given<T> {
    /// Sets `target` to what was given: an absent field keeps it, `null` clears it.
    pub fn set(self, target: &mut Option<T>) {
        match self {
            Given::Absent => {}
            Given::Null => *target = None,
            Given::Value(value) => *target = Some(value),
        }
    }

    /// Like [`set`](Self::set) for a field that always has a value: `null` restores the default.
    pub fn set_or_default(self, target: &mut T)
    where
        T: Default,
    {
        match self {
            Given::Absent => {}
            Given::Null => *target = T::default(),
            Given::Value(value) => *target = value,
        }
    }

    /// The value; absent and `null` are alike.
    pub fn value(self) -> Option<T> {
        match self {
            Given::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// What is wrong with a value; the text never repeats the value, which may be patient data.
pub type Checked<T> = Result<T, String>;

/// The fields of one object, at any depth.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    pointer: String,
    known: Vec<&'static str>,
    leave_unknown: bool,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    /// The fields of the whole body.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self::at(object, String::new())
    }

    fn at(object: &'a Map<String, Value>, pointer: String) -> Self {
        Self { object, pointer, known: Vec::new(), leave_unknown: false, faults: Vec::new() }
    }

    /// The object itself.
    pub fn object(&self) -> &'a Map<String, Value> {
        self.object
    }

    /// A field that may be absent or `null`.
    pub fn optional<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Checked<T>) -> Given<T> {
        self.known.push(name);
        match self.object.get(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => match parse(value) {
                Ok(value) => Given::Value(value),
                Err(detail) => {
                    self.fault(name, detail);
                    Given::Absent
                }
            },
        }
    }

    /// A field that must have a value; `None` means that a fault was recorded.
    pub fn required<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Checked<T>) -> Option<T> {
        if matches!(self.object.get(name), None | Some(Value::Null)) {
            self.known.push(name);
            self.fault(name, "is required");
            return None;
        }
        self.optional(name, parse).value()
    }

    /// A nested object that may be absent or `null`.
    pub fn nested<T: FromObject>(&mut self, name: &'static str) -> Given<T> {
        self.known.push(name);
        match self.object.get(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(Value::Object(object)) => {
                let mut inner = Fields::at(object, format!("{}/{name}", self.pointer));
                let value = T::from_object(&mut inner);
                self.faults.extend(inner.into_faults());
                value.map_or(Given::Absent, Given::Value)
            }
            Some(_) => {
                self.fault(name, "must be an object");
                Given::Absent
            }
        }
    }

    /// Records a fault of a field.
    pub fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.faults.push(Fault::new(format!("{}/{}", self.pointer, escape(name)), detail));
    }

    /// Adds faults found elsewhere, with whole pointers.
    pub fn extend(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// A field that may be absent, but must not be `null`.
    pub fn optional_but_not_null<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Checked<T>,
    ) -> Option<T> {
        match self.optional(name, parse) {
            Given::Null => {
                self.fault(name, "must not be null");
                None
            }
            given => given.value(),
        }
    }

    /// Leaves every field to be judged elsewhere.
    pub fn skip_all(&mut self) {
        self.leave_unknown = true;
    }

    /// Marks fields as known that are judged elsewhere.
    pub fn skip(&mut self, names: &'static [&'static str]) {
        self.known.extend(names);
    }

    /// Whether a fault was recorded so far.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// All faults at once; fields that nobody asked for are among them.
    pub fn finish(self) -> Result<(), Error> {
        let faults = self.into_faults();
        if faults.is_empty() { Ok(()) } else { Err(Error::validation(faults)) }
    }

    fn into_faults(mut self) -> Vec<Fault> {
        if !self.leave_unknown {
            let object = self.object;
            for name in
                object.keys().filter(|key| !self.known.contains(&key.as_str())).cloned().collect::<Vec<_>>()
            {
                self.fault(&name, "is not a known field");
            }
        }
        self.faults
    }
}

/// A reference token of a JSON pointer (RFC 6901, section 3).
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Text of `length` characters (Unicode scalar values). Line breaks and tabs are the only control characters.
/// Whatever a form is for, people write about patients in it, so there is no free text but a private one.
pub fn text(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Checked<Private<String>> {
    move |value| {
        let text = value.as_str().ok_or("must be text")?;
        let (count, blank) = (text.chars().count(), text.trim().is_empty());
        if !length.contains(&count) || (blank && *length.start() > 0) {
            return Err(format!("must have {} to {} characters", length.start(), length.end()));
        }
        if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
            return Err("must not have control characters".into());
        }
        Ok(Private::new(text.to_owned()))
    }
}

/// The id of something in another system: 1 to 128 of `A-Z a-z 0-9 . _ : @ -`, the first a letter or digit, so that an
/// id in a URL is never a dot segment.
pub fn reference(value: &Value) -> Checked<String> {
    let text = value.as_str().ok_or("must be text")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if text.len() <= 128 && starts_well && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 128 characters of A-Z a-z 0-9 . _ : @ - and start with a letter or digit".into())
    }
}

/// `true` or `false`.
pub fn boolean(value: &Value) -> Checked<bool> {
    value.as_bool().ok_or_else(|| "must be true or false".into())
}

/// A whole number in `range`.
pub fn whole(range: RangeInclusive<u8>) -> impl Fn(&Value) -> Checked<u8> {
    move |value| {
        value
            .as_u64()
            .and_then(|number| u8::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A calendar date, `YYYY-MM-DD`.
pub fn date(value: &Value) -> Checked<Date> {
    let text = value.as_str().filter(|text| text.len() == 10);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| "must be a date written YYYY-MM-DD".into())
}

/// A list of 1 to `most` distinct items.
pub fn distinct<T: PartialEq>(
    most: usize,
    item: impl Fn(&Value) -> Checked<T>,
) -> impl Fn(&Value) -> Checked<Vec<T>> {
    move |value| {
        let values = value.as_array().ok_or("must be a list")?;
        if !(1..=most).contains(&values.len()) {
            return Err(format!("must have 1 to {most} items"));
        }
        let mut items = Vec::with_capacity(values.len());
        for value in values {
            let item = item(value).map_err(|detail| format!("each item {detail}"))?;
            if items.contains(&item) {
                return Err("must not repeat an item".into());
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// One of an enumeration's values, in its exact spelling.
pub fn choice<T: Choice>(value: &Value) -> Checked<T> {
    value.as_str().and_then(T::parse).ok_or_else(|| format!("must be one of {}", T::NAMES.join(", ")))
}

/// An enumeration whose values have names on the wire. [`choices!`](crate::choices) implements it.
pub trait Choice: Copy + 'static {
    /// Every value, in the contract's order.
    const ALL: &'static [Self];

    /// Their names on the wire, in the same order.
    const NAMES: &'static [&'static str];

    /// The name on the wire.
    fn as_str(self) -> &'static str;

    /// The value of this name.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|choice| choice.as_str() == name)
    }
}

/// Declares an enumeration of the contract: its values with their names on the wire, in JSON and in the table alike.
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant),+
        }

        impl $crate::validate::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::validate::Choice::as_str(*self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                <Self as $crate::validate::Choice>::parse(&name)
                    .ok_or_else(|| serde::de::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
    };
}
