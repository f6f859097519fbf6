//! The verification of a history: whether the events, their seals, the case and the entries of the change log agree.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    Case,
    event::Event,
    item::{self, StoredCase, from_item},
    verify::HistoryReader,
};
use crate::{
    base::{
        CaseId, LabId,
        error::Error,
        seal::{Broken, SealKeys, Sealed},
        time::Timestamp,
    },
    table::{Item, keys},
    wire_enum,
};

wire_enum! {
    /// A contradiction in the data of a case.
    HistoryFault {
        EventMissing = "event_missing", EventMisplaced = "event_misplaced", EventChanged = "event_changed",
        EventForged = "event_forged", SealMissing = "seal_missing", UnknownKey = "unknown_key",
        CaseMissing = "case_missing", CaseDoubled = "case_doubled", CaseRolledBack = "case_rolled_back",
        CaseChanged = "case_changed", CaseKeysChanged = "case_keys_changed",
        LogEntryMissing = "log_entry_missing", LogEntryChanged = "log_entry_changed",
    }
}

impl HistoryFault {
    /// The contradiction in words.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::EventMissing => "The event of this version is missing.",
            Self::EventMisplaced => "The event does not follow the one before it.",
            Self::EventChanged => "The event was changed.",
            Self::EventForged => "The event was not made by this service: its seal is wrong.",
            Self::SealMissing => "The event has no seal, although events of its time have one.",
            Self::UnknownKey => "The service does not have the key of the event's seal.",
            Self::CaseMissing => "There is a history, but no case.",
            Self::CaseDoubled => "The case is both live and deleted.",
            Self::CaseRolledBack => "The case is older than its last event.",
            Self::CaseChanged => "The case is not in the state after its last event.",
            Self::CaseKeysChanged => "The keys of the case do not fit its content.",
            Self::LogEntryMissing => "The change is missing in the change log.",
            Self::LogEntryChanged => "The change log names another change in this place.",
        }
    }
}

/// The result of the verification of a case's history.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The case.
    pub case_id: CaseId,
    /// Whether everything agrees.
    pub valid: bool,
    /// The number of events.
    pub events: u32,
    /// The last version whose event has no seal; `None` if all events have one. Later sealed events protect these events as
    /// well, because each event holds the hash of the one before it.
    pub unsealed_to: Option<u32>,
    /// The version of the first contradiction.
    pub broken_at: Option<u32>,
    /// The first contradiction.
    pub fault_code: Option<HistoryFault>,
    /// The same in words.
    pub fault: Option<&'static str>,
}

/// The items of a case: live, deleted, or both after tampering; or what stays of it after its retention.
#[derive(Default)]
pub(super) struct CaseItems {
    pub live: Option<Item>,
    pub deleted: Option<Item>,
    pub tombstone: Option<Item>,
}

impl CaseItems {
    /// Whether another change has replaced the items since `self` was read.
    pub(super) fn differ_from(&self, other: &Self) -> bool {
        let version = |item: &Option<Item>| item.as_ref().and_then(|item| item.get("version").cloned());
        [&self.live, &self.deleted].map(version) != [&other.live, &other.deleted].map(version)
    }
}

/// The longest place in the change log: two digits, a hash sign, and the number with at most 20 digits.
const MAX_PLACE_BYTES: usize = 23;

/// An entry of the change log.
#[derive(Deserialize)]
pub(super) struct LogEntry {
    pub case_id: CaseId,
    pub version: u32,
    pub at: Timestamp,
}

/// Verifies a case, one batch of events after the other.
pub(super) struct Verifier<'a> {
    keys: &'a SealKeys,
    since: Option<Date>,
    lab: LabId,
    case_id: CaseId,
    events: u32,
    last: Option<Event>,
    unsealed_to: Option<u32>,
    fault: Option<(u32, HistoryFault)>,
}

impl<'a> Verifier<'a> {
    /// Verifies the history of a case.
    pub(super) fn new(reader: &HistoryReader<'a>, case_id: CaseId) -> Self {
        let HistoryReader { seals: keys, sealed_since: since, lab, .. } = *reader;
        Self { keys, since, lab, case_id, events: 0, last: None, unsealed_to: None, fault: None }
    }

    /// The sort keys of the log entries of these events.
    pub(super) fn log_keys(events: &[Option<Event>]) -> Vec<String> {
        let places = events.iter().flatten().filter_map(|event| event.log_entry.as_deref());
        // Each once, and none that is no key: forged events may name anything.
        let places = places.filter(|place| place.len() <= MAX_PLACE_BYTES);
        places.map(keys::change_at).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Checks the next events with their entries of the change log, by sort key. An item that is not an event is `None`.
    pub(super) fn check(
        &mut self,
        events: Vec<Option<Event>>,
        mut log: HashMap<String, Item>,
    ) -> Result<(), Error> {
        for event in events {
            self.events = self.events.saturating_add(1);
            let Some(event) = event else {
                self.fault.get_or_insert((self.events, HistoryFault::EventChanged));
                continue;
            };
            if self.fault.is_none() {
                let fault = match self.fault_of(&event)? {
                    None => log_fault(&event, &mut log)?,
                    fault => fault,
                };
                self.fault = fault.map(|fault| (self.events, fault));
            }
            if event.mac.is_none() {
                self.unsealed_to = Some(self.events);
            }
            self.last = Some(event);
        }
        Ok(())
    }

    fn fault_of(&self, event: &Event) -> Result<Option<HistoryFault>, Error> {
        let previous = self.last.as_ref();
        if event.version != self.events {
            return Ok(Some(HistoryFault::EventMissing));
        }
        if event.case_id != self.case_id
            || event.previous_hash.as_ref() != previous.map(|previous| &previous.hash)
        {
            return Ok(Some(HistoryFault::EventMisplaced));
        }
        if event.computed_hash()? != event.hash {
            return Ok(Some(HistoryFault::EventChanged));
        }
        let Some(seal) = event.seal() else {
            let must_be_sealed = previous.is_some_and(|previous| previous.mac.is_some())
                || self.since.is_some_and(|since| event.at.date() >= since);
            return Ok(must_be_sealed.then_some(HistoryFault::SealMissing));
        };
        let verified = self.keys.verify(Sealed::Event, &[&self.lab.to_string(), &event.hash], &seal);
        Ok(match verified {
            Ok(()) => None,
            Err(Broken::UnknownKey) => Some(HistoryFault::UnknownKey),
            Err(_) => Some(HistoryFault::EventForged),
        })
    }

    /// Compares the case with its last event, and returns the result.
    pub(super) fn finish(self, items: &CaseItems) -> Result<Verification, Error> {
        let fault = match self.fault {
            Some(fault) => Some(fault),
            None => self.case_fault(items)?,
        };
        Ok(Verification {
            case_id: self.case_id,
            valid: fault.is_none(),
            events: self.events,
            unsealed_to: self.unsealed_to,
            broken_at: fault.map(|(version, _)| version),
            fault_code: fault.map(|(_, fault)| fault),
            fault: fault.map(|(_, fault)| fault.detail()),
        })
    }

    fn case_fault(&self, items: &CaseItems) -> Result<Option<(u32, HistoryFault)>, Error> {
        let item = match (&items.live, &items.deleted) {
            (Some(_), Some(_)) => return Ok(Some((self.events, HistoryFault::CaseDoubled))),
            (None, None) => return Ok(Some((self.events, HistoryFault::CaseMissing))),
            (Some(item), None) | (None, Some(item)) => item,
        };
        let StoredCase { case, last_event_hash, .. } = match StoredCase::from_item(item.clone()) {
            Ok(stored) => stored,
            // Not even a case any more.
            Err(_) => return Ok(Some((self.events, HistoryFault::CaseChanged))),
        };
        let Case { version, .. } = case;
        let last = match &self.last {
            Some(last) if version == last.version => last,
            Some(last) if version < last.version => {
                return Ok(Some((version + 1, HistoryFault::CaseRolledBack)));
            }
            _ => return Ok(Some((self.events.saturating_add(1), HistoryFault::EventMissing))),
        };
        // Events of releases without seals do not have the state of the case, only the case has the hash of its last event.
        let is_in_state = match &last.state_hash {
            Some(state) => item::state_hash(item) == *state,
            None => true,
        };
        Ok(if last_event_hash.as_ref() != Some(&last.hash) || !is_in_state {
            Some((version, HistoryFault::CaseChanged))
        } else if case.id != self.case_id || !item::has_its_keys(item, &case) {
            Some((version, HistoryFault::CaseKeysChanged))
        } else {
            None
        })
    }
}

/// Compares an event with its entry of the change log. Events of releases without seals do not know their entry.
fn log_fault(event: &Event, log: &mut HashMap<String, Item>) -> Result<Option<HistoryFault>, Error> {
    let Some(place) = &event.log_entry else { return Ok(None) };
    let Some(item) = log.remove(&keys::change_at(place)) else {
        return Ok(Some(HistoryFault::LogEntryMissing));
    };
    let is_of_event = from_item::<LogEntry>(item).is_ok_and(|entry| {
        (entry.case_id, entry.version, entry.at) == (event.case_id, event.version, event.at)
    });
    Ok((!is_of_event).then_some(HistoryFault::LogEntryChanged))
}
