//! Rules of DynamoDB that the emulator does not enforce.

use serde_json::{Value, json};

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
