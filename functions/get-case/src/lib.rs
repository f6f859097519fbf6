//! get-case
