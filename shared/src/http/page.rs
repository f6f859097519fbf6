//! Pages of lists: how many items, from where, and what follows.

use serde::Serialize;

use super::Query;
use crate::{
    base::field_error::{FieldCode, Invalid},
    config::PagingConfig,
};

/// The largest offset that `page` may lead to: behind it a cursor is the way.
const MAX_OFFSET: u32 = 50_000;

/// The page that a request asks for.
pub(crate) struct PageRequest {
    pub(crate) per_page: u32,
    pub(crate) cursor: Option<String>,
    /// The number of the page, from 1, where lists have numbers.
    page: Option<u32>,
}

impl PageRequest {
    /// Takes `limit` (or `per_page`, its other name), `cursor` and `page`; errors are recorded in `query`.
    pub(crate) fn read(query: &mut Query, paging: &PagingConfig) -> Self {
        let page = query.number("page", 1..=u32::MAX);
        let request = Self { page, ..Self::read_behind_cursor(query, paging) };
        if request.page.is_some() && request.cursor.is_some() {
            query.reject("page", Invalid::inconsistent("/query/cursor", "must not be given with a cursor"));
        }
        if request.page.is_some_and(|page| (page - 1).saturating_mul(request.per_page) > MAX_OFFSET) {
            let detail = format!("must not skip more than {MAX_OFFSET} cases: use the cursor");
            query.reject("page", Invalid::new(FieldCode::PageTooFar, detail).with("max", MAX_OFFSET));
        }
        request
    }

    /// The same for lists whose pages have no numbers.
    pub(crate) fn read_behind_cursor(query: &mut Query, paging: &PagingConfig) -> Self {
        let limit = Self::read_limit_of(query, paging);
        let per_page = query.number("per_page", 1..=paging.max_size);
        let cursor = query.text("cursor");
        if limit.is_some() && per_page.is_some() && limit != per_page {
            query.reject(
                "per_page",
                Invalid::inconsistent("/query/limit", "differs from limit: give one of them"),
            );
        }
        Self { per_page: limit.or(per_page).unwrap_or(paging.default_size), cursor, page: None }
    }

    /// Takes `limit` alone.
    pub(crate) fn read_limit_of(query: &mut Query, paging: &PagingConfig) -> Option<u32> {
        query.number("limit", 1..=paging.max_size)
    }

    /// Whether the request names its page by number.
    pub(crate) fn is_by_number(&self) -> bool {
        self.page.is_some()
    }

    /// How many items of the list come before the page.
    pub(crate) fn offset(&self) -> usize {
        self.page.map_or(0, |page| (page as usize - 1) * self.per_page as usize)
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

/// Where a page stands in its list. `total` and `pages` are `null` where they would cost a read of the whole list.
#[derive(Serialize)]
pub struct Pagination {
    /// Its number, from 1; `null` behind a cursor.
    page: Option<u32>,
    /// The size that was asked for.
    per_page: u32,
    /// How many items the list has.
    total: Option<u64>,
    /// How many pages that makes.
    pages: Option<u64>,
    /// Whether a page precedes this one.
    has_prev: bool,
    /// Whether a page follows.
    has_next: bool,
    /// Leads to the page that follows.
    next_cursor: Option<String>,
}

impl Pagination {
    pub(crate) fn new(request: &PageRequest, next_cursor: Option<String>, total: Option<u64>) -> Self {
        let page = if request.cursor.is_none() { Some(request.page.unwrap_or(1)) } else { None };
        Self {
            page,
            per_page: request.per_page,
            total,
            pages: total.map(|total| total.div_ceil(u64::from(request.per_page))),
            has_prev: page != Some(1),
            has_next: next_cursor.is_some(),
            next_cursor,
        }
    }
}
