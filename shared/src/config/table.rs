//! The address of the table and the identity for access to it.

use serde_json::{Map, Value};

use super::{ConfigError, Env, Stage};
use crate::base::private::Secret;

/// The address of the table and the function's own identity.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// `TABLE_NAME`: the table of cases.
    pub name: String,
    /// `AWS_REGION`, set by Lambda.
    pub region: String,
    /// `AWS_ENDPOINT_URL_DYNAMODB`: the URL of an emulator; unset on AWS.
    pub endpoint: Option<String>,
    /// `AWS_CA_BUNDLE`: the file (PEM) with the certificate authorities that an emulator at `endpoint` needs.
    pub ca_bundle: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, set by Lambda.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`, set by Lambda.
    pub secret_access_key: Secret,
    /// `AWS_SESSION_TOKEN`, set by Lambda.
    pub session_token: Option<Secret>,
}

impl TableConfig {
    /// Reads it for a program that needs nothing else.
    ///
    /// # Errors
    /// The error lists all errors.
    pub fn alone(mut env: Env) -> Result<Self, ConfigError> {
        let stage = env.stage();
        let config = Self::read(&mut env, stage);
        env.finish().map(|()| config)
    }

    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        Self {
            name: env.required("TABLE_NAME"),
            region: env.required("AWS_REGION"),
            endpoint: env.endpoint("AWS_ENDPOINT_URL_DYNAMODB", stage),
            ca_bundle: Self::read_ca_bundle(env, stage),
            access_key_id: env.required("AWS_ACCESS_KEY_ID"),
            secret_access_key: Secret::new(env.required("AWS_SECRET_ACCESS_KEY")),
            session_token: env.optional("AWS_SESSION_TOKEN").map(Secret::new),
        }
    }

    /// Real deployments trust Amazon's authorities only.
    fn read_ca_bundle(env: &mut Env, stage: Stage) -> Option<String> {
        const NAME: &str = "AWS_CA_BUNDLE";
        let bundle = env.optional(NAME)?;
        if stage != Stage::Dev || env.optional("AWS_ENDPOINT_URL_DYNAMODB").is_none() {
            env.reject(NAME, "is only for an emulator: the dev stage with AWS_ENDPOINT_URL_DYNAMODB");
        }
        Some(bundle)
    }
}

/// AWS's limit for a session policy.
const MAX_POLICY_LENGTH: usize = 2048;

/// The role that a function assumes for each lab.
#[derive(Clone, Debug)]
pub struct LabRoleConfig {
    /// `LAB_ROLE_ARN`.
    pub arn: String,
    /// `SESSION_POLICY`: the function's own rights, as a policy in JSON. A session with the role has no others.
    pub session_policy: String,
    /// `AWS_ENDPOINT_URL_STS`: the URL of an emulator; unset on AWS.
    pub endpoint: Option<String>,
}

impl LabRoleConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Option<Self> {
        let arn = env.optional("LAB_ROLE_ARN")?;
        if !arn.starts_with("arn:") || !arn.contains(":role/") {
            env.reject(
                "LAB_ROLE_ARN",
                "must be the ARN of a role, such as arn:aws:iam::111122223333:role/lhcms-lab",
            );
        }
        let session_policy = env.required("SESSION_POLICY");
        let is_object = serde_json::from_str::<Map<String, Value>>(&session_policy).is_ok();
        let is_policy = is_object && session_policy.len() <= MAX_POLICY_LENGTH;
        // A missing one is reported already.
        if !is_policy && !session_policy.is_empty() {
            env.reject("SESSION_POLICY", "must be an IAM policy in JSON with at most 2048 characters");
        }
        Some(Self { arn, session_policy, endpoint: env.endpoint("AWS_ENDPOINT_URL_STS", stage) })
    }
}
