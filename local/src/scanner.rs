//! A stand-in for GuardDuty Malware Protection for S3: it finds the EICAR test string, and nothing else.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Error, Result, s3::Created};

/// The two halves of the EICAR test string. As a whole it would make this program a finding of every scanner.
const EICAR: [&str; 2] = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"];
/// How many bytes are searched at a time.
const BLOCK: usize = 1 << 20;

/// The harmless text that every scanner reports as malware.
pub fn eicar() -> String {
    EICAR.concat()
}

/// Scans an object. Returns the event of the result.
///
/// # Errors
/// The file of the object cannot be read.
pub fn scan(object: &Created) -> Result<Value> {
    let found = contains_eicar(&object.file)
        .map_err(|error| Error::new(format!("{}: {error}", object.file.display())))?;
    let result = if found { "THREATS_FOUND" } else { "NO_THREATS_FOUND" };
    Ok(event(&object.bucket, &object.key, None, result))
}

/// The event of a result of GuardDuty as EventBridge delivers it.
pub fn event(bucket: &str, key: &str, version_id: Option<&str>, result: &str) -> Value {
    let status = match result {
        "NO_THREATS_FOUND" | "THREATS_FOUND" => "COMPLETED",
        "UNSUPPORTED" => "SKIPPED",
        _ => "FAILED",
    };
    let threats = if result == "THREATS_FOUND" {
        json!([{"name": "EICAR-Test-File (not a virus)"}])
    } else {
        Value::Null
    };
    json!({
        "version": "0", "id": Uuid::new_v4().to_string(), "detail-type": "GuardDuty Malware Protection Object Scan Result",
        "source": "aws.guardduty", "account": "111122223333", "time": jiff::Timestamp::now().to_string(), "region": "us-east-1",
        "resources": ["arn:aws:guardduty:us-east-1:111122223333:malware-protection-plan/local"],
        "detail": {
            "schemaVersion": "1.0", "scanStatus": status, "resourceType": "S3_OBJECT",
            "s3ObjectDetails": {
                "bucketName": bucket, "objectKey": key, "eTag": "local", "versionId": version_id.unwrap_or("null"),
                "s3Throttled": false,
            },
            "scanResultDetails": {"scanResultStatus": result, "threats": threats},
        },
    })
}

fn contains_eicar(path: &Path) -> io::Result<bool> {
    let (mut file, pattern) = (File::open(path)?, eicar());
    let (mut block, mut kept) = (vec![0; BLOCK], Vec::new());
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(false);
        }
        kept.extend_from_slice(&block[..read]);
        if kept.windows(pattern.len()).any(|window| window == pattern.as_bytes()) {
            return Ok(true);
        }
        // It can be at the border of two blocks.
        kept.drain(..kept.len().saturating_sub(pattern.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_string_is_found_anywhere_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("object");
        let object =
            Created { bucket: "files".to_owned(), key: "lab=1/case=1/a".to_owned(), file: file.clone() };
        for (before, text, expected) in [
            (0, eicar(), "THREATS_FOUND"),
            (BLOCK - 10, eicar(), "THREATS_FOUND"),
            (3 * BLOCK, eicar(), "THREATS_FOUND"),
            (BLOCK, eicar()[1..].to_owned(), "NO_THREATS_FOUND"),
            (0, String::new(), "NO_THREATS_FOUND"),
        ] {
            std::fs::write(&file, ["x".repeat(before), text, "y".to_owned()].concat()).unwrap();
            let event = scan(&object).unwrap();
            assert_eq!(event["detail"]["scanResultDetails"]["scanResultStatus"], expected, "{before}");
        }
    }
}
