//! Deletes a webhook.

use super::{WebhookId, Webhooks};
use crate::{
    base::error::Error,
    table::{Attempt, Transaction},
};

impl Webhooks<'_> {
    /// Deletes a webhook with its secrets. Its waiting messages are not sent. The records of its deliveries expire.
    ///
    /// # Errors
    /// Webhook not found; conflict.
    pub async fn delete(&self, id: &WebhookId) -> Result<(), Error> {
        self.table()
            .write(self.lab.retry(), || async {
                let before = self.get(id).await?;
                let mut transaction = Transaction::new(self.table(), self.lab.lab_id());
                transaction.delete(&before.sk(), before.version)?;
                self.lab.recorder().add_granted(&mut transaction, Vec::new())?;
                Ok(Attempt::Commit(transaction, ()))
            })
            .await
    }
}
