//! get-doctor
