//! The files of cases in S3. A client sends and gets a file with signed requests to the store, so that no file passes through a
//! function. What a signed request says (the length, the type, the SHA-256) the store enforces.

mod checksum;
mod disposition;
mod store;

use crate::base::{AttachmentId, CaseId, LabId};

pub(crate) use checksum::{base64_of, composite};
pub(crate) use disposition::content_disposition;
pub(crate) use store::{FileStore, NewObject, SignedRequest, StoredObject};

/// The size of a part of a large file: 64 MiB.
pub(crate) const PART_BYTES: u64 = 64 << 20;
/// The largest file that is sent with one request: 100 MiB.
pub(crate) const MAX_SINGLE_BYTES: u64 = 100 << 20;
/// The largest file: 5 GiB.
pub(crate) const MAX_BYTES: u64 = 5 << 30;

/// The key of a file in the store. It has ids only, because keys are in logs of AWS.
pub(crate) fn object_key(lab: LabId, case: CaseId, id: &AttachmentId) -> String {
    format!("{}{}", case_prefix(lab, case), id.as_str())
}

/// The beginning of the keys of all files of a case.
pub(crate) fn case_prefix(lab: LabId, case: CaseId) -> String {
    format!("{}case={case}/", lab_prefix(lab))
}

/// The beginning of the keys of all files of a lab.
pub(crate) fn lab_prefix(lab: LabId) -> String {
    format!("lab={lab}/")
}

/// The file that a key is of; `None` if this service does not make such a key.
pub(crate) fn parse_key(key: &str) -> Option<(LabId, CaseId, AttachmentId)> {
    let mut parts = key.split('/');
    let lab = LabId::parse(parts.next()?.strip_prefix("lab=")?)?;
    let case = CaseId::parse(parts.next()?.strip_prefix("case=")?)?;
    let id = AttachmentId::parse(parts.next()?)?;
    parts.next().is_none().then_some((lab, case, id))
}

/// The sizes of the parts of a file, in their order. A file that is not large is one part.
pub(crate) fn part_sizes(size: u64) -> Vec<u64> {
    if size <= MAX_SINGLE_BYTES {
        return vec![size];
    }
    let whole = std::iter::repeat_n(PART_BYTES, usize::try_from(size / PART_BYTES).unwrap_or(0));
    whole.chain([size % PART_BYTES].into_iter().filter(|rest| *rest > 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_ids_only_and_names_its_file() {
        let (lab, case) = (LabId::new(123).unwrap(), CaseId::new(42).unwrap());
        let id = AttachmentId::random();
        let key = object_key(lab, case, &id);
        assert_eq!(key, format!("lab=123/case=42/{}", id.as_str()));
        assert_eq!(parse_key(&key), Some((lab, case, id)));
        for other in ["", "lab=123", "lab=123/case=42/", "lab=0/case=1/att_0123456789abcdef"] {
            assert_eq!(parse_key(other), None, "{other}");
        }
        assert_eq!(parse_key(&format!("{key}/x")), None);
    }

    #[test]
    fn the_parts_of_a_file_are_the_whole_file() {
        for (size, expected) in [
            (1, vec![1]),
            (MAX_SINGLE_BYTES, vec![MAX_SINGLE_BYTES]),
            (MAX_SINGLE_BYTES + 1, vec![PART_BYTES, MAX_SINGLE_BYTES + 1 - PART_BYTES]),
            (2 * PART_BYTES, vec![PART_BYTES; 2]),
            (MAX_BYTES, vec![PART_BYTES; 80]),
        ] {
            let parts = part_sizes(size);
            assert_eq!(parts, expected, "{size}");
            assert_eq!(parts.iter().sum::<u64>(), size);
        }
    }
}
