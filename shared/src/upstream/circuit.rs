//! A circuit breaker: it blocks calls to a service that keeps failing, so that requests do not wait for it in vain.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::base::error::Error;

/// The number of outages in a row that opens the circuit. One or two may be a lost connection.
const OUTAGES: u32 = 3;

/// A circuit breaker.
///
/// It is closed while the service answers: all calls are allowed. Repeated outages open it, and for a while it blocks all
/// calls. After that it allows one call at a time, the probe, until a probe gets an answer.
pub(crate) struct CircuitBreaker {
    service: &'static str,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outages: u32,
    open: Option<Open>,
}

struct Open {
    until: Instant,
    probing: bool,
}

/// The kind of an allowed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallKind {
    /// A call while the circuit is closed.
    Normal,
    /// The one call that tests the service while the circuit is open.
    Probe,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallResult {
    /// The service answered, even if with an error.
    Answered,
    /// The service did not answer.
    Outage,
}

/// A call that is running. A call that is cancelled because the request ran out of time counts as an outage.
struct RunningCall<'a> {
    breaker: &'a CircuitBreaker,
    kind: CallKind,
    result: CallResult,
}

impl CircuitBreaker {
    /// Makes a closed circuit breaker. `service` is the name that clients see.
    pub(crate) fn new(service: &'static str, pause: Duration) -> Self {
        Self { service, pause, state: Mutex::default() }
    }

    /// Makes the call, unless the circuit is open. [`Error::is_outage`] says which errors count as outages.
    ///
    /// # Errors
    /// Unavailable while the circuit is open; otherwise the errors of `call`.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let allowed = self.state().enter(Instant::now());
        let Some(kind) = allowed else {
            return Err(Error::unavailable(self.service, "circuit open"));
        };
        let mut running = RunningCall { breaker: self, kind, result: CallResult::Outage };
        let answer = call.await;
        if !answer.as_ref().is_err_and(Error::is_outage) {
            running.result = CallResult::Answered;
        }
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        let until = Instant::now() + self.breaker.pause;
        self.breaker.state().settle(self.kind, self.result, until);
    }
}

impl State {
    /// Returns the kind of a call that starts now, or `None` if the call is not allowed.
    fn enter(&mut self, now: Instant) -> Option<CallKind> {
        match &mut self.open {
            None => Some(CallKind::Normal),
            Some(open) if open.probing || now < open.until => None,
            Some(open) => {
                open.probing = true;
                Some(CallKind::Probe)
            }
        }
    }

    /// Counts the result of a call. While the circuit is open only the probe counts, because the other calls started
    /// earlier.
    fn settle(&mut self, kind: CallKind, result: CallResult, until: Instant) {
        if self.open.is_some() && kind == CallKind::Normal {
            return;
        }
        if result == CallResult::Answered {
            *self = Self::default();
            return;
        }
        self.outages += 1;
        if self.outages >= OUTAGES {
            self.open = Some(Open { until, probing: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::ErrorCode;

    const LONG: Duration = Duration::from_secs(3600);

    fn outage() -> Error {
        Error::outage("UMS", "no connection")
    }

    /// Makes one call. Returns whether the breaker allowed it, and the error code if it failed.
    async fn call(breaker: &CircuitBreaker, answer: Result<(), Error>) -> (bool, Option<ErrorCode>) {
        let mut allowed = false;
        let outcome = breaker
            .call(async {
                allowed = true;
                answer
            })
            .await;
        (allowed, outcome.err().map(|error| error.code()))
    }

    async fn open(pause: Duration) -> CircuitBreaker {
        let breaker = CircuitBreaker::new("UMS", pause);
        for _ in 0..OUTAGES {
            assert_eq!(call(&breaker, Err(outage())).await, (true, Some(ErrorCode::ServiceUnavailable)));
        }
        breaker
    }

    #[tokio::test]
    async fn three_outages_in_a_row_open_the_circuit() {
        let breaker = open(LONG).await;
        assert_eq!(call(&breaker, Ok(())).await, (false, Some(ErrorCode::ServiceUnavailable)));
        let error = breaker.call(async { Ok(()) }).await.unwrap_err();
        assert_eq!(error.cause(), Some("circuit open"));
    }

    #[tokio::test]
    async fn an_answer_resets_the_count_of_outages() {
        let breaker = CircuitBreaker::new("UMS", LONG);
        for _ in 0..OUTAGES {
            for answer in [Err(outage()), Err(outage()), Ok(())] {
                assert!(call(&breaker, answer).await.0);
            }
        }
    }

    #[tokio::test]
    async fn rejections_and_unexpected_answers_are_not_outages() {
        let breaker = CircuitBreaker::new("UMS", LONG);
        for _ in 0..10 {
            assert!(call(&breaker, Err(Error::unauthorized("no"))).await.0);
            assert!(call(&breaker, Err(Error::unavailable("UMS", "it answered 418"))).await.0);
        }
    }

    #[tokio::test]
    async fn an_answered_probe_closes_the_circuit() {
        let breaker = open(Duration::ZERO).await;
        assert_eq!(call(&breaker, Ok(())).await, (true, None));
        assert_eq!(call(&breaker, Err(outage())).await, (true, Some(ErrorCode::ServiceUnavailable)));
        assert_eq!(call(&breaker, Ok(())).await, (true, None));
    }

    #[tokio::test]
    async fn one_probe_runs_at_a_time_and_a_cancelled_one_allows_the_next() {
        let breaker = open(Duration::ZERO).await;
        for _ in 0..3 {
            let mut probe = Box::pin(breaker.call(std::future::pending::<Result<(), Error>>()));
            assert!(futures_util::poll!(&mut probe).is_pending());
            assert!(!call(&breaker, Ok(())).await.0);
            drop(probe);
        }
        assert_eq!(call(&breaker, Ok(())).await, (true, None));
    }

    #[tokio::test]
    async fn a_cancelled_call_is_an_outage() {
        let breaker = CircuitBreaker::new("UMS", LONG);
        for _ in 0..OUTAGES {
            let mut pending = Box::pin(breaker.call(std::future::pending::<Result<(), Error>>()));
            assert!(futures_util::poll!(&mut pending).is_pending());
        }
        assert!(!call(&breaker, Ok(())).await.0);
    }

    #[test]
    fn the_circuit_opens_for_the_pause_and_again_after_a_failed_probe() {
        let (start, later) = (Instant::now(), Duration::from_secs(1));
        let mut state = State::default();
        for _ in 0..OUTAGES {
            assert_eq!(state.enter(start), Some(CallKind::Normal));
        }
        for _ in 0..OUTAGES {
            state.settle(CallKind::Normal, CallResult::Outage, start + later);
        }
        assert_eq!(state.enter(start), None);
        assert_eq!(state.enter(start + later), Some(CallKind::Probe));
        state.settle(CallKind::Probe, CallResult::Outage, start + later * 2);
        assert_eq!(state.enter(start + later), None);
        assert_eq!(state.enter(start + later * 2), Some(CallKind::Probe));
    }

    #[test]
    fn a_call_from_before_the_circuit_opened_does_not_close_it() {
        let start = Instant::now();
        let mut state = State::default();
        for _ in 0..OUTAGES {
            state.settle(CallKind::Normal, CallResult::Outage, start + LONG);
        }
        state.settle(CallKind::Normal, CallResult::Answered, start);
        assert_eq!(state.enter(start), None);
    }
}
