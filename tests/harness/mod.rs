pub(crate) mod browser;
mod call;
mod dynamodb_rules;
pub(crate) mod leaks;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod random;
mod registry;
pub(crate) mod reply;
pub(crate) mod service;
pub(crate) mod spec;
pub(crate) mod stack;
pub(crate) mod sts;
pub(crate) mod tcp_proxy;

pub(crate) use reply::Reply;
pub(crate) use service::{Service, today};
pub(crate) use stack::Stack;
