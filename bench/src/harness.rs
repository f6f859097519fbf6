//! The proxy of the tests, which records the calls to DynamoDB with their cost.

#![allow(clippy::unwrap_used, dead_code, reason = "the tests use all of it, and end at an error")]

#[path = "../../tests/harness/dynamodb_rules.rs"]
mod dynamodb_rules;
#[path = "../../tests/harness/proxy.rs"]
pub(crate) mod proxy;
