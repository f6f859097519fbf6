//! Rules of DynamoDB that the emulator does not enforce.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use serde_json::{Value, json};

/// The longest expression, in bytes.
const MAX_EXPRESSION: usize = 4096;

/// The error that DynamoDB returns for a call that it rejects.
pub(super) fn refusal(name: &str, body: &[u8]) -> Option<String> {
    if name != "Query" {
        return None;
    }
    let query: Value = serde_json::from_slice(body).ok()?;
    let conditions =
        ["KeyConditionExpression", "FilterExpression"].map(|name| query[name].as_str().unwrap_or(""));
    let is_empty = |placeholder: &str| value(&query, placeholder) == Some(&json!({"S": ""}));
    let message = if conditions[0].split([' ', ',']).any(is_empty) {
        "The AttributeValue for a key attribute cannot contain an empty string value."
    } else if conditions.iter().any(|condition| has_reversed_span(&query, condition)) {
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
    } else if conditions.iter().any(|condition| condition.len() > MAX_EXPRESSION) {
        "Invalid FilterExpression: Expression size has exceeded the maximum allowed size"
    } else {
        return None;
    };
    let exception = "com.amazon.coral.validate#ValidationException";
    Some(json!({"__type": exception, "message": message}).to_string())
}

fn value<'q>(query: &'q Value, placeholder: &str) -> Option<&'q Value> {
    query["ExpressionAttributeValues"].get(placeholder)
}

/// Whether there is an `x BETWEEN :a AND :b` in which `:b` is the smaller.
fn has_reversed_span(query: &Value, condition: &str) -> bool {
    condition.split(" BETWEEN ").skip(1).any(|span| {
        let mut words = span.split(' ');
        let bounds = [words.next(), words.nth(1)].map(|word| value(query, word?));
        let [Some(from), Some(to)] = bounds else { panic!("{condition}") };
        let number = |bound: &Value| bound["N"].as_str().map(|number| number.parse::<u64>().unwrap());
        match (from["S"].as_str(), to["S"].as_str()) {
            (Some(from), Some(to)) => from > to,
            _ => number(from) > number(to),
        }
    })
}

/// The items that transactions under way hold: DynamoDB cancels a transaction that meets another one on an item.
pub(crate) struct TransactionLocks {
    /// How long each transaction takes.
    pub(crate) time: Duration,
    held: Mutex<HashSet<String>>,
}

/// The items of one transaction, released at its end.
pub(crate) struct Locked<'a> {
    locks: &'a TransactionLocks,
    keys: Vec<String>,
}

impl TransactionLocks {
    pub(crate) fn new(time: Duration) -> Self {
        Self { time, held: Mutex::default() }
    }

    /// Takes the items of a transaction, or says as DynamoDB does which of its actions met another transaction.
    pub(crate) fn lock(&self, body: &[u8]) -> Result<Locked<'_>, String> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let actions = body["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let keys: Vec<String> = actions.iter().map(key_of).collect();
        let mut held = self.held.lock().unwrap();
        if keys.iter().any(|key| held.contains(key)) {
            let code = |key| if held.contains(key) { "TransactionConflict" } else { "None" };
            let reasons: Vec<Value> = keys.iter().map(|key| json!({"Code": code(key)})).collect();
            let exception = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
            return Err(json!({"__type": exception, "CancellationReasons": reasons}).to_string());
        }
        held.extend(keys.iter().cloned());
        Ok(Locked { locks: self, keys })
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.held.lock().unwrap();
        self.keys.iter().for_each(|key| {
            held.remove(key);
        });
    }
}

/// The key of the item that an action of a transaction writes.
fn key_of(action: &Value) -> String {
    let action = action.as_object().and_then(|kinds| kinds.values().next()).unwrap_or(&Value::Null);
    let key = action.get("Key").or(action.get("Item")).unwrap_or(&Value::Null);
    format!("{} {}", key["lab_id"]["S"], key["sk"]["S"])
}
