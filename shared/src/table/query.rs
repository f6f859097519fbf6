//! Ranges of items: of a lab's partition, or of an index.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Consistency, Item, Table, failed, keys, text};
use crate::base::{LabId, error::Error, wire_enum::WireEnum};

/// Where a query looks, within one lab.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// The table itself, by sort key.
    Table,
    /// Live cases by id.
    ByCase,
    /// Live cases by the time of their last change.
    ByUpdate,
    /// Live cases of one status, named as the table names it, by due date.
    ByStatus(&'static str),
}

impl Index {
    const fn name(self) -> Option<&'static str> {
        match self {
            Index::Table => None,
            Index::ByCase => Some("by_case"),
            Index::ByUpdate => Some("by_update"),
            Index::ByStatus(_) => Some("by_status"),
        }
    }

    /// The names of the partition key and the sort key.
    const fn key_names(self) -> (&'static str, &'static str) {
        match self {
            Index::Table => ("lab_id", "sk"),
            Index::ByCase => ("lab_id", "live_id"),
            Index::ByUpdate => ("lab_id", "update_key"),
            Index::ByStatus(_) => ("status_key", "due_key"),
        }
    }

    /// The attribute that orders it.
    pub(crate) const fn sort_key(self) -> &'static str {
        self.key_names().1
    }

    /// Every partition begins with the lab, so that no query can leave it.
    fn partition(self, lab: LabId) -> String {
        match self {
            Index::ByStatus(status) => keys::status(lab, status),
            _ => keys::lab(lab),
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
    pub index: Index,
    pub from: AttributeValue,
    pub to: AttributeValue,
    pub order: Order,
    /// Which items of the range are given out; all are paid for.
    pub filter: Option<&'a Filter>,
    /// How many items are read at most; DynamoDB stops at a megabyte in any case.
    pub limit: Option<u32>,
    /// Indexes can only be read eventually consistent.
    pub consistency: Consistency,
    /// The only attributes that are given out; all of them, if none are named.
    pub only: &'static [&'static str],
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
            only: &[],
            start: None,
        }
    }

    /// The same, of what was just written as well.
    pub(crate) fn consistent(self) -> Self {
        Self { consistency: Consistency::Strong, ..self }
    }
}

/// What one query read.
pub(crate) struct Page {
    pub items: Vec<Item>,
    /// The key that the call stopped at, when there may be more.
    pub stopped_at: Option<Item>,
}

/// A condition on attributes beyond the key.
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

    /// The attribute is there and lies between these values, both included.
    pub(crate) fn between(&mut self, name: &'static str, from: AttributeValue, to: AttributeValue) {
        let (name, from, to) = (self.name(name), self.value(from), self.value(to));
        self.terms.push(format!("{name} BETWEEN {from} AND {to}"));
    }

    /// The attribute is a list with this value in it.
    pub(crate) fn holds(&mut self, name: &'static str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.terms.push(format!("contains({name}, {value})"));
    }

    /// The attribute is there.
    pub(crate) fn exists(&mut self, name: &'static str) {
        let name = self.name(name);
        self.terms.push(format!("attribute_exists({name})"));
    }

    /// The attribute contains this text.
    pub(crate) fn contains(&mut self, name: &'static str, part: &str) {
        let (name, part) = (self.name(name), self.value(text(part)));
        self.terms.push(format!("contains({name}, {part})"));
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
    /// What a range holds, as much as one call reads.
    pub(crate) async fn query(&self, lab: LabId, query: Query<'_>) -> Result<Page, Error> {
        if is_empty(&query.from, &query.to) {
            // DynamoDB refuses to look at such a range.
            return Ok(Page { items: Vec::new(), stopped_at: None });
        }
        let (partition, sort) = query.index.key_names();
        let filter = query.filter.filter(|filter| !filter.is_empty());
        let mut names = filter.map(|filter| filter.names.clone()).unwrap_or_default();
        names.extend(query.only.iter().map(|name| (format!("#{name}"), (*name).to_owned())));
        let only = query.only.iter().map(|name| format!("#{name}")).collect::<Vec<_>>().join(", ");
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
            .set_projection_expression(Some(only).filter(|only| !only.is_empty()))
            .set_expression_attribute_names(Some(names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(query.order == Order::Ascending)
            .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .consistent_read(query.consistency == Consistency::Strong)
            .set_exclusive_start_key(query.start)
            .send()
            .await
            .map_err(|error| failed("Query", &error))?;
        Ok(Page { items: answer.items.unwrap_or_default(), stopped_at: answer.last_evaluated_key })
    }

    /// Everything that a range holds, in as many calls as it takes.
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
