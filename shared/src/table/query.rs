//! Queries: ranges of items in a lab's partition or in an index.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Consistency, Item, Table, failed, keys, text};
use crate::base::{LabId, error::Error, wire_enum::WireEnum};

/// The table or an index, within one lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index<'a> {
    /// The table itself, by sort key.
    Table,
    /// Live cases by id.
    ById,
    /// Live cases of one status (its name in the table), by id.
    ByStatus(&'a str),
    /// Live cases of one doctor, by id.
    ByDoctor(&'a str),
    /// Live cases of one assignee, by id; of the empty text, cases without an assignee.
    ByAssignee(&'a str),
    /// Live cases of one patient, by id.
    ByPatient(&'a str),
    /// Live cases that wait for an answer, by id.
    ByWaiting,
    /// Live cases of one list (its name in the table), by due date.
    ByDue(&'a str),
    /// Live cases by the time of their last change.
    ByUpdate,
}

impl Index<'_> {
    const fn name(self) -> Option<&'static str> {
        match self {
            Index::Table => None,
            Index::ById => Some("by_id"),
            Index::ByStatus(_) => Some("by_status_id"),
            Index::ByDoctor(_) => Some("by_doctor"),
            Index::ByAssignee(_) => Some("by_assignee"),
            Index::ByPatient(_) => Some("by_patient"),
            Index::ByWaiting => Some("by_waiting"),
            Index::ByDue(_) => Some("by_due"),
            Index::ByUpdate => Some("by_update"),
        }
    }

    /// The names of the partition key and the sort key.
    const fn key_names(self) -> (&'static str, &'static str) {
        match self {
            Index::Table => ("lab_id", "sk"),
            Index::ById => ("lab_id", "live_id"),
            Index::ByStatus(_) => ("status_key", "live_id"),
            Index::ByDoctor(_) => ("doctor_key", "live_id"),
            Index::ByAssignee(_) => ("assignee_key", "live_id"),
            Index::ByPatient(_) => ("patient_key", "live_id"),
            Index::ByWaiting => ("lab_id", "waiting_id"),
            Index::ByDue(_) => ("due", "due_key"),
            Index::ByUpdate => ("lab_id", "update_key"),
        }
    }

    /// The name of its sort key.
    pub(crate) const fn sort_key(self) -> &'static str {
        self.key_names().1
    }

    /// The partition key. It always begins with the lab, so no query can read another lab's items.
    fn partition(self, lab: LabId) -> String {
        match self {
            Index::Table | Index::ById | Index::ByWaiting | Index::ByUpdate => keys::lab(lab),
            Index::ByStatus(part)
            | Index::ByDoctor(part)
            | Index::ByAssignee(part)
            | Index::ByPatient(part)
            | Index::ByDue(part) => keys::part_of_lab(lab, part),
        }
    }
}

/// The order of sort keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// A range of sort keys, both ends included.
#[derive(Clone)]
pub(crate) struct Query<'a> {
    pub index: Index<'a>,
    pub from: AttributeValue,
    pub to: AttributeValue,
    pub order: Order,
    /// Selects items of the range. DynamoDB charges for all items of the range.
    pub filter: Option<&'a Filter>,
    /// The most items to read. DynamoDB stops at a megabyte in any case.
    pub limit: Option<u32>,
    /// Must be `Eventual` for an index.
    pub consistency: Consistency,
    /// The attributes to return; empty for all.
    pub attributes: &'static [&'static str],
    /// Where an earlier call of the same query stopped.
    pub start: Option<Item>,
}

impl<'a> Query<'a> {
    /// All items of the table from one sort key to another, in ascending order.
    pub(crate) fn of_table(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            index: Index::Table,
            from: text(from),
            to: text(to),
            order: Order::Ascending,
            filter: None,
            limit: None,
            consistency: Consistency::Eventual,
            attributes: &[],
            start: None,
        }
    }

    /// The same query, strongly consistent.
    pub(crate) fn consistent(self) -> Self {
        Self { consistency: Consistency::Strong, ..self }
    }
}

/// The result of one call of a query.
pub(crate) struct Page {
    pub items: Vec<Item>,
    /// How many items of the range the call read, with those that the filter left out.
    pub scanned: usize,
    /// The key at which the call stopped, when there may be more items.
    pub stopped_at: Option<Item>,
}

/// A condition on attributes outside the key.
#[derive(Clone, Default)]
pub(crate) struct Filter {
    terms: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The attribute has this value.
    pub(crate) fn equals(&mut self, name: &'static str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.terms.push(format!("{name} = {value}"));
    }

    /// The attribute has one of these values.
    pub(crate) fn one_of<T: WireEnum>(&mut self, name: &'static str, values: &[T]) {
        let values: Vec<String> = values.iter().map(|value| self.value(text(value.as_str()))).collect();
        let name = self.name(name);
        self.terms.push(format!("{name} IN ({})", values.join(", ")));
    }

    /// The attribute exists and lies between these values, both included.
    pub(crate) fn between(&mut self, name: &'static str, from: AttributeValue, to: AttributeValue) {
        let (name, from, to) = (self.name(name), self.value(from), self.value(to));
        self.terms.push(format!("{name} BETWEEN {from} AND {to}"));
    }

    /// The attribute is a list that contains this value.
    pub(crate) fn list_contains(&mut self, name: &'static str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.terms.push(format!("contains({name}, {value})"));
    }

    /// The attribute has one of these texts.
    pub(crate) fn text_is_one_of(&mut self, name: &'static str, values: &[String]) {
        let values: Vec<String> = values.iter().map(|value| self.value(text(value))).collect();
        let name = self.name(name);
        self.terms.push(format!("{name} IN ({})", values.join(", ")));
    }

    /// The attribute does not exist.
    pub(crate) fn is_absent(&mut self, name: &'static str) {
        let name = self.name(name);
        self.terms.push(format!("attribute_not_exists({name})"));
    }

    /// The attribute exists.
    pub(crate) fn exists(&mut self, name: &'static str) {
        let name = self.name(name);
        self.terms.push(format!("attribute_exists({name})"));
    }

    /// The attribute is a text that contains one of these parts.
    pub(crate) fn text_contains_one_of<'p>(
        &mut self,
        name: &'static str,
        parts: impl IntoIterator<Item = &'p str>,
    ) {
        let name = self.name(name);
        let contains = |part| format!("contains({name}, {})", self.value(text(part)));
        let terms: Vec<String> = parts.into_iter().map(contains).collect();
        self.terms.push(format!("({})", terms.join(" OR ")));
    }

    fn name(&mut self, name: &'static str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":f{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

impl Table {
    /// Reads the items of a range with one call.
    pub(crate) async fn query(&self, lab: LabId, query: Query<'_>) -> Result<Page, Error> {
        if is_empty(&query.from, &query.to) {
            // DynamoDB rejects such a range.
            return Ok(Page { items: Vec::new(), scanned: 0, stopped_at: None });
        }
        let (partition, sort) = query.index.key_names();
        let filter = query.filter.filter(|filter| !filter.is_empty());
        let mut names = filter.map(|filter| filter.names.clone()).unwrap_or_default();
        names.extend(query.attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())));
        let attributes =
            query.attributes.iter().map(|name| format!("#{name}")).collect::<Vec<_>>().join(", ");
        let mut values = filter.map(|filter| filter.values.clone()).unwrap_or_default();
        values.insert(":partition".into(), text(query.index.partition(lab)));
        values.insert(":from".into(), query.from);
        values.insert(":to".into(), query.to);
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(query.index.name().map(str::to_owned))
            .key_condition_expression(format!("{partition} = :partition AND {sort} BETWEEN :from AND :to"))
            .set_filter_expression(filter.map(|filter| filter.terms.join(" AND ")))
            .set_projection_expression(Some(attributes).filter(|attributes| !attributes.is_empty()))
            .set_expression_attribute_names(Some(names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(query.order == Order::Ascending)
            .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .consistent_read(query.consistency == Consistency::Strong)
            .set_exclusive_start_key(query.start)
            .send()
            .await
            .map_err(|error| failed("Query", &error))?;
        Ok(Page {
            scanned: usize::try_from(answer.scanned_count).unwrap_or(0),
            items: answer.items.unwrap_or_default(),
            stopped_at: answer.last_evaluated_key,
        })
    }

    /// Reads all items of a range, with as many calls as it needs.
    pub(crate) async fn query_all(&self, lab: LabId, mut query: Query<'_>) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        loop {
            let page = self.query(lab, query.clone()).await?;
            items.extend(page.items);
            if page.stopped_at.is_none() {
                return Ok(items);
            }
            query.start = page.stopped_at;
        }
    }
}

/// Whether a range ends before it begins.
fn is_empty(from: &AttributeValue, to: &AttributeValue) -> bool {
    let number = |value: &AttributeValue| value.as_n().ok().and_then(|number| number.parse::<u64>().ok());
    match (from.as_s(), to.as_s()) {
        (Ok(from), Ok(to)) => from > to,
        _ => number(from) > number(to),
    }
}
