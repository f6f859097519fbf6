//! The catalogue: what a lab can be asked to make, of what, and how long it takes. Validation, lead times and the public
//! lists all read it; a test holds the contract's enumerations to it.

use crate::base::wire_enum::WireEnum;

/// An enumeration whose values each carry an entry of the catalogue.
pub trait CatalogEntry: WireEnum {
    /// What the catalogue tells of a value.
    type Entry: 'static;

    /// What it tells of this one.
    fn entry(self) -> &'static Self::Entry;
}

/// Declares an enumeration like [`wire_enum!`](crate::wire_enum), with each value's entry in its row.
macro_rules! entries {
    ($(#[$meta:meta])* $name:ident: $entry:ty { $($variant:ident = $text:literal => $value:expr),+ $(,)? }) => {
        $crate::wire_enum! { $(#[$meta])* $name { $($variant = $text),+ } }

        impl $crate::case::catalog::CatalogEntry for $name {
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
