//! The cost of a million requests at the list prices of prices.json.

use std::collections::BTreeMap;

use local::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::calls::Calls;

/// The memory of a function in MB, as the template sets it.
pub(crate) const MEMORY_MB: f64 = 256.0;
/// With so much memory a function has one processor; with less, its share of one.
const MEMORY_OF_ONE_PROCESSOR_MB: f64 = 1769.0;
const GB: f64 = 1e9;

#[derive(Deserialize)]
struct PriceTable {
    prices: Vec<Price>,
}

#[derive(Deserialize)]
struct Price {
    name: String,
    usd: f64,
}

/// The prices in US dollars, by name.
pub(crate) struct Prices(BTreeMap<String, f64>);

/// What a request uses.
#[derive(Clone, Debug)]
pub(crate) struct Use<'a> {
    pub(crate) calls: &'a Calls,
    /// The processor time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// The time from the event to the answer, with a network between the function and DynamoDB, in milliseconds.
    pub(crate) latency_ms: f64,
    pub(crate) response_bytes: u64,
    pub(crate) log_bytes: u64,
}

/// The cost of a million requests, in US dollars.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) lambda: f64,
    pub(crate) gateway: f64,
    pub(crate) reads: f64,
    pub(crate) writes: f64,
    pub(crate) egress: f64,
    pub(crate) logs: f64,
}

impl Cost {
    pub(crate) fn total(&self) -> f64 {
        self.lambda + self.gateway + self.reads + self.writes + self.egress + self.logs
    }
}

impl Prices {
    /// The prices of prices.json.
    pub(crate) fn read() -> Result<Self> {
        let table: PriceTable = serde_json::from_str(include_str!("../prices.json"))
            .map_err(|error| Error::new(format!("bench/prices.json: {error}")))?;
        Ok(Self(table.prices.into_iter().map(|price| (price.name, price.usd)).collect()))
    }

    fn price(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().ok_or_else(|| Error::new(format!("bench/prices.json has no {name}")))
    }

    /// The cost of a million such requests.
    pub(crate) fn of_a_million(&self, used: &Use<'_>) -> Result<Cost> {
        const MILLION: f64 = 1e6;
        let seconds = duration_ms(used).ceil() / 1e3;
        let gb_seconds = seconds * MEMORY_MB / 1024.0;
        Ok(Cost {
            lambda: MILLION
                * (self.price("lambda_request")? + gb_seconds * self.price("lambda_gb_second")?),
            gateway: MILLION * self.price("http_api_request")?,
            reads: MILLION * used.calls.read_units * self.price("read_unit")?,
            writes: MILLION * used.calls.write_units * self.price("write_unit")?,
            egress: MILLION * used.response_bytes as f64 / GB * self.price("egress_gb")?,
            logs: MILLION * used.log_bytes as f64 / GB * self.price("log_gb")?,
        })
    }
}

/// The time that Lambda charges: what the function waits for, and its processor time with its share of a processor.
pub(crate) fn duration_ms(used: &Use<'_>) -> f64 {
    let waits = (used.latency_ms - used.cpu_ms).max(0.0);
    waits + used.cpu_ms * MEMORY_OF_ONE_PROCESSOR_MB / MEMORY_MB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_requests_cost_the_sum_of_their_parts() {
        let calls = Calls { read_units: 4.0, write_units: 2.0, ..Calls::default() };
        let used =
            Use { calls: &calls, cpu_ms: 1.0, latency_ms: 11.0, response_bytes: 10_000, log_bytes: 1_000 };
        assert!((duration_ms(&used) - 16.91).abs() < 0.01);
        let cost = Prices::read().unwrap().of_a_million(&used).unwrap();
        let expected = [0.2 + 17e3 * 0.25 * 0.0000133334, 1.0, 0.5, 1.25, 0.9, 0.5];
        let parts = [cost.lambda, cost.gateway, cost.reads, cost.writes, cost.egress, cost.logs];
        for (part, expected) in parts.iter().zip(expected) {
            assert!((part - expected).abs() < 1e-6, "{cost:?}");
        }
        assert!((cost.total() - expected.iter().sum::<f64>()).abs() < 1e-6);
    }
}
