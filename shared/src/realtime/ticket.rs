//! Tickets: a ticket opens one WebSocket, or keeps an open one. A browser cannot send a header when it opens a WebSocket, so the ticket
//! is in the URL, where an access token must never be.

use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    base::{LabId, error::Error, private::Secret, time::Timestamp},
    lab::LabScope,
    table::{self, Table, from_item, keys},
};

/// How long a ticket can be used.
const SECONDS: i64 = 30;
/// How long a connection lasts after its last ticket. A user who has left the lab gets no signals after that.
const CONNECTION_SECONDS: i64 = 15 * 60;
/// The length of a ticket's random part.
const RANDOM_BYTES: usize = 32;

/// The URL that opens a WebSocket.
#[derive(Serialize)]
pub struct RealtimeTicket {
    url: String,
    lab_id: LabId,
    expires_at: Timestamp,
}

/// The item of a ticket. The table has only the hash of the ticket, in the key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Who got it.
    pub user_id: String,
    /// When the connection ends that it opens or keeps, in seconds since the Unix epoch.
    pub connected_until: i64,
    /// Until when it can be used. DynamoDB removes the item some time after that.
    expires_at: i64,
}

impl RealtimeTicket {
    /// Makes a ticket for the caller in the lab. The audit record is written before the ticket is returned.
    ///
    /// # Errors
    /// Unavailable.
    pub async fn create(lab: &LabScope) -> Result<Self, Error> {
        let realtime = lab.realtime()?;
        let (lab_id, text) = (lab.lab_id(), generate(lab.lab_id())?);
        let now = Timestamp::now();
        let ticket = Ticket::new(lab.user_id().as_str(), lab.token().expires_at(), now);
        let mut item = table::to_item(&ticket)?;
        item.extend(table::key(lab_id, &keys::ticket(&hash(&text))));
        tokio::try_join!(realtime.connections.add(item), lab.recorder().record_granted(Vec::new()))?;
        let expires_at = Timestamp::from_epoch_milliseconds(ticket.expires_at * 1000).unwrap_or(now);
        Ok(Self { url: format!("{}?ticket={}", realtime.url, text.expose()), lab_id, expires_at })
    }
}

impl Ticket {
    fn new(user_id: &str, token_expires_at: u64, now: Timestamp) -> Self {
        let now = now.epoch_seconds();
        let token_expires_at = i64::try_from(token_expires_at).unwrap_or(i64::MAX);
        Self {
            user_id: user_id.to_owned(),
            connected_until: token_expires_at.min(now + CONNECTION_SECONDS),
            expires_at: now + SECONDS,
        }
    }
}

/// Uses a ticket up. Returns its lab and its item; `None` if there is no such ticket, or not any more.
///
/// # Errors
/// Unavailable. Then the ticket may be used up.
pub(super) async fn redeem(
    table: &Table,
    text: &Secret,
    now: Timestamp,
) -> Result<Option<(LabId, Ticket)>, Error> {
    let Some(lab) = lab_of(text.expose()) else { return Ok(None) };
    let Some(item) = table.take(lab, &keys::ticket(&hash(text))).await? else { return Ok(None) };
    let ticket: Ticket = from_item(item)?;
    Ok(Some((lab, ticket)).filter(|(_, ticket)| now.epoch_seconds() < ticket.expires_at))
}

/// A new ticket: `{lab}.{random bytes in base64url}`. The lab is in it because it is the partition of the item.
fn generate(lab: LabId) -> Result<Secret, Error> {
    let mut bytes = [0; RANDOM_BYTES];
    rand::fill(&mut bytes).map_err(|_| Error::internal("no random bytes"))?;
    Ok(Secret::new(format!("{lab}.{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// The lab of a text that can be a ticket.
fn lab_of(text: &str) -> Option<LabId> {
    let (lab, random) = text.split_once('.')?;
    let is_random = URL_SAFE_NO_PAD.decode(random).is_ok_and(|bytes| bytes.len() == RANDOM_BYTES);
    LabId::parse(lab).filter(|_| is_random)
}

/// The SHA-256 of a ticket, in hexadecimal digits. Its random part has 256 bits, so nobody can guess the text of a hash.
fn hash(text: &Secret) -> String {
    let digest = digest::digest(&digest::SHA256, text.expose().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_names_its_lab_and_has_256_random_bits() {
        let lab = LabId::new(123).unwrap();
        let (one, other) = (generate(lab).unwrap(), generate(lab).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), "123.".len() + 43);
        assert_eq!(lab_of(one.expose()), Some(lab));
        let random = &one.expose()[4..];
        for text in
            ["", ".", "123", "123.", "0.", &format!("0.{random}"), &format!("x.{random}"), &random[1..]]
        {
            assert_eq!(lab_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_hash_is_the_sha_256_in_hexadecimal_digits() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(&Secret::new("abc")), expected);
    }

    #[test]
    fn a_connection_lasts_no_longer_than_the_token() {
        let now = Timestamp::parse("2026-11-28T22:41:06.123Z").unwrap();
        let seconds = now.epoch_seconds();
        let until = |token_ends_in: i64| {
            let ticket = Ticket::new("7", u64::try_from(seconds + token_ends_in).unwrap(), now);
            assert_eq!((ticket.user_id.as_str(), ticket.expires_at), ("7", seconds + 30));
            ticket.connected_until - seconds
        };
        assert_eq!(until(60), 60);
        assert_eq!(until(3600), 15 * 60);
    }
}
