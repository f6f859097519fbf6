//! The cases of one lab: every change is one transaction of the case, its event and the statistics, and holds only for
//! the version that it was made from.

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{Put, TransactWriteItem, Update},
};

use super::{
    Case, CaseFields, CaseId, CaseUpdate, StatusChange,
    change::Changed,
    item::{self, Kept},
};
use crate::{
    error::{Code, Error},
    event::{self, Action, Change, Event},
    http::Tags,
    keys,
    lab::LabScope,
    services::Services,
    table::{Item, Refused, Table, key, number},
    time::Timestamp,
    validate::Choice,
    workflow::Status,
};

/// How often a change is made anew on the state that another writer left; each try is two round trips.
pub(super) const ATTEMPTS: usize = 8;

/// The cases of the lab that a scope opened.
pub struct Cases<'a> {
    pub(super) lab: &'a LabScope,
    pub(super) services: &'a Services,
}

impl<'a> Cases<'a> {
    pub(crate) fn new(lab: &'a LabScope, services: &'a Services) -> Self {
        Self { lab, services }
    }

    /// The case, if it has one of the versions that the request is about. A lost race comes here again and finds out.
    pub(super) async fn get_if(&self, id: CaseId, only: Option<&Tags>) -> Result<Kept, Error> {
        let kept = self.get_kept(id).await?;
        only.map_or(Ok(()), |tags| tags.check(&kept.case)).map(|()| kept)
    }

    /// Changes the given fields, if the case has one of the versions in `only`.
    ///
    /// # Errors
    /// Case not found; precondition failed; validation; conflict when other writers win every time.
    pub async fn update(&self, id: CaseId, change: &CaseUpdate, only: Option<&Tags>) -> Result<Case, Error> {
        for _ in 0..ATTEMPTS {
            let before = self.get_if(id, only).await?;
            let Changed { case: after, reason } = change.apply_to(&before.case)?;
            self.check_references(Some(&before.case.fields), &after.fields).await?;
            if let Some(after) = self.replace(Action::Updated, &before, after, reason.as_deref()).await? {
                return Ok(after);
            }
        }
        Err(lost_every_race())
    }

    /// Moves a case to another status, if it has one of the versions in `only`.
    ///
    /// # Errors
    /// Case not found; precondition failed; illegal transition, naming the legal ones; validation, when a reason is
    /// missing; conflict when other writers win every time.
    pub async fn update_status(
        &self,
        id: CaseId,
        change: &StatusChange,
        only: Option<&Tags>,
    ) -> Result<Case, Error> {
        for _ in 0..ATTEMPTS {
            let before = self.get_if(id, only).await?;
            let reason = change.reason.as_deref();
            before.case.status.check_move_to(change.status, reason)?;
            let after = Case { status: change.status, ..before.case.clone() };
            if let Some(after) = self.replace(Action::StatusChanged, &before, after, reason).await? {
                return Ok(after);
            }
        }
        Err(lost_every_race())
    }

    /// Writes the next version of a case, with its event; `None` when another writer was faster. Nothing is written
    /// when nothing changes, so that repeating a request is harmless.
    async fn replace(
        &self,
        action: Action,
        before: &Kept,
        mut after: Case,
        reason: Option<&str>,
    ) -> Result<Option<Case>, Error> {
        let Kept { case: before, last_event_hash } = before;
        if after == *before {
            return Ok(Some(after));
        }
        after.settle_lead_time(&self.services.calendar);
        after.version += 1;
        after.updated_at = Timestamp::now();
        if before.status != after.status {
            after.stamp_status(after.updated_at);
        }
        let changes = event::changes(Some(before), Some(&after))?;
        let event = self.event(action, &after, changes, reason, last_event_hash.clone())?;
        let mut actions = vec![
            put(of_version(self.put(item::live(&after, &event.hash)?), before.version))?,
            self.put_event(&event)?,
        ];
        if before.status != after.status {
            actions.push(self.count(after.id, &[(before.status, -1), (after.status, 1)])?);
        }
        match self.table().transact(actions).await {
            Ok(()) => Ok(Some(after)),
            Err(Refused::Condition) => Ok(None),
            Err(Refused::Failed(error)) => Err(error),
        }
    }

    /// Asks LinksHub about the doctor and the product, where they are new to the case.
    pub(super) async fn check_references(
        &self,
        before: Option<&CaseFields>,
        after: &CaseFields,
    ) -> Result<(), Error> {
        let Some(linkshub) = self.lab.linkshub() else { return Ok(()) };
        let doctor =
            after.doctor_id.as_deref().filter(|id| before.and_then(|b| b.doctor_id.as_deref()) != Some(*id));
        let product = after
            .product_id
            .as_deref()
            .filter(|id| before.and_then(|b| b.product_id.as_deref()) != Some(*id));
        if doctor.is_none() && product.is_none() {
            return Ok(());
        }
        let faults = linkshub.faults(self.lab.token(), self.lab.lab_id(), doctor, product).await?;
        if faults.is_empty() { Ok(()) } else { Err(Error::validation(faults)) }
    }

    /// The event that makes the version that `case` has.
    pub(super) fn event(
        &self,
        action: Action,
        case: &Case,
        changes: Vec<Change>,
        reason: Option<&str>,
        previous_hash: Option<String>,
    ) -> Result<Event, Error> {
        let event = Event {
            case_id: case.id,
            version: case.version,
            action,
            at: case.updated_at,
            user_id: self.lab.user_id().to_string(),
            request_id: self.lab.request_id().to_owned(),
            reason: reason.map(str::to_owned),
            changes,
            previous_hash,
            hash: String::new(),
        };
        event.sealed()
    }

    pub(super) fn put_event(&self, event: &Event) -> Result<TransactWriteItem, Error> {
        let mut item = item::to_item(event)?;
        item.extend(key(self.lab.lab_id(), &keys::event(event.case_id, event.version)));
        put(self.put(item).condition_expression("attribute_not_exists(sk)"))
    }

    /// Adds to the statistics of the lab.
    pub(super) fn count(&self, id: CaseId, changes: &[(Status, i64)]) -> Result<TransactWriteItem, Error> {
        let mut update = Update::builder()
            .table_name(self.table().name())
            .set_key(Some(key(self.lab.lab_id(), &keys::stats(id))));
        let mut terms = Vec::new();
        for (place, (status, amount)) in changes.iter().enumerate() {
            terms.push(format!("#status{place} :amount{place}"));
            update = update
                .expression_attribute_names(format!("#status{place}"), status.as_str())
                .expression_attribute_values(format!(":amount{place}"), number(amount));
        }
        let update =
            update.update_expression(format!("ADD {}", terms.join(", "))).build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    pub(super) fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(self.table().name()).set_item(Some(item))
    }

    pub(super) fn table(&self) -> &Table {
        &self.services.table
    }
}

pub(super) fn put(
    builder: aws_sdk_dynamodb::types::builders::PutBuilder,
) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().put(builder.build().map_err(unbuilt)?).build())
}

pub(super) fn of_version(
    builder: aws_sdk_dynamodb::types::builders::PutBuilder,
    version: u32,
) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    builder
        .condition_expression("version = :version")
        .expression_attribute_values(":version", number(version))
}

pub(super) fn unbuilt(error: BuildError) -> Error {
    Error::internal(format!("a request does not build: {error}"))
}

pub(super) fn lost_every_race() -> Error {
    Error::new(Code::Conflict, "The case is being changed by others at this moment. Try again.")
}
