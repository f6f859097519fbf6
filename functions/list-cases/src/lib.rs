//! list-cases
