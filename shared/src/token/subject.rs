//! Whom a token was issued to.

use std::fmt;

use serde::Deserialize;

/// The user that a token was issued to, as UMS numbers users.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(String);

impl Subject {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// UMS writes an integer, newer versions of its library a string (RFC 7519 wants one). It must be a number either
/// way, because it becomes part of the URLs that UMS is asked with.
impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(u64),
            Text(String),
        }
        let text = match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text,
        };
        let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        number.map(|_| Self(text)).ok_or_else(|| serde::de::Error::custom("not a user id"))
    }
}
