pub(crate) mod browser;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod reply;
pub(crate) mod service;
pub(crate) mod spec;
pub(crate) mod stack;

pub(crate) use reply::Reply;
pub(crate) use service::{Service, today};
pub(crate) use stack::Stack;
