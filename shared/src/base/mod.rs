//! The lowest layer: ids, time, private values, errors, validation. No I/O.

pub mod calendar;
pub(crate) mod canonical;
pub mod csv;
pub(crate) mod cursor;
pub mod encryption;
pub mod error;
pub mod field_error;
mod ids;
pub mod private;
pub mod seal;
pub(crate) mod search_text;
pub mod time;
pub mod validate;
pub mod wire_enum;
pub(crate) mod words;

pub use ids::{AttachmentId, CaseId, LabId, Subject};
pub(crate) use ids::{is_random_id, random_id};

/// The commit of the release, as `make build` names it; `unknown` in any other build.
pub const COMMIT: &str = match option_env!("LHCMS_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
