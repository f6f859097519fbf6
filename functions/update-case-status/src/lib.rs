//! update-case-status
