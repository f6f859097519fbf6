//! Which changes change the words of a case.

use super::change::{Change, Kind};
use crate::{
    case::tokens::{NameChange, Words, words_of},
    table::keys,
};

/// The change of a case's names; `None` if the words stay as they are. A delete and a restore move the item of a case to
/// another key. The tokens stay with the case all the time: a restore adds them once more, and only the end of the case's life
/// removes them.
pub(super) fn of_change(change: &Change) -> Option<NameChange> {
    let case = change.case_id(keys::CASE_PREFIX)?;
    let before = match change.kind {
        Kind::Insert => Words::new(),
        Kind::Modify => words_of(&change.before),
        Kind::Remove => return None,
    };
    let after = words_of(&change.after);
    (before != after).then_some(NameChange { lab: change.lab_id()?, case, before, after })
}
