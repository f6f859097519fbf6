//! Pages of lists: how many items, from where, and what follows.

use serde::Serialize;

use crate::{config::PagingConfig, http::Query};

/// The page that a request asks for.
pub(crate) struct PageRequest {
    pub(crate) per_page: u32,
    pub(crate) cursor: Option<String>,
}

impl PageRequest {
    /// Takes `limit` (or `per_page`, its other name) and `cursor`; faults are recorded in `query`.
    pub(crate) fn read(query: &mut Query, paging: &PagingConfig) -> Self {
        let limit = query.number("limit", 1..=paging.max_size);
        let per_page = query.number("per_page", 1..=paging.max_size);
        let cursor = query.text("cursor");
        if limit.is_some() && per_page.is_some() && limit != per_page {
            query.fault("per_page", "differs from limit; give one of them");
        }
        Self { per_page: limit.or(per_page).unwrap_or(paging.default_size), cursor }
    }

    /// How many items to read: one more than asked for tells whether another page follows.
    pub(crate) fn read_limit(&self) -> u32 {
        self.per_page + 1
    }

    /// Cuts what was read to the page; returns whether another page follows. `stopped_early`: there was more than could
    /// be read at once.
    pub(crate) fn cut<T>(&self, items: &mut Vec<T>, stopped_early: bool) -> bool {
        let size = self.per_page as usize;
        let more = stopped_early || items.len() > size;
        items.truncate(size);
        more && !items.is_empty()
    }
}

/// Where a page stands in its list. `total` and `pages` would cost a read of the whole list and are `null`.
#[derive(Serialize)]
pub struct Pagination {
    /// 1 for the start of the list; `null` behind a cursor.
    page: Option<u32>,
    /// The size that was asked for.
    per_page: u32,
    /// Always `null`.
    total: Option<u64>,
    /// Always `null`.
    pages: Option<u64>,
    /// Whether a page precedes this one.
    has_prev: bool,
    /// Whether a page follows.
    has_next: bool,
    /// Leads to the page that follows.
    next_cursor: Option<String>,
}

impl Pagination {
    pub(crate) fn new(request: &PageRequest, next_cursor: Option<String>) -> Self {
        let first = request.cursor.is_none();
        Self {
            page: first.then_some(1),
            per_page: request.per_page,
            total: None,
            pages: None,
            has_prev: !first,
            has_next: next_cursor.is_some(),
            next_cursor,
        }
    }
}
