pub(crate) mod browser;
mod call;
pub(crate) mod gate;
pub(crate) mod leaks;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod random;
mod registry;
pub(crate) mod reply;
pub(crate) mod service;
pub(crate) mod spec;
pub(crate) mod stack;
mod strictness;
pub(crate) mod sts;

pub(crate) use reply::Reply;
pub(crate) use service::{Service, today};
pub(crate) use stack::Stack;
