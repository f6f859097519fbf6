//! Tools for the data of a lab. They are an operator's tools: they need the table, and the keys of seals.

pub mod repair;
