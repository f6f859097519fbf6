//! The cases of one lab: every change is one transaction of the case, its event and the statistics, and holds only for
//! the version that it was made from.

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{Delete, Put, TransactWriteItem, Update},
};
use serde::{Serialize, Serializer, de::DeserializeOwned};

use super::{Case, CaseCreate, CaseFields, CaseId, CaseUpdate, StatusChange, change::Changed};
use crate::{
    error::{Code, Error},
    event::{self, Action, Event},
    http::{Query, Request, Tags},
    keys,
    lab::LabScope,
    services::Services,
    table::{Item, Refused, Table, key, number, text},
    time::Timestamp,
    validate::Choice,
    workflow::Status,
};

/// How often a change is made anew on the state that another writer left; each try is two round trips.
const ATTEMPTS: usize = 8;

/// The cases of the lab that a scope opened.
pub struct Cases<'a> {
    lab: &'a LabScope,
    services: &'a Services,
}

/// A page of a list of cases.
#[derive(Serialize)]
pub struct CasePage {
    /// Where the page stands in the list.
    pub pagination: Pagination,
    #[serde(serialize_with = "as_views")]
    cases: Vec<Case>,
}

fn as_views<S: Serializer>(cases: &[Case], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cases.iter().map(Case::view))
}

/// Where a page stands in its list. `total` and `pages` would cost a read of the whole list and are `null`.
#[derive(Serialize)]
pub struct Pagination {
    /// 1 for the start of the list; `null` behind a cursor.
    pub page: Option<u32>,
    /// The size that was asked for.
    pub per_page: u32,
    /// Always `null`.
    pub total: Option<u64>,
    /// Always `null`.
    pub pages: Option<u64>,
    /// Whether a page precedes this one.
    pub has_prev: bool,
    /// Whether a page follows.
    pub has_next: bool,
    /// Leads to the page that follows.
    pub next_cursor: Option<String>,
}

impl<'a> Cases<'a> {
    pub(crate) fn new(lab: &'a LabScope, services: &'a Services) -> Self {
        Self { lab, services }
    }

    /// Creates a case with the lab's next id.
    ///
    /// # Errors
    /// Validation when LinksHub does not know the doctor or product; unavailable when a dependency fails.
    pub async fn create(&self, new: CaseCreate) -> Result<Case, Error> {
        self.check_references(None, &new.fields).await?;
        let now = Timestamp::now();
        let case = Case {
            id: self.table().next_case_id(self.lab.lab_id()).await?,
            lab_id: self.lab.lab_id(),
            version: 1,
            status: new.status,
            fields: new.fields,
            created_by: self.lab.user_id().to_string(),
            created_at: now,
            updated_at: now,
            status_changed_at: now,
            completed_at: None,
            shipped_at: None,
            delivered_at: None,
        };
        let actions = vec![
            put(self.put(case_item(&case)?).condition_expression("attribute_not_exists(sk)"))?,
            self.event(Action::Created, None, Some(&case), None)?,
            self.count(case.id, &[(case.status, 1)])?,
        ];
        match self.table().transact(actions).await {
            Ok(()) => Ok(case),
            Err(Refused::Failed(error)) => Err(error),
            Err(Refused::Condition) => {
                Err(Error::internal("the counter gave out the id of an existing case"))
            }
        }
    }

    /// One case, as it is now.
    ///
    /// # Errors
    /// Case not found, whether it never existed, was deleted, or belongs to another lab.
    pub async fn get(&self, id: CaseId) -> Result<Case, Error> {
        let item = self.table().get(self.lab.lab_id(), &keys::case(id)).await?;
        item.map_or_else(|| Err(Error::case_not_found()), case_of)
    }

    /// The case, if it has one of the versions that the request is about. A lost race comes here again and finds out.
    async fn get_if(&self, id: CaseId, only: Option<&Tags>) -> Result<Case, Error> {
        let case = self.get(id).await?;
        only.map_or(Ok(()), |tags| tags.check(&case)).map(|()| case)
    }

    /// Changes the given fields, if the case has one of the versions in `only`.
    ///
    /// # Errors
    /// Case not found; precondition failed; validation; conflict when other writers win every time.
    pub async fn update(&self, id: CaseId, change: &CaseUpdate, only: Option<&Tags>) -> Result<Case, Error> {
        for _ in 0..ATTEMPTS {
            let before = self.get_if(id, only).await?;
            let Changed { case: after, reason } = change.apply_to(&before)?;
            self.check_references(Some(&before.fields), &after.fields).await?;
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
            before.status.check_move_to(change.status, reason)?;
            let after = Case { status: change.status, ..before.clone() };
            if let Some(after) = self.replace(Action::StatusChanged, &before, after, reason).await? {
                return Ok(after);
            }
        }
        Err(lost_every_race())
    }

    /// Deletes a case, if it has one of the versions in `only`: it leaves every list, and stays in the table as a deleted case.
    ///
    /// # Errors
    /// Case not found; precondition failed; conflict when other writers win every time.
    pub async fn delete(&self, id: CaseId, only: Option<&Tags>) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let case = self.get_if(id, only).await?;
            let deleted = Case { version: case.version + 1, updated_at: Timestamp::now(), ..case.clone() };
            let actions = vec![
                self.delete_version(&case)?,
                put(self.put(self.deleted_item(&deleted)?).condition_expression("attribute_not_exists(sk)"))?,
                self.event(Action::Deleted, None, Some(&deleted), None)?,
                self.count(id, &[(case.status, -1)])?,
            ];
            match self.table().transact(actions).await {
                Ok(()) => return Ok(()),
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Condition) => {}
            }
        }
        Err(lost_every_race())
    }

    /// The page of the lab's cases that the request's `limit` (or `per_page`) and `cursor` name.
    ///
    /// # Errors
    /// Invalid parameter, with every fault; invalid cursor.
    pub async fn list(&self, request: &Request) -> Result<CasePage, Error> {
        let paging = &self.services.paging;
        let mut query = Query::of(request);
        let limit = query.number("limit", 1..=paging.max_size);
        let per_page = query.number("per_page", 1..=paging.max_size);
        let cursor = query.text("cursor");
        if limit.is_some() && per_page.is_some() && limit != per_page {
            query.fault("per_page", "differs from limit; give one of them");
        }
        query.finish()?;
        let per_page = limit.or(per_page).unwrap_or(paging.default_size);
        let lab_id = self.lab.lab_id();
        let before =
            cursor.as_deref().map(|cursor| self.services.cursors.open(lab_id, cursor)).transpose()?;

        // One more than asked for tells whether another page follows.
        let (items, stopped_early) = self.table().cases_before(lab_id, before, per_page + 1).await?;
        let mut cases = items.into_iter().map(case_of).collect::<Result<Vec<Case>, Error>>()?;
        let has_next = stopped_early || cases.len() > per_page as usize;
        cases.truncate(per_page as usize);
        let last = cases.last().filter(|_| has_next);
        let next_cursor = last.map(|case| self.services.cursors.seal(lab_id, case.id));
        Ok(CasePage {
            pagination: Pagination {
                page: before.is_none().then_some(1),
                per_page,
                total: None,
                pages: None,
                has_prev: before.is_some(),
                has_next: next_cursor.is_some(),
                next_cursor,
            },
            cases,
        })
    }

    /// Writes the next version of a case, with its event; `None` when another writer was faster. Nothing is written
    /// when nothing changes, so that repeating a request is harmless.
    async fn replace(
        &self,
        action: Action,
        before: &Case,
        mut after: Case,
        reason: Option<&str>,
    ) -> Result<Option<Case>, Error> {
        if after == *before {
            return Ok(Some(after));
        }
        after.version += 1;
        after.updated_at = Timestamp::now();
        if before.status != after.status {
            after.stamp_status(after.updated_at);
        }
        let mut actions = vec![
            put(of_version(self.put(case_item(&after)?), before.version))?,
            self.event(action, Some(before), Some(&after), reason)?,
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
    async fn check_references(&self, before: Option<&CaseFields>, after: &CaseFields) -> Result<(), Error> {
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

    fn event(
        &self,
        action: Action,
        before: Option<&Case>,
        after: Option<&Case>,
        reason: Option<&str>,
    ) -> Result<TransactWriteItem, Error> {
        let case = after.or(before).ok_or_else(|| Error::internal("an event of no case"))?;
        let changes = if action == Action::Deleted { Vec::new() } else { event::changes(before, after)? };
        let event = Event {
            case_id: case.id,
            version: case.version,
            action,
            at: case.updated_at,
            user_id: self.lab.user_id().to_string(),
            request_id: self.lab.request_id().to_owned(),
            reason: reason.map(str::to_owned),
            changes,
        };
        let mut item = to_item(&event)?;
        item.extend(key(self.lab.lab_id(), &keys::event(case.id, case.version)));
        put(self.put(item).condition_expression("attribute_not_exists(sk)"))
    }

    /// Adds to the statistics of the lab.
    fn count(&self, id: CaseId, changes: &[(Status, i64)]) -> Result<TransactWriteItem, Error> {
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

    fn delete_version(&self, case: &Case) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(self.table().name())
            .set_key(Some(key(self.lab.lab_id(), &keys::case(case.id))))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(case.version))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// A deleted case: without the attributes that the indexes are made of, and with an end.
    fn deleted_item(&self, case: &Case) -> Result<Item, Error> {
        let mut item = to_item(case)?;
        item.extend(key(case.lab_id, &keys::deleted(case.id)));
        item.insert("deleted_at".to_owned(), text(case.updated_at.to_string()));
        item.insert("deleted_by".to_owned(), text(self.lab.user_id().as_str()));
        let end = case.updated_at.epoch_seconds_after_days(self.services.retention_days);
        item.insert("expires_at".to_owned(), number(end));
        Ok(item)
    }

    fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(self.table().name()).set_item(Some(item))
    }

    fn table(&self) -> &Table {
        &self.services.table
    }
}

fn put(builder: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().put(builder.build().map_err(unbuilt)?).build())
}

fn of_version(
    builder: aws_sdk_dynamodb::types::builders::PutBuilder,
    version: u32,
) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    builder
        .condition_expression("version = :version")
        .expression_attribute_values(":version", number(version))
}

/// A live case as the table has it, in both indexes.
fn case_item(case: &Case) -> Result<Item, Error> {
    let mut item = to_item(case)?;
    item.extend(key(case.lab_id, &keys::case(case.id)));
    item.insert("live_id".to_owned(), number(case.id));
    item.insert("status_key".to_owned(), text(keys::status(case.lab_id, case.status)));
    item.insert("due_key".to_owned(), text(keys::due(case)));
    Ok(item)
}

fn case_of(item: Item) -> Result<Case, Error> {
    from_item(item)
}

fn to_item(value: &impl Serialize) -> Result<Item, Error> {
    let mut item: Item =
        serde_dynamo::to_item(value).map_err(|error| Error::internal(format!("no item: {error}")))?;
    item.retain(|_, value| !value.is_null());
    Ok(item)
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|_| Error::internal("an item does not have the shape of its kind"))
}

fn unbuilt(error: BuildError) -> Error {
    Error::internal(format!("a request does not build: {error}"))
}

fn lost_every_race() -> Error {
    Error::new(Code::Conflict, "The case is being changed by others at this moment. Try again.")
}
