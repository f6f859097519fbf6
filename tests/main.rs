//! The tests that need more than one crate, in one binary.

/// What the tests stand on: the service in process, its spec, a proxy that fails on demand.
mod harness;

/// The real handlers over an embedded DynamoDB and stand-ins for UMS and LinksHub.
mod integration {
    mod authentication;
    mod cases;
    mod concurrency;
    mod contract;
    mod dependencies;
    mod lists;
    mod public;
    mod tenancy;
    mod validation;
}
