//! Patient data and secrets, wrapped so that they do not get into a log line or an error text by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Patient data, and what may contain some: every free text. `Debug` prints a placeholder, and there is no `Display`,
/// because `to_string` would compile and write the placeholder where the text belongs. JSON and the table have the
/// value as it is.
///
/// ```compile_fail
/// let name = shared::base::private::Private::new("Jane Roe");
/// println!("{name}");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; for the work on the case, never for a message.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

/// A value that must not be shown: `Debug` prints a placeholder and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; for the call that needs it, never for a message.
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
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn json_and_the_table_hold_the_private_value_as_it_is() {
        let private = Private::new("Jane Roe".to_owned());
        assert_eq!(format!("{private:?}"), "[private]");
        assert_eq!(json!(private), json!("Jane Roe"));
        assert_eq!(serde_json::from_value::<Private<String>>(json!("Jane Roe")).unwrap(), private);
        let item: serde_dynamo::AttributeValue = serde_dynamo::to_attribute_value(&private).unwrap();
        assert_eq!(item, serde_dynamo::AttributeValue::S("Jane Roe".to_owned()));
    }
}
