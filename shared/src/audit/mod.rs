//! Audit records: who saw which patients' data, when, from where, and who was refused it.
//!
//! They are written before the data leaves, and if they cannot be written, it does not leave. The record of a change is
//! written in the transaction of the change; that of many changes before them, and again with how they ended.

mod record;
mod recorder;

pub use record::{AuditRecord, Outcome};
pub use recorder::AuditRecorder;
