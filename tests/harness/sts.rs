//! A stand-in for AWS STS in which every role can be assumed. The access key contains the lab in the session's tag, so that a
//! test can see for which lab a call to DynamoDB was signed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Query, State},
    routing::post,
};
use local::server::Server;

type Requests = Arc<Mutex<Vec<BTreeMap<String, String>>>>;

/// The running stand-in.
pub(crate) struct Sts {
    server: Server,
    requests: Requests,
}

impl Sts {
    pub(crate) async fn start() -> Self {
        let requests = Requests::default();
        let router = Router::new().route("/", post(assume_role)).with_state(requests.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { server: Server::start("STS", listener, router).unwrap(), requests }
    }

    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// The parameters of the requests since the last call of this function.
    pub(crate) fn take_requests(&self) -> Vec<BTreeMap<String, String>> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

async fn assume_role(
    State(requests): State<Requests>,
    body: String,
) -> ([(&'static str, &'static str); 1], String) {
    // The body has the format of a query.
    let uri = format!("/?{body}").parse().unwrap();
    let Query(parameters) = Query::<BTreeMap<String, String>>::try_from_uri(&uri).unwrap();
    let lab = parameters.get("Tags.member.1.Value").cloned().unwrap_or_default();
    requests.lock().unwrap().push(parameters);
    let answer = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>LAB{lab}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
         <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    ([("content-type", "text/xml")], answer)
}
