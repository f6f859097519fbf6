//! Pages of lists: their size, their start and the link to the next page.

use serde::Serialize;

use super::Query;
use crate::{
    base::{
        field_error::{FieldCode, Invalid},
        validate::string,
    },
    config::PagingConfig,
};

/// The largest number of items that `page` may skip. Later pages need a cursor.
const MAX_OFFSET: u32 = 1000;

/// The longest cursor, in characters. A longer one does not fit into a URL (the gateway's limit).
const MAX_CURSOR: usize = 10_240;

/// The requested page.
pub(crate) struct PageRequest {
    pub(crate) per_page: u32,
    pub(crate) cursor: Option<String>,
    /// The number of the page, from 1, in lists with numbered pages.
    page: Option<u32>,
}

impl PageRequest {
    /// Reads `limit` (or its other name `per_page`), `cursor` and `page`, and records errors in `query`.
    pub(crate) fn read(query: &mut Query, paging: &PagingConfig) -> Self {
        let page = query.number("page", 1..=u32::MAX);
        let request = Self { page, ..Self::read_without_number(query, paging) };
        if request.page.is_some() && request.cursor.is_some() {
            let cursor = query.source().pointer("cursor");
            query.reject("page", Invalid::inconsistent(cursor, "must not be given with a cursor"));
        }
        if request.page.is_some_and(|page| (page - 1).saturating_mul(request.per_page) > MAX_OFFSET) {
            let detail = format!("must not skip more than {MAX_OFFSET} cases: use the cursor");
            query.reject("page", Invalid::new(FieldCode::PageTooFar, detail).with("max", MAX_OFFSET));
        }
        request
    }

    /// Reads the same without `page`, for lists without numbered pages.
    pub(crate) fn read_without_number(query: &mut Query, paging: &PagingConfig) -> Self {
        let limit = Self::read_limit_of(query, paging);
        let per_page = query.number("per_page", 1..=paging.max_size);
        let cursor = Self::read_cursor(query);
        if limit.is_some() && per_page.is_some() && limit != per_page {
            let other = query.source().pointer("limit");
            query.reject("per_page", Invalid::inconsistent(other, "must equal limit, or be left out"));
        }
        Self { per_page: limit.or(per_page).unwrap_or(paging.default_size), cursor, page: None }
    }

    /// Reads only `limit`.
    pub(crate) fn read_limit_of(query: &mut Query, paging: &PagingConfig) -> Option<u32> {
        query.number("limit", 1..=paging.max_size)
    }

    /// Reads only `cursor`.
    pub(crate) fn read_cursor(query: &mut Query) -> Option<String> {
        query.checked("cursor", string(1..=MAX_CURSOR)).map(|cursor| cursor.expose().clone())
    }

    /// Whether the request names its page by number.
    pub(crate) fn is_by_number(&self) -> bool {
        self.page.is_some()
    }

    /// How many items of the list come before the page.
    pub(crate) fn offset(&self) -> usize {
        self.page.map_or(0, |page| (page as usize - 1) * self.per_page as usize)
    }

    /// How many items to read: one more than the page holds, to see whether another page follows.
    pub(crate) fn read_limit(&self) -> u32 {
        self.per_page + 1
    }

    /// Cuts the items to the size of the page. Returns whether there were more.
    pub(crate) fn cut<T>(&self, items: &mut Vec<T>) -> bool {
        let size = self.per_page as usize;
        let has_more = items.len() > size;
        items.truncate(size);
        has_more
    }
}

/// The position of a page in its list. `total` and `pages` are `null` when counting would need a read of the whole list.
#[derive(Serialize)]
pub struct Pagination {
    /// Its number, from 1; `null` for a page from a cursor.
    page: Option<u32>,
    /// The requested size.
    per_page: u32,
    /// The number of items in the list.
    total: Option<u64>,
    /// The number of pages of this size.
    pages: Option<u64>,
    /// Whether a page precedes this one.
    has_prev: bool,
    /// Whether a page follows.
    has_next: bool,
    /// The cursor of the next page.
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
