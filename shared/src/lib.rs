//! The library of all LHCMS functions, in layers. Each layer imports only earlier layers, which a test checks. Read the
//! modules in this order:
//!
//! 1. [`base`]: ids, time, private values, errors, validation; no HTTP service and no table
//! 2. [`config`]: every environment variable, read once
//! 3. [`http`]: requests in, responses out, problem details
//! 4. [`telemetry`]: log lines and metrics
//! 5. `upstream`: calls to other services: pooled client, time budget, circuit breaker, cache
//! 6. [`auth`]: tokens, the User Management Service, rate limits, operations and permissions
//! 7. `table`: the only code that calls DynamoDB
//! 8. [`audit`]: audit records, written before data is returned
//! 9. [`archive`]: the archive of audit records and events in S3
//! 10. [`lab`]: [`LabScope`](lab::LabScope), the proof of tenancy and the only access to data; LinksHub
//! 11. [`audit_log`]: reading the audit records
//! 12. [`case`]: the catalogue, the workflow, the case and one file per operation
//! 13. [`trail`]: the verification of the audit trail against the archive
//! 14. [`streams`]: what happens after a change: archive and disposal, on the tables' streams
//! 15. [`migration`]: items of earlier releases
//! 16. [`lab_data`]: all items of a lab, to move or destroy them
//! 17. [`runtime`]: starts a function and wraps every request; health

pub mod archive;
pub mod audit;
pub mod audit_log;
pub mod auth;
pub mod base;
pub mod case;
pub mod config;
pub mod http;
pub mod lab;
pub mod lab_data;
pub mod migration;
pub mod runtime;
pub mod streams;
mod table;
pub mod telemetry;
pub mod trail;
mod upstream;
pub mod webhook;
