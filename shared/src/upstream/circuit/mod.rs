//! A circuit breaker: it blocks calls to a service that keeps failing, so that requests do not wait for it in vain. A caller
//! whose own calls fail does not affect the others. docs/adr/0020-a-fault-stays-with-its-caller.md has the reasons.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::is_within;
use crate::{
    base::error::{Error, ErrorCode},
    telemetry::{self, Incident},
};

/// The number of keys whose calls must fail, with no answer in between, to open the circuit.
const OUTAGES: usize = 3;
/// How long a failure counts, and how long its key is known as one that failed.
const WINDOW: Duration = Duration::from_secs(30);
/// The most keys with failures. The breaker forgets the one that failed first.
const CAPACITY: usize = 512;

/// A circuit breaker. `K` is the key of a call: whose call it is, or what it is about.
///
/// It is closed while the service answers: all calls are allowed, except those of a key that failed twice in a row. Outages
/// of several keys open it, and for a while it blocks all calls. After that it allows single calls, the probes, until one
/// gets an answer. Keys that failed before have probes of their own, so that they do not delay the other keys.
///
/// The times are of the wall clock, because a monotonic clock may stop while Lambda freezes an instance.
pub(crate) struct CircuitBreaker<K> {
    service: &'static str,
    pause: Duration,
    state: Mutex<State<K>>,
}

struct State<K> {
    failures: HashMap<K, Failure>,
    open: Option<Open>,
}

/// The failures of one key since its last answer.
struct Failure {
    last: SystemTime,
    /// Whether the key failed more than once.
    is_repeated: bool,
    /// Whether it counts as a sign that the service is down. It does not once another key got an answer.
    is_evidence: bool,
}

/// An open circuit: a gate for the keys that did not fail yet, and one for those that did.
struct Open {
    newcomers: Gate,
    known: Gate,
}

/// It lets one probe pass at a time, and closes for the pause when a probe meets an outage.
struct Gate {
    closed_at: SystemTime,
    is_probing: bool,
}

/// The kind of an allowed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallKind {
    /// A call while the circuit is closed.
    Normal,
    /// A call that tests the service while the circuit is open, for a key that did not fail yet.
    NewcomerProbe,
    /// The same, for a key that failed before.
    KnownProbe,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallResult {
    /// The service answered, even if with a rejection.
    Answered,
    /// The service sent an answer that cannot be used. It says nothing about the calls of other keys.
    Unusable,
    /// The service did not answer, or it answered that it failed.
    Outage,
}

/// A call that is running. A call that is cancelled because the request ran out of time counts as an outage.
struct RunningCall<'a, K: Eq + Hash + Clone> {
    breaker: &'a CircuitBreaker<K>,
    key: &'a K,
    kind: CallKind,
    result: CallResult,
}

impl<K: Eq + Hash + Clone> CircuitBreaker<K> {
    /// Makes a closed circuit breaker. `service` is the name that clients see.
    pub(crate) fn new(service: &'static str, pause: Duration) -> Self {
        let state = State { failures: HashMap::new(), open: None };
        Self { service, pause, state: Mutex::new(state) }
    }

    /// Makes the call, unless the circuit is open or the calls of this key keep failing. [`Error::is_outage`] says which
    /// errors count as outages.
    ///
    /// # Errors
    /// Unavailable, when the call is blocked; otherwise the errors of `call`.
    pub(crate) async fn call<T>(
        &self,
        key: &K,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let allowed = self.state().enter(key, SystemTime::now(), self.pause);
        let kind = allowed.map_err(|cause| {
            telemetry::count(Incident::CircuitOpen);
            Error::unavailable(self.service, cause)
        })?;
        let mut running = RunningCall { breaker: self, key, kind, result: CallResult::Outage };
        let answer = call.await;
        running.result = match &answer {
            Err(error) if error.is_outage() => CallResult::Outage,
            Err(error) if error.code() == ErrorCode::ServiceUnavailable => CallResult::Unusable,
            _ => CallResult::Answered,
        };
        answer
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Drop for RunningCall<'_, K> {
    fn drop(&mut self) {
        self.breaker.state().settle(self.key, self.kind, self.result, SystemTime::now());
    }
}

impl<K: Eq + Hash + Clone> State<K> {
    /// Returns the kind of a call that starts now, or why it is not allowed.
    fn enter(&mut self, key: &K, now: SystemTime, pause: Duration) -> Result<CallKind, &'static str> {
        let failure = self.failures.get(key).filter(|failure| is_within(failure.last, WINDOW, now));
        // Twice the pause, so that another key gets the next probe.
        if failure.is_some_and(|failure| failure.is_repeated && is_within(failure.last, pause * 2, now)) {
            return Err("repeated failures of this caller or id");
        }
        let Some(open) = &mut self.open else { return Ok(CallKind::Normal) };
        let (gate, kind) = match failure {
            None => (&mut open.newcomers, CallKind::NewcomerProbe),
            Some(_) => (&mut open.known, CallKind::KnownProbe),
        };
        if gate.is_probing || is_within(gate.closed_at, pause, now) {
            return Err("circuit open");
        }
        gate.is_probing = true;
        Ok(kind)
    }

    /// Notes the result of a call.
    fn settle(&mut self, key: &K, kind: CallKind, result: CallResult, now: SystemTime) {
        if result == CallResult::Answered {
            self.failures.remove(key);
            // A call that started before the circuit opened does not close it.
            if self.open.is_none() || kind != CallKind::Normal {
                self.open = None;
                self.failures.values_mut().for_each(|failure| failure.is_evidence = false);
            }
            return;
        }
        self.note_failure(key, result == CallResult::Outage, now);
        let gate = match (&mut self.open, kind) {
            (Some(open), CallKind::NewcomerProbe) => Some(&mut open.newcomers),
            (Some(open), CallKind::KnownProbe) => Some(&mut open.known),
            _ => None,
        };
        if let Some(gate) = gate {
            gate.is_probing = false;
            if result == CallResult::Outage {
                gate.closed_at = now;
            }
        }
        if self.open.is_none()
            && self.failures.values().filter(|failure| failure.is_evidence).count() >= OUTAGES
        {
            let gate = || Gate { closed_at: now, is_probing: false };
            self.open = Some(Open { newcomers: gate(), known: gate() });
        }
    }

    /// Only the first failure of a key is evidence: its later ones say nothing new about the service.
    fn note_failure(&mut self, key: &K, is_evidence: bool, now: SystemTime) {
        self.failures.retain(|_, failure| is_within(failure.last, WINDOW, now));
        if let Some(failure) = self.failures.get_mut(key) {
            (failure.last, failure.is_repeated) = (now, true);
            return;
        }
        if self.failures.len() >= CAPACITY {
            let oldest =
                self.failures.iter().min_by_key(|(_, failure)| failure.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.failures.remove(&key));
        }
        self.failures.insert(key.clone(), Failure { last: now, is_repeated: false, is_evidence });
    }
}

#[cfg(test)]
mod tests;
