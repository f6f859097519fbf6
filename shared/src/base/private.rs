//! Wrappers that keep patient data and secrets out of log lines and error texts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Patient data, or text that may contain patient data, such as every free text.
///
/// `Debug` prints a placeholder. There is no `Display`: with it, `to_string` would compile and return the placeholder
/// instead of the text. JSON and the table hold the value itself.
///
/// ```compile_fail
/// let name = shared::base::private::Private::new("Jane Roe");
/// println!("{name}");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value, for work on the case; never use it in a message.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

/// A secret, such as a key or a token. `Debug` prints a placeholder and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value, for the call that needs it; never use it in a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn debug_does_not_show_a_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn json_and_the_table_hold_the_private_value_itself() {
        let private = Private::new("Jane Roe".to_owned());
        assert_eq!(format!("{private:?}"), "[private]");
        assert_eq!(json!(private), json!("Jane Roe"));
        assert_eq!(serde_json::from_value::<Private<String>>(json!("Jane Roe")).unwrap(), private);
        let item: serde_dynamo::AttributeValue = serde_dynamo::to_attribute_value(&private).unwrap();
        assert_eq!(item, serde_dynamo::AttributeValue::S("Jane Roe".to_owned()));
    }
}
