//! The ids of labs, cases, files and users.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A lab's id in UMS, from 1. A lab is a tenant; the id is its partition key in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LabId(u64);

impl LabId {
    /// Returns `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Reads the text of a header or a query parameter.
    pub fn parse(text: &str) -> Option<Self> {
        decimal(text).and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// UMS and the API write a number. The table's partition key is text.
impl<'de> Deserialize<'de> for LabId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(u64),
            Text(String),
        }
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => LabId::new(number),
            NumberOrText::Text(text) => LabId::parse(&text),
        }
        .ok_or_else(|| de::Error::custom("not a lab id"))
    }
}

/// A case's number within its lab, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CaseId(u64);

impl CaseId {
    /// The largest id: ten digits, so that sort keys order as numbers do.
    pub const MAX: u64 = 9_999_999_999;

    /// Returns `None` for a number out of range.
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// Reads the text of a path parameter. Returns `None` for text that cannot be a case's id.
    pub fn parse(text: &str) -> Option<Self> {
        decimal(text).and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a file of a case: `att_` and 16 random characters. It says nothing about the file, and it is part of the file's key in
/// the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AttachmentId(String);

impl AttachmentId {
    const PREFIX: &str = "att_";

    /// A new id.
    pub(crate) fn random() -> Self {
        Self(random_id(Self::PREFIX))
    }

    /// Reads the text of a path parameter. Returns `None` for text that cannot be a file's id.
    pub fn parse(text: &str) -> Option<Self> {
        is_random_id(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for AttachmentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an id of a file"))
    }
}

/// How many characters of a random id follow its prefix.
const RANDOM: usize = 16;

/// A new random id: the prefix and 16 letters or digits.
pub(crate) fn random_id(prefix: &str) -> String {
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(RANDOM);
    prefix.chars().chain(random).collect()
}

/// Whether the text can be a random id with this prefix.
pub(crate) fn is_random_id(prefix: &str, text: &str) -> bool {
    let is_random =
        |rest: &str| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.strip_prefix(prefix).is_some_and(is_random)
}

/// Reads a number that is written in digits only and in one way: without a sign and without leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    digits.then(|| text.parse().ok()).flatten()
}

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

/// UMS writes an integer; newer versions of its library write a string, as RFC 7519 requires. Both must hold a number,
/// because the id becomes part of the URLs of calls to UMS.
impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
        number.map(|_| Self(text)).ok_or_else(|| de::Error::custom("not a user id"))
    }
}
