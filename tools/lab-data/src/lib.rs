//! Tools for the data of a lab. They are an operator's tools: they need the table, and the keys of seals.

mod attachments;
pub mod begin_epoch;
pub mod destroy;
pub mod export;
pub mod import;
pub mod repair;

use std::time::Duration;

use shared::base::error::Error;

/// The pauses before something is tried again. After the last one the tool ends with an error.
const PAUSES: [u64; 5] = [1, 2, 5, 10, 30];

/// Tries something that can be repeated again while the database fails.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(attempt: impl Fn() -> F) -> Result<T, String> {
    let mut pauses = PAUSES.iter();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => match pauses.next() {
                Some(pause) => tokio::time::sleep(Duration::from_secs(*pause)).await,
                None => return Err(failed(&error)),
            },
        }
    }
}

/// The text of a failed call. It has no data.
fn failed(error: &Error) -> String {
    error.cause().unwrap_or(error.code().as_str()).to_owned()
}
