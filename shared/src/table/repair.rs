//! Changes of attributes that are no content: the migration of items of an earlier release.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Table, failed, key, keys, number, text};
use crate::base::{LabId, error::Error};

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
