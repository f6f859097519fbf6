//! The start of a function as Lambda does it: a process with its environment.

use serde_json::Value;

use crate::harness::stack::program;

#[tokio::test]
async fn a_function_that_cannot_start_reports_all_errors_in_one_line_of_json() {
    let output = tokio::process::Command::new(program("get-case")).env_clear().output().await.unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let line: Value = serde_json::from_str(&errors).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"the function cannot start".into()));
    let cause = line["error.cause"].as_str().unwrap();
    for variable in ["TABLE_NAME", "AUDIT_TABLE_NAME", "JWT_SECRET_KEY", "UMS_BASE_URL"] {
        assert!(cause.contains(&format!("\n  {variable}: is required")), "{variable} in {cause}");
    }
}
