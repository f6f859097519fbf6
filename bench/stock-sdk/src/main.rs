//! A Lambda function as the AWS SDK's guide writes it: the default configuration, and one GetItem for each request.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::lambda_runtime::{self, Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await);
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        // The partition and the name of the table do not matter: the item need not exist.
        let answer = client
            .get_item()
            .table_name("lhcms-dev")
            .key("lab_id", AttributeValue::S("555001".into()))
            .key("sk", AttributeValue::S("CASE#0000100001".into()))
            .send()
            .await?;
        let attributes = answer.item.map_or(0, |item| item.len());
        Ok::<_, Error>(json!({"statusCode": 200, "body": attributes.to_string()}))
    }))
    .await
}
