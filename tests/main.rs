//! The integration and end-to-end tests, in one binary.

#![recursion_limit = "256"] // A whole case in one `json!`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

/// The test harness: the service in process, its contract, and a proxy that fails on demand.
mod harness;

/// The real handlers over an embedded DynamoDB and stand-ins for UMS and LinksHub.
mod integration {
    mod archive;
    mod attachments;
    mod audit;
    mod authentication;
    mod bounds;
    mod bulk;
    mod canary;
    mod cases;
    mod comments;
    mod compression;
    mod concurrency;
    mod conditional;
    mod contention;
    mod contract;
    mod contract_values;
    mod costs;
    mod deliveries;
    mod delivery_faults;
    mod dependencies;
    mod disposal;
    mod documents;
    mod due_dates;
    mod epochs;
    mod event_bus;
    mod export;
    mod faults_of_one;
    mod feed;
    mod filters;
    mod fuzz;
    mod health;
    mod history;
    mod idempotency;
    mod import;
    mod import_measured;
    mod isolation;
    mod jwks;
    mod lab_role;
    mod layers;
    mod lists;
    mod migration;
    mod moving;
    mod newer_release;
    mod origin;
    mod outages;
    mod patch;
    mod permissions;
    mod public;
    mod random_walk;
    mod rate_limits;
    mod realtime;
    mod remakes;
    mod repair;
    mod request_lines;
    mod response_sizes;
    mod restore;
    mod search;
    mod security_events;
    mod storm;
    mod tampering;
    mod tenancy;
    mod text;
    mod throttling;
    mod trail;
    mod validation;
    mod walks;
    mod webhooks;
    mod words;
    mod workflow;
}

/// The stack of `make dev` as a process, driven over HTTP as its users do.
mod e2e {
    mod board;
    mod docs_page;
    mod first_request;
    mod function_start;
    mod invoke;
    mod life_of_the_stack;
    mod load;
    mod push;
    mod schemathesis;
}
