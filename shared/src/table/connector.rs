//! Sends the SDK's requests with the same kind of HTTP client that calls UMS. The SDK's own client comes with HTTP/2, which
//! DynamoDB, S3 and STS do not use, and it was a tenth of each function.

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use reqwest::Client;

use crate::telemetry::{Dependency, RunningCall};

/// The HTTP client of all clients of AWS. The time-outs of an operation are the SDK's; that of a connection is the client's.
#[derive(Clone, Debug)]
pub(crate) struct Connector(pub Client);

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { send(&client, request).await })
    }
}

async fn send(client: &Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    // S3 and STS have no such header.
    let is_dynamodb =
        request.headers().get("x-amz-target").is_some_and(|target| target.starts_with("DynamoDB"));
    // Counts when it is dropped, also if the SDK gives up the call.
    let _running = is_dynamodb.then(|| RunningCall::start(Dependency::DynamoDb));
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = request.map(reqwest::Body::wrap);
    let request = reqwest::Request::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
    let response = client.execute(request).await.map_err(failed)?;
    let status = StatusCode::from(response.status());
    let headers = response.headers().clone();
    let body = response.bytes().await.map_err(failed)?;
    let mut response = HttpResponse::new(status, body.into());
    for (name, value) in &headers {
        let value = value.to_str().map_err(|error| ConnectorError::other(error.into(), None))?;
        response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
    }
    Ok(response)
}

/// Tells the SDK what it may try again: everything that may be the network's fault.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() { ConnectorError::timeout(error.into()) } else { ConnectorError::io(error.into()) }
}
