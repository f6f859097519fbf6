//! What the index by due date has of a case, in one short text. The board reads it for every open case, so its size decides
//! what the board costs: the texts of four attributes with their names would make an entry a quarter larger.

use std::fmt;

use super::{Case, Priority, workflow::Status};
use crate::base::wire_enum::WireEnum;

/// The assignee of a case without one, in keys of indexes.
pub(super) const NOBODY: &str = "";

/// A list of the index by due date.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DueList {
    Open,
    Closed,
}

impl DueList {
    pub(super) const ALL: [Self; 2] = [Self::Open, Self::Closed];

    /// Its name in the table.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    /// The list of the cases with this status.
    pub(super) fn of(status: Status) -> Self {
        if status.is_open() { Self::Open } else { Self::Closed }
    }
}

/// What the index by due date has of a case. As a text, `#in_progress#high#rush#=tech_3#`, and without a rush order and an
/// assignee `#in_progress#high##=#`. No value can contain `#` or `=`, so a part of the text stands for one value only.
pub(super) struct DueInfo<'a> {
    pub status: Status,
    pub priority: Priority,
    pub rush_order: bool,
    /// The empty text without an assignee.
    pub assigned_to: &'a str,
}

impl<'a> DueInfo<'a> {
    pub(super) fn of(case: &'a Case) -> Self {
        Self {
            status: case.status,
            priority: case.fields.priority,
            rush_order: case.fields.rush_order,
            assigned_to: case.fields.assigned_to.as_deref().unwrap_or(NOBODY),
        }
    }

    /// Reads the text.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix('#')?.strip_suffix('#')?.split('#');
        let (status, priority) = (Status::parse(parts.next()?)?, Priority::parse(parts.next()?)?);
        let rush_order = parts.next()? == RUSH;
        Some(Self { status, priority, rush_order, assigned_to: parts.next()?.strip_prefix('=')? })
    }

    /// The part of the text for a status.
    pub(super) fn part_of_status(status: Status) -> String {
        format!("#{}#", status.as_str())
    }

    /// The part of the text for a priority.
    pub(super) fn part_of_priority(priority: Priority) -> String {
        format!("#{}#", priority.as_str())
    }

    /// The part of the text for rush orders, or for other orders.
    pub(super) fn part_of_rush(rush_order: bool) -> String {
        format!("#{}#=", if rush_order { RUSH } else { "" })
    }

    /// The part of the text for an assignee.
    pub(super) fn part_of_assignee(assigned_to: &str) -> String {
        format!("#={assigned_to}#")
    }
}

const RUSH: &str = "rush";

impl fmt::Display for DueInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rush = if self.rush_order { RUSH } else { "" };
        write!(f, "#{}#{}#{rush}#={}#", self.status.as_str(), self.priority.as_str(), self.assigned_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_occurs_in_the_texts_with_its_value_only() {
        let assignees = ["", "5", "55", "rush", "high", "pending", "a.b:c@d-e"];
        for (status, priority) in Status::ALL.iter().flat_map(|s| Priority::ALL.iter().map(move |p| (*s, *p)))
        {
            for (rush_order, assigned_to) in [true, false].into_iter().flat_map(|r| assignees.map(|a| (r, a)))
            {
                let text = DueInfo { status, priority, rush_order, assigned_to }.to_string();
                for other in Status::ALL {
                    assert_eq!(text.contains(&DueInfo::part_of_status(*other)), *other == status, "{text}");
                }
                for other in Priority::ALL {
                    assert_eq!(
                        text.contains(&DueInfo::part_of_priority(*other)),
                        *other == priority,
                        "{text}"
                    );
                }
                for other in [true, false] {
                    assert_eq!(text.contains(&DueInfo::part_of_rush(other)), other == rush_order, "{text}");
                }
                for other in assignees {
                    assert_eq!(
                        text.contains(&DueInfo::part_of_assignee(other)),
                        other == assigned_to,
                        "{text}"
                    );
                }
                let read = DueInfo::parse(&text).unwrap();
                assert_eq!((read.status, read.priority), (status, priority));
                assert_eq!((read.rush_order, read.assigned_to), (rush_order, assigned_to));
            }
        }
        for text in ["", "#", "##", "#pending#", "#pending#high##5#", "pending#high##=5", "#done#high##=5#"] {
            assert!(DueInfo::parse(text).is_none(), "{text}");
        }
    }
}
