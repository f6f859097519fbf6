//! The fixtures of the isolation matrix: users, labs, cases and tokens.

use local::{
    seed,
    ums::{Directory, Lab, Membership, User, token},
};
use serde_json::{Value, json};

use crate::harness::{Service, service::SECRET};

const ISSUER: &str = "https://ums.example.com";
const AUDIENCE: &str = "lhcms";
/// The key that signed tokens before SECRET did. It is accepted during the rotation.
const PREVIOUS_SECRET: &str = "integration-tests-signed-with-this-key-before";

/// The ids of the users: those that are added here, and two of the seed.
pub(super) mod people {
    pub(in super::super) const WITHOUT_PERMISSION: i64 = 20;
    pub(in super::super) const FORMER_MEMBER: i64 = 21;
    pub(in super::super) const DEACTIVATED: i64 = 22;
    pub(in super::super) const OF_AN_INACTIVE_LAB: i64 = 23;
    pub(in super::super) const WITHOUT_LAB: i64 = 24;
    pub(in super::super) const ADMIN: i64 = 1;
    pub(in super::super) const SYSTEM_ADMINISTRATOR: i64 = 8;
}

pub(super) fn add_users_and_labs(directory: &mut Directory) {
    let mut closed = Lab::new(789, "CLOSED", "Closed Dental Lab");
    closed.is_active = false;
    directory.labs.push(closed);
    for (id, lab, role) in [
        (people::WITHOUT_PERMISSION, Some(123), "courier"),
        (people::FORMER_MEMBER, Some(123), "admin"),
        (people::DEACTIVATED, Some(123), "admin"),
        (people::OF_AN_INACTIVE_LAB, Some(789), "admin"),
        (people::WITHOUT_LAB, None, ""),
    ] {
        let mut user = User::new(id, &format!("user-{id}"), "password");
        user.is_active = id != people::DEACTIVATED;
        directory.users.push(user);
        if let Some(lab) = lab {
            let mut membership = Membership::new(id, lab, role);
            membership.is_active = id != people::FORMER_MEMBER;
            directory.memberships.push(membership);
        }
    }
}

/// A service in which both labs have cases.
pub(super) async fn service() -> Service {
    let changes =
        [("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE), ("JWT_PREVIOUS_SECRET_KEY", PREVIOUS_SECRET)];
    let service = Service::start_with(&changes).await;
    service.ums.update(add_users_and_labs);
    service.ums.update(|directory| directory.previous_secret = Some(PREVIOUS_SECRET.into()));
    create_cases(&service, &valid_token(people::ADMIN), &valid_token(user("northgate"))).await;
    service
}

/// The files of cases in both labs: a clean one, a pending one, and another clean one.
pub(super) const FILES: [(&str, &str); 3] = [
    ("att_0000000000000001", "clean"),
    ("att_0000000000000002", "pending"),
    ("att_0000000000000003", "clean"),
];

/// Creates one case in the caller's lab and three in the other, with marks to look for. The first case of each lab has comments, and
/// the first two have files. Each lab has a webhook.
pub(super) async fn create_cases(service: &Service, own: &str, other: &str) {
    let create =
        |token: &str, body: Value| service.request("POST", "/api/v1/cases").token(token).json(body).send();
    create(own, json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await.expect(201);
    for number in 1..=3 {
        let case = json!({"procedure_type": "Bridge", "patient_name": "Nora North", "case_name": format!("M4RK {number}"),
            "notes": "M4RK", "doctor_id": "doctor_north"});
        let call = service.request("POST", "/api/v1/cases").token(other).json(case);
        call.header("idempotency-key", &format!("key-{number}")).send().await.expect(201);
    }
    service.put_webhooks_of_both_labs().await;
    for (token, text) in [(own, "by its author"), (other, "M4RK one"), (other, "M4RK two")] {
        let call = service.request("POST", "/api/v1/cases/1/comments").token(token);
        call.json(json!({"text": text})).send().await.expect(201);
    }
    for (id, state) in FILES {
        service.put_file(123, 1, id, state, "upper jaw.stl").await;
        for case in [1, 2] {
            service.put_file(456, case, id, state, "M4RK.stl").await;
        }
    }
    service.dynamodb.take_calls();
}

pub(super) fn user(name: &str) -> i64 {
    seed::PEOPLE.into_iter().find(|person| person.username == name).unwrap().id
}

pub(super) fn claims(user: i64) -> token::Claims {
    let mut claims = token::access_claims(user);
    claims.insert("iss".into(), json!(ISSUER));
    claims.insert("aud".into(), json!(AUDIENCE));
    claims
}

/// A valid token.
pub(super) fn valid_token(user: i64) -> String {
    token::sign(SECRET, &claims(user))
}

/// A valid token that the previous key signed.
pub(super) fn token_of_the_previous_key(user: i64) -> String {
    token::sign(PREVIOUS_SECRET, &claims(user))
}

/// A valid token whose claim `labs` makes the user an admin of these labs.
pub(super) fn token_with_labs(user: i64, labs: &[i64]) -> String {
    let lab = |id: &i64| json!({"lab_id": id, "lab_name": "Claimed Lab", "role": "admin", "membership_status": "active"});
    let mut claims = claims(user);
    claims.insert("labs".into(), labs.iter().map(lab).collect());
    token::sign(SECRET, &claims)
}

/// A token that is valid except for one claim; `null` removes the claim.
pub(super) fn token_with(name: &str, value: Value) -> String {
    let mut claims = claims(people::ADMIN);
    claims.insert(name.into(), value);
    claims.retain(|_, value| !value.is_null());
    token::sign(SECRET, &claims)
}

/// A valid token of a system administrator who signed in when the claim `auth_time` says.
pub(super) fn token_signed_in_at(auth_time: i64) -> String {
    let mut claims = claims(people::SYSTEM_ADMINISTRATOR);
    claims.insert("auth_time".into(), json!(auth_time));
    token::sign(SECRET, &claims)
}

/// The user with the most rights who does not have this permission.
pub(super) fn user_without(permission: &str) -> i64 {
    match permission {
        "read" | "comment" => people::WITHOUT_PERMISSION,
        "update_status" | "attach" => user("viewer"),
        "create" | "update" => user("technician"),
        "delete" | "restore" | "export" | "audit" | "manage_webhooks" => user("member"),
        new => panic!("no user of the matrix lacks only {new}"),
    }
}

/// The situations with an invalid token.
pub(super) fn bad_tokens() -> Vec<(&'static str, Option<String>)> {
    let good = valid_token(people::ADMIN);
    let (_, rest) = good.split_once('.').unwrap();
    let payload = rest.split('.').next().unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let mut refresh = claims(people::ADMIN);
    refresh.extend(token::refresh_claims(people::ADMIN));
    vec![
        ("no token", None),
        ("an expired token", Some(token_with("exp", json!(token::now() - 60)))),
        ("a token without an expiry", Some(token_with("exp", Value::Null))),
        ("an eternal token", Some(token_with("exp", json!(u64::MAX)))),
        ("a token that expires after 25 hours", Some(token_with("exp", json!(token::now() + 25 * 3600)))),
        ("a token without a time of issue", Some(token_with("iat", Value::Null))),
        ("a token that was issued a day ago", Some(token_with("iat", json!(token::now() - 24 * 3600)))),
        ("an ID token by its use", Some(token_with("token_use", json!("id")))),
        ("an ID token by its nonce", Some(token_with("nonce", json!("n-0S6_WzA2Mj")))),
        ("an ID token by its hash", Some(token_with("at_hash", json!("MTIzNDU2Nzg5MDEyMzQ1Ng")))),
        (
            "a third secret",
            Some(token::sign("another secret that is long enough for HS256", &claims(people::ADMIN))),
        ),
        ("another issuer", Some(token_with("iss", json!("https://elsewhere.example.com")))),
        ("no issuer", Some(token_with("iss", Value::Null))),
        ("another audience", Some(token_with("aud", json!("billing")))),
        ("no audience", Some(token_with("aud", Value::Null))),
        ("a refresh token", Some(token::sign(SECRET, &refresh))),
        ("alg none", Some(format!("{none}.{payload}."))),
        ("alg none, with the signature", Some(format!("{none}.{rest}"))),
    ]
}
