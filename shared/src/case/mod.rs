//! Dental cases: the model, its rules, the common code for writes, and one file for each operation.

pub mod attachment;
pub mod begin_epoch;
mod bulk;
pub mod catalog;
mod change_set;
mod changed_since;
pub mod comment;
mod create;
mod delete;
pub mod details;
pub(crate) mod disposal;
mod due_info;
mod entry;
pub(crate) mod epoch;
pub mod event;
mod export;
mod feed;
mod fields;
mod filter;
mod get;
mod history;
pub mod import;
mod index_reader;
mod input;
mod item;
mod list;
mod members;
mod model;
mod newer;
mod plan;
mod references;
mod remake;
pub mod repair;
mod restore;
mod rules;
mod scheduled_verification;
mod search;
pub mod shade;
mod stats;
mod status;
mod stored_response;
mod thread;
pub(crate) mod tokens;
mod update;
pub mod verification;
mod verify;
pub mod workflow;
mod write;

pub use attachment::{
    Attachment, AttachmentCreate, AttachmentDownload, AttachmentList, AttachmentUpload, ScanEvent,
    ScanOutcome, ScanProcessor,
};
pub use bulk::{BulkResult, BulkStatusUpdate};
pub use catalog::{CaseType, ProcedureType};
pub use changed_since::ChangedCase;
pub use comment::{Comment, CommentCreate, CommentPage, CommentUpdate};
pub use create::CaseCreate;
pub use feed::FeedPage;
pub(crate) use feed::newest_cursor;
pub use fields::{FIELDS, Field, FieldKind};
pub use filter::{Direction, Sort};
pub use history::EventPage;
pub use list::{CaseLists, CasePage};
pub use model::{Case, CaseFields, CaseView, Priority, RemakeReason};
pub use remake::RemakeCreate;
pub use scheduled_verification::{Contradiction, ScheduledVerification, VerificationReport};
pub use stats::CaseStats;
pub use status::StatusUpdate;
pub use update::{CasePatch, CaseUpdate};
pub use write::WriteOutcome;

use crate::lab::{LabScope, Services};

/// The cases of one lab.
pub struct Cases<'a> {
    lab: &'a LabScope,
    services: &'a Services,
}

impl<'a> Cases<'a> {
    /// The cases of the scope's lab.
    pub fn of(lab: &'a LabScope) -> Self {
        Self { lab, services: lab.services() }
    }
}

#[cfg(test)]
mod privacy_tests;
