//! The User Management Service: who a token's user is, and which labs they belong to in which role.
//!
//! A token outlives what it was issued for, so the user is looked up at least once a minute. When UMS cannot answer,
//! nobody is let in.

mod token_cache;
mod wire;

use std::time::Duration;

use jiff::{civil::DateTime, tz::TimeZone};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    auth::{AccessToken, Permissions, token::LabClaim},
    base::{
        LabId,
        error::{Error, ErrorCode},
    },
    config::{UPSTREAM_BUDGET, UmsConfig},
    upstream::{self, Answer, Call, CircuitBreaker},
};
use token_cache::TokenCache;
use wire::{Labs, Me, Memberships, UserAttributes};

/// How UMS told what a member may do.
#[derive(Clone, Debug)]
pub(crate) enum Grant {
    /// By role.
    Role(String),
    /// Not at all: the attributes have to be asked for.
    Unknown,
    /// A system administrator looks into a lab that they are no member of.
    BreakGlass,
}

/// An active membership of an active lab.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// The lab.
    pub lab_id: LabId,
    /// Its short code, which begins its case numbers; not told by every source.
    pub code: Option<String>,
    /// Its name.
    pub name: String,
    /// What the member may do there.
    pub grant: Grant,
}

/// An active user and their memberships.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whether they are a system administrator.
    pub is_admin: bool,
    /// Active memberships of active labs, by lab id.
    pub memberships: Vec<Membership>,
}

/// What clients are told that UMS is.
const NAME: &str = "The User Management Service";

/// The client, with what it learned in the last minute.
pub(crate) struct Ums {
    client: Client,
    config: UmsConfig,
    circuit: CircuitBreaker,
    callers: TokenCache<Caller>,
    permissions: TokenCache<Permissions>,
    labs: TokenCache<Vec<Membership>>,
}

impl Ums {
    /// A client that shares the pool of `client`, and leaves UMS alone for `pause` when it keeps failing.
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

    /// Who the token's user is now.
    ///
    /// # Errors
    /// Unauthorized for a user who is unknown, deactivated or locked, or when UMS rejects the token; unavailable when
    /// UMS does not answer properly.
    pub(crate) async fn caller(&self, token: &AccessToken) -> Result<Caller, Error> {
        self.callers.get_or_fetch(token, None, self.circuit.ask(self.look_up(token))).await
    }

    /// What the token's user may do in a lab, by UMS's attributes. The lab must be one of the caller's memberships:
    /// UMS answers this for closed labs as if they were open.
    pub(crate) async fn permissions(&self, token: &AccessToken, lab: LabId) -> Result<Permissions, Error> {
        let asking = self.circuit.ask(self.look_up_permissions(token, lab));
        self.permissions.get_or_fetch(token, Some(lab), asking).await
    }

    /// The active labs, as UMS lists them to a system administrator; of no use for anybody else.
    pub(crate) async fn labs_of_administrator(&self, token: &AccessToken) -> Result<Vec<Membership>, Error> {
        self.labs.get_or_fetch(token, None, self.circuit.ask(self.look_up_labs(token))).await
    }

    /// Whether UMS answers at all; it has no health route, so any HTTP answer counts.
    pub(crate) async fn is_up(&self) -> bool {
        let url = format!("{}/health", self.config.base_url);
        matches!(tokio::time::timeout(UPSTREAM_BUDGET, self.client.get(url).send()).await, Ok(Ok(_)))
    }

    async fn look_up(&self, token: &AccessToken) -> Result<Caller, Error> {
        let memberships = async {
            match token.labs() {
                Some(claims) => Ok(from_claims(claims)),
                None => self.memberships(token).await,
            }
        };
        // Asked together: most users are active, and then both answers are needed.
        let (me, memberships) = tokio::join!(self.get(token, "/api/auth/me"), memberships);
        let me = active_user(&me?, token)?;
        let mut memberships = match &me.labs {
            Some(claims) => from_claims(claims),
            None => memberships?,
        };
        if me.user.is_admin {
            // To a system administrator /api/labs lists every lab there is, which says nothing about membership.
            memberships.retain(|membership| matches!(membership.grant, Grant::Role(_)));
        }
        memberships.sort_by_key(|membership| membership.lab_id);
        Ok(Caller { is_admin: me.user.is_admin, memberships })
    }

    async fn memberships(&self, token: &AccessToken) -> Result<Vec<Membership>, Error> {
        let answer = self.get(token, &format!("/api/users/{}/labs", token.subject())).await?;
        if answer.status == StatusCode::OK {
            return from_rows(answer.json().map_err(unavailable)?, token);
        }
        // The published UMS answers 500 here to everybody who has a membership; the labs are known another way.
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
        // An integer on purpose: UMS refuses the same id as text.
        let user_id: u64 =
            token.subject().as_str().parse().map_err(|_| unavailable("a user id is no number"))?;
        let body = json!({"user_id": user_id, "lab_id": lab});
        let answer = self.send(token, Method::POST, "/api/auth/user-attributes", Some(&body)).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(lab_forbidden()),
            status => return Err(unexpected("user-attributes", status)),
        }
        let told: UserAttributes = answer.json().map_err(unavailable)?;
        if told.user_id != *token.subject() || told.lab_id != lab {
            return Err(unavailable("user-attributes answered for another user or lab"));
        }
        Ok(Permissions::of_attributes(told.attributes.iter().map(String::as_str)))
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
        let call = Call { method, url: &url, token, api_key, body };
        upstream::send(&self.client, call).await.map_err(|cause| Error::outage(NAME, cause))
    }
}

/// Gives all that has to be asked for one request 2 s together.
///
/// # Errors
/// Unavailable, when they do not suffice; else those of `work`.
pub(crate) async fn within_budget<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(UPSTREAM_BUDGET, work)
        .await
        .unwrap_or_else(|_| Err(unavailable("no answer within 2 s")))
}

/// The user of `/me`, if it is the token's and may sign in.
fn active_user(answer: &Answer, token: &AccessToken) -> Result<Me, Error> {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY => {
            return Err(Error::unauthorized("The User Management Service refused the token."));
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

/// UMS writes UTC without saying so; a zone is honoured if there is one.
fn moment(text: &str) -> Result<jiff::Timestamp, Error> {
    let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(utc).ok_or_else(|| unavailable("locked_until is no time"))
}

fn from_rows(told: Memberships, token: &AccessToken) -> Result<Vec<Membership>, Error> {
    if told.memberships.iter().any(|row| row.user_id != *token.subject()) {
        return Err(unavailable("the memberships are of another user"));
    }
    let active = told.memberships.into_iter().filter(|row| row.is_active && row.lab.is_active);
    Ok(active
        .map(|row| Membership {
            lab_id: row.lab.id,
            code: row.lab.code,
            name: row.lab.name,
            grant: Grant::Role(row.role),
        })
        .collect())
}

fn from_labs(told: Labs) -> Vec<Membership> {
    told.labs
        .into_iter()
        .filter(|lab| lab.is_active)
        .map(|lab| Membership { lab_id: lab.id, code: lab.code, name: lab.name, grant: Grant::Unknown })
        .collect()
}

fn from_claims(claims: &[LabClaim]) -> Vec<Membership> {
    claims
        .iter()
        .filter(|claim| claim.membership_status == "active")
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
