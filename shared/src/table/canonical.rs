//! The canonical text of an item: that of the same item as JSON.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use crate::base::canonical::{self, Canonical, write_array, write_object, write_string};

impl Canonical for AttributeValue {
    fn write(&self, text: &mut Vec<u8>) {
        match self {
            AttributeValue::S(string) => write_string(string, text),
            // Items have only whole numbers, and DynamoDB writes them as JSON does.
            AttributeValue::N(number) => text.extend_from_slice(number.as_bytes()),
            AttributeValue::Bool(value) => text.extend_from_slice(if *value { b"true" } else { b"false" }),
            AttributeValue::Null(_) => text.extend_from_slice(b"null"),
            AttributeValue::M(members) => write_object(members.iter(), text),
            AttributeValue::L(items) => write_array(items, text),
            // No item of this service has another type. Whatever somebody wrote must change the hash.
            other => text.extend_from_slice(format!("{other:?}").as_bytes()),
        }
    }
}

/// Returns the SHA-256, in hexadecimal, of the canonical text of an item without some of its attributes.
pub(crate) fn hash_without(item: &Item, is_left_out: impl Fn(&str) -> bool) -> String {
    canonical::hash_of_members(item.iter().filter(|(name, _)| !is_left_out(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::table::{from_item, to_item};

    #[test]
    fn an_item_has_the_hash_of_its_json() {
        let value = json!({"a": "\"ü\n", "b": [1, -2, {"d": {}, "c": true}], "e": {"f": null, "g": false}, "h": 4_102_444_800_u64});
        let item = to_item(&value).unwrap();
        let read: Value = from_item(item.clone()).unwrap();
        assert_eq!(read, value);
        assert_eq!(hash_without(&item, |_| false), canonical::hash(&value));
        assert_eq!(hash_without(&item, |name| name != "b"), canonical::hash(&json!({"b": value["b"]})));
    }
}
