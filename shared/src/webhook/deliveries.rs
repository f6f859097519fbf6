//! Lists the deliveries of a webhook.

use serde::Serialize;

use super::{Delivery, DeliveryState, WebhookId, Webhooks};
use crate::{
    base::{error::Error, time::Timestamp, validate::one_of, wire_enum::WireEnum},
    http::{PageRequest, Pagination, Query as Parameters, Request},
    message::{DeliveryId, Message},
    table::{Filter, Order, Query, from_item, keys, text},
};

/// The most calls for a page of deliveries of one state. Then the page ends early.
const MAX_CALLS: usize = 5;

/// A page of the deliveries of a webhook.
#[derive(Serialize)]
pub struct DeliveryPage {
    deliveries: Vec<DeliveryView>,
    pagination: Pagination,
}

/// A delivery as clients see it.
#[derive(Serialize)]
struct DeliveryView {
    id: DeliveryId,
    message: Message,
    state: DeliveryState,
    attempts: u32,
    attempted_at: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    response_status: Option<u16>,
    latency_ms: Option<u64>,
    error: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let id = delivery.id();
        let Delivery { message, state, attempts, attempted_at, next_attempt_at, .. } = delivery;
        let Delivery { response_status, latency_ms, error, .. } = delivery;
        Self {
            id,
            message,
            state,
            attempts,
            attempted_at,
            next_attempt_at,
            response_status,
            latency_ms,
            error,
        }
    }
}

impl Webhooks<'_> {
    /// Reads a page of the deliveries of a webhook, those of the newest messages first.
    ///
    /// # Errors
    /// Webhook not found; invalid parameter; invalid cursor.
    pub async fn deliveries(&self, id: &WebhookId, request: &Request) -> Result<DeliveryPage, Error> {
        let services = self.lab.services();
        let mut query = Parameters::of(request);
        let state: Option<DeliveryState> = query.checked("state", one_of);
        let page = PageRequest::read_without_number(&mut query, &services.paging);
        query.finish()?;
        let shown = state.map_or("all", DeliveryState::as_str);
        let list = format!("deliveries of {id} of {}: {shown}", self.lab.lab_id());
        let before =
            page.cursor.as_ref().map(|cursor| self.lab.cursors()?.open_text(&list, cursor)).transpose()?;
        let read = self.read_deliveries(id, state, before.as_deref(), page.read_limit());
        let (webhook, read) = tokio::join!(self.get(id), read);
        webhook?;
        let (mut deliveries, stopped_at) = read?;
        let has_more = page.cut(&mut deliveries);
        let last = match deliveries.last() {
            Some(last) if has_more => Some(last.id().to_string()),
            _ => stopped_at,
        };
        let next = match last {
            Some(last) => Some(self.lab.cursors()?.seal(&list, last.as_bytes())),
            None => None,
        };
        let deliveries = deliveries.into_iter().map(DeliveryView::from).collect();
        Ok(DeliveryPage { deliveries, pagination: Pagination::new(&page, next, None) })
    }

    /// Reads up to `limit` deliveries before one, newest first. Also returns the id at which it stopped early, if it did.
    async fn read_deliveries(
        &self,
        id: &WebhookId,
        state: Option<DeliveryState>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Delivery>, Option<String>), Error> {
        let (from, to) = keys::deliveries(id.as_str());
        let mut filter = Filter::default();
        if let Some(state) = state {
            filter.equals("state", text(state.as_str()));
        }
        let mut query = Query {
            order: Order::Descending,
            filter: Some(&filter),
            // Few deliveries have a state that is asked for, so a page of one state reads as much as a call returns.
            limit: state.is_none().then_some(limit + 1),
            ..Query::of_table(from, before.map_or(to, |before| keys::delivery(id.as_str(), before)))
        };
        // The range includes the delivery that the page before ended with.
        let is_new = |delivery: &Delivery| before.is_none_or(|before| delivery.id().as_str() < before);
        let mut deliveries = Vec::new();
        for call in 1.. {
            let page = self.table().query(self.lab.lab_id(), query.clone()).await?;
            let read: Vec<Delivery> = page.items.into_iter().map(from_item).collect::<Result<_, _>>()?;
            deliveries.extend(read.into_iter().filter(is_new));
            let Some(stopped_at) = page.stopped_at else { break };
            if deliveries.len() >= limit as usize {
                break;
            }
            if call >= MAX_CALLS || !self.lab.has_time_left() {
                let sk = stopped_at.get("sk").and_then(|sk| sk.as_s().ok());
                let id = sk.and_then(|sk| sk.rsplit('#').next());
                return Ok((deliveries, id.map(str::to_owned)));
            }
            query.start = Some(stopped_at);
        }
        deliveries.truncate(limit as usize);
        Ok((deliveries, None))
    }
}
