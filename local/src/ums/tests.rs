use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    client::Client,
    seed::{self, NORTHGATE, RIVERSIDE},
    server::{Server, listen},
};

const SECRET: &str = "a-secret-of-the-tests-that-is-32-bytes-long";

struct Running {
    server: Server,
    ums: Ums,
}

impl Running {
    async fn start() -> Self {
        let listener = listen("UMS", "UMS_PORT", 0).await.unwrap();
        let ums = Ums::new(seed::directory(), SECRET);
        Self { server: Server::start("UMS", listener, router(ums.clone())).unwrap(), ums }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> (u16, Value) {
        let client = Client::new(Duration::from_secs(5));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let url = format!("{}{path}", self.server.url());
        let answer = client.send(method, &url, headers, body).await.unwrap();
        (answer.status.as_u16(), answer.json())
    }

    async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], Value::Null).await
    }

    async fn get_as(&self, user_id: i64, path: &str) -> (u16, Value) {
        self.get(path, &self.ums.access_token(user_id)).await
    }

    async fn post_as(&self, user_id: i64, path: &str, body: Value) -> (u16, Value) {
        let authorization = format!("Bearer {}", self.ums.access_token(user_id));
        self.send(Method::POST, path, &[("authorization", &authorization)], body).await
    }

    async fn login(&self, username: &str, password: &str) -> (u16, Value) {
        let body = json!({"username": username, "password": password});
        self.send(Method::POST, "/api/auth/login", &[], body).await
    }
}

#[tokio::test]
async fn a_login_gives_tokens_that_me_and_refresh_take() {
    let ums = Running::start().await;
    let (status, body) = ums.login("admin", "admin123").await;
    assert_eq!(status, 200);
    assert_eq!(body["user"]["username"], "admin");
    let (access, refresh) = (body["access_token"].as_str().unwrap(), body["refresh_token"].as_str().unwrap());

    let (status, me) = ums.get("/api/auth/me", access).await;
    assert_eq!(status, 200);
    let user = &me["user"];
    assert_eq!(
        (&user["id"], &user["is_active"], &user["is_admin"]),
        (&json!(1), &json!(true), &json!(false))
    );
    assert_eq!(user["locked_until"], Value::Null);
    assert!(me.get("labs").is_none() && user.get("password").is_none());

    let headers = [("authorization", &*format!("Bearer {refresh}"))];
    let (status, body) = ums.send(Method::POST, "/api/auth/refresh", &headers, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(ums.get("/api/auth/me", body["access_token"].as_str().unwrap()).await.0, 200);
}

#[tokio::test]
async fn a_login_is_refused_as_the_contract_says() {
    let ums = Running::start().await;
    assert_eq!(ums.login("admin", "wrong").await.0, 401);
    assert_eq!(ums.login("nobody", "admin123").await.0, 401);
    assert_eq!(ums.login("inactive", "inactive123").await.0, 403);
    ums.ums.update(|directory| {
        directory.user_mut(1).unwrap().locked_until = Some("2099-01-01T00:00:00".into());
        directory.user_mut(2).unwrap().password_expired = true;
    });
    assert_eq!(ums.login("admin", "admin123").await.0, 403);
    assert_eq!(ums.login("technician", "technician123").await.0, 403);
    assert_eq!(ums.send(Method::POST, "/api/auth/login", &[], json!({})).await.0, 400);
}

#[tokio::test]
async fn bad_tokens_are_answered_with_the_messages_of_the_real_service() {
    let ums = Running::start().await;
    let me = "/api/auth/me";
    let message = |msg: &str| json!({"msg": msg});
    assert_eq!(
        ums.send(Method::GET, me, &[], Value::Null).await,
        (401, message("Missing Authorization Header"))
    );

    let mut expired = token::access_claims(1);
    expired.insert("exp".into(), json!(token::now() - 10));
    assert_eq!(ums.get(me, &token::sign(SECRET, &expired)).await, (401, message("Token has expired")));
    let mut early = token::access_claims(1);
    early.insert("nbf".into(), json!(token::now() + 600));
    assert_eq!(
        ums.get(me, &token::sign(SECRET, &early)).await,
        (422, message("The token is not yet valid (nbf)"))
    );
    let forged = token::access_token("another-secret-that-is-32-bytes-long", 1);
    assert_eq!(ums.get(me, &forged).await, (422, message("Signature verification failed")));
    let refresh = token::refresh_token(SECRET, 1);
    assert_eq!(ums.get(me, &refresh).await, (422, message("Only non-refresh tokens are allowed")));
    assert_eq!(ums.get(me, "abc").await, (422, message("Not enough segments")));
    let lower_case = [("authorization", &*format!("bearer {}", ums.ums.access_token(1)))];
    assert_eq!(ums.send(Method::GET, me, &lower_case, Value::Null).await.0, 401);
    let access = [("authorization", &*format!("Bearer {}", ums.ums.access_token(1)))];
    let refused = ums.send(Method::POST, "/api/auth/refresh", &access, Value::Null).await;
    assert_eq!(refused, (422, message("Only refresh tokens are allowed")));
}

#[tokio::test]
async fn tokens_without_expiry_or_with_a_subject_in_text_are_taken() {
    let ums = Running::start().await;
    let mut claims = token::access_claims(1);
    claims.retain(|name, _| name == "sub");
    assert_eq!(ums.get("/api/auth/me", &token::sign(SECRET, &claims)).await.0, 200);
    claims.insert("sub".into(), json!("1"));
    assert_eq!(ums.get("/api/auth/me", &token::sign(SECRET, &claims)).await.0, 200);
}

#[tokio::test]
async fn a_deactivated_user_still_gets_200_and_a_deleted_one_404() {
    let ums = Running::start().await;
    ums.ums.update(|directory| directory.user_mut(3).unwrap().is_active = false);
    let (status, me) = ums.get_as(3, "/api/auth/me").await;
    assert_eq!((status, &me["user"]["is_active"]), (200, &json!(false)));
    ums.ums.update(|directory| directory.users.retain(|user| user.id != 3));
    assert_eq!(ums.get_as(3, "/api/auth/me").await.0, 404);
}

#[tokio::test]
async fn memberships_carry_the_role_and_the_lab() {
    let ums = Running::start().await;
    let (status, body) = ums.get_as(6, "/api/users/6/labs").await;
    assert_eq!(status, 200);
    let memberships = body["memberships"].as_array().unwrap();
    assert_eq!(memberships.len(), 2);
    let first = &memberships[0];
    assert_eq!(
        (&first["lab_id"], &first["role"], &first["is_active"]),
        (&json!(123), &json!("member"), &json!(true))
    );
    assert_eq!(first["lab"]["name"], "Riverside Dental Lab");
    assert_eq!(first["user"]["username"], "both");

    assert_eq!(ums.get_as(6, "/api/users/1/labs").await.0, 403);
    assert_eq!(ums.get_as(8, "/api/users/1/labs").await.0, 200);
    assert_eq!(ums.get_as(8, "/api/users/99/labs").await.0, 404);
}

#[tokio::test]
async fn the_published_defect_answers_500_to_everybody_with_a_membership() {
    let ums = Running::start().await;
    ums.ums.update(|directory| directory.memberships_route = MembershipsRoute::PublishedDefect);
    let (status, body) = ums.get_as(1, "/api/users/1/labs").await;
    assert_eq!(status, 500);
    assert!(body["error"].as_str().unwrap().starts_with("Invalid fields for <UserSchema(many=False)>: "));
    assert_eq!(ums.get_as(8, "/api/users/8/labs").await, (200, json!({"memberships": []})));
}

#[tokio::test]
async fn labs_are_the_active_ones_with_an_active_membership() {
    let ums = Running::start().await;
    let ids = async |user_id| {
        let (_, body) = ums.get_as(user_id, "/api/labs").await;
        body["labs"].as_array().unwrap().iter().map(|lab| lab["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(6).await, [RIVERSIDE, NORTHGATE]);
    assert_eq!(ids(8).await, [RIVERSIDE, NORTHGATE]);
    ums.ums.update(|directory| {
        directory.membership_mut(6, RIVERSIDE).unwrap().is_active = false;
        directory.lab_mut(NORTHGATE).unwrap().is_active = false;
    });
    assert_eq!(ids(6).await, [] as [i64; 0]);
    assert_eq!(ids(8).await, [RIVERSIDE]);
}

#[tokio::test]
async fn attributes_follow_the_role_and_the_caller_must_name_itself_as_an_integer() {
    let ums = Running::start().await;
    let path = "/api/auth/user-attributes";
    let (status, body) = ums.post_as(4, path, json!({"user_id": 4, "lab_id": 123})).await;
    assert_eq!(
        (status, body),
        (
            200,
            json!({
                "user_id": 4, "username": "viewer", "lab_id": 123, "lab_code": "RIVERSIDE",
                "lab_name": "Riverside Dental Lab", "is_admin": false,
                "attributes": ["lab.patient.read", "lab.analysis.results", "lab.samples.read", "lab.qc.view",
                    "lab.equipment.view", "lab.reports.view", "lab.viewer.read"],
            })
        )
    );
    let (_, body) = ums.post_as(2, path, json!({"user_id": 2, "lab_id": 123})).await;
    let attributes = body["attributes"].as_array().unwrap();
    assert!(attributes.contains(&json!("lab.samples.track")));
    assert!(!attributes.contains(&json!("lab.patient.write")));

    assert_eq!(ums.post_as(4, path, json!({"user_id": "4", "lab_id": 123})).await.0, 403);
    assert_eq!(ums.post_as(4, path, json!({"user_id": 1, "lab_id": 123})).await.0, 403);
    assert_eq!(ums.post_as(4, path, json!({"user_id": 4, "lab_id": 1})).await.0, 404);
}

#[tokio::test]
async fn authorize_says_yes_when_nothing_is_required() {
    let ums = Running::start().await;
    let ask = async |required: Value| {
        let body = json!({"user_id": 4, "lab_id": 456, "required_attributes": required});
        ums.post_as(4, "/api/auth/authorize", body).await.1["has_access"].clone()
    };
    assert_eq!(ask(json!([])).await, true);
    assert_eq!(ask(json!(["lab.patient.read"])).await, false);
}

#[tokio::test]
async fn an_api_key_is_asked_for_only_when_there_is_one() {
    let ums = Running::start().await;
    ums.ums.update(|directory| directory.api_key = Some("key".into()));
    assert_eq!(ums.get_as(1, "/api/labs").await.0, 401);
    let authorization = format!("Bearer {}", ums.ums.access_token(1));
    let headers = [("authorization", authorization.as_str()), ("x-api-key", "key")];
    assert_eq!(ums.send(Method::GET, "/api/labs", &headers, Value::Null).await.0, 200);
    assert_eq!(ums.login("admin", "admin123").await.0, 200);
}

#[tokio::test]
async fn me_can_list_the_labs_as_an_earlier_design_promised() {
    let ums = Running::start().await;
    ums.ums.update(|directory| directory.me_lists_labs = true);
    let (_, me) = ums.get_as(1, "/api/auth/me").await;
    let lab = json!({"lab_id": 123, "lab_name": "Riverside Dental Lab", "role": "admin", "membership_status": "active"});
    assert_eq!(me["labs"], json!([lab]));
}

#[tokio::test]
async fn members_of_a_lab_are_listed_for_its_members() {
    let ums = Running::start().await;
    let (status, body) = ums.get_as(4, "/api/labs/456/members").await;
    assert_eq!((status, body), (404, json!({"error": "Lab not found"})));
    for user_id in [5, 8] {
        let (status, body) = ums.get_as(user_id, "/api/labs/456/members").await;
        assert_eq!((status, &body["lab_id"]), (200, &json!(456)));
        let members = body["members"].as_array().unwrap();
        let ids: Vec<_> = members.iter().map(|member| (&member["user_id"], &member["role"])).collect();
        assert_eq!(ids, [(&json!(5), &json!("member")), (&json!(6), &json!("member"))]);
    }
    let (_, body) = ums.get_as(1, "/api/labs/123/members").await;
    assert!(!body.to_string().contains("inactive"), "a deactivated user is no member to choose: {body}");
}

#[tokio::test]
async fn a_browser_may_log_in() {
    let ums = Running::start().await;
    let headers = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let client = Client::new(Duration::from_secs(5));
    let url = format!("{}/api/auth/login", ums.server.url());
    let preflight = client.send(Method::OPTIONS, &url, &headers, "").await.unwrap();
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers["access-control-allow-headers"], "authorization,content-type");
}
