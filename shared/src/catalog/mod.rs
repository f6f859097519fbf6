//! The catalogue: what a lab can be asked to make, of what, and how long it takes. Validation, lead times and the public
//! lists all read it; a test holds the contract's enumerations to it.

use crate::validate::Choice;

/// An enumeration whose values each carry an entry of the catalogue.
pub trait Listed: Choice {
    /// What the catalogue tells of a value.
    type Entry: 'static;

    /// What it tells of this one.
    fn entry(self) -> &'static Self::Entry;
}

/// Declares an enumeration like [`choices!`](crate::choices), with each value's entry in its row.
macro_rules! entries {
    ($(#[$meta:meta])* $name:ident: $entry:ty { $($variant:ident = $text:literal => $value:expr),+ $(,)? }) => {
        $crate::choices! { $(#[$meta])* $name { $($variant = $text),+ } }

        impl $crate::catalog::Listed for $name {
            type Entry = $entry;

            fn entry(self) -> &'static $entry {
                match self { $(Self::$variant => &$value),+ }
            }
        }
    };
}

mod case_type;
pub mod details;
pub mod material;
mod procedure;
pub mod shade;

pub use case_type::{CaseType, Kind};
pub use procedure::{Procedure, ProcedureType};
