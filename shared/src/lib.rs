//! What every LHCMS function shares: start-up, authentication, tenancy, the table, errors.
//!
//! A function's handler gets a [`lab::LabScope`], the proof that a verified caller works in one lab, and reaches that
//! lab's cases through it. [`runtime`] starts it; [`http`] reads requests and makes responses; [`error`] is the table
//! of everything that can go wrong.

pub mod access;
pub mod calendar;
mod canonical;
pub mod case;
pub mod catalog;
pub mod config;
mod cursor;
pub mod error;
pub mod event;
pub mod gateway;
pub mod health;
pub mod http;
pub mod idempotency;
mod keys;
pub mod lab;
pub mod linkshub;
pub mod page;
pub mod privacy;
mod rate;
mod retry;
pub mod runtime;
pub mod services;
pub mod spreadsheet;
mod table;
pub mod telemetry;
pub mod time;
pub mod token;
pub mod ums;
mod upstream;
pub mod validate;
pub mod workflow;
