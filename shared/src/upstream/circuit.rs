//! Leaves a service alone that keeps failing, so that asking for it in vain costs nothing.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::base::error::Error;

/// Outages in a row after which it is left alone. One or two may be a lost connection.
const OUTAGES: u32 = 3;

/// A circuit breaker. It is closed while the service answers, open for a while after repeated outages, and then lets
/// one question through at a time until one is answered.
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

/// A question that may be asked. Unless it was answered, dropping it counts as an outage: whoever asked ran out of time.
struct Question<'a> {
    breaker: &'a CircuitBreaker,
    is_probe: bool,
    answered: bool,
}

impl CircuitBreaker {
    /// A closed one. `service` is the name that clients see.
    pub(crate) fn new(service: &'static str, pause: Duration) -> Self {
        Self { service, pause, state: Mutex::default() }
    }

    /// Asks, unless the service is being left alone. What counts as an outage is said by the error.
    ///
    /// # Errors
    /// Unavailable while the circuit is open; else those of `asking`.
    pub(crate) async fn ask<T>(&self, asking: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let allowed = self.state().enter(Instant::now());
        let Some(is_probe) = allowed else {
            return Err(Error::unavailable(self.service, "circuit open"));
        };
        let mut question = Question { breaker: self, is_probe, answered: false };
        let answer = asking.await;
        question.answered = !answer.as_ref().is_err_and(Error::is_outage);
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let until = Instant::now() + self.breaker.pause;
        self.breaker.state().settle(self.is_probe, self.answered, until);
    }
}

impl State {
    /// Whether a question may be asked now, and if so, whether it is the probe.
    fn enter(&mut self, now: Instant) -> Option<bool> {
        match &mut self.open {
            None => Some(false),
            Some(open) if open.probing || now < open.until => None,
            Some(open) => {
                open.probing = true;
                Some(true)
            }
        }
    }

    /// Learns how a question went. While the circuit is open only the probe counts: the others were asked before.
    fn settle(&mut self, is_probe: bool, answered: bool, until: Instant) {
        if self.open.is_some() && !is_probe {
            return;
        }
        if answered {
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

    /// What became of one question: whether it was asked, and its code if it failed.
    async fn ask(breaker: &CircuitBreaker, answer: Result<(), Error>) -> (bool, Option<ErrorCode>) {
        let mut asked = false;
        let outcome = breaker
            .ask(async {
                asked = true;
                answer
            })
            .await;
        (asked, outcome.err().map(|error| error.code()))
    }

    async fn open(pause: Duration) -> CircuitBreaker {
        let breaker = CircuitBreaker::new("UMS", pause);
        for _ in 0..OUTAGES {
            assert_eq!(ask(&breaker, Err(outage())).await, (true, Some(ErrorCode::ServiceUnavailable)));
        }
        breaker
    }

    #[tokio::test]
    async fn after_three_outages_in_a_row_nothing_is_asked() {
        let breaker = open(LONG).await;
        assert_eq!(ask(&breaker, Ok(())).await, (false, Some(ErrorCode::ServiceUnavailable)));
        let error = breaker.ask(async { Ok(()) }).await.unwrap_err();
        assert_eq!(error.cause(), Some("circuit open"));
    }

    #[tokio::test]
    async fn an_answer_in_between_starts_the_count_anew() {
        let breaker = CircuitBreaker::new("UMS", LONG);
        for _ in 0..OUTAGES {
            for answer in [Err(outage()), Err(outage()), Ok(())] {
                assert!(ask(&breaker, answer).await.0);
            }
        }
    }

    #[tokio::test]
    async fn refusals_and_odd_answers_are_no_outages() {
        let breaker = CircuitBreaker::new("UMS", LONG);
        for _ in 0..10 {
            assert!(ask(&breaker, Err(Error::unauthorized("no"))).await.0);
            assert!(ask(&breaker, Err(Error::unavailable("UMS", "it answered 418"))).await.0);
        }
    }

    #[tokio::test]
    async fn a_probe_that_is_answered_closes_the_circuit() {
        let breaker = open(Duration::ZERO).await;
        assert_eq!(ask(&breaker, Ok(())).await, (true, None));
        assert_eq!(ask(&breaker, Err(outage())).await, (true, Some(ErrorCode::ServiceUnavailable)));
        assert_eq!(ask(&breaker, Ok(())).await, (true, None));
    }

    #[tokio::test]
    async fn there_is_one_probe_at_a_time_and_one_that_is_given_up_makes_way() {
        let breaker = open(Duration::ZERO).await;
        for _ in 0..3 {
            let mut probe = Box::pin(breaker.ask(std::future::pending::<Result<(), Error>>()));
            assert!(futures_util::poll!(&mut probe).is_pending());
            assert!(!ask(&breaker, Ok(())).await.0);
            drop(probe);
        }
        assert_eq!(ask(&breaker, Ok(())).await, (true, None));
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_is_an_outage() {
        let breaker = CircuitBreaker::new("UMS", LONG);
        for _ in 0..OUTAGES {
            let mut question = Box::pin(breaker.ask(std::future::pending::<Result<(), Error>>()));
            assert!(futures_util::poll!(&mut question).is_pending());
        }
        assert!(!ask(&breaker, Ok(())).await.0);
    }

    #[test]
    fn the_circuit_is_open_until_the_pause_is_over_and_again_after_a_failed_probe() {
        let (start, later) = (Instant::now(), Duration::from_secs(1));
        let mut state = State::default();
        for _ in 0..OUTAGES {
            assert_eq!(state.enter(start), Some(false));
        }
        for _ in 0..OUTAGES {
            state.settle(false, false, start + later);
        }
        assert_eq!(state.enter(start), None);
        assert_eq!(state.enter(start + later), Some(true));
        state.settle(true, false, start + later * 2);
        assert_eq!(state.enter(start + later), None);
        assert_eq!(state.enter(start + later * 2), Some(true));
    }

    #[test]
    fn what_was_asked_before_the_circuit_opened_does_not_close_it() {
        let start = Instant::now();
        let mut state = State::default();
        for _ in 0..OUTAGES {
            state.settle(false, false, start + LONG);
        }
        state.settle(false, true, start);
        assert_eq!(state.enter(start), None);
    }
}
