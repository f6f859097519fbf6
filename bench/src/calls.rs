//! The calls to DynamoDB for a request: how many, how large, and what DynamoDB charges for them.

use std::collections::BTreeMap;

use local::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    harness::proxy::{Proxy, RecordedCall},
    lambda::{Answer, Environment, Launch},
};

/// The calls that read. Their units are read units; those of all others are write units.
const READS: [&str; 3] = ["GetItem", "BatchGetItem", "Query"];

/// The calls for one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// How many, by operation of DynamoDB.
    pub(crate) calls: BTreeMap<String, u64>,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
    /// The bodies of the requests to DynamoDB.
    pub(crate) bytes_sent: u64,
    /// The bodies of its answers.
    pub(crate) bytes_received: u64,
}

impl Calls {
    /// Read and write units.
    pub(crate) fn units(&self) -> f64 {
        self.read_units + self.write_units
    }

    /// How many calls there are.
    pub(crate) fn count(&self) -> u64 {
        self.calls.values().sum()
    }

    fn of(recorded: &[RecordedCall]) -> Self {
        let mut sum = Self::default();
        for call in recorded {
            *sum.calls.entry(call.name.clone()).or_default() += 1;
            let is_read = READS.contains(&call.name.as_str());
            *(if is_read { &mut sum.read_units } else { &mut sum.write_units }) += call.units;
            sum.bytes_sent += call.body.to_string().len() as u64;
            sum.bytes_received += call.answer_bytes as u64;
        }
        sum
    }
}

/// A function whose calls to DynamoDB are recorded.
pub(crate) struct Recorder {
    proxy: Proxy,
    environment: Environment,
}

impl Recorder {
    /// Starts the function with a proxy in front of the DynamoDB at `dynamodb`.
    pub(crate) async fn start(launch: &Launch, dynamodb: &str) -> Result<Self> {
        let proxy = Proxy::start(dynamodb).await;
        let launch = launch.with("AWS_ENDPOINT_URL_DYNAMODB", proxy.url());
        let environment = Environment::start(&launch).await?;
        Ok(Self { proxy, environment })
    }

    /// Sends a request, and returns its calls and its answer.
    pub(crate) async fn send(&mut self, event: &Value) -> Result<(Calls, Answer)> {
        self.proxy.record_calls();
        let answer = self.environment.invoke(event).await?;
        Ok((Calls::of(&self.proxy.take_recorded_calls()), answer))
    }
}
