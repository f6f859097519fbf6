pub(crate) mod proxy;
pub(crate) mod reply;
pub(crate) mod service;
pub(crate) mod spec;

pub(crate) use reply::Reply;
pub(crate) use service::Service;
