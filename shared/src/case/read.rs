//! Reading one case and its history.

use serde::Serialize;

use super::{
    Case, CaseId, Cases,
    item::{Kept, from_item},
};
use crate::{
    cursor::CursorKey,
    error::Error,
    event::{self, Event, Verification},
    http::{Query, Request},
    keys,
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

    /// A page of the events of a case, oldest first; also of one that was deleted.
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
        let (read, recorded) = tokio::join!(read, self.lab.recorder().granted(vec![id]));
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
        let range =
            table::Query { limit, ..table::Query::of_table(keys::event(id, next), keys::last_event(id)) };
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
