//! The only module that talks to DynamoDB: keyed reads and writes, transactions with retries, errors that tell nothing
//! of the inside.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::{RequestId, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, ReturnValue, TransactWriteItem},
};
use aws_smithy_http_client::tls;
use std::collections::HashMap;

use crate::{case::CaseId, config::TableConfig, error::Error, keys, lab::LabId};

/// An item as DynamoDB has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The certificate authorities of AWS (Amazon Trust Services). Parsing these five instead of the system's bundle is
/// the largest saving at a cold start.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");
/// All attempts of one operation together; with it a request answers 503 in time when DynamoDB does not.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a transaction that meets others is tried again.
const CONFLICT_BUDGET: Duration = Duration::from_secs(2);

/// Why a transaction did not happen.
pub(crate) enum Refused {
    /// A condition did not hold: another writer was faster. Nothing was written.
    Condition,
    /// Anything else.
    Failed(Error),
}

/// A range of sort keys, both ends included, and in which order it is read.
pub(crate) struct Range {
    pub from: String,
    pub to: String,
    pub order: Order,
}

/// The order of sort keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// The table of one deployment.
#[derive(Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// A client with credentials and region from the configuration: nothing is looked up at a metadata service.
    pub(crate) fn new(config: &TableConfig) -> Result<Self, String> {
        let credentials = Credentials::new(
            &config.access_key_id,
            config.secret_access_key.expose(),
            config.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "environment",
        );
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(500))
            .operation_attempt_timeout(Duration::from_secs(1))
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut sdk = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .credentials_provider(credentials)
            .timeout_config(timeouts)
            .retry_config(
                RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)),
            );
        sdk = match &config.endpoint {
            // An emulator next door: plain HTTP, so no TLS is set up at all.
            Some(endpoint) if endpoint.starts_with("http://") => {
                sdk.endpoint_url(endpoint).http_client(aws_smithy_http_client::Builder::new().build_http())
            }
            endpoint => {
                sdk.set_endpoint_url(endpoint.clone());
                let roots = tls::TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
                let context = tls::TlsContext::builder()
                    .with_trust_store(roots)
                    .build()
                    .map_err(|error| format!("no TLS for DynamoDB: {error}"))?;
                sdk.http_client(
                    aws_smithy_http_client::Builder::new()
                        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
                        .tls_context(context)
                        .build_https(),
                )
            }
        };
        Ok(Self { client: Client::from_conf(sdk.build()), name: config.name.clone() })
    }

    /// One item, strongly consistent: what was just written is seen.
    pub(crate) async fn get(&self, lab: LabId, sk: &str) -> Result<Option<Item>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, sk)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed("GetItem", &error))?;
        Ok(answer.item)
    }

    /// Up to `limit` items of a range of sort keys; and whether there are more. Eventually consistent, at half the price.
    pub(crate) async fn range(
        &self,
        lab: LabId,
        range: Range,
        limit: u32,
    ) -> Result<(Vec<Item>, bool), Error> {
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("lab_id = :lab AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":lab", text(keys::lab(lab)))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(range.to))
            .scan_index_forward(range.order == Order::Ascending)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| failed("Query", &error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.is_some()))
    }

    /// The next case id of a lab. An id whose case is then not created stays unused.
    pub(crate) async fn next_case_id(&self, lab: LabId) -> Result<CaseId, Error> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, keys::COUNTER)))
            .update_expression("ADD last_id :one")
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| failed("UpdateItem", &error))?;
        answer
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.get("last_id")?.as_n().ok()?.parse().ok())
            .and_then(CaseId::new)
            .ok_or_else(|| Error::internal("the counter is no case id"))
    }

    /// Writes all actions or none. Conflicts with other transactions are tried again, with growing random pauses; the
    /// SDK's idempotency token makes the retry of an attempt whose answer was lost safe.
    pub(crate) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<(), Refused> {
        let started = Instant::now();
        for attempt in 0u32.. {
            let sent =
                self.client.transact_write_items().set_transact_items(Some(actions.clone())).send().await;
            let Err(error) = sent else { return Ok(()) };
            let reasons = cancellation_reasons(&error);
            if reasons.iter().any(|reason| reason == "ConditionalCheckFailed") {
                return Err(Refused::Condition);
            }
            let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
            let again = reasons.iter().any(|reason| passing.contains(&reason.as_str()));
            if !again || started.elapsed() > CONFLICT_BUDGET {
                return Err(Refused::Failed(failed("TransactWriteItems", &error)));
            }
            let ceiling = 10u64 << attempt.min(5);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(ceiling / 2..=ceiling))).await;
        }
        unreachable!("the loop above only ends by returning")
    }

    /// Whether the table answers a read.
    pub(crate) async fn is_up(&self) -> bool {
        // No lab has the id 0, so this partition is always empty.
        let nothing =
            HashMap::from([("lab_id".to_owned(), text("0")), ("sk".to_owned(), text(keys::COUNTER))]);
        self.client.get_item().table_name(&self.name).set_key(Some(nothing)).send().await.is_ok()
    }

    /// The table's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The primary key of an item.
pub(crate) fn key(lab: LabId, sk: &str) -> Item {
    HashMap::from([("lab_id".to_owned(), text(keys::lab(lab))), ("sk".to_owned(), text(sk))])
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn cancellation_reasons(error: &SdkError<TransactWriteItemsError>) -> Vec<String> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => canceled
            .cancellation_reasons()
            .iter()
            .map(|reason| reason.code().unwrap_or_default().to_owned())
            .collect(),
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
            vec!["TransactionConflict".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// Everything that DynamoDB can fail with here is either its own trouble or a wrong deployment: 503, and the log knows
/// more. The SDK's own texts are not logged: they can hold the raw answer, and with it items.
fn failed<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E>) -> Error {
    let what = match error {
        SdkError::ConstructionFailure(_) => "the request does not build",
        SdkError::TimeoutError(_) => "time-out",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "time-out of the connection",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "an answer that cannot be read",
        _ => error.code().unwrap_or("an error without a code"),
    };
    let request = error.request_id().unwrap_or("unknown");
    Error::unavailable("The database", format!("{operation}: {what} (DynamoDB request {request})"))
}
