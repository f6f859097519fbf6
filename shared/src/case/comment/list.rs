//! Lists the comments of a case.

use serde::Serialize;

use super::Comment;
use crate::{
    base::{CaseId, error::Error},
    case::{Cases, item::from_item},
    http::{PageRequest, Pagination, Query, Request},
    table::{self, keys},
};

/// A page of the comments of a case.
#[derive(Serialize)]
pub struct CommentPage {
    comments: Vec<Comment>,
    pagination: Pagination,
}

impl Cases<'_> {
    /// Reads a page of the comments of a case, oldest first, with the marks of removed ones.
    ///
    /// # Errors
    /// Case not found; invalid parameter; invalid cursor.
    pub async fn comments(&self, id: CaseId, request: &Request) -> Result<CommentPage, Error> {
        let mut query = Query::of(request);
        let page = PageRequest::read_without_number(&mut query, &self.services.paging);
        query.finish()?;
        let list = format!("comments of {id} of {}", self.lab.lab_id());
        let after = self.open_cursor(&list, &page)?.unwrap_or(0);
        let read = self.comments_after(id, after, page.read_limit());
        let record = self.lab.recorder().record_granted(vec![id]);
        let (case, read, recorded) = tokio::join!(self.get_stored(id), read, record);
        // If the lab does not have the case, another record of the request says so.
        let case = case?.case;
        let (mut comments, stopped_early) = read?;
        recorded?;
        let has_more = page.cut(&mut comments) || stopped_early;
        let last = comments.last().filter(|_| has_more).map(|comment| u64::from(comment.id));
        let total = page.cursor.is_none().then(|| u64::from(case.thread.last_id()));
        Ok(CommentPage { comments, pagination: self.pagination(&list, &page, last, total)? })
    }

    async fn comments_after(&self, id: CaseId, last: u64, limit: u32) -> Result<(Vec<Comment>, bool), Error> {
        let next = u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1);
        let range = table::Query {
            limit: Some(limit),
            ..table::Query::of_table(keys::comment(id, next), keys::last_comment(id)).consistent()
        };
        let page = self.table().query(self.lab.lab_id(), range).await?;
        let comments = page.items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok((comments, page.stopped_at.is_some()))
    }
}
