//! Calls that only the table of WebSocket connections needs.

use aws_sdk_dynamodb::types::ReturnValue;

use super::{Item, Table, failed, key, text};
use crate::base::{LabId, error::Error};

impl Table {
    /// Deletes an item and returns what it was; `None` if there is none. Of several calls at the same time one gets the item.
    pub(crate) async fn take(&self, lab: LabId, sk: &str) -> Result<Option<Item>, Error> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key(lab, sk)));
        let answer = delete.return_values(ReturnValue::AllOld).send().await;
        Ok(answer.map_err(|error| failed("DeleteItem", &error))?.attributes)
    }

    /// Returns the lab of a connection, from the index. The index may not show a new connection yet.
    pub(crate) async fn lab_of_connection(&self, id: &str) -> Result<Option<LabId>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name("by_connection")
            .key_condition_expression("connection_id = :id")
            .expression_attribute_values(":id", text(id))
            .limit(1);
        let answer = query.send().await.map_err(|error| failed("Query", &error))?;
        let item = answer.items.and_then(|items| items.into_iter().next());
        Ok(item.and_then(|item| LabId::parse(item.get("lab_id")?.as_s().ok()?)))
    }
}
