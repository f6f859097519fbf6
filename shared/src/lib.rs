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
//! 9. [`lab`]: [`LabScope`](lab::LabScope), the proof of tenancy and the only access to data; LinksHub
//! 10. [`audit_log`]: reading the audit records
//! 11. [`case`]: the catalogue, the workflow, the case and one file per operation
//! 12. [`runtime`]: starts a function and wraps every request; health

pub mod audit;
pub mod audit_log;
pub mod auth;
pub mod base;
pub mod case;
pub mod config;
pub mod http;
pub mod lab;
pub mod runtime;
mod table;
pub mod telemetry;
mod upstream;
