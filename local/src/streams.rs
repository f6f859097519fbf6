//! Reads the streams of the embedded DynamoDB, and makes the events that Lambda makes of a stream's records.
//!
//! It does what an event source mapping does on AWS, except that it has no filters: it hands on every change.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    Error, Result,
    table::{Api, CallError},
};

/// The most records in one event, unless a reader sets another number.
const BATCH: u32 = 100;

/// The place in each shard after which the next read begins: the sequence number of the last processed record.
pub type Positions = BTreeMap<String, String>;

/// A reader of one table's stream. It goes on only after [`advance`](Self::advance).
#[derive(Debug)]
pub struct StreamReader {
    endpoint: String,
    arn: String,
    positions: Positions,
    batch: u32,
}

impl StreamReader {
    /// Opens the stream of a table, at its beginning or after these positions.
    ///
    /// # Errors
    /// The table has no stream, or DynamoDB does not answer.
    pub async fn open(endpoint: &str, table: &str, positions: Positions) -> Result<Self> {
        let answer = Api::new(endpoint).call("DescribeTable", &json!({"TableName": table})).await;
        let answer = answer.map_err(|error| error.into_error("DescribeTable", table))?;
        let arn = answer["Table"]["LatestStreamArn"].as_str();
        let arn = arn.ok_or_else(|| Error::new(format!("the table {table} has no stream")))?.to_owned();
        Ok(Self { endpoint: endpoint.to_owned(), arn, positions, batch: BATCH })
    }

    /// The same reader, with at most this number of records in one event: 1,000 or less.
    pub fn with_batch(self, records: u32) -> Self {
        Self { batch: records, ..self }
    }

    /// The event with the next records of a shard, as Lambda makes it; `None` if there is nothing new. Without
    /// [`advance`](Self::advance), the next call returns the same records.
    ///
    /// # Errors
    /// DynamoDB does not answer.
    pub async fn next_event(&self) -> Result<Option<StreamBatch>> {
        let described = self.call("DescribeStream", json!({"StreamArn": self.arn})).await?;
        for shard in described["StreamDescription"]["Shards"].as_array().into_iter().flatten() {
            let shard = shard["ShardId"].as_str().unwrap_or_default();
            let mut request =
                json!({"StreamArn": self.arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
            if let Some(position) = self.positions.get(shard) {
                request["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                request["SequenceNumber"] = json!(position);
            }
            let iterator = self.call("GetShardIterator", request).await?["ShardIterator"].take();
            let mut answer =
                self.call("GetRecords", json!({"ShardIterator": iterator, "Limit": self.batch})).await?;
            let Value::Array(records) = answer["Records"].take() else { continue };
            if !records.is_empty() {
                return Ok(Some(StreamBatch { shard: shard.to_owned(), event: event(records, &self.arn) }));
            }
        }
        Ok(None)
    }

    /// Goes on after a batch, as far as the function's answer says. Returns whether all of it was processed.
    pub fn advance(&mut self, batch: &StreamBatch, answer: &Value) -> bool {
        let numbers = batch.sequence_numbers();
        let failures = answer["batchItemFailures"].as_array().map(Vec::as_slice).unwrap_or_default();
        let failed = failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str());
        let first = failed.filter_map(|failed| numbers.iter().position(|number| *number == failed)).min();
        let done = &numbers[..first.unwrap_or(numbers.len())];
        if let Some(last) = done.last() {
            self.positions.insert(batch.shard.clone(), (*last).to_owned());
        }
        first.is_none()
    }

    /// The positions, to open the stream there again.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    async fn call(&self, operation: &str, request: Value) -> Result<Value> {
        let answer = Api::new(&self.endpoint).call_streams(operation, &request).await;
        answer.map_err(|error: CallError| error.into_error(operation, &self.arn))
    }
}

/// Records of one shard.
#[derive(Clone, Debug)]
pub struct StreamBatch {
    shard: String,
    /// The event for the function.
    pub event: Value,
}

impl StreamBatch {
    fn sequence_numbers(&self) -> Vec<&str> {
        let records = self.event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
        records.iter().filter_map(|record| record["dynamodb"]["SequenceNumber"].as_str()).collect()
    }
}

/// The event of records as GetRecords returns them: each gets the stream's ARN.
fn event(mut records: Vec<Value>, arn: &str) -> Value {
    for record in &mut records {
        record["eventSourceARN"] = json!(arn);
    }
    json!({"Records": records})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dynamodb,
        server::listen,
        table::{self, Definition},
    };

    const TEMPLATE: &str = "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      AttributeDefinitions: [{AttributeName: lab_id, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      KeySchema: [{AttributeName: lab_id, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
";

    /// The members of a record and their kinds, without values that differ from run to run.
    fn shape(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
            }
            Value::Array(values) => values.iter().map(shape).collect(),
            Value::String(_) => json!("text"),
            Value::Number(_) => json!(0),
            other => other.clone(),
        }
    }

    #[tokio::test]
    async fn events_have_the_members_of_those_of_aws_and_come_again_until_they_are_processed() {
        let listener = listen("DynamoDB", "DYNAMODB_PORT", 0).await.unwrap();
        let (database, expiry) = dynamodb::serve(listener, &dynamodb::Storage::Memory).unwrap();
        let definition = Definition::from_template(TEMPLATE, "Table").unwrap().with_stream();
        table::create(database.url(), "lhcms-test", &definition).await.unwrap();
        let api = Api::new(database.url());
        let item =
            json!({"lab_id": {"S": "123"}, "sk": {"S": "DELETED#0000000001"}, "expires_at": {"N": "1"}});
        api.call("PutItem", &json!({"TableName": "lhcms-test", "Item": item})).await.unwrap();
        expiry.run().unwrap();

        let mut reader = StreamReader::open(database.url(), "lhcms-test", Positions::new()).await.unwrap();
        let batch = reader.next_event().await.unwrap().unwrap();
        let expected: Value = serde_json::from_str(include_str!("streams.json")).unwrap();
        assert_eq!(shape(&batch.event), shape(&expected));
        let [added, removed] = &batch.event["Records"].as_array().unwrap()[..] else { panic!("{batch:?}") };
        assert_eq!((&added["eventName"], &added["eventSource"]), (&json!("INSERT"), &json!("aws:dynamodb")));
        assert_eq!(removed["eventName"], "REMOVE");
        assert_eq!(removed["userIdentity"], expected["Records"][1]["userIdentity"]);
        assert_eq!(removed["dynamodb"]["OldImage"], item);

        let second = removed["dynamodb"]["SequenceNumber"].clone();
        assert!(!reader.advance(&batch, &json!({"batchItemFailures": [{"itemIdentifier": second}]})));
        let again = reader.next_event().await.unwrap().unwrap();
        assert_eq!(again.event["Records"], json!([removed]));
        assert!(reader.advance(&again, &json!({"batchItemFailures": []})));
        assert!(reader.next_event().await.unwrap().is_none());
        let positions = reader.positions().clone();
        let reopened = StreamReader::open(database.url(), "lhcms-test", positions).await.unwrap();
        assert!(reopened.next_event().await.unwrap().is_none());
    }
}
