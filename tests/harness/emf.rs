//! The rules of CloudWatch's embedded metric format. The harness checks every line with metrics of the whole run.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};
use shared::base::time::Timestamp;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::validator_for(&serde_json::from_str(include_str!("emf.json")).unwrap()).unwrap()
});

/// What is wrong with a line. Lines without metrics have no faults.
pub(crate) fn faults(line: &str) -> Vec<String> {
    if !line.contains("\"_aws\"") {
        return Vec::new();
    }
    let parsed: Value = match serde_json::from_str(line) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("no JSON: {error}")],
    };
    let mut faults: Vec<String> = SCHEMA.iter_errors(&parsed).map(|error| error.to_string()).collect();
    if faults.is_empty() {
        faults.extend(target_faults(parsed.as_object().unwrap()));
    }
    let is_one_line = line.ends_with('\n') && line.matches('\n').count() == 1;
    faults.extend((!is_one_line).then(|| "not one line".to_owned()));
    faults
}

/// The members that a directive names must exist: a metric's as a number, a dimension's as a text.
fn target_faults(line: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let aws = &line["_aws"];
    let (written, now) = (aws["Timestamp"].as_i64().unwrap(), Timestamp::now().epoch_seconds() * 1000);
    if !(now - 120_000..=now + 2000).contains(&written) {
        faults.push(format!("{written} is not the time in milliseconds"));
    }
    for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
        for name in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
        {
            let name = name.as_str().unwrap();
            let text = line.get(name).and_then(Value::as_str).unwrap_or_default();
            if text.trim().is_empty() || !text.is_ascii() || text.len() > 1024 {
                faults.push(format!("the dimension {name} has no value"));
            }
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            if !line.get(name).is_some_and(Value::is_number) {
                faults.push(format!("the metric {name} has no number"));
            }
        }
    }
    faults
}

/// The metrics of a line that CloudWatch would count, with their sets of dimensions.
pub(crate) fn metrics(line: &Value) -> Vec<(String, Value, Value)> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let of_directive = directives.iter().flat_map(|directive| {
        directive["Metrics"].as_array().unwrap().iter().map(|metric| {
            let name = metric["Name"].as_str().unwrap();
            (name.to_owned(), directive["Dimensions"].clone(), line[name].clone())
        })
    });
    of_directive.collect()
}

#[test]
fn a_faulty_line_is_found() {
    let now = Timestamp::now().epoch_seconds() * 1000;
    let line = |metric: &str, dimensions: &str| {
        format!(
            "{{\"_aws\":{{\"Timestamp\":{now},\"CloudWatchMetrics\":[{{\"Namespace\":\"LHCMS\",\"Dimensions\":{dimensions},\
             \"Metrics\":[{metric}]}}]}},\"stage\":\"dev\",\"Requests\":1,\"text\":\"1\"}}\n"
        )
    };
    let good = r#"{"Name":"Requests","Unit":"Count"}"#;
    assert_eq!(faults(&line(good, r#"[["stage"]]"#)), [""; 0]);
    for (metric, dimensions) in [
        ("", r#"[["stage"]]"#),
        (good, "[]"),
        (good, r#"[["operation"]]"#),
        (r#"{"Name":"Latency","Unit":"Count"}"#, r#"[["stage"]]"#),
        (r#"{"Name":"text","Unit":"Count"}"#, r#"[["stage"]]"#),
        (r#"{"Name":"Requests","Unit":"Pieces"}"#, r#"[["stage"]]"#),
    ] {
        assert_eq!(faults(&line(metric, dimensions)).len(), 1, "{metric} {dimensions}");
    }
    assert_eq!(faults(line(good, r#"[["stage"]]"#).trim_end()).len(), 1);
}
