//! Audit records: which user got or was denied which patients' data, when and from where.
//!
//! A function writes the record before it returns data. If it cannot write the record, it returns no data. The record of a
//! change is part of the change's transaction. A bulk update writes an attempt before its changes, and its results after them.
//! Records are in a table of their own, to which functions can only add, and each has a seal.

mod record;
mod recorder;
pub(crate) mod seal;

pub use record::{AuditRecord, Outcome};
pub use recorder::AuditRecorder;
pub(crate) use recorder::reveals;
