//! update-case
