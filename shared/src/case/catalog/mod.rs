//! The catalogue: kinds of work, materials and lead times. Validation, lead times and the public lists use it. A test
//! compares the contract's enumerations with it.

use crate::base::wire_enum::WireEnum;

/// An enumeration with an entry of the catalogue for each value.
pub trait CatalogEntry: WireEnum {
    /// The type of the entries.
    type Entry: 'static;

    /// The entry of this value.
    fn entry(self) -> &'static Self::Entry;
}

/// Declares an enumeration like [`wire_enum!`](crate::wire_enum), with the entry of each value.
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
