//! How many requests cargo-lambda gets at a time. It keeps at most 100 requests of one function waiting; one more, and
//! it stops for good. So requests wait here, first come first served, and only so many wait.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many requests may run and wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests at one function.
    pub per_function: usize,
    /// Requests at all functions together.
    pub in_all: usize,
    /// Requests that wait.
    pub queue: usize,
    /// How long a request waits.
    pub patience: Duration,
}

impl Limits {
    /// The limits for so many processes per function: one request runs in each process, and one waits behind it, so that
    /// no process is idle. Below the 100 of cargo-lambda whatever the number.
    pub fn of_concurrency(processes: u16) -> Self {
        let processes = usize::from(processes.max(1));
        Self {
            per_function: (2 * processes).min(64),
            in_all: 8 * processes,
            queue: 1000,
            patience: Duration::from_secs(20),
        }
    }
}

/// Lets requests in.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    functions: HashMap<String, Function>,
    in_all: Arc<Semaphore>,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Function {
    slots: Arc<Semaphore>,
    lost: Arc<AtomicUsize>,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many requests wait as may.
    QueueFull,
    /// It has waited as long as it may.
    WaitedTooLong,
    /// Every slot at the function is taken by a request that is never answered: no process serves it any more.
    NoProcess,
}

/// A slot at a function. Dropping it lets the next request in.
#[derive(Debug)]
pub(super) struct Slot {
    at_function: OwnedSemaphorePermit,
    in_all: OwnedSemaphorePermit,
    lost: Arc<AtomicUsize>,
}

/// The slot of a request that got no answer in time. It stays taken, because cargo-lambda still holds the request.
#[derive(Debug)]
pub(super) struct LostSlot {
    _at_function: OwnedSemaphorePermit,
    lost: Arc<AtomicUsize>,
}

impl Admission {
    /// Lets requests to these functions in.
    pub(super) fn new(functions: &[String], limits: Limits) -> Self {
        let function = |name: &String| {
            let slots = Arc::new(Semaphore::new(limits.per_function));
            (name.clone(), Function { slots, lost: Arc::default() })
        };
        Self {
            limits,
            functions: functions.iter().map(function).collect(),
            in_all: Arc::new(Semaphore::new(limits.in_all)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for a slot. A caller that goes away while it waits leaves the queue: drop the future.
    ///
    /// # Errors
    /// When it cannot be let in. A function that is not known has no process.
    pub(super) async fn enter(&self, function: &str) -> Result<Slot, Refused> {
        let function = self.functions.get(function).ok_or(Refused::NoProcess)?;
        if function.lost.load(Ordering::Relaxed) >= self.limits.per_function {
            return Err(Refused::NoProcess);
        }
        let _waiting = Waiting::new(&self.waiting, self.limits.queue).ok_or(Refused::QueueFull)?;
        // The function's slot first: who waits for a busy function keeps nobody else waiting.
        let slots = async {
            let at_function = function.slots.clone().acquire_owned().await;
            let in_all = self.in_all.clone().acquire_owned().await;
            // The semaphores are never closed.
            Some((at_function.ok()?, in_all.ok()?))
        };
        match timeout(self.limits.patience, slots).await {
            Ok(Some((at_function, in_all))) => Ok(Slot { at_function, in_all, lost: function.lost.clone() }),
            _ => Err(Refused::WaitedTooLong),
        }
    }

    /// How many requests wait now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// Keeps the function's slot taken, but lets requests to other functions in.
    pub(super) fn lose(self) -> LostSlot {
        self.lost.fetch_add(1, Ordering::Relaxed);
        drop(self.in_all);
        LostSlot { _at_function: self.at_function, lost: self.lost }
    }
}

impl Drop for LostSlot {
    fn drop(&mut self) {
        self.lost.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        // Counted first, so that two who come at the same time do not both become the last one.
        let counted = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < limit).then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::yield_now;

    use super::*;

    const LIMITS: Limits = Limits { per_function: 1, in_all: 2, queue: 3, patience: Duration::from_secs(20) };

    fn admission(limits: Limits) -> Arc<Admission> {
        Arc::new(Admission::new(&["a", "b", "c"].map(str::to_owned), limits))
    }

    /// A request to function `a` that waits in the background, once it does wait.
    async fn wait(
        admission: &Arc<Admission>,
        then: impl FnOnce() + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let before = admission.waiting();
        let waiting = admission.clone();
        let task = tokio::spawn(async move {
            let slot = waiting.enter("a").await;
            then();
            drop(slot);
        });
        while admission.waiting() == before {
            yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn requests_are_let_in_in_the_order_in_which_they_came() {
        let admission = admission(LIMITS);
        let first = admission.enter("a").await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 1..=3 {
            let order = order.clone();
            tasks.push(wait(&admission, move || order.lock().unwrap().push(number)).await);
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert_eq!(admission.waiting(), 0);
    }

    #[tokio::test]
    async fn a_request_beyond_the_queue_is_rejected_at_once() {
        let admission = admission(LIMITS);
        let _first = admission.enter("a").await.unwrap();
        for _ in 0..3 {
            wait(&admission, || ()).await;
        }
        assert_eq!(admission.enter("a").await.unwrap_err(), Refused::QueueFull);
        assert_eq!(admission.enter("b").await.unwrap_err(), Refused::QueueFull);
        assert_eq!(admission.waiting(), 3);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_leaves_the_queue() {
        let admission = admission(LIMITS);
        let first = admission.enter("a").await.unwrap();
        let gone = wait(&admission, || panic!("it was let in")).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(admission.waiting(), 0);
        drop(first);
        assert!(admission.enter("a").await.is_ok());
    }

    #[tokio::test]
    async fn a_busy_function_keeps_no_other_function_waiting() {
        let admission = admission(LIMITS);
        let _first = admission.enter("a").await.unwrap();
        let _waiting = wait(&admission, || ()).await;
        let second = admission.enter("b").await.unwrap();
        // All together are two.
        tokio::select! {
            _ = admission.enter("c") => panic!("a third was let in"),
            () = yield_now() => {}
        }
        drop(second);
        assert!(admission.enter("c").await.is_ok());
    }

    #[tokio::test]
    async fn a_request_waits_only_so_long() {
        let admission = admission(Limits { patience: Duration::from_millis(20), ..LIMITS });
        let _first = admission.enter("a").await.unwrap();
        assert_eq!(admission.enter("a").await.unwrap_err(), Refused::WaitedTooLong);
        assert_eq!(admission.waiting(), 0);
    }

    #[tokio::test]
    async fn a_function_whose_slots_are_all_lost_rejects_at_once_until_one_is_answered() {
        let admission = admission(LIMITS);
        let lost = admission.enter("a").await.unwrap().lose();
        assert_eq!(admission.enter("a").await.unwrap_err(), Refused::NoProcess);
        // What is lost takes no slot from the others.
        let _others = (admission.enter("b").await.unwrap(), admission.enter("c").await.unwrap());
        drop((lost, _others));
        assert!(admission.enter("a").await.is_ok());
        assert_eq!(admission.enter("nothing").await.unwrap_err(), Refused::NoProcess);
    }

    #[test]
    fn no_number_of_processes_reaches_the_limit_of_cargo_lambda() {
        for processes in [0, 1, 2, 50, u16::MAX] {
            let limits = Limits::of_concurrency(processes);
            assert!((2..100).contains(&limits.per_function), "{processes}");
            assert!(limits.in_all >= limits.per_function, "{processes}");
        }
    }
}
