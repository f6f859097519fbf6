//! `gateway.yaml`: what API Gateway reads of the contract.

use contract::{Contract, FALLBACK, Operation, pascal};
use serde_json::{Map, Value, json};

use crate::{Output, Result};

const HEAD: &str = "\
# Generated from openapi.yaml by `make generate`; do not edit. It is what the gateway needs of the contract, because
# CloudFormation refuses the nulls in the contract's enumerations and examples.
";

/// The routes with the functions behind them, and what the contract itself says to the gateway: CORS.
pub(crate) fn definition(contract: &Contract) -> Result<Output> {
    let document = contract.document();
    let mut paths = Map::new();
    for operation in contract.operations() {
        let mut route = json!({
            "operationId": operation.id,
            "x-amazon-apigateway-integration": integration(&operation.function),
            "responses": responses(),
        });
        let parameters: Vec<Value> = operation.parameters().map(parameter).collect();
        if !parameters.is_empty() {
            route["parameters"] = json!(parameters);
        }
        let path = paths.entry(&operation.path).or_insert_with(|| json!({}));
        path[method(operation)] = route;
    }
    let default = json!({
        "isDefaultRoute": true,
        "x-amazon-apigateway-integration": integration(FALLBACK),
        "responses": responses(),
    });
    paths.insert("/$default".to_owned(), json!({"x-amazon-apigateway-any-method": default}));
    let mut definition = json!({
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "paths": paths,
    });
    for (key, value) in document.as_object().into_iter().flatten() {
        if key.starts_with("x-amazon-") {
            definition[key] = value.clone();
        }
    }
    // The same text, whether or not another crate of the build asks serde_json to keep the order of keys.
    definition.sort_all_objects();
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(&definition, options)?;
    Ok(Output::whole("gateway.yaml", format!("{HEAD}{text}")))
}

fn method(operation: &Operation) -> String {
    operation.method.to_lowercase()
}

fn integration(function: &str) -> Value {
    let arn = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions";
    json!({
        "type": "aws_proxy",
        "httpMethod": "POST",
        "payloadFormatVersion": "2.0",
        "timeoutInMillis": 29000,
        "credentials": {"Fn::GetAtt": ["GatewayRole", "Arn"]},
        "uri": {"Fn::Sub": format!("{arn}/${{{}Function.Alias}}/invocations", pascal(function))},
    })
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
}

fn responses() -> Value {
    json!({"default": {"description": "See openapi.yaml."}})
}
