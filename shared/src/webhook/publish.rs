//! Puts the messages of changes into the queue that a webhook of the lab wants.

use std::collections::{BTreeMap, HashSet};

use super::{Assignment, Webhook, delivery, model};
use crate::{
    base::{LabId, error::Error},
    message::Message,
    queue::Queue,
    table::Table,
};

/// Puts the messages of changes into the queue. Each comes with the id of its change. Returns the ids of the changes whose messages
/// are not all there, with the error of one of them.
pub(crate) async fn publish(
    table: &Table,
    queue: &Queue,
    messages: &[(&str, Message)],
) -> Result<(), (HashSet<String>, Error)> {
    let mut webhooks: BTreeMap<LabId, Vec<Webhook>> = BTreeMap::new();
    let (mut failed, mut failure) = (HashSet::new(), None);
    for lab in messages.iter().map(|(_, message)| message.data.lab_id) {
        if webhooks.contains_key(&lab) {
            continue;
        }
        let found = model::enabled(table, lab).await.unwrap_or_else(|error| {
            let of_lab = messages.iter().filter(|(_, message)| message.data.lab_id == lab);
            failed.extend(of_lab.map(|(change, _)| (*change).to_owned()));
            failure.get_or_insert(error);
            Vec::new()
        });
        webhooks.insert(lab, found);
    }
    let (sources, assignments): (Vec<&str>, Vec<Assignment>) = messages
        .iter()
        .flat_map(|(change, message)| {
            let lab = message.data.lab_id;
            let of_lab = webhooks.get(&lab).into_iter().flatten();
            let wanting = of_lab.filter(|webhook| webhook.types.passes(message.kind));
            wanting.map(move |webhook| (*change, Assignment::new(lab, webhook.id.clone(), message.clone())))
        })
        .unzip();
    if let Err((unsent, error)) = delivery::enqueue(queue, &assignments).await {
        failed.extend(unsent.into_iter().map(|place| sources[place].to_owned()));
        failure.get_or_insert(error);
    }
    failure.map_or(Ok(()), |error| Err((failed, error)))
}
