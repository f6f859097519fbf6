//! delete-case
