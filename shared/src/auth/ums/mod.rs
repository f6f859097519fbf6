//! The User Management Service (UMS): it knows the user of a token, their labs and their roles.
//!
//! A user can lose their access before their token expires. Therefore this service gets the user from UMS at least once a
//! minute, and rejects all requests while UMS does not answer.

mod token_cache;
mod wire;

use std::time::Duration;

use jiff::{civil::DateTime, tz::TimeZone};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    auth::{AccessToken, Permissions, token::LabClaim},
    base::{
        LabId, Subject,
        error::{Error, ErrorCode},
    },
    config::{UPSTREAM_BUDGET, UmsConfig},
    telemetry::Dependency,
    upstream::{self, Answer, Call, CircuitBreaker},
};
use token_cache::TokenCache;
use wire::{Labs, Me, Memberships, UserAttributes};

/// The source of a member's permissions in a lab.
#[derive(Clone, Debug)]
pub(crate) enum Grant {
    /// The role that UMS named.
    Role(String),
    /// UMS named no role: the attributes must be fetched.
    Unknown,
    /// A system administrator reads a lab of which they are not a member.
    BreakGlass,
}

/// An active membership in an active lab.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// The lab.
    pub lab_id: LabId,
    /// Its short code, the first part of its case numbers. Not every answer of UMS has it.
    pub code: Option<String>,
    /// Its name.
    pub name: String,
    /// The source of the member's permissions there.
    pub grant: Grant,
}

/// An active user and their memberships.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whether they are a system administrator.
    pub is_admin: bool,
    /// Active memberships in active labs, ordered by lab id.
    pub memberships: Vec<Membership>,
}

/// The name of UMS in problem details.
const NAME: &str = "The User Management Service";

/// The client of UMS, which caches answers for a minute.
pub(crate) struct Ums {
    client: Client,
    config: UmsConfig,
    /// By user, not by token: a user can have many tokens.
    circuit: CircuitBreaker<Subject>,
    callers: TokenCache<Caller>,
    permissions: TokenCache<Permissions>,
    labs: TokenCache<Vec<Membership>>,
}

impl Ums {
    /// Makes a client with the connections of `client` and a circuit breaker that opens for `pause`.
    pub(crate) fn new(client: Client, config: UmsConfig, pause: Duration) -> Self {
        let circuit = CircuitBreaker::new(NAME, pause);
        Self {
            client,
            config,
            circuit,
            callers: TokenCache::default(),
            permissions: TokenCache::default(),
            labs: TokenCache::default(),
        }
    }

    /// Opens the connections for the two calls that the first look-up makes at the same time.
    pub(crate) async fn warm_up(&self) {
        let connect = || upstream::connect(&self.client, &self.config.base_url);
        tokio::join!(connect(), connect());
    }

    /// Returns the token's user and their memberships.
    ///
    /// # Errors
    /// Unauthorized, when the user is unknown, deactivated or locked, or when UMS rejects the token; unavailable, when UMS
    /// does not answer or its answer is invalid.
    pub(crate) async fn caller(&self, token: &AccessToken) -> Result<Caller, Error> {
        self.callers.get_or_fetch(token, None, self.circuit.call(token.subject(), self.look_up(token))).await
    }

    /// Returns the permissions of the token's user in a lab, from UMS's attributes. The caller must have an active
    /// membership in the lab, because UMS does not check here whether the lab is active.
    pub(crate) async fn permissions(&self, token: &AccessToken, lab: LabId) -> Result<Permissions, Error> {
        let call = self.circuit.call(token.subject(), self.look_up_permissions(token, lab));
        self.permissions.get_or_fetch(token, Some(lab), call).await
    }

    /// Returns all active labs. UMS lists them only to a system administrator.
    pub(crate) async fn labs_of_administrator(&self, token: &AccessToken) -> Result<Vec<Membership>, Error> {
        let call = self.circuit.call(token.subject(), self.look_up_labs(token));
        self.labs.get_or_fetch(token, None, call).await
    }

    async fn look_up(&self, token: &AccessToken) -> Result<Caller, Error> {
        let claim = token.labs();
        let memberships = async {
            match claim {
                Some(claim) if claim.is_trusted => Ok(from_claims(&claim.memberships)),
                _ => self.memberships(token).await,
            }
        };
        // Both calls run at the same time, because most users are active and then both answers are needed.
        let (me, memberships) = tokio::join!(self.get(token, "/api/auth/me"), memberships);
        let me = active_user(&me?, token)?;
        let mut memberships = match &me.labs {
            Some(claims) => from_claims(claims),
            None => memberships?,
        };
        if me.user.is_admin {
            // For a system administrator /api/labs lists every lab, so its labs are not memberships.
            memberships.retain(|membership| matches!(membership.grant, Grant::Role(_)));
        }
        if let Some(claim) = claim {
            narrow(&mut memberships, &claim.memberships);
        }
        memberships.sort_by_key(|membership| membership.lab_id);
        Ok(Caller { is_admin: me.user.is_admin, memberships })
    }

    async fn memberships(&self, token: &AccessToken) -> Result<Vec<Membership>, Error> {
        let answer = self.get(token, &format!("/api/users/{}/labs", token.subject())).await?;
        if answer.status == StatusCode::OK {
            return from_rows(answer.json().map_err(unavailable)?, token);
        }
        // The published UMS answers 500 here for every user with a membership. /api/labs has the labs as well.
        self.look_up_labs(token).await
    }

    async fn look_up_labs(&self, token: &AccessToken) -> Result<Vec<Membership>, Error> {
        let answer = self.get(token, "/api/labs").await?;
        match answer.status {
            StatusCode::OK => Ok(from_labs(answer.json().map_err(unavailable)?)),
            status => Err(unexpected("/api/labs", status)),
        }
    }

    async fn look_up_permissions(&self, token: &AccessToken, lab: LabId) -> Result<Permissions, Error> {
        // UMS needs an integer here and rejects the same id as text.
        let user_id: u64 =
            token.subject().as_str().parse().map_err(|_| unavailable("a user id is no number"))?;
        let body = json!({"user_id": user_id, "lab_id": lab});
        let answer = self.send(token, Method::POST, "/api/auth/user-attributes", Some(&body)).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(lab_forbidden()),
            status => return Err(unexpected("user-attributes", status)),
        }
        let answer: UserAttributes = answer.json().map_err(unavailable)?;
        if answer.user_id != *token.subject() || answer.lab_id != lab {
            return Err(unavailable("user-attributes answered for another user or lab"));
        }
        Ok(Permissions::of_attributes(answer.attributes.iter().map(String::as_str)))
    }

    async fn get(&self, token: &AccessToken, path: &str) -> Result<Answer, Error> {
        self.send(token, Method::GET, path, None).await
    }

    async fn send(
        &self,
        token: &AccessToken,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.config.base_url);
        let (token, api_key) = (Some(token.raw()), self.config.api_key.as_ref());
        let call = Call { dependency: Some(Dependency::Ums), method, url: &url, token, api_key, body };
        upstream::send(&self.client, call).await.map_err(|error| error.into_error(NAME))
    }
}

/// Limits all calls to UMS for one request to 2 s together.
///
/// # Errors
/// Unavailable, when the time is over; otherwise the errors of `work`.
pub(crate) async fn within_budget<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(UPSTREAM_BUDGET, work)
        .await
        .unwrap_or_else(|_| Err(unavailable("no answer within 2 s")))
}

/// Returns the user in the answer of `/me`, if it is the token's user and may sign in.
fn active_user(answer: &Answer, token: &AccessToken) -> Result<Me, Error> {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY => {
            return Err(Error::unauthorized("The User Management Service rejected the token."));
        }
        StatusCode::NOT_FOUND => return Err(Error::unauthorized("The user does not exist any more.")),
        status => return Err(unexpected("/api/auth/me", status)),
    }
    let me: Me = answer.json().map_err(unavailable)?;
    if me.user.id != *token.subject() {
        return Err(unavailable("/api/auth/me answered for another user"));
    }
    if !me.user.is_active {
        return Err(Error::unauthorized("The user is deactivated."));
    }
    let locked_until = me.user.locked_until.as_deref().map(moment).transpose()?;
    if locked_until.is_some_and(|until| until > jiff::Timestamp::now()) {
        return Err(Error::unauthorized("The user's account is locked."));
    }
    Ok(me)
}

/// UMS writes times in UTC without a zone. A zone is used if there is one.
fn moment(text: &str) -> Result<jiff::Timestamp, Error> {
    let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(utc).ok_or_else(|| unavailable("locked_until is no time"))
}

fn from_rows(answer: Memberships, token: &AccessToken) -> Result<Vec<Membership>, Error> {
    if answer.memberships.iter().any(|row| row.user_id != *token.subject()) {
        return Err(unavailable("the memberships are of another user"));
    }
    let active = answer.memberships.into_iter().filter(|row| row.is_active && row.lab.is_active);
    Ok(active
        .map(|row| Membership {
            lab_id: row.lab.id,
            code: row.lab.code,
            name: row.lab.name,
            grant: Grant::Role(row.role),
        })
        .collect())
}

fn from_labs(answer: Labs) -> Vec<Membership> {
    answer
        .labs
        .into_iter()
        .filter(|lab| lab.is_active)
        .map(|lab| Membership { lab_id: lab.id, code: lab.code, name: lab.name, grant: Grant::Unknown })
        .collect()
}

/// Keeps the memberships in labs that the token's claim lists as active. UMS decides about the role.
fn narrow(memberships: &mut Vec<Membership>, claims: &[LabClaim]) {
    memberships.retain(|membership| {
        claims.iter().any(|claim| claim.lab_id == membership.lab_id && claim.is_active())
    });
}

fn from_claims(claims: &[LabClaim]) -> Vec<Membership> {
    claims
        .iter()
        .filter(|claim| claim.is_active())
        .map(|claim| Membership {
            lab_id: claim.lab_id,
            code: None,
            name: claim.lab_name.clone(),
            grant: Grant::Role(claim.role.clone()),
        })
        .collect()
}

fn lab_forbidden() -> Error {
    Error::new(ErrorCode::LabForbidden, "You have no active membership in the lab that the request names.")
}

fn unexpected(path: &str, status: StatusCode) -> Error {
    let cause = format!("{path} answered {status}");
    if status.is_server_error() { Error::outage(NAME, cause) } else { unavailable(cause) }
}

fn unavailable(cause: impl Into<String>) -> Error {
    Error::unavailable(NAME, cause)
}
