//! What one request used: calls to other services, time, capacity units, and what went wrong on the way. The code that makes
//! the calls notes them here, through the context of the request.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::context::with_current;

/// A service that this one calls for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependency {
    /// DynamoDB.
    DynamoDb,
    /// The User Management Service.
    Ums,
    /// LinksHub.
    LinksHub,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    /// A transaction lost against another request.
    DynamoDbConflict,
    /// A call to DynamoDB was sent again.
    DynamoDbRetry,
    /// An open circuit blocked a call.
    CircuitOpen,
    /// An audit record could not be written.
    AuditFailure,
    /// Keys of tokens were used although they could not be fetched again in time.
    StaleKeys,
    /// The handler panicked.
    Panic,
}

/// The calls to one service.
#[derive(Default)]
pub(super) struct Calls {
    count: AtomicU64,
    microseconds: AtomicU64,
    failures: AtomicU64,
}

impl Calls {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The time of all calls together. Calls at the same time count one by one.
    pub(super) fn milliseconds(&self) -> f64 {
        self.microseconds.load(Ordering::Relaxed) as f64 / 1000.0
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// What a request has used so far. The counters are atomic only because the handler's future may move between threads.
#[derive(Default)]
pub(crate) struct Usage {
    pub(super) dynamodb: Calls,
    pub(super) ums: Calls,
    pub(super) linkshub: Calls,
    /// In thousandths: a read may cost half a unit.
    read_units: AtomicU64,
    write_units: AtomicU64,
    incidents: [AtomicU64; 6],
}

impl Usage {
    fn calls(&self, dependency: Dependency) -> &Calls {
        match dependency {
            Dependency::DynamoDb => &self.dynamodb,
            Dependency::Ums => &self.ums,
            Dependency::LinksHub => &self.linkshub,
        }
    }

    pub(super) fn of(&self, incident: Incident) -> u64 {
        self.incidents[incident as usize].load(Ordering::Relaxed)
    }

    pub(super) fn read_units(&self) -> f64 {
        self.read_units.load(Ordering::Relaxed) as f64 / 1000.0
    }

    pub(super) fn write_units(&self) -> f64 {
        self.write_units.load(Ordering::Relaxed) as f64 / 1000.0
    }
}

/// Counts an incident of the current request. Outside of a request it does nothing.
pub(crate) fn count(incident: Incident) {
    with_current(|context| context.usage.incidents[incident as usize].fetch_add(1, Ordering::Relaxed));
}

/// Adds the capacity units that DynamoDB reports for a call of the current request.
pub(crate) fn add_units(read: f64, write: f64) {
    let thousandths = |units: f64| (units * 1000.0).round() as u64;
    with_current(|context| {
        context.usage.read_units.fetch_add(thousandths(read), Ordering::Relaxed);
        context.usage.write_units.fetch_add(thousandths(write), Ordering::Relaxed);
    });
}

/// A call that is running. It counts when it is dropped, so a call that is given up counts as well, as a failure.
pub(crate) struct RunningCall {
    dependency: Dependency,
    started: Instant,
    is_failure: bool,
}

impl RunningCall {
    /// Begins to measure a call.
    pub(crate) fn start(dependency: Dependency) -> Self {
        Self { dependency, started: Instant::now(), is_failure: true }
    }

    /// The service answered, and not with a failure of its own.
    pub(crate) fn succeeded(&mut self) {
        self.is_failure = false;
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        with_current(|context| {
            let calls = context.usage.calls(self.dependency);
            let microseconds = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            calls.count.fetch_add(1, Ordering::Relaxed);
            calls.microseconds.fetch_add(microseconds, Ordering::Relaxed);
            calls.failures.fetch_add(u64::from(self.is_failure), Ordering::Relaxed);
        });
    }
}
