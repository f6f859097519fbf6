//! Reading a lab's cases: one, a page of the list, and the history of one.

use serde::{Serialize, Serializer};

use super::{
    Case, CaseId, Cases,
    item::{Kept, from_item},
};
use crate::{
    error::Error,
    event::{self, Event, Verification},
    http::{Query, Request},
    keys,
    lab::Permission,
    page::{PageRequest, Pagination},
    table::{Order, Range},
};

/// A page of the list of cases.
#[derive(Serialize)]
pub struct CasePage {
    #[serde(serialize_with = "as_views")]
    cases: Vec<Case>,
    pagination: Pagination,
}

fn as_views<S: Serializer>(cases: &[Case], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cases.iter().map(Case::view))
}

/// A page of the events of a case.
#[derive(Serialize)]
pub struct EventPage {
    case_id: CaseId,
    events: Vec<Event>,
    pagination: Pagination,
}

impl Cases<'_> {
    /// One case, as it is now.
    ///
    /// # Errors
    /// Case not found, whether it never existed, was deleted, or belongs to another lab.
    pub async fn get(&self, id: CaseId) -> Result<Case, Error> {
        self.get_kept(id).await.map(|kept| kept.case)
    }

    /// A page of the lab's cases, newest first: the one that the request's `limit` (or `per_page`) and `cursor` name;
    /// with `deleted=true`, of the deleted ones.
    ///
    /// # Errors
    /// Invalid parameter, with every fault; invalid cursor; forbidden, for deleted cases without the permission.
    pub async fn list(&self, request: &Request) -> Result<CasePage, Error> {
        let mut query = Query::of(request);
        let page = PageRequest::read(&mut query, &self.services.paging);
        let deleted = query.boolean("deleted").unwrap_or(false);
        query.finish()?;
        if deleted {
            self.lab.require(Permission::Restore)?;
        }
        let list = if deleted { "deleted cases" } else { "cases" };
        let prefix = if deleted { keys::DELETED_PREFIX } else { keys::CASE_PREFIX };
        // Up to the last id, or to the one below the page before.
        let newest = self.open_cursor(list, &page)?.map_or(CaseId::MAX, |id| id.saturating_sub(1));
        let to = format!("{prefix}{newest:010}");
        let range = Range { from: prefix.to_owned(), to, order: Order::Descending };
        let (items, stopped_early) = self.table().range(self.lab.lab_id(), range, page.read_limit()).await?;
        let mut cases = items.into_iter().map(from_item).collect::<Result<Vec<Case>, Error>>()?;
        let more = page.cut(&mut cases, stopped_early);
        let last = cases.last().filter(|_| more).map(|case| case.id.get());
        Ok(CasePage { pagination: self.pagination(list, &page, last), cases })
    }

    /// A page of the events of a case, oldest first; also of one that was deleted.
    ///
    /// # Errors
    /// Case not found; invalid parameter; invalid cursor.
    pub async fn history(&self, id: CaseId, request: &Request) -> Result<EventPage, Error> {
        let mut query = Query::of(request);
        let page = PageRequest::read(&mut query, &self.services.paging);
        query.finish()?;
        let list = format!("history of {id}");
        let after = self.open_cursor(&list, &page)?.unwrap_or(0);
        let (mut events, stopped_early) = self.events_after(id, after, Some(page.read_limit())).await?;
        if events.is_empty() && after == 0 {
            return Err(Error::case_not_found());
        }
        let more = page.cut(&mut events, stopped_early);
        let last = events.last().filter(|_| more).map(|event| u64::from(event.version));
        Ok(EventPage { case_id: id, pagination: self.pagination(&list, &page, last), events })
    }

    /// Walks along all events of a case and tells whether each is there and as it was written.
    ///
    /// # Errors
    /// Case not found.
    pub async fn verify_history(&self, id: CaseId) -> Result<Verification, Error> {
        let kept = self.get_anywhere(id).await?;
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| u64::from(event.version));
            let (more, stopped_early) = self.events_after(id, after, None).await?;
            let done = more.is_empty() || !stopped_early;
            events.extend(more);
            if done {
                return event::verify(id, &events, kept.last_event_hash.as_deref());
            }
        }
    }

    /// The case with what the table knows of it besides.
    pub(super) async fn get_kept(&self, id: CaseId) -> Result<Kept, Error> {
        let item = self.table().get(self.lab.lab_id(), &keys::case(id)).await?;
        item.map_or_else(|| Err(Error::case_not_found()), Kept::from_item)
    }

    /// The case, if it is deleted.
    pub(super) async fn get_deleted(&self, id: CaseId) -> Result<Option<Kept>, Error> {
        let item = self.table().get(self.lab.lab_id(), &keys::deleted(id)).await?;
        item.map(Kept::from_item).transpose()
    }

    async fn get_anywhere(&self, id: CaseId) -> Result<Kept, Error> {
        match self.table().get(self.lab.lab_id(), &keys::case(id)).await? {
            Some(item) => Kept::from_item(item),
            None => self.get_deleted(id).await?.ok_or_else(Error::case_not_found),
        }
    }

    async fn events_after(
        &self,
        id: CaseId,
        version: u64,
        limit: Option<u32>,
    ) -> Result<(Vec<Event>, bool), Error> {
        let next = u32::try_from(version).unwrap_or(u32::MAX).saturating_add(1);
        let range = Range { from: keys::event(id, next), to: keys::last_event(id), order: Order::Ascending };
        let limit = limit.unwrap_or(u32::MAX);
        let (items, stopped_early) = self.table().range(self.lab.lab_id(), range, limit).await?;
        Ok((items.into_iter().map(from_item).collect::<Result<_, _>>()?, stopped_early))
    }

    fn open_cursor(&self, list: &str, page: &PageRequest) -> Result<Option<u64>, Error> {
        let open = |cursor: &str| self.services.cursors.open(self.lab.lab_id(), list, cursor);
        page.cursor.as_deref().map(open).transpose()
    }

    fn pagination(&self, list: &str, page: &PageRequest, last: Option<u64>) -> Pagination {
        let seal = |last| self.services.cursors.seal(self.lab.lab_id(), list, last);
        Pagination::new(page, last.map(seal))
    }
}
