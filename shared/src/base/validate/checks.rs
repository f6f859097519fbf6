//! Checks of single values.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde_json::Value;

use super::{Checked, characters};
use crate::base::{
    CaseId,
    field_error::{FieldCode, Invalid},
    private::Private,
    wire_enum::WireEnum,
};

/// The value has the wrong JSON type. `expected` is the contract's word for the right one.
pub(super) fn wrong_type(article_and_name: &str, expected: &str) -> Invalid {
    Invalid::new(FieldCode::WrongType, format!("must be {article_and_name}")).with("expected", expected)
}

/// The value is not text.
pub fn not_text() -> Invalid {
    wrong_type("text", "text")
}

/// Text of `length` characters (Unicode scalar values), of any kind.
pub fn string(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Checked<Private<String>> {
    move |value| {
        let text = value.as_str().ok_or_else(not_text)?;
        let (shortest, longest) = (*length.start(), *length.end());
        if !length.contains(&text.chars().count()) {
            let detail = format!("must have {shortest} to {longest} characters");
            return Err(Invalid::new(FieldCode::Length, detail).with("min", shortest).with("max", longest));
        }
        Ok(Private::new(text.to_owned()))
    }
}

/// Text of `length` characters. The only control characters are line breaks and tabs. Every text that people write is
/// private, because they write about patients in any field.
pub fn any_text(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Checked<Private<String>> {
    move |value| {
        let text = string(length.clone())(value)?;
        if *length.start() > 0 && text.expose().trim().is_empty() {
            return Err(blank());
        }
        let is_control = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
        if text.expose().chars().any(is_control) {
            return Err(Invalid::new(FieldCode::Characters, "must not have control characters"));
        }
        Ok(text)
    }
}

/// The text has nothing that can be seen.
pub fn blank() -> Invalid {
    Invalid::new(FieldCode::Blank, "must not be blank")
}

/// Text that people write, such as notes and reasons. No character in it changes the order in which other characters are
/// shown, and none is an invisible tag.
pub fn text(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Checked<Private<String>> {
    move |value| {
        let text = any_text(length.clone())(value)?;
        if text.expose().chars().any(characters::is_misleading) {
            let detail = "must not have characters that change the direction of text, or invisible tags";
            return Err(Invalid::new(FieldCode::Characters, detail));
        }
        Ok(text)
    }
}

/// A name, which people compare and search. It has no invisible format characters, except those that joining scripts need.
pub fn name(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Checked<Private<String>> {
    move |value| {
        let name = any_text(length.clone())(value)?;
        if characters::has_invisible(name.expose()) {
            return Err(Invalid::new(FieldCode::Characters, "must not have invisible format characters"));
        }
        Ok(name)
    }
}

/// An id from another system: 1 to 128 characters of `A-Z a-z 0-9 . _ : @ -`. It starts with a letter or digit, so it can
/// never act as `.` or `..` in a URL.
pub fn reference(value: &Value) -> Checked<String> {
    let text = value.as_str().ok_or_else(not_text)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if text.len() <= 128 && starts_well && text.bytes().all(legal) {
        return Ok(text.to_owned());
    }
    let detail = "must have 1 to 128 characters of A-Z a-z 0-9 . _ : @ - and start with a letter or digit";
    Err(Invalid::format("reference", detail))
}

/// A SHA-256 in hexadecimal, in lower case.
pub fn sha256(value: &Value) -> Checked<String> {
    let text = value.as_str().ok_or_else(not_text)?;
    let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 64 && text.bytes().all(is_hexadecimal) {
        return Ok(text.to_owned());
    }
    Err(Invalid::format("sha256", "must be a SHA-256 in hexadecimal: 64 digits and letters a to f"))
}

/// `true` or `false`.
pub fn boolean(value: &Value) -> Checked<bool> {
    value.as_bool().ok_or_else(not_boolean)
}

/// The value is neither `true` nor `false`.
pub fn not_boolean() -> Invalid {
    wrong_type("true or false", "boolean")
}

/// A number of bytes in `range`.
pub fn bytes(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Checked<u64> {
    move |value| {
        let number = value.as_u64().filter(|number| range.contains(number));
        number.ok_or_else(|| out_of_range(*range.start(), *range.end()))
    }
}

/// A list of `count` items, which may be equal.
pub fn list<T>(
    count: RangeInclusive<usize>,
    item: impl Fn(&Value) -> Checked<T>,
) -> impl Fn(&Value) -> Checked<Vec<T>> {
    move |value| {
        let values = value.as_array().ok_or_else(|| wrong_type("a list", "list"))?;
        if !count.contains(&values.len()) {
            return Err(not_so_many(&count));
        }
        values.iter().map(|value| item(value).map_err(Invalid::of_each)).collect()
    }
}

/// A whole number in `range`.
pub fn whole(range: RangeInclusive<u8>) -> impl Fn(&Value) -> Checked<u8> {
    move |value| {
        value
            .as_u64()
            .and_then(|number| u8::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| out_of_range(*range.start(), *range.end()))
    }
}

/// The value is not a whole number from `min` to `max`.
pub fn out_of_range(min: impl Into<u64>, max: impl Into<u64>) -> Invalid {
    let (min, max) = (min.into(), max.into());
    let detail = format!("must be a whole number from {min} to {max}");
    Invalid::new(FieldCode::Range, detail).with("min", min).with("max", max)
}

/// A calendar date, `YYYY-MM-DD`.
pub fn date(value: &Value) -> Checked<Date> {
    let text = value.as_str().filter(|text| text.len() == 10);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Invalid::format("date", "must be a date written YYYY-MM-DD"))
}

/// The id of a case, as a number.
pub fn case_id(value: &Value) -> Checked<CaseId> {
    value.as_u64().and_then(CaseId::new).ok_or_else(not_a_case_id)
}

/// The value is not the id of a case.
pub fn not_a_case_id() -> Invalid {
    Invalid::format("case_id", "must be a case's id")
}

/// A list of `count` distinct items.
pub fn distinct<T: PartialEq>(
    count: RangeInclusive<usize>,
    item: impl Fn(&Value) -> Checked<T>,
) -> impl Fn(&Value) -> Checked<Vec<T>> {
    move |value| {
        let values = value.as_array().ok_or_else(|| wrong_type("a list", "list"))?;
        if !count.contains(&values.len()) {
            return Err(not_so_many(&count));
        }
        let mut items = Vec::with_capacity(values.len());
        for value in values {
            let item = item(value).map_err(Invalid::of_each)?;
            if items.contains(&item) {
                return Err(Invalid::new(FieldCode::Duplicate, "must not repeat an item"));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// The list has fewer or more items than `count`.
pub fn not_so_many(count: &RangeInclusive<usize>) -> Invalid {
    let (min, max) = (*count.start(), *count.end());
    Invalid::new(FieldCode::Items, format!("must have {min} to {max} items"))
        .with("min", min)
        .with("max", max)
}

/// One of an enumeration's values, in its exact spelling.
pub fn one_of<T: WireEnum>(value: &Value) -> Checked<T> {
    value.as_str().and_then(T::parse).ok_or_else(|| not_one_of(T::NAMES))
}

/// The value is not in `allowed`.
pub fn not_one_of(allowed: &[&str]) -> Invalid {
    Invalid::new(FieldCode::OneOf, format!("must be one of {}", allowed.join(", "))).with("allowed", allowed)
}
