//! Hashes values: equal values have equal hashes.

use aws_lc_rs::digest;
use serde_json::Value;

/// A value with a canonical text: JSON without spaces, members sorted by name. For strings, integers and booleans this is the
/// form of RFC 8785.
pub(crate) trait Canonical {
    /// Writes the text.
    fn write(&self, text: &mut Vec<u8>);
}

/// Returns the SHA-256, in hexadecimal, of the value's canonical text.
pub(crate) fn hash(value: &impl Canonical) -> String {
    let mut text = Vec::with_capacity(1024);
    value.write(&mut text);
    hexadecimal_hash(&text)
}

/// Returns the same hash of an object with these members.
pub(crate) fn hash_of_members<'a, V: Canonical + 'a>(
    members: impl Iterator<Item = (&'a String, &'a V)>,
) -> String {
    let mut text = Vec::with_capacity(1024);
    write_object(members, &mut text);
    hexadecimal_hash(&text)
}

fn hexadecimal_hash(text: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = digest::digest(&digest::SHA256, text);
    let digits = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Writes an object. It sorts the members itself, because the order of a JSON map depends on the features of serde_json, and a
/// hash map has none.
pub(crate) fn write_object<'a, V: Canonical + 'a>(
    members: impl Iterator<Item = (&'a String, &'a V)>,
    text: &mut Vec<u8>,
) {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    text.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_string(name, text);
        text.push(b':');
        value.write(text);
    }
    text.push(b'}');
}

/// Writes an array.
pub(crate) fn write_array(items: &[impl Canonical], text: &mut Vec<u8>) {
    text.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        item.write(text);
    }
    text.push(b']');
}

/// Writes a string.
pub(crate) fn write_string(string: &str, text: &mut Vec<u8>) {
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(text, string);
}

impl Canonical for Value {
    fn write(&self, text: &mut Vec<u8>) {
        match self {
            Value::Object(members) => write_object(members.iter(), text),
            Value::Array(items) => write_array(items, text),
            Value::String(string) => write_string(string, text),
            scalar => {
                let _ = serde_json::to_writer(text, scalar);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_canonical_form_has_its_members_in_order() {
        let value = json!({"b": [1, {"d": null, "c": true}], "a": "\"ü\n"});
        let expected = r#"{"a":"\"ü\n","b":[1,{"c":true,"d":null}]}"#;
        let mut text = Vec::new();
        value.write(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!(hash(&value), hash_of_members(value.as_object().unwrap().iter()));
        assert_eq!(hash(&json!("")), "12ae32cb1ec02d01eda3581b127c1fee3b0dc53572ed6baf239721a03d82e126");
    }
}
