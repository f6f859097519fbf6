//! Reads JSON whose meaning is not in doubt: an object with the same name twice is an error. RFC 8259 leaves it open which of
//! the values counts, so the service and a program in front of it could read the same body in two ways.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};

/// Why a text is not accepted, with the position. It never has a part of the text, and the library's message could have one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It is not JSON, or nested too deeply.
    NotJson { line: usize, column: usize },
    /// An object has a name twice.
    DuplicateName { line: usize, column: usize },
}

/// Reads a JSON text in one pass. Nesting is limited to 127 levels.
pub(super) fn parse(text: &[u8]) -> Result<Value, Malformed> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Unique.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // The visitor accepts every JSON value, so a duplicate is its only error about data.
        match error.classify() {
            Category::Data => Malformed::DuplicateName { line, column },
            _ => Malformed::NotJson { line, column },
        }
    })
}

/// Reads any value whose objects have each name once.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Unique)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Unique)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate name"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_without_duplicates_is_read_as_serde_json_reads_it() {
        for text in [
            "null",
            "[true, false, null]",
            "[0, -0, 1, -1, 18446744073709551615, -9223372036854775808, 18446744073709551616, 1.0, 1.5e-300, 1E2]",
            r#"{"a": {"a": [{"a": "\u00e9\ud83e\uddb7\n"}]}, "b": {"a": {}}, "": [], "A": "é"}"#,
            " \t\r\n{} ",
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_duplicate_name_is_found_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":null,"b":2,"a":null}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"[0,[{"y":[{"a":1,"b":{},"a":{}}]}]]"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"":1,"":2}"#,
        ] {
            let found = parse(text.as_bytes());
            assert!(
                matches!(found, Err(Malformed::DuplicateName { line: 1, column: 2.. })),
                "{text}: {found:?}"
            );
        }
        let text = format!("{}{}{}", "[".repeat(120), r#"{"a":1,"a":2}"#, "]".repeat(120));
        assert!(matches!(parse(text.as_bytes()), Err(Malformed::DuplicateName { .. })));
    }

    #[test]
    fn what_serde_json_rejects_is_not_json() {
        for text in [
            "",
            "{",
            "{}{}",
            "{\"a\":1}x",
            "[1,]",
            "01",
            "1e999",
            "\"\\ud800\"",
            "{1:2}",
            "nul",
            &"[".repeat(128),
        ] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
            assert!(matches!(parse(text.as_bytes()), Err(Malformed::NotJson { .. })), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(Malformed::NotJson { .. })));
    }
}
