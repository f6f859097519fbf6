//! The pause of an endpoint that fails. While it lasts, no message is sent to it, so that a dead endpoint takes no executions from
//! the others. After it, one attempt shows whether the endpoint works again. An endpoint that is slow gets one request at a time.
//!
//! The state is in the item of the webhook. Deliveries to an endpoint that works well do not write it.

use std::time::Duration;

use super::{DisabledReason, Webhook};
use crate::{
    base::{error::Error, time::Timestamp, wire_enum::WireEnum},
    config::DeliveryTimes,
    table::{Table, Update, boolean, number, text},
};

/// Whether a message may be sent to an endpoint.
pub(super) enum Gate {
    /// It may be sent.
    Open,
    /// It must wait this long.
    Paused(Duration),
    /// The pause is over. One message may be sent.
    Probe,
}

/// Whether a message may be sent now.
pub(super) fn gate(webhook: &Webhook, now: Timestamp) -> Gate {
    match webhook.paused_until {
        None => Gate::Open,
        Some(until) if until > now => Gate::Paused(until.duration_since(now)),
        Some(_) => Gate::Probe,
    }
}

/// Lets this message probe the endpoint: the others wait for it. Returns `false` if another one does already.
pub(super) async fn begin_probe(
    table: &Table,
    webhook: &mut Webhook,
    times: &DeliveryTimes,
    now: Timestamp,
) -> Result<bool, Error> {
    let until = now.plus(times.probe);
    let mut update = Update { expression: "SET paused_until = :until".into(), ..Update::default() };
    update.values.push((":until".into(), text(until.to_string())));
    let is_first = change(table, webhook, update).await?;
    webhook.paused_until = Some(until);
    Ok(is_first)
}

/// Begins a pause after a failed attempt. Of several attempts that fail at the same time only the first counts.
pub(super) async fn record_failure(
    table: &Table,
    webhook: &Webhook,
    times: &DeliveryTimes,
    now: Timestamp,
    retry_after: Option<Duration>,
) -> Result<(), Error> {
    let doubled = times.first_pause.saturating_mul(1 << webhook.failures.min(20));
    let pause = doubled.min(times.longest_pause).max(retry_after.unwrap_or_default());
    let mut update = Update {
        expression: "SET failing_since = if_not_exists(failing_since, :now), failures = :failures, paused_until = :until"
            .into(),
        ..Update::default()
    };
    update.values.extend([
        (":now".into(), text(now.to_string())),
        (":failures".into(), number(webhook.failures.saturating_add(1))),
        (":until".into(), text(now.plus(pause).to_string())),
    ]);
    change(table, webhook, update).await.map(drop)
}

/// Changes the state if it is still as it was read.
async fn change(table: &Table, webhook: &Webhook, mut update: Update) -> Result<bool, Error> {
    update.condition = Some(match webhook.paused_until {
        Some(seen) => {
            update.values.push((":seen".into(), text(seen.to_string())));
            "paused_until = :seen".into()
        }
        None => "attribute_exists(sk) AND attribute_not_exists(paused_until)".into(),
    });
    table.update(webhook.lab_id, &webhook.sk(), update).await
}

/// Ends the pause after a successful attempt. A slow endpoint stays in a pause without a length: each message must be a probe, so
/// that the endpoint gets one request at a time and leaves the other executions to others.
pub(super) async fn record_success(
    table: &Table,
    webhook: &Webhook,
    times: &DeliveryTimes,
    now: Timestamp,
    took: Duration,
) -> Result<(), Error> {
    let is_slow = took > times.slow;
    if webhook.paused_until.is_none() && !is_slow {
        return Ok(());
    }
    let mut update = Update {
        expression: if is_slow {
            "SET paused_until = :now REMOVE failing_since, failures".into()
        } else {
            "REMOVE failing_since, failures, paused_until".into()
        },
        condition: Some("attribute_exists(sk)".into()),
        ..Update::default()
    };
    update.values.extend(is_slow.then(|| (":now".into(), text(now.to_string()))));
    table.update(webhook.lab_id, &webhook.sk(), update).await.map(drop)
}

/// Whether an endpoint has failed for so long that its webhook must be disabled.
pub(super) fn has_failed_for_too_long(webhook: &Webhook, times: &DeliveryTimes, now: Timestamp) -> bool {
    webhook.failing_since.is_some_and(|since| now.duration_since(since) > times.patience)
}

/// Disables a webhook, if it is still as it was read: somebody may have changed its URL meanwhile. Returns whether it did.
pub(super) async fn disable(
    table: &Table,
    webhook: &Webhook,
    reason: DisabledReason,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut update = Update {
        expression: "SET enabled = :no, disabled_reason = :reason, version = :next, updated_at = :now \
                     REMOVE paused_until"
            .into(),
        condition: Some("version = :version".into()),
        ..Update::default()
    };
    update.values.extend([
        (":no".into(), boolean(false)),
        (":reason".into(), text(reason.as_str())),
        (":version".into(), number(webhook.version)),
        (":next".into(), number(webhook.version.saturating_add(1))),
        (":now".into(), text(now.to_string())),
    ]);
    table.update(webhook.lab_id, &webhook.sk(), update).await
}
