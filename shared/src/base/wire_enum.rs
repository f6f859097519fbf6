//! Enumerations whose values have names in JSON, in the table and in parameters.

use serde::{Deserialize, Serialize};

/// An enumeration whose values have names on the wire. The macro [`wire_enum!`](crate::wire_enum!) implements it.
pub trait WireEnum: Copy + 'static {
    /// Every value, in the contract's order.
    const ALL: &'static [Self];

    /// Their names on the wire, in the same order.
    const NAMES: &'static [&'static str];

    /// The name on the wire.
    fn as_str(self) -> &'static str;

    /// The value with this name.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str() == name)
    }
}

/// A value as it is stored: a release shows what a newer one has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stored<T> {
    /// A value that this release knows.
    Known(T),
    /// A value of a newer release, as it is.
    Newer(String),
}

impl<T: WireEnum> Stored<T> {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => value.as_str(),
            Self::Newer(name) => name,
        }
    }
}

impl<T> From<T> for Stored<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

/// Declares an enumeration of the contract: its values and their names, which JSON and the table share.
#[macro_export]
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant),+
        }

        impl $crate::base::wire_enum::WireEnum for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::base::wire_enum::WireEnum::as_str(*self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                <Self as $crate::base::wire_enum::WireEnum>::parse(&name)
                    .ok_or_else(|| serde::de::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
    };
}
