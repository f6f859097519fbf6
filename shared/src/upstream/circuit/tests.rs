//! A real outage opens the circuit. The failures of one caller do not.

use super::*;

const LONG: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_secs(2);

type Breaker = CircuitBreaker<u32>;

fn outage() -> Error {
    Error::outage("UMS", "no connection")
}

fn unusable() -> Error {
    Error::unavailable("UMS", "unexpected answer")
}

/// Makes one call. Returns whether the breaker allowed it.
async fn call(breaker: &Breaker, key: u32, answer: Result<(), Error>) -> bool {
    let mut allowed = false;
    let outcome = breaker
        .call(&key, async {
            allowed = true;
            answer.clone()
        })
        .await;
    let expected = if allowed { answer.err() } else { Some(outage()) };
    assert_eq!(outcome.err().map(|error| error.code()), expected.map(|error| error.code()));
    allowed
}

/// A breaker that the outages of the keys 0, 1 and 2 opened.
async fn open(pause: Duration) -> Breaker {
    let breaker = Breaker::new("UMS", pause);
    for key in 0..3 {
        assert!(call(&breaker, key, Err(outage())).await);
    }
    breaker
}

#[tokio::test]
async fn outages_of_three_keys_open_the_circuit_for_all() {
    let breaker = open(LONG).await;
    for key in 0..10 {
        assert!(!call(&breaker, key, Ok(())).await);
    }
    let error = breaker.call(&7, async { Ok(()) }).await.unwrap_err();
    assert_eq!(error.cause(), Some("circuit open"));
}

#[tokio::test]
async fn one_key_never_opens_the_circuit_and_fails_fast_after_two_failures() {
    for failure in [outage(), unusable()] {
        let breaker = Breaker::new("UMS", LONG);
        for number in 0..100 {
            assert_eq!(call(&breaker, 0, Err(failure.clone())).await, number < 2);
            assert!(number % 10 != 0 || call(&breaker, 1000 + number, Ok(())).await);
        }
        let error = breaker.call(&0, async { Ok(()) }).await.unwrap_err();
        assert_eq!(error.cause(), Some("repeated failures of this caller or id"));
    }
}

#[tokio::test]
async fn two_keys_do_not_open_the_circuit() {
    let breaker = Breaker::new("UMS", LONG);
    for _ in 0..10 {
        call(&breaker, 0, Err(outage())).await;
        call(&breaker, 1, Err(outage())).await;
    }
    assert!(call(&breaker, 2, Ok(())).await);
}

#[tokio::test]
async fn an_answer_makes_the_outages_before_it_count_no_longer() {
    // No pause: the keys that failed may call again at once.
    let breaker = Breaker::new("UMS", Duration::ZERO);
    for key in 0..2 {
        call(&breaker, key, Err(outage())).await;
    }
    assert!(call(&breaker, 9, Ok(())).await);
    // The first three fail on their own: another key got an answer in between.
    for _ in 0..20 {
        for key in 0..3 {
            assert!(call(&breaker, key, Err(outage())).await);
        }
    }
    assert!(breaker.state().open.is_none());
    for key in 3..5 {
        assert!(call(&breaker, key, Err(outage())).await);
    }
    assert!(breaker.state().open.is_some());
}

#[tokio::test]
async fn rejections_are_answers_and_unusable_answers_open_nothing() {
    let breaker = Breaker::new("UMS", LONG);
    for key in 0..10 {
        assert!(call(&breaker, key % 2, Err(Error::unauthorized("no"))).await);
        assert!(call(&breaker, 100 + key, Err(unusable())).await);
    }
    assert!(call(&breaker, 0, Ok(())).await);
}

#[tokio::test]
async fn an_answered_probe_of_any_key_closes_the_circuit() {
    for key in [0, 7] {
        let breaker = open(Duration::ZERO).await;
        assert!(call(&breaker, key, Ok(())).await);
        assert!(breaker.state().open.is_none());
    }
}

#[tokio::test]
async fn a_cancelled_call_is_an_outage() {
    let breaker = Breaker::new("UMS", LONG);
    for key in 0..3 {
        let mut pending = Box::pin(breaker.call(&key, std::future::pending::<Result<(), Error>>()));
        assert!(futures_util::poll!(&mut pending).is_pending());
    }
    assert!(!call(&breaker, 9, Ok(())).await);
}

#[tokio::test]
async fn one_newcomer_probes_at_a_time_and_a_cancelled_probe_allows_the_next() {
    let breaker = open(Duration::ZERO).await;
    for key in 10..13 {
        let mut probe = Box::pin(breaker.call(&key, std::future::pending::<Result<(), Error>>()));
        assert!(futures_util::poll!(&mut probe).is_pending());
        assert!(!call(&breaker, 99, Ok(())).await);
        drop(probe);
    }
    assert!(call(&breaker, 99, Ok(())).await);
}

#[tokio::test]
async fn a_probe_of_a_key_that_failed_before_does_not_delay_other_keys() {
    let breaker = open(Duration::ZERO).await;
    let mut probe = Box::pin(breaker.call(&0, std::future::pending::<Result<(), Error>>()));
    assert!(futures_util::poll!(&mut probe).is_pending());
    assert!(!call(&breaker, 1, Ok(())).await, "another known key waits");
    assert!(call(&breaker, 9, Ok(())).await, "a newcomer does not");
    assert!(breaker.state().open.is_none());
}

/// A state that the outages of the keys 0, 1 and 2 opened at this time.
fn opened_at(now: SystemTime) -> State<u32> {
    let mut state = State { failures: HashMap::new(), open: None };
    for key in 0..3 {
        assert_eq!(state.enter(&key, now, PAUSE), Ok(CallKind::Normal));
        state.settle(&key, CallKind::Normal, CallResult::Outage, now);
    }
    state
}

#[test]
fn in_an_outage_each_gate_lets_one_call_pass_in_a_pause() {
    let start = SystemTime::now();
    let mut state = opened_at(start);
    let (mut allowed, mut blocked) = (0, 0);
    // Twenty keys call ten times a second for a minute.
    for tenth in 0..600 {
        let now = start + Duration::from_millis(100) * tenth;
        for key in 0..20 {
            match state.enter(&key, now, PAUSE) {
                Ok(kind) => {
                    allowed += 1;
                    state.settle(&key, kind, CallResult::Outage, now);
                }
                Err(_) => blocked += 1,
            }
        }
    }
    assert_eq!(allowed + blocked, 12_000);
    assert!(allowed <= 60, "{allowed} calls in 30 pauses through two gates");
    let now = start + Duration::from_secs(62);
    let probe = (0..20).find_map(|key| Some((key, state.enter(&key, now, PAUSE).ok()?))).unwrap();
    state.settle(&probe.0, probe.1, CallResult::Answered, now);
    assert_eq!(state.enter(&100, now, PAUSE), Ok(CallKind::Normal));
}

#[test]
fn a_key_that_keeps_failing_leaves_the_next_probe_to_another() {
    let start = SystemTime::now();
    let mut state = opened_at(start);
    let later = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(state.enter(&0, later(2), PAUSE), Ok(CallKind::KnownProbe));
    state.settle(&0, CallKind::KnownProbe, CallResult::Outage, later(2));
    assert!(state.enter(&1, later(3), PAUSE).is_err());
    assert!(state.enter(&0, later(4), PAUSE).is_err());
    assert_eq!(state.enter(&1, later(4), PAUSE), Ok(CallKind::KnownProbe));
}

#[test]
fn an_unusable_answer_to_a_probe_leaves_the_gate_open() {
    let start = SystemTime::now();
    let mut state = opened_at(start);
    let now = start + PAUSE;
    for key in 10..20 {
        assert_eq!(state.enter(&key, now, PAUSE), Ok(CallKind::NewcomerProbe));
        state.settle(&key, CallKind::NewcomerProbe, CallResult::Unusable, now);
    }
    assert!(state.open.is_some());
}

#[test]
fn a_call_from_before_the_circuit_opened_does_not_close_it() {
    let start = SystemTime::now();
    let mut state = opened_at(start);
    state.settle(&9, CallKind::Normal, CallResult::Answered, start);
    assert!(state.enter(&9, start, PAUSE).is_err());
}

#[test]
fn outages_count_for_half_a_minute_and_a_clock_that_is_set_back_blocks_nobody() {
    let start = SystemTime::now();
    let mut state = State { failures: HashMap::new(), open: None };
    for key in 0..10 {
        let now = start + Duration::from_secs(16) * key;
        state.settle(&key, CallKind::Normal, CallResult::Outage, now);
    }
    assert!(state.open.is_none());
    let mut state = opened_at(start);
    state.settle(&0, CallKind::Normal, CallResult::Outage, start);
    let before = start - Duration::from_secs(3600);
    assert_eq!(state.enter(&0, before, PAUSE), Ok(CallKind::NewcomerProbe));
}

#[test]
fn the_breaker_forgets_the_oldest_failures_when_there_are_many() {
    let start = SystemTime::now();
    let mut state = State { failures: HashMap::new(), open: None };
    for key in 0..=CAPACITY {
        state.note_failure(&key, true, start + Duration::from_micros(key as u64));
    }
    assert_eq!(state.failures.len(), CAPACITY);
    assert!(!state.failures.contains_key(&0));
}
