//! The seal of an audit record: it covers all attributes of the item, known or not, except the seal itself.

use crate::{
    base::{
        error::Error,
        seal::{Broken, Seal, SealKeys, Sealed},
    },
    table::{self, Item},
};

/// The attributes of the seal.
const ATTRIBUTES: [&str; 2] = ["key_id", "mac"];

/// Adds the seal to the complete item of a record.
pub(super) fn seal(keys: &SealKeys, item: &mut Item) -> Result<(), Error> {
    let hash = hash(item);
    let seal = keys.seal(Sealed::AuditRecord, &[&hash]).ok_or_else(|| Error::internal("no key for seals"))?;
    item.extend(table::to_item(&seal)?);
    Ok(())
}

/// Checks the seal of a record's item. Returns `None` for a sound one, and for a record of a release without seals
/// `Some(Broken::Missing)`.
pub(crate) fn check(keys: &SealKeys, item: &Item) -> Result<Option<Broken>, Error> {
    let attribute = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let [Some(key_id), Some(mac)] = ATTRIBUTES.map(attribute) else { return Ok(Some(Broken::Missing)) };
    Ok(keys.verify(Sealed::AuditRecord, &[&hash(item)], &Seal { key_id, mac }).err())
}

fn hash(item: &Item) -> String {
    table::hash_without(item, |name| ATTRIBUTES.contains(&name))
}
