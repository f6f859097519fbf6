//! Checksums as S3 writes them: the API has SHA-256 in hexadecimal, S3 in base64.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::base::error::Error;

/// A SHA-256 in base64.
///
/// # Errors
/// Internal, when the text is not hexadecimal.
pub(crate) fn base64_of(sha256: &str) -> Result<String, Error> {
    bytes(sha256).map(|bytes| STANDARD.encode(bytes))
}

/// The checksum that S3 gives an object of several parts: the SHA-256 of the parts' SHA-256, and the number of parts.
///
/// # Errors
/// Internal, when a text is not hexadecimal.
pub(crate) fn composite(parts: &[String]) -> Result<String, Error> {
    let bytes = parts.iter().map(|part| bytes(part)).collect::<Result<Vec<_>, _>>()?.concat();
    Ok(format!("{}-{}", STANDARD.encode(digest(&SHA256, &bytes)), parts.len()))
}

fn bytes(hexadecimal: &str) -> Result<Vec<u8>, Error> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hexadecimal.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(|| Error::internal("a checksum is not hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_written_as_s3_writes_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(base64_of(empty).unwrap(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert!(base64_of("xy").is_err() && base64_of("abc").is_err());
        // SHA-256 of twice the bytes of the empty text's SHA-256, computed with `sha256sum`.
        let two = composite(&[empty.to_owned(), empty.to_owned()]).unwrap();
        assert_eq!(two, "LbpdvDOecxauomg/r4OcG3se4jE9t5IRJYgRjfBmqjU=-2");
    }
}
