use serde_json::json;

use super::*;
use crate::{dynamodb, server::listen};

const TABLE: &str = "lhcms-test";

const TEMPLATE: &str = "
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: {Role: !GetAtt Role.Arn, Environment: !If [IsDev, {Variables: {A: !Ref Table}}, !Ref AWS::NoValue]}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub 'lhcms-${Stage}'
      BillingMode: PAY_PER_REQUEST
      SSESpecification: {SSEEnabled: true, KMSMasterKeyId: !GetAtt Key.Arn}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      AttributeDefinitions:
        - {AttributeName: lab_id, AttributeType: S}
        - {AttributeName: sk, AttributeType: S}
        - {AttributeName: live_id, AttributeType: N}
      KeySchema:
        - {AttributeName: lab_id, KeyType: HASH}
        - {AttributeName: sk, KeyType: RANGE}
      GlobalSecondaryIndexes:
        - IndexName: by_case
          KeySchema: [{AttributeName: lab_id, KeyType: HASH}, {AttributeName: live_id, KeyType: RANGE}]
          Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [status, due_date]}
";

async fn database() -> crate::server::Server {
    let listener = listen("DynamoDB", "DYNAMODB_PORT", 0).await.unwrap();
    dynamodb::serve(listener, &dynamodb::Storage::Memory).unwrap().0
}

fn definition() -> Definition {
    Definition::from_template(TEMPLATE, "Table").unwrap()
}

#[tokio::test]
async fn the_table_has_the_keys_indexes_and_expiry_of_the_template_and_no_stream() {
    let database = database().await;
    assert_eq!(create(database.url(), TABLE, &definition()).await.unwrap(), Created::New);

    let api = Api { client: Client::new(LIMIT), endpoint: database.url() };
    let table = api.active(TABLE).await.unwrap();
    assert_eq!(
        table["KeySchema"],
        json!([{"AttributeName": "lab_id", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}])
    );
    let index = &table["GlobalSecondaryIndexes"][0];
    assert_eq!(index["IndexName"], "by_case");
    assert_eq!(
        index["Projection"],
        json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["status", "due_date"]})
    );
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table.get("StreamSpecification"), None);
    let Ok(ttl) = api.call("DescribeTimeToLive", &json!({"TableName": TABLE})).await else {
        panic!("no TTL")
    };
    assert_eq!(ttl["TimeToLiveDescription"]["AttributeName"], "expires_at");
    assert_eq!(ttl["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
    database.stop().await;
}

#[tokio::test]
async fn an_existing_table_of_the_same_definition_is_kept() {
    let database = database().await;
    create(database.url(), TABLE, &definition()).await.unwrap();
    assert_eq!(create(database.url(), TABLE, &definition()).await.unwrap(), Created::Existing);
    let reordered = TEMPLATE.replace("[status, due_date]", "[due_date, status]");
    let reordered = Definition::from_template(&reordered, "Table").unwrap();
    assert_eq!(create(database.url(), TABLE, &reordered).await.unwrap(), Created::Existing);
}

#[tokio::test]
async fn an_existing_table_of_another_definition_is_rejected_with_the_differences() {
    let database = database().await;
    create(database.url(), TABLE, &definition()).await.unwrap();
    let other = TEMPLATE.replace("[status, due_date]", "[status]");
    let other = Definition::from_template(&other, "Table").unwrap();
    let error = create(database.url(), TABLE, &other).await.unwrap_err().to_string();
    assert!(error.contains("(GlobalSecondaryIndexes differ)"), "{error}");
    assert!(!error.contains("KeySchema"), "{error}");
}

#[tokio::test]
async fn items_in_a_file_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let storage = dynamodb::Storage::File(folder.path().join("new/dynamodb.sqlite"));
    for expected in [Created::New, Created::Existing] {
        let listener = listen("DynamoDB", "DYNAMODB_PORT", 0).await.unwrap();
        let (database, _) = dynamodb::serve(listener, &storage).unwrap();
        assert_eq!(create(database.url(), TABLE, &definition()).await.unwrap(), expected);
        database.stop().await;
    }
}

#[test]
fn a_template_without_the_table_is_rejected() {
    for (template, reason) in [
        ("Resources: {}", "able"),
        ("Resources: {Table: {Type: AWS::S3::Bucket, Properties: {}}}", "is a AWS::S3::Bucket"),
        ("Resources: {Table: {Type: AWS::DynamoDB::Table, Properties: {}}}", "has no KeySchema"),
        ("{", "no resource Table"),
    ] {
        let error = Definition::from_template(template, "Table").unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_template_of_the_project_has_the_table() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let definition = Definition::read(&template, "Table").unwrap();
    assert_eq!(definition.ttl_attribute.as_deref(), Some("expires_at"));
    assert_eq!(definition.create["GlobalSecondaryIndexes"].as_array().map(Vec::len), Some(9));
}
