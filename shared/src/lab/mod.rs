//! Tenancy: which lab a request works in, and what its caller may do there.

mod choice;
mod labs;
mod operation;
mod permission;
mod scope;
mod visit;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

pub use labs::Labs;
pub use operation::Operation;
pub use permission::{ATTRIBUTES, BREAK_GLASS, Permission, Permissions, ROLES};
pub use scope::{LabScope, Opened};
pub(crate) use visit::Visit;

/// A lab's id in UMS, from 1: the tenant, and the partition of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LabId(u64);

impl LabId {
    /// The id, unless it is 0.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Reads an id as a header or a query parameter writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits =
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        digits.then(|| text.parse().ok()).flatten().and_then(Self::new)
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

/// UMS and the API write a number; the table's partition key is text.
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
