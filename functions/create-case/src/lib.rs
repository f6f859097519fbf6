//! create-case
