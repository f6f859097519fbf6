//! The archive of the audit trail: an S3 bucket in which nobody can change or delete an object before its retention ends.
//!
//! A line of the archive is an `ArchiveEntry`: one change of an audit record or of an event of a history, without patient
//! data. The lines of one lab and hour that arrive together are one object, in NDJSON, compressed with gzip. Keys begin with
//! `lab=123/day=2026-11-25/09-`, so that a search lists only the labs and days that it needs.

mod bucket;
mod entry;
mod object;

pub(crate) use bucket::Archive;
pub(crate) use entry::{ArchiveEntry, ERASED_AT, FIELDS, members};
pub use entry::{ChangeKind, ItemKind};
