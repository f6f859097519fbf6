//! The service's tables, created from the one definition of each there is: the resources of template.yaml.
//!
//! CloudFormation names the properties of a table as the DynamoDB API does, so they are handed on as they stand.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::{Error, Result, client::Client};

/// How long one call to DynamoDB, and the creation of the table, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What is handed on to CreateTable. The rest (encryption, backups, protection) means nothing on a laptop.
const CREATE: [&str; 5] =
    ["KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"];

/// The definition of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    create: Map<String, Value>,
    ttl_attribute: Option<String>,
    stream: Value,
    has_stream: bool,
}

/// What [`create`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// There was no such table; now there is one.
    New,
    /// The table was there, made from the same definition, and was kept with its items.
    Existing,
}

/// The tables with streams, by the names of their resources in template.yaml and of the functions' variables.
pub const TABLES: [(&str, &str); 2] = [("Table", "TABLE_NAME"), ("AuditTable", "AUDIT_TABLE_NAME")];

/// The table of tickets and connections, likewise. Its changes are of no interest to anybody.
pub const CONNECTIONS: (&str, &str) = ("ConnectionsTable", "CONNECTIONS_TABLE");

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    resources: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    r#type: String,
    properties: Map<String, Value>,
}

impl Definition {
    /// Reads the definition of a resource from a template file.
    ///
    /// # Errors
    /// When the file cannot be read or the resource is no usable table.
    pub fn read(template: &Path, resource: &str) -> Result<Self> {
        let failed = |why: String| Error::new(format!("{}: {why}", template.display()));
        let text = fs::read_to_string(template).map_err(|error| failed(error.to_string()))?;
        Self::from_template(&text, resource).map_err(|error| failed(error.to_string()))
    }

    /// Reads the definition from the text of a template. Short-form tags such as `!Ref` are passed over: what they
    /// stand for is not part of the definition.
    ///
    /// # Errors
    /// When the text is no YAML or has no such resource of the type `AWS::DynamoDB::Table` with a key.
    pub fn from_template(text: &str, resource: &str) -> Result<Self> {
        // Otherwise the attribute type N would be read as the boolean of YAML 1.1.
        let options = serde_saphyr::options! { strict_booleans: true };
        let unreadable = |error: String| {
            let first_line = error.lines().next().unwrap_or_default().to_owned();
            Error::new(format!("no resource {resource} can be read: {first_line}"))
        };
        let mut template: Template = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| unreadable(error.to_string()))?;
        let found = template.resources.remove(resource).unwrap_or_default();
        let Resource { r#type, properties } =
            serde_json::from_value(found).map_err(|error| unreadable(error.to_string()))?;
        if r#type != "AWS::DynamoDB::Table" {
            return Err(Error::new(format!(
                "the resource {resource} is a {type}, not an AWS::DynamoDB::Table"
            )));
        }
        for required in ["KeySchema", "AttributeDefinitions"] {
            if !properties.get(required).is_some_and(Value::is_array) {
                return Err(Error::new(format!("the resource {resource} has no {required}")));
            }
        }
        // Without the stream, unless a reader asks for it: the emulator gets slower with every record of it.
        let create: Map<String, Value> = CREATE
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), properties.get(*name)?.clone())))
            .collect();
        let ttl = properties.get("TimeToLiveSpecification");
        let ttl_attribute = ttl
            .filter(|ttl| ttl["Enabled"] == true)
            .and_then(|ttl| ttl["AttributeName"].as_str())
            .map(str::to_owned);
        let stream = properties.get("StreamSpecification").cloned().unwrap_or_default();
        Ok(Self { create, ttl_attribute, stream, has_stream: false })
    }

    /// The same definition with the stream of the template.
    pub fn with_stream(self) -> Self {
        Self { has_stream: self.stream.is_object(), ..self }
    }
}

/// Creates the table `name` at `endpoint`. An existing table with the same definition is kept.
///
/// # Errors
/// DynamoDB rejects a request or does not answer, or the existing table has another definition.
pub async fn create(endpoint: &str, name: &str, definition: &Definition) -> Result<Created> {
    let api = Api::new(endpoint);
    let mut request = definition.create.clone();
    request.insert("TableName".into(), name.into());
    let created = match api.call("CreateTable", &Value::Object(request)).await {
        Ok(_) => Created::New,
        Err(CallError { kind, .. }) if kind == "ResourceInUseException" => Created::Existing,
        Err(error) => return Err(error.into_error("CreateTable", name)),
    };

    let table = api.active(name).await?;
    if created == Created::Existing {
        let differences = differences(&definition.create, &table);
        if !differences.is_empty() {
            return Err(Error::new(format!(
                "the table {name} exists but has another definition ({} differ); \
                 delete its data (`make reset-data`) or go back to the template that it was made from",
                differences.join(", ")
            )));
        }
    }
    api.expire(name, definition.ttl_attribute.as_deref()).await?;
    if definition.has_stream && table.get("LatestStreamArn").is_none() {
        let mut stream = definition.stream.clone();
        stream["StreamEnabled"] = json!(true);
        let request = json!({"TableName": name, "StreamSpecification": stream});
        api.call("UpdateTable", &request).await.map_err(|error| error.into_error("UpdateTable", name))?;
    }
    Ok(created)
}

/// Which parts of `wanted` are not as in the description of an existing table. Order does not matter.
fn differences(wanted: &Map<String, Value>, table: &Value) -> Vec<&'static str> {
    ["KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"]
        .into_iter()
        .filter(|part| shape(wanted.get(*part)) != shape(table.get(*part)))
        .collect()
}

/// The parts of a list of keys, attributes or indexes that a template sets, sorted, so that two lists can be compared.
fn shape(list: Option<&Value>) -> BTreeMap<String, Value> {
    let elements = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    elements
        .iter()
        .map(|element| {
            let name = element.get("IndexName").or_else(|| element.get("AttributeName"));
            let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut projection = element["Projection"].clone();
            if let Some(names) = projection.get_mut("NonKeyAttributes").and_then(Value::as_array_mut) {
                names.sort_by_key(Value::to_string);
            }
            let chosen =
                json!([element["KeyType"], element["AttributeType"], element["KeySchema"], projection]);
            (name, chosen)
        })
        .collect()
}

/// The calls to DynamoDB that the stack and the tests make themselves, as JSON.
#[derive(Debug)]
pub struct Api<'a> {
    client: Client,
    endpoint: &'a str,
}

/// An error of DynamoDB, or no answer.
#[derive(Debug)]
pub struct CallError {
    kind: String,
    message: String,
}

impl CallError {
    pub(crate) fn into_error(self, operation: &str, table: &str) -> Error {
        Error::new(format!("{operation} of {table} failed: {} {}", self.kind, self.message))
    }
}

impl<'a> Api<'a> {
    /// The API of the DynamoDB at `endpoint`.
    pub fn new(endpoint: &'a str) -> Self {
        Self { client: Client::new(LIMIT), endpoint }
    }

    /// Calls an operation such as `Query` with its request.
    ///
    /// # Errors
    /// DynamoDB rejects the request or does not answer.
    pub async fn call(&self, operation: &str, request: &Value) -> std::result::Result<Value, CallError> {
        self.send(&format!("DynamoDB_20120810.{operation}"), request).await
    }

    /// Calls an operation of the streams, such as `GetRecords`.
    ///
    /// # Errors
    /// DynamoDB rejects the request or does not answer.
    pub async fn call_streams(
        &self,
        operation: &str,
        request: &Value,
    ) -> std::result::Result<Value, CallError> {
        self.send(&format!("DynamoDBStreams_20120810.{operation}"), request).await
    }

    async fn send(&self, target: &str, request: &Value) -> std::result::Result<Value, CallError> {
        // The embedded DynamoDB needs a signature but does not verify it.
        let signature = "AWS4-HMAC-SHA256 Credential=local/20200101/us-east-1/dynamodb/aws4_request, \
                         SignedHeaders=host;x-amz-date;x-amz-target, Signature=0";
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target),
            ("x-amz-date", "20200101T000000Z"),
            ("authorization", signature),
        ];
        let answer = self
            .client
            .send(Method::POST, self.endpoint, &headers, request.to_string())
            .await
            .map_err(|error| CallError { kind: "no answer:".into(), message: error.to_string() })?;
        let body = answer.json();
        if answer.status.is_success() {
            return Ok(body);
        }
        let kind = body["__type"].as_str().unwrap_or_default();
        let message = body["message"].as_str().or_else(|| body["Message"].as_str()).unwrap_or_default();
        Err(CallError { kind: kind.rsplit('#').next().unwrap_or_default().into(), message: message.into() })
    }

    /// The description of the table, as soon as the table can be used.
    async fn active(&self, name: &str) -> Result<Value> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.call("DescribeTable", &json!({"TableName": name})).await;
            let table = answer.map_err(|error| error.into_error("DescribeTable", name))?["Table"].take();
            if table["TableStatus"] == "ACTIVE" {
                return Ok(table);
            }
            if Instant::now() > deadline {
                return Err(Error::new(format!("the table {name} did not become active")));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Switches the expiry of items on, if it is off.
    async fn expire(&self, name: &str, attribute: Option<&str>) -> Result<()> {
        let Some(attribute) = attribute else { return Ok(()) };
        let failed = |error: CallError| error.into_error("the expiry setting", name);
        let answer = self.call("DescribeTimeToLive", &json!({"TableName": name})).await.map_err(failed)?;
        let now = &answer["TimeToLiveDescription"];
        if now["TimeToLiveStatus"] == "ENABLED" && now["AttributeName"] == attribute {
            return Ok(());
        }
        let specification = json!({"Enabled": true, "AttributeName": attribute});
        let request = json!({"TableName": name, "TimeToLiveSpecification": specification});
        self.call("UpdateTimeToLive", &request).await.map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
