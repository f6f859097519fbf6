//! Reading one case and its history.

use serde::Serialize;

use super::{
    Case, CaseId, Cases,
    item::{Kept, from_item, is_expired},
};
use crate::{
    cursor::CursorKey,
    error::Error,
    event::{Event, Verification, Walk},
    http::{Query, Request},
    keys,
    lab::Permission,
    page::{PageRequest, Pagination},
    table,
};

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
        let recorder = self.lab.recorder();
        let (kept, recorded) = tokio::join!(self.get_kept(id), recorder.granted(vec![id]));
        // When there is no such case, that is recorded instead.
        let case = kept?.case;
        recorded.map(|()| case)
    }

    /// A page of the events of a case, oldest first; of one that was deleted, for those who may see such cases.
    ///
    /// # Errors
    /// Case not found; invalid parameter; invalid cursor.
    pub async fn history(&self, id: CaseId, request: &Request) -> Result<EventPage, Error> {
        let mut query = Query::of(request);
        let page = PageRequest::read_behind_cursor(&mut query, &self.services.paging);
        query.finish()?;
        let list = format!("history of {id} of {}", self.lab.lab_id());
        let after = self.open_cursor(&list, &page)?.unwrap_or(0);
        let read = self.events_after(id, after, Some(page.read_limit()));
        let (seen, read, recorded) =
            tokio::join!(self.check_seen(id), read, self.lab.recorder().granted(vec![id]));
        seen?;
        let (mut events, stopped_early) = read?;
        if events.is_empty() && after == 0 {
            return Err(Error::case_not_found());
        }
        recorded?;
        let more = page.cut(&mut events, stopped_early);
        let last = events.last().filter(|_| more).map(|event| u64::from(event.version));
        Ok(EventPage { case_id: id, pagination: self.pagination(&list, &page, last), events })
    }

    /// Walks along all events of a case and tells whether each is there and as it was written.
    ///
    /// # Errors
    /// Case not found; unavailable, when there is no time to walk to the end, or when others change the case every time.
    pub async fn verify_history(&self, id: CaseId) -> Result<Verification, Error> {
        let mut retry = self.lab.retry();
        let mut kept = self.get_anywhere(id).await?;
        loop {
            let found = self.walk(id).await?.end(id, kept.last_event_hash.as_deref());
            if found.valid {
                return Ok(found);
            }
            // An event that was added while this walked is no break.
            let now = self.get_anywhere(id).await?;
            if now.case.version == kept.case.version {
                return Ok(found);
            }
            kept = now;
            if !retry.pause().await {
                return Err(Error::unavailable("The database", "the history grew with every look at it"));
            }
        }
    }

    async fn walk(&self, id: CaseId) -> Result<Walk, Error> {
        let (mut walk, mut after) = (Walk::default(), 0);
        loop {
            let (events, stopped_early) = self.events_after(id, after, None).await?;
            walk.along(&events)?;
            let Some(last) = events.last().filter(|_| stopped_early) else { return Ok(walk) };
            after = u64::from(last.version);
            if !self.lab.has_time_left() {
                return Err(Error::unavailable("The database", "no time left for the rest of a history"));
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
        item.filter(|item| !is_expired(item)).map(Kept::from_item).transpose()
    }

    /// The case, live or, for those who may see such cases, deleted.
    async fn get_anywhere(&self, id: CaseId) -> Result<Kept, Error> {
        match self.table().get(self.lab.lab_id(), &keys::case(id)).await? {
            Some(item) => Kept::from_item(item),
            None if !self.lab.allows(Permission::Restore) => Err(Error::case_not_found()),
            None => self.get_deleted(id).await?.ok_or_else(Error::case_not_found),
        }
    }

    /// Whether the caller may see the case: a live one, or a deleted one with the permission for those.
    async fn check_seen(&self, id: CaseId) -> Result<(), Error> {
        if self.lab.allows(Permission::Restore) { Ok(()) } else { self.get_kept(id).await.map(|_| ()) }
    }

    async fn events_after(
        &self,
        id: CaseId,
        version: u64,
        limit: Option<u32>,
    ) -> Result<(Vec<Event>, bool), Error> {
        let next = u32::try_from(version).unwrap_or(u32::MAX).saturating_add(1);
        let range = table::Query {
            limit,
            ..table::Query::of_table(keys::event(id, next), keys::last_event(id)).consistent()
        };
        let page = self.table().query(self.lab.lab_id(), range).await?;
        let events = page.items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok((events, page.stopped_at.is_some()))
    }

    fn open_cursor(&self, list: &str, page: &PageRequest) -> Result<Option<u64>, Error> {
        let Some(cursor) = &page.cursor else { return Ok(None) };
        let position = self.services.cursors.open(list, cursor)?;
        let position = position.try_into().map_err(|_| CursorKey::invalid())?;
        Ok(Some(u64::from_be_bytes(position)))
    }

    fn pagination(&self, list: &str, page: &PageRequest, last: Option<u64>) -> Pagination {
        let seal = |last: u64| self.services.cursors.seal(list, &last.to_be_bytes());
        Pagination::new(page, last.map(seal), None)
    }
}
