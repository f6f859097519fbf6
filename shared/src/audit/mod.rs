//! Audit records: which user got or was denied which patients' data, when and from where.
//!
//! A function writes the record before it returns data. If it cannot write the record, it returns no data. The record of a
//! change is part of the change's transaction. A bulk update writes its record before its changes, and writes it again with
//! their results.

mod record;
mod recorder;

pub use record::{AuditRecord, Outcome};
pub use recorder::AuditRecorder;
