//! Changes that are no content: the migration of items of an earlier release, and the repair of items that follow from others.

use aws_sdk_dynamodb::types::AttributeValue;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::{UpdateItemError, UpdateItemOutput},
};

use super::{Item, Table, failed, key, keys, number, text};
use crate::base::{CaseId, LabId, error::Error};

impl Table {
    /// Sets and removes attributes of an item that must have this version. Returns whether it had. The version stays.
    pub(crate) async fn set_attributes(
        &self,
        lab: LabId,
        sk: &str,
        version: u32,
        set: &[(&str, AttributeValue)],
        removed: &[&str],
    ) -> Result<bool, Error> {
        let list = |names: Vec<String>, verb: &str| match names.is_empty() {
            true => String::new(),
            false => format!("{verb} {} ", names.join(", ")),
        };
        let sets = list(set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect(), "SET");
        let removes = list(removed.iter().map(|name| format!("#{name}")).collect(), "REMOVE");
        let names = set.iter().map(|(name, _)| name).chain(removed);
        let values = set.iter().map(|(name, value)| (format!(":{name}"), value.clone()));
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, sk)))
            .update_expression(sets + &removes)
            .condition_expression("version = :of_version")
            .set_expression_attribute_names(Some(
                names.map(|name| (format!("#{name}"), (*name).to_owned())).collect(),
            ))
            .set_expression_attribute_values(Some(
                values.chain([(":of_version".to_owned(), number(version))]).collect(),
            ));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed("UpdateItem", &error)),
        }
    }

    /// Writes an item, whether there is one or not.
    pub(crate) async fn set_item(&self, lab: LabId, sk: &str, mut item: Item) -> Result<(), Error> {
        item.extend(key(lab, sk));
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| failed("PutItem", &error))
    }

    /// Makes the last id of a lab at least `id`, and lists the lab. A higher one stays.
    pub(crate) async fn raise_counter(&self, lab: LabId, id: CaseId) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, keys::COUNTER)))
            .update_expression("SET last_id = :id, registry = :labs")
            .condition_expression("attribute_not_exists(last_id) OR last_id < :id")
            .expression_attribute_values(":id", number(id))
            .expression_attribute_values(":labs", text(keys::LABS));
        unless_condition_failed(update.send().await)
    }

    /// Raises the number of the last change of a shard, if it is still `from`.
    pub(crate) async fn raise_last_change(
        &self,
        lab: LabId,
        sk: &str,
        from: u64,
        to: u64,
    ) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, sk)))
            .update_expression("SET last_change = :to")
            .condition_expression("attribute_not_exists(last_change) OR last_change = :from")
            .expression_attribute_values(":from", number(from))
            .expression_attribute_values(":to", number(to));
        unless_condition_failed(update.send().await)
    }

    /// Lists the lab of an existing counter in the index `labs`.
    pub(crate) async fn list_lab(&self, lab: LabId) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, keys::COUNTER)))
            .update_expression("SET registry = :labs")
            .condition_expression("attribute_exists(sk)")
            .expression_attribute_values(":labs", text(keys::LABS));
        update.send().await.map(|_| ()).map_err(|error| failed("UpdateItem", &error))
    }
}

/// A failed condition means that somebody else has done it already.
fn unless_condition_failed(sent: Result<UpdateItemOutput, SdkError<UpdateItemError>>) -> Result<(), Error> {
    match sent {
        Err(error)
            if !error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
        {
            Err(failed("UpdateItem", &error))
        }
        _ => Ok(()),
    }
}
