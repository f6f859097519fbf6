//! Reads the history of a case.

use serde::Serialize;

use super::{Cases, event::Event, item::from_item};
use crate::{
    base::{CaseId, cursor::CursorKey, error::Error},
    http::{PageRequest, Pagination, Query, Request},
    table::{self, keys},
};

/// A page of the events of a case.
#[derive(Serialize)]
pub struct EventPage {
    case_id: CaseId,
    events: Vec<Event>,
    pagination: Pagination,
}

impl Cases<'_> {
    /// Reads a page of the events of a case, oldest first. A deleted case needs the permission to restore cases.
    ///
    /// # Errors
    /// Case not found; case disposed; invalid parameter; invalid cursor.
    pub async fn history(&self, id: CaseId, request: &Request) -> Result<EventPage, Error> {
        let mut query = Query::of(request);
        let page = PageRequest::read_without_number(&mut query, &self.services.paging);
        query.finish()?;
        let list = format!("history of {id} of {}", self.lab.lab_id());
        let after = self.open_cursor(&list, &page)?.unwrap_or(0);
        let read = self.events_after(id, after, Some(page.read_limit()));
        let (visible, read, recorded) =
            tokio::join!(self.check_visible(id), read, self.lab.recorder().record_granted(vec![id]));
        visible?;
        let (mut events, stopped_early) = read?;
        if events.is_empty() && after == 0 {
            return Err(Error::case_not_found());
        }
        recorded?;
        let has_more = page.cut(&mut events) || stopped_early;
        let last = events.last().filter(|_| has_more).map(|event| u64::from(event.version));
        Ok(EventPage { case_id: id, pagination: self.pagination(&list, &page, last, None)?, events })
    }

    /// Checks that the caller may see the case. A deleted case needs the permission to restore, and a disposed case has no
    /// history.
    async fn check_visible(&self, id: CaseId) -> Result<(), Error> {
        match self.table().get(self.lab.lab_id(), &keys::case(id)).await? {
            Some(_) => Ok(()),
            None => self.check_not_live(id, &self.history_reader().items(id).await?).await,
        }
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

    /// The position in a cursor of this list, if the request has one.
    ///
    /// # Errors
    /// Invalid cursor.
    pub(super) fn open_cursor(&self, list: &str, page: &PageRequest) -> Result<Option<u64>, Error> {
        let Some(cursor) = &page.cursor else { return Ok(None) };
        let position = self.lab.cursors()?.open(list, cursor)?;
        let position = position.try_into().map_err(|_| CursorKey::invalid())?;
        Ok(Some(u64::from_be_bytes(position)))
    }

    /// The page's part of a list, with the cursor of the item `last` if more follow.
    ///
    /// # Errors
    /// Internal, in an operation without cursors.
    pub(super) fn pagination(
        &self,
        list: &str,
        page: &PageRequest,
        last: Option<u64>,
        total: Option<u64>,
    ) -> Result<Pagination, Error> {
        let cursors = self.lab.cursors()?;
        let next = last.map(|last| cursors.seal(list, &last.to_be_bytes()));
        Ok(Pagination::new(page, next, total))
    }
}
