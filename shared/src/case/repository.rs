//! The cases of one lab, and the changes of one case: each holds only for the version that it was made from.

use std::collections::HashMap;

use super::{
    Case, CaseFields, CaseId, CaseUpdate, StatusChange,
    change::Changed,
    item::Kept,
    transaction::{Place, Transaction},
};
use crate::{
    error::{Code, Error},
    event::Action,
    http::Tags,
    idempotency::IdempotencyKey,
    keys,
    lab::LabScope,
    privacy::Private,
    retry::Retry,
    services::Services,
    table::{Consistency, Item, Table},
};

/// The cases of the lab that a scope opened.
pub struct Cases<'a> {
    pub(super) lab: &'a LabScope,
    pub(super) services: &'a Services,
}

impl<'a> Cases<'a> {
    pub(crate) fn new(lab: &'a LabScope, services: &'a Services) -> Self {
        Self { lab, services }
    }

    /// Changes the given fields, if the case has one of the versions in `only`.
    ///
    /// # Errors
    /// Case not found; precondition failed; validation; conflict when other writers win every time.
    pub async fn update(&self, id: CaseId, change: &CaseUpdate, only: Option<&Tags>) -> Result<Case, Error> {
        let mut retry = self.lab.retry();
        loop {
            let (before, place) = self.get_for_change(id, only).await?;
            let Changed { case: after, reason } = change.apply_to(&before.case)?;
            self.check_references(Some(&before.case.fields), &after.fields).await?;
            let reason = reason.as_ref();
            let change = ChangeOf { action: Action::Updated, reason, once: None, is_whole_request: true };
            if let Some(after) = self.replace(change, &before, after, place, &mut retry).await? {
                return Ok(after);
            }
        }
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
        self.move_to(id, change, only, None, true).await
    }

    /// The same, once for a request that may come again. What is only a part of a request is not put on record here.
    pub(super) async fn move_to(
        &self,
        id: CaseId,
        change: &StatusChange,
        only: Option<&Tags>,
        once: Option<&IdempotencyKey>,
        is_whole_request: bool,
    ) -> Result<Case, Error> {
        let mut retry = self.lab.retry();
        let reason = change.reason.as_ref();
        loop {
            let mut sks = self.answer_keys(once);
            sks.push(keys::case(id));
            let (mut items, place) = self.read_for_change(sks).await?;
            if let Some(case) = self.answered(once, &mut items)? {
                return Ok(case);
            }
            let before = live(&mut items, id, only)?;
            before.case.status.check_move_to(change.status, reason.is_some())?;
            let after = Case { status: change.status, ..before.case.clone() };
            let change = ChangeOf { action: Action::StatusChanged, reason, once, is_whole_request };
            if let Some(after) = self.replace(change, &before, after, place, &mut retry).await? {
                return Ok(after);
            }
        }
    }

    /// Writes the next version of a case; `None` when another writer was faster. Nothing is written when nothing
    /// changes, so that repeating a request is harmless.
    async fn replace(
        &self,
        change: ChangeOf<'_>,
        before: &Kept,
        mut after: Case,
        place: Place,
        retry: &mut Retry,
    ) -> Result<Option<Case>, Error> {
        if after == before.case {
            return self.unchanged(after, change.once, change.is_whole_request, retry).await;
        }
        if after.fields.lead_days() != before.case.fields.lead_days() {
            after.settle_lead_time(&self.services.calendar);
        }
        after.version += 1;
        after.updated_at = before.case.next_moment();
        if before.case.status != after.status {
            after.stamp_status(after.updated_at);
        }
        let mut transaction = Transaction::new(self, place);
        transaction.change(change.action, Some(before), &after, change.reason)?;
        if change.is_whole_request {
            transaction.record(vec![after.id])?;
        }
        if let Some(once) = change.once {
            transaction.answer(once, &after, after.updated_at)?;
        }
        if transaction.commit(retry).await? {
            return Ok(Some(after));
        }
        lost_race(retry).await.map(|()| None)
    }

    /// The answer to a request that changes nothing, kept if the request may come again: by then it would change
    /// something. `None` when the same request was faster.
    pub(super) async fn unchanged(
        &self,
        case: Case,
        once: Option<&IdempotencyKey>,
        is_whole_request: bool,
        retry: &mut Retry,
    ) -> Result<Option<Case>, Error> {
        if let Some(once) = once
            && !Transaction::claim(self, once, Some(&case), retry).await?
        {
            return lost_race(retry).await.map(|()| None);
        }
        if is_whole_request {
            self.lab.recorder().granted(vec![case.id]).await?;
        }
        Ok(Some(case))
    }

    /// The live case, if it has one of the versions that the request is about, and a place in the change log. A lost
    /// race comes here again and finds out.
    pub(super) async fn get_for_change(
        &self,
        id: CaseId,
        only: Option<&Tags>,
    ) -> Result<(Kept, Place), Error> {
        let (mut items, place) = self.read_for_change(vec![keys::case(id)]).await?;
        Ok((live(&mut items, id, only)?, place))
    }

    /// The items with these keys and a place in the change log, in one round trip.
    pub(super) async fn read_for_change(
        &self,
        mut sks: Vec<String>,
    ) -> Result<(HashMap<String, Item>, Place), Error> {
        let shard = Place::shard();
        sks.push(keys::shard(shard));
        let items = self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong).await?;
        let place = Place::behind(shard, items.get(&keys::shard(shard)));
        Ok((items, place))
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

    pub(super) fn table(&self) -> &Table {
        self.lab.table()
    }
}

/// What is done to a case, why, and for which request if that may come again.
struct ChangeOf<'a> {
    action: Action,
    reason: Option<&'a Private<String>>,
    once: Option<&'a IdempotencyKey>,
    /// Whether the request is about this case alone.
    is_whole_request: bool,
}

/// The live case among what was read, if it has one of the versions that the request is about.
pub(super) fn live(
    items: &mut HashMap<String, Item>,
    id: CaseId,
    only: Option<&Tags>,
) -> Result<Kept, Error> {
    let item = items.remove(&keys::case(id)).ok_or_else(Error::case_not_found)?;
    let kept = Kept::from_item(item)?;
    only.map_or(Ok(()), |tags| tags.check(&kept.case)).map(|()| kept)
}

/// Waits before the change is tried on the state that another writer left.
///
/// # Errors
/// Conflict, when the request's time is used up.
pub(super) async fn lost_race(retry: &mut Retry) -> Result<(), Error> {
    if retry.pause().await {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "Others are changing cases of the lab at this moment. Try again."))
}
