//! A good environment is read, and every error of a bad one is listed.

use super::*;

const GOOD: &[(&str, &str)] = &[
    ("STAGE", "prod"),
    ("TABLE_NAME", "lhcms-prod"),
    ("ARCHIVE_BUCKET_NAME", "lhcms-prod-archive"),
    ("AUDIT_TABLE_NAME", "lhcms-prod-audit"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("UMS_BASE_URL", "https://ums.example.com/"),
    ("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef"),
    ("CURSOR_SECRET_KEY", "fedcba9876543210fedcba9876543210"),
    ("SEAL_KEYS", "2026:abcdef0123456789abcdef0123456789"),
    ("CORS_ORIGINS", "https://app.example.com, https://lab.example.com"),
];

const NOTHING: Needs =
    Needs { cursor_key: false, files: false, webhook_keys: false, webhook_queue: false, realtime: false };
const CURSORS: Needs = Needs { cursor_key: true, ..NOTHING };

/// The variables that `UMS_JWKS_URL` needs besides itself.
const PROVIDER: &[(&str, &str)] =
    &[("JWT_SECRET_KEY", ""), ("JWT_ISSUER", "https://id.example.com"), ("JWT_AUDIENCE", "lhcms")];

fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read_for(CURSORS, changes)
}

fn read_for(needs: Needs, changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let lookup = |name: &str| {
        changes.iter().chain(GOOD).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Config::read(Env::new(&lookup), needs)
}

#[test]
fn a_full_environment_is_read_with_defaults() {
    let config = read(&[]).unwrap();
    assert_eq!(config.ums.base_url, "https://ums.example.com");
    assert_eq!(config.common.cors_origins, ["https://app.example.com", "https://lab.example.com"]);
    assert_eq!((config.paging.default_size, config.paging.max_size), (20, 100));
    assert_eq!(config.linkshub_base_url, None);
}

#[test]
fn all_configuration_errors_are_reported_at_once() {
    let error = read(&[
        ("TABLE_NAME", ""),
        ("JWT_SECRET_KEY", "short"),
        ("JWT_PREVIOUS_SECRET_KEY", "short"),
        ("JWT_MAX_LIFETIME_HOURS", "0"),
        ("JWT_REQUIRED_SCOPE", "lhcms cases"),
        ("JWT_TRUST_LABS_CLAIM", "true"),
        ("CORS_ORIGINS", "*"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000"),
        ("AWS_CA_BUNDLE", "/ca.pem"),
        ("LAB_ROLE_ARN", "lhcms-lab"),
        ("SESSION_POLICY", "[]"),
        ("AWS_ENDPOINT_URL_STS", "http://localhost:8001"),
        ("UMS_BASE_URL", "http://ums.example.com"),
        ("LINKSHUB_BASE_URL", "linkshub"),
        ("MAX_PAGE_SIZE", "many"),
        ("DEFAULT_PAGE_SIZE", "200"),
        ("LOG_LEVEL", "loud"),
    ])
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration has 17 error(s):\
         \n  LOG_LEVEL: must be error, warn, info or debug\
         \n  CORS_ORIGINS: must list exact origins outside the dev stage, not *\
         \n  TABLE_NAME: is required\
         \n  AWS_ENDPOINT_URL_DYNAMODB: must be an https:// URL outside the dev stage\
         \n  AWS_CA_BUNDLE: is only for an emulator: the dev stage with AWS_ENDPOINT_URL_DYNAMODB\
         \n  LAB_ROLE_ARN: must be the ARN of a role, such as arn:aws:iam::111122223333:role/lhcms-lab\
         \n  SESSION_POLICY: must be an IAM policy in JSON with at most 2048 characters\
         \n  AWS_ENDPOINT_URL_STS: must be an https:// URL outside the dev stage\
         \n  UMS_BASE_URL: must be an https:// URL outside the dev stage\
         \n  LINKSHUB_BASE_URL: must be a URL such as https://ums.example.com\
         \n  JWT_SECRET_KEY: must be at least 32 bytes outside the dev stage\
         \n  JWT_PREVIOUS_SECRET_KEY: must be at least 32 bytes outside the dev stage\
         \n  JWT_MAX_LIFETIME_HOURS: must be a whole number of hours from 1 to 720\
         \n  JWT_REQUIRED_SCOPE: must be one scope, without spaces\
         \n  JWT_TRUST_LABS_CLAIM: must be true only with UMS_JWKS_URL\
         \n  MAX_PAGE_SIZE: must be a whole number\
         \n  DEFAULT_PAGE_SIZE: must be 1 to MAX_PAGE_SIZE"
    );
}

#[test]
fn requests_may_have_to_come_through_a_cdn_with_one_secret_or_two() {
    let [new, old] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];
    let secrets = |list: &str| read(&[("ORIGIN_SECRET", list)]).map(|config| config.common.origin_secrets);
    assert_eq!(secrets(""), Ok(vec![]));
    assert_eq!(secrets(new), Ok(vec![Secret::new(new)]));
    assert_eq!(secrets(&format!("{new}, {old}")), Ok(vec![Secret::new(new), Secret::new(old)]));
    for (list, detail) in [
        (",", "must be a secret, or two with a comma between them"),
        (&format!("{new},"), "must be a secret, or two with a comma between them"),
        ("short", "must be at least 32 bytes outside the dev stage"),
    ] {
        let error = secrets(list).unwrap_err().to_string();
        assert_eq!(error, format!("the configuration has 1 error(s):\n  ORIGIN_SECRET: {detail}"));
    }
}

#[test]
fn only_a_function_with_cursors_reads_their_key_and_it_does_not_start_without() {
    let error = read_for(CURSORS, &[("CURSOR_SECRET_KEY", "")]).unwrap_err();
    assert_eq!(error.to_string(), "the configuration has 1 error(s):\n  CURSOR_SECRET_KEY: is required");
    assert!(read_for(NOTHING, &[("CURSOR_SECRET_KEY", "")]).unwrap().cursor_key.is_none());
    assert!(read_for(NOTHING, &[]).unwrap().cursor_key.is_none());
}

#[test]
fn only_a_function_of_files_reads_their_bucket_and_it_does_not_start_without() {
    let needs = Needs { files: true, ..NOTHING };
    let name = "FILES_BUCKET_NAME";
    let config = read_for(needs, &[(name, "lhcms-prod-files")]).unwrap();
    assert_eq!(config.files.unwrap().bucket, "lhcms-prod-files");
    assert!(read_for(NOTHING, &[(name, "lhcms-prod-files")]).unwrap().files.is_none());
    let error = read_for(needs, &[]).unwrap_err().to_string();
    assert_eq!(error, "the configuration has 1 error(s):\n  FILES_BUCKET_NAME: is required");
}

#[test]
fn only_a_function_of_webhooks_reads_their_keys_and_their_queue_and_it_does_not_start_without() {
    let needs = Needs { webhook_keys: true, webhook_queue: true, ..NOTHING };
    let (keys, queue) = ("WEBHOOK_KEYS", "WEBHOOK_QUEUE_URL");
    let good = "2026:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let url = "https://sqs.us-east-1.amazonaws.com/111122223333/lhcms-prod-webhooks.fifo";
    let config = read_for(needs, &[(keys, good), (queue, url)]).unwrap();
    assert_eq!(
        (config.webhook_keys.unwrap().keys.len(), config.webhook_queue.unwrap().url.as_str()),
        (1, url)
    );
    let config = read_for(NOTHING, &[]).unwrap();
    assert!(config.webhook_keys.is_none() && config.webhook_queue.is_none());
    let error = |keys: &str| read_for(needs, &[("WEBHOOK_KEYS", keys)]).unwrap_err().to_string();
    let missing = "WEBHOOK_QUEUE_URL: is required";
    let pairs = "WEBHOOK_KEYS: must be pairs of a distinct id and a key, such as 2026:key,2025:key";
    assert_eq!(
        error(""),
        format!("the configuration has 2 error(s):\n  WEBHOOK_KEYS: is required\n  {missing}")
    );
    assert_eq!(error("key"), format!("the configuration has 2 error(s):\n  {pairs}\n  {missing}"));
    let short = "WEBHOOK_KEYS: must have keys of 32 bytes in base64";
    assert_eq!(error("2026:c2hvcnQ="), format!("the configuration has 2 error(s):\n  {short}\n  {missing}"));
}

#[test]
fn a_role_for_labs_needs_a_session_policy() {
    let role = ("LAB_ROLE_ARN", "arn:aws:iam::111122223333:role/lhcms-lab");
    let error = read(&[role, ("SESSION_POLICY", "")]).unwrap_err();
    assert_eq!(error.to_string(), "the configuration has 1 error(s):\n  SESSION_POLICY: is required");
    let too_long = format!("{{\"Id\": \"{}\"}}", "x".repeat(2048));
    assert!(read(&[role, ("SESSION_POLICY", &too_long)]).is_err());
    let config = read(&[role, ("SESSION_POLICY", "{\"Statement\": []}")]).unwrap();
    assert_eq!(config.lab_role.unwrap().session_policy, "{\"Statement\": []}");
    assert!(read(&[("SESSION_POLICY", "")]).unwrap().lab_role.is_none());
}

#[test]
fn the_dev_stage_has_a_local_ums_and_allows_any_origin() {
    let config = read(&[("STAGE", "dev"), ("UMS_BASE_URL", ""), ("CORS_ORIGINS", "*")]).unwrap();
    assert_eq!(config.ums.base_url, "http://localhost:5000");
    assert_eq!(config.common.cors_origins, ["*"]);
}

#[test]
fn other_certificate_authorities_are_accepted_only_for_an_emulator_in_the_dev_stage() {
    let (bundle, dev) = (("AWS_CA_BUNDLE", "/ca.pem"), ("STAGE", "dev"));
    let emulator = ("AWS_ENDPOINT_URL_DYNAMODB", "https://localhost:8000");
    assert_eq!(read(&[dev, emulator, bundle]).unwrap().table.ca_bundle.as_deref(), Some("/ca.pem"));
    for changes in [&[dev, bundle][..], &[emulator, bundle], &[("STAGE", "qa"), emulator, bundle]] {
        let error = read(changes).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "AWS_CA_BUNDLE: is only for an emulator: the dev stage with AWS_ENDPOINT_URL_DYNAMODB"
            ),
            "{error}"
        );
    }
}

#[test]
fn tokens_are_verified_with_a_secret_or_with_the_keys_behind_a_url() {
    assert!(matches!(read(&[]).unwrap().token.keys, KeyConfig::Secret(_)));
    let url = "https://id.example.com/keys?policy=lhcms";
    let config = read(&[&[("UMS_JWKS_URL", url)], PROVIDER].concat()).unwrap();
    assert!(matches!(config.token.keys, KeyConfig::Url(jwks) if jwks.url == url));
}

#[test]
fn the_labs_claim_is_trusted_only_in_the_tokens_of_a_provider() {
    assert!(!read(&[]).unwrap().token.trusts_labs_claim);
    let provider = [("UMS_JWKS_URL", "https://id.example.com/keys"), ("JWT_TRUST_LABS_CLAIM", "true")];
    assert!(read(&[&provider, PROVIDER].concat()).unwrap().token.trusts_labs_claim);
    let error = read(&[("JWT_TRUST_LABS_CLAIM", "true")]).unwrap_err().to_string();
    assert!(error.ends_with("JWT_TRUST_LABS_CLAIM: must be true only with UMS_JWKS_URL"), "{error}");
}

#[test]
fn tokens_live_a_day_at_most_unless_another_time_is_configured() {
    let hours = |value: &str| read(&[("JWT_MAX_LIFETIME_HOURS", value)]);
    assert_eq!(hours("").unwrap().token.max_lifetime, Duration::from_secs(24 * 3600));
    assert_eq!(hours("1").unwrap().token.max_lifetime, Duration::from_secs(3600));
    for bad in ["0", "721", "18446744073709551615", "-1", "1.5", "a day"] {
        assert!(hours(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_tokens_of_a_provider_must_be_for_this_api() {
    let changes =
        [("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", "https://id.example.com/keys"), ("JWT_ISSUER", " ")];
    let error = read(&changes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration has 2 error(s):\
         \n  JWT_ISSUER: is required with UMS_JWKS_URL outside the dev stage\
         \n  JWT_AUDIENCE: is required with UMS_JWKS_URL outside the dev stage"
    );
}

#[test]
fn tokens_need_exactly_one_usable_source_of_keys() {
    let error = |changes: &[(&str, &str)]| {
        let changes = [changes, &PROVIDER[1..]].concat();
        read(&changes).unwrap_err().to_string()
    };
    for (changes, expected) in [
        (&[("JWT_SECRET_KEY", " ")][..], "JWT_SECRET_KEY: is required, unless UMS_JWKS_URL is set"),
        (
            &[("UMS_JWKS_URL", "https://id.example.com/keys")],
            "JWT_SECRET_KEY: must not be set together with UMS_JWKS_URL",
        ),
        (
            &[
                ("JWT_SECRET_KEY", ""),
                ("JWT_PREVIOUS_SECRET_KEY", "x"),
                ("UMS_JWKS_URL", "https://id.example.com/keys"),
            ],
            "JWT_PREVIOUS_SECRET_KEY: must not be set together with UMS_JWKS_URL",
        ),
        (
            &[("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", "http://id.example.com/keys")],
            "UMS_JWKS_URL: must be an https:// URL outside the dev stage",
        ),
        (
            &[("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", "id.example.com/keys")],
            "UMS_JWKS_URL: must be a URL such as https://ums.example.com",
        ),
        (
            &[("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", "https://user:pass@id.example.com/keys")],
            "UMS_JWKS_URL: must be a URL such as https://ums.example.com",
        ),
    ] {
        assert_eq!(error(changes), format!("the configuration has 1 error(s):\n  {expected}"));
    }
    let dev = [("STAGE", "dev"), ("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", "http://localhost:1/keys")];
    assert!(read(&dev).is_ok());
}

#[test]
fn the_first_seal_key_is_the_current_one_and_all_are_kept() {
    let keys = "2027:0123456789abcdef0123456789abcdef, 2026:abcdef0123456789abcdef0123456789";
    let seal = read(&[("SEAL_KEYS", keys), ("SEALED_SINCE", "2026-12-01")]).unwrap().seal;
    let ids: Vec<&str> = seal.keys.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!((ids, seal.since), (vec!["2027", "2026"], Some(jiff::civil::date(2026, 12, 1))));
}

#[test]
fn seal_keys_need_distinct_ids_and_32_bytes() {
    let pairs = "SEAL_KEYS: must be pairs of a distinct id and a key, such as 2026:key,2025:key";
    let long = "0123456789abcdef0123456789abcdef";
    for (keys, expected) in [
        ("", "SEAL_KEYS: is required"),
        (long, pairs),
        (&format!(":{long}"), pairs),
        ("2026:", pairs),
        (&format!("2026:{long},2026:{long}"), pairs),
        (&format!("a b:{long}"), pairs),
        ("2026:short", "SEAL_KEYS: must be at least 32 bytes outside the dev stage"),
    ] {
        let error = read(&[("SEAL_KEYS", keys)]).unwrap_err().to_string();
        assert_eq!(error, format!("the configuration has 1 error(s):\n  {expected}"), "{keys}");
    }
    let error = read(&[("SEALED_SINCE", "yesterday")]).unwrap_err().to_string();
    assert_eq!(error, "the configuration has 1 error(s):\n  SEALED_SINCE: must be a date such as 2026-12-01");
}

#[test]
fn a_websocket_url_is_of_wss_and_has_no_query() {
    let read = |changes: &[(&str, &str)]| {
        let needs = Needs { realtime: true, ..CURSORS };
        let all: Vec<_> =
            [("CONNECTIONS_TABLE", "lhcms-prod-connections")].iter().chain(changes).copied().collect();
        read_for(needs, &all).map(|config| config.tickets.unwrap().url)
    };
    let url = "wss://live.example.com/live";
    assert_eq!(read(&[("REALTIME_URL", url)]), Ok(url.to_owned()));
    assert!(read(&[("STAGE", "dev"), ("REALTIME_URL", "ws://localhost:5004/live")]).is_ok());
    let no_url = "must be a URL such as wss://live.example.com, without a query";
    for (text, detail) in [
        ("", "is required"),
        ("ws://live.example.com", no_url),
        ("https://live.example.com", no_url),
        ("wss://", no_url),
        ("wss://live.example.com?a=b", no_url),
    ] {
        let error = read(&[("REALTIME_URL", text)]).unwrap_err().to_string();
        assert_eq!(error, format!("the configuration has 1 error(s):\n  REALTIME_URL: {detail}"), "{text}");
    }
}

#[test]
fn the_functions_that_know_the_connections_read_their_table_and_the_address_for_messages() {
    let read = |changes: &[(&str, &str)]| {
        let lookup = |name: &str| {
            let set = changes.iter().chain(GOOD).find(|(key, _)| *key == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        RealtimeConfig::read(Env::new(&lookup))
    };
    let endpoint = "https://a1b2.execute-api.us-east-1.amazonaws.com/live";
    let set = [("CONNECTIONS_TABLE", "lhcms-prod-connections"), ("REALTIME_ENDPOINT", endpoint)];
    let config = read(&set).unwrap();
    assert_eq!(
        (config.table.name.as_str(), config.connections.name.as_str()),
        ("lhcms-prod", "lhcms-prod-connections")
    );
    assert_eq!(config.endpoint, endpoint);
    assert_eq!(
        read(&[("CURSOR_SECRET_KEY", "")]).unwrap_err().to_string(),
        "the configuration has 3 error(s):\
         \n  CONNECTIONS_TABLE: is required\
         \n  REALTIME_ENDPOINT: is required\
         \n  CURSOR_SECRET_KEY: is required"
    );
}
