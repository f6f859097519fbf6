//! The function on the queue of webhooks: delivers a message, or hides it until its next attempt.
//!
//! A message that stays in the queue blocks the later ones of its case and webhook, so their order is kept. A queue delivers at
//! least once, and so do webhooks.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use reqwest::{Client, StatusCode};
use tokio::try_join;

use super::{
    Assignment, Delivery, DeliveryState, DisabledReason, Webhook, attempt,
    attempt::Outcome,
    delivery,
    endpoint::{self, SystemDns, parse_url},
    model,
    pause::{self, Gate},
    schedule, signature,
};
use crate::{
    base::{encryption::EncryptionKeys, error::Error, time::Timestamp, wire_enum::WireEnum},
    config::{DeliveryConfig, DeliveryTimes, Stage},
    queue::Queue,
    table::Table,
    telemetry::{self, WebhookAttempt},
};

/// The messages that the queue delivers to one invocation.
pub type QueueEvent = SqsEvent;
/// Which of the messages stay in the queue.
pub type QueueReport = SqsBatchResponse;

/// Delivers the messages of the queue.
pub struct Deliverer {
    stage: Stage,
    table: Table,
    queue: Queue,
    keys: EncryptionKeys,
    client: Client,
    times: DeliveryTimes,
}

/// What happens to a message of the queue.
enum Next {
    /// It leaves the queue.
    Remove,
    /// It appears again after this time.
    Hide(Duration),
}

impl Deliverer {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &DeliveryConfig) -> Result<Self, String> {
        let stage = config.common.stage;
        Ok(Self {
            stage,
            table: Table::new(&config.table)?,
            queue: Queue::new(&config.queue, &config.table)?,
            keys: config.keys.encryption_keys()?,
            client: endpoint::client(stage, config.times.connect_timeout, Arc::new(SystemDns))?,
            times: config.times.clone(),
        })
    }

    /// Delivers messages. Reports those that stay in the queue.
    pub async fn process(&self, event: QueueEvent) -> QueueReport {
        let mut report = QueueReport::default();
        for message in event.records {
            // A message must not overtake one that stays.
            if report.batch_item_failures.is_empty() && self.process_one(&message).await {
                continue;
            }
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message.message_id.unwrap_or_default();
            report.batch_item_failures.push(failure);
        }
        report
    }

    /// Returns whether the message may leave the queue.
    async fn process_one(&self, message: &SqsMessage) -> bool {
        let assignment = message.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        let Some(assignment) = assignment else {
            // Perhaps of a newer release. It goes to the queue of dead letters after many deliveries.
            telemetry::delivery_failure(
                "message",
                &Error::internal("a message of the queue is no assignment"),
            );
            return false;
        };
        let wait = match self.deliver(assignment).await {
            Ok(Next::Remove) => return true,
            Ok(Next::Hide(wait)) => wait,
            Err(error) => {
                telemetry::delivery_failure("delivery", &error);
                return false;
            }
        };
        if let Err(error) = self.queue.hide(message.receipt_handle.as_deref().unwrap_or_default(), wait).await
        {
            // The message appears earlier, and is hidden again.
            telemetry::delivery_failure("hide", &error);
        }
        false
    }

    async fn deliver(&self, assignment: Assignment) -> Result<Next, Error> {
        let (lab, id) = (assignment.lab_id, assignment.message.delivery_id());
        let (webhook, known) = try_join!(
            model::get(&self.table, lab, &assignment.webhook_id),
            delivery::get(&self.table, lab, &assignment.webhook_id, &id),
        )?;
        let Some(mut webhook) = webhook else { return Ok(Next::Remove) };
        let delivery = match known {
            Some(known) if known.round > assignment.round => return Ok(Next::Remove),
            Some(known) if known.round == assignment.round => known,
            _ => Delivery::new(assignment),
        };
        // The queue may deliver a message again that has left it.
        if delivery.state != DeliveryState::Pending {
            return Ok(Next::Remove);
        }
        if !webhook.is_enabled() {
            let error = Some("disabled".to_owned());
            let failed = Delivery { state: DeliveryState::Failed, next_attempt_at: None, error, ..delivery };
            delivery::put(&self.table, failed).await?;
            return Ok(Next::Remove);
        }
        let now = Timestamp::now();
        if let Some(due) = delivery.next_attempt_at.filter(|due| *due > now) {
            return Ok(Next::Hide(due.duration_since(now)));
        }
        match pause::gate(&webhook, now) {
            Gate::Open => {}
            Gate::Paused(wait) => return Ok(Next::Hide(schedule::with_jitter(wait))),
            Gate::Probe => {
                if !pause::begin_probe(&self.table, &mut webhook, &self.times, now).await? {
                    return Ok(Next::Hide(schedule::with_jitter(self.times.probe)));
                }
            }
        }
        self.attempt(webhook, delivery).await
    }

    async fn attempt(&self, webhook: Webhook, delivery: Delivery) -> Result<Next, Error> {
        let outcome = self.send(&webhook, &delivery).await?;
        let now = Timestamp::now();
        let delivery = Delivery {
            attempts: delivery.attempts + 1,
            attempted_at: Some(now),
            response_status: outcome.status.map(|status| status.as_u16()),
            latency_ms: u64::try_from(outcome.took.as_millis()).ok(),
            error: outcome.error,
            ..delivery
        };
        telemetry::webhook_attempt(&WebhookAttempt {
            stage: self.stage,
            lab_id: webhook.lab_id.get(),
            webhook_id: webhook.id.as_str(),
            delivery_id: delivery.id().as_str(),
            attempt: delivery.attempts,
            status: delivery.response_status,
            error: delivery.error.as_deref(),
            took: outcome.took,
        });
        if delivery.error.is_none() {
            let done = Delivery { state: DeliveryState::Delivered, next_attempt_at: None, ..delivery };
            delivery::put(&self.table, done).await?;
            pause::record_success(&self.table, &webhook, &self.times, now, outcome.took).await?;
            return Ok(Next::Remove);
        }
        let is_gone = outcome.status == Some(StatusCode::GONE);
        let is_disabled = if is_gone {
            self.disable(&webhook, DisabledReason::Gone, now).await?
        } else if pause::has_failed_for_too_long(&webhook, &self.times, now) {
            self.disable(&webhook, DisabledReason::Failing, now).await?
        } else {
            // These two are about the endpoint, not about one message.
            let is_busy = [Some(StatusCode::TOO_MANY_REQUESTS), Some(StatusCode::SERVICE_UNAVAILABLE)];
            let retry_after = outcome.retry_after.filter(|_| is_busy.contains(&outcome.status));
            pause::record_failure(&self.table, &webhook, &self.times, now, retry_after).await?;
            false
        };
        let next = schedule::next_attempt(&self.times, delivery.attempts, now, outcome.retry_after);
        let next = next.filter(|_| !is_disabled);
        let state = if next.is_some() { DeliveryState::Pending } else { DeliveryState::Failed };
        delivery::put(&self.table, Delivery { state, next_attempt_at: next, ..delivery }).await?;
        Ok(next.map_or(Next::Remove, |due| Next::Hide(due.duration_since(now))))
    }

    async fn send(&self, webhook: &Webhook, delivery: &Delivery) -> Result<Outcome, Error> {
        let blocked =
            |took| Outcome { status: None, error: Some("blocked_address".into()), retry_after: None, took };
        // The rules may be stricter than when the webhook was written.
        let Ok(endpoint) = parse_url(webhook.url.expose(), self.stage) else {
            return Ok(blocked(Duration::ZERO));
        };
        let now = Timestamp::now();
        let secrets = webhook.signing_secrets(&self.keys, now)?;
        let body = serde_json::to_string(&delivery.message)
            .map_err(|_| Error::internal("a message does not serialize"))?;
        let headers = signature::headers(&secrets, &delivery.id(), now, &body);
        Ok(attempt::send(&self.client, &endpoint, headers, body, self.times.timeout).await)
    }

    async fn disable(
        &self,
        webhook: &Webhook,
        reason: DisabledReason,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let is_disabled = pause::disable(&self.table, webhook, reason, now).await?;
        if is_disabled {
            telemetry::webhook_disabled(
                self.stage,
                webhook.lab_id.get(),
                webhook.id.as_str(),
                reason.as_str(),
            );
        }
        Ok(is_disabled)
    }
}
