//! The settings of the development stack. The only module that reads the environment.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Error, Result, realtime, stack::Urls};

/// The variables of the functions that the environment may set, with their defaults. A variable with an empty default is
/// not set.
const FUNCTION_DEFAULTS: [(&str, &str); 30] = [
    ("TABLE_NAME", "lhcms-dev"),
    ("AUDIT_TABLE_NAME", "lhcms-dev-audit"),
    ("CONNECTIONS_TABLE", "lhcms-dev-connections"),
    ("ARCHIVE_BUCKET_NAME", "lhcms-dev-archive"),
    ("FILES_BUCKET_NAME", "lhcms-dev-files"),
    ("FILES_QUOTA_BYTES", ""),
    ("AWS_REGION", "us-east-1"),
    ("JWT_SECRET_KEY", "dev-jwt-secret-key-for-local-use-only-0123456789"),
    ("CURSOR_SECRET_KEY", "dev-cursor-secret-key-for-local-use-only-01234"),
    ("SEAL_KEYS", "dev:dev-seal-key-for-local-use-only-0123456789"),
    ("WEBHOOK_KEYS", "dev:bG9jYWwgdXNlIG9ubHk6IGVuY3J5cHRzIHdlYmhvb2s"),
    ("CORS_ORIGINS", "*"),
    ("LOG_LEVEL", "info"),
    ("UMS_API_KEY", ""),
    ("UMS_JWKS_URL", ""),
    ("JWT_ISSUER", ""),
    ("JWT_AUDIENCE", ""),
    ("JWT_PREVIOUS_SECRET_KEY", ""),
    ("JWT_REQUIRED_SCOPE", ""),
    ("JWT_MAX_LIFETIME_HOURS", ""),
    ("JWT_TRUST_LABS_CLAIM", ""),
    ("DEFAULT_PAGE_SIZE", ""),
    ("MAX_PAGE_SIZE", ""),
    // One developer or one test often sends as many requests as ten users.
    ("RATE_LIMIT_PER_USER", "6000"),
    ("RATE_LIMIT_PER_LAB", ""),
    ("RATE_LIMIT_PER_SOURCE", "6000"),
    ("AUDIT_TABLE_DAYS", ""),
    ("RETENTION_DAYS", ""),
    ("SEALED_SINCE", ""),
    ("HOLIDAYS", ""),
];

/// Variables that need a real UMS: the stand-in signs its tokens with JWT_SECRET_KEY, and they have no issuer, no
/// audience and no scope.
const NEED_UMS: [&str; 4] = ["UMS_JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_REQUIRED_SCOPE"];

/// The credentials of the functions: the key's id, and the key.
pub const CREDENTIALS: (&str, &str) = ("local", "local");

/// The default port of the API.
const API_PORT: u16 = 5001;

/// Inherited variables that the functions do not get: a proxy would stand between the parts, and the functions must
/// never use a developer's own AWS account.
pub const WITHHELD: [&str; 16] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];

/// All settings of the stack.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The project's folder, which has the template.yaml.
    pub root: PathBuf,
    /// The folder of the data (`LOCAL_DATA_DIR`). Default: `.local` in the project's folder; with another API port than
    /// 5001, `.local/<port>`.
    pub data: PathBuf,
    /// The ports on 127.0.0.1; 0 means any free port.
    pub ports: Ports,
    /// The URL of a real UMS (`UMS_BASE_URL`), which replaces the stand-in.
    pub ums: Option<String>,
    /// The URL of a real LinksHub (`LINKSHUB_BASE_URL`), which replaces the stand-in.
    pub linkshub: Option<String>,
    /// Whether the functions are release binaries (`RELEASE=1`).
    pub release: bool,
    /// Whether a changed source file rebuilds and restarts the functions (`WATCH=1`).
    pub watch: bool,
    /// Whether the stack starts without the functions and the gateway (`--without-api` or `WITHOUT_API=1`).
    pub without_api: bool,
    /// The largest number of processes per function (`API_CONCURRENCY`). Default: 2; with `WATCH=1`, 1.
    pub concurrency: u16,
    /// The folder of cargo-lambda, which is put in front of `PATH`.
    pub tools: PathBuf,
    /// The log filter of cargo-lambda (`RUST_LOG`).
    pub gateway_log: String,
    /// The variables of the functions, without the addresses of the other parts.
    pub functions: Vec<(String, String)>,
    /// The `lhcms-local` executable, if this process runs nothing but the stack. It then ends every child process that is
    /// left over at the end. A test, which has other child processes, leaves it empty.
    pub supervisor: Option<PathBuf>,
    path: String,
}

/// The ports of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The API: `API_PORT`, 5001.
    pub api: u16,
    /// The stand-in UMS: `UMS_PORT`, 5000.
    pub ums: u16,
    /// The stand-in LinksHub: `LINKSHUB_PORT`, 5002.
    pub linkshub: u16,
    /// DynamoDB: `DYNAMODB_PORT`, 8000.
    pub dynamodb: u16,
    /// S3: `S3_PORT`, 8001.
    pub s3: u16,
    /// SQS: `SQS_PORT`, 8002.
    pub sqs: u16,
    /// The receiver of webhooks: `RECEIVER_PORT`, 5003.
    pub receiver: u16,
    /// The WebSocket API: `REALTIME_PORT`, 5004.
    pub realtime: u16,
}

impl Settings {
    /// Reads the environment and the arguments of `lhcms-local`.
    ///
    /// # Errors
    /// The working folder is not in the project, or a variable or an argument is invalid.
    pub fn from_environment(arguments: &[String]) -> Result<Self> {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let variable = |name: &str| env::var(name).ok();
        let here = env::current_dir()
            .map_err(|error| Error::new(format!("the working folder cannot be used: {error}")))?;
        let root =
            here.ancestors().find(|folder| folder.join("template.yaml").is_file()).ok_or_else(|| {
                Error::new(format!("{} is not in the project (no template.yaml)", here.display()))
            })?;
        Self::new(root, arguments, variable)
    }

    /// The settings for the project in `root`, with `variable` for the environment.
    ///
    /// # Errors
    /// A variable or an argument is invalid.
    pub fn new(root: &Path, arguments: &[String], variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        // An empty variable counts as not set.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let number = |name: &str, default: u16| match variable(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| {
                Error::new(format!("{name} must be a number from 0 to 65535, but it is {value:?}"))
            }),
        };
        let switch = |name: &str| match variable(name).as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(value) => Err(Error::new(format!("{name} must be 1 or 0, but it is {value:?}"))),
        };
        if let Some(unknown) = arguments.iter().find(|argument| *argument != "--without-api") {
            return Err(Error::new(format!("unknown argument {unknown}; there is only --without-api")));
        }
        let watch = switch("WATCH")?;
        // A change restarts every process through cargo, so watching keeps them few.
        let concurrency = number("API_CONCURRENCY", if watch { 1 } else { 2 })?.max(1);
        let service = |name: &str| variable(name).map(|url| url.trim_end_matches('/').to_owned());
        let (ums, linkshub) = (service("UMS_BASE_URL"), service("LINKSHUB_BASE_URL"));
        if let (None, Some(name)) = (&ums, NEED_UMS.iter().find(|name| variable(name).is_some())) {
            return Err(Error::new(format!(
                "{name} needs UMS_BASE_URL: the functions would reject the tokens of the stand-in UMS"
            )));
        }
        // The functions accept a secret or the URL of keys, not both.
        let has_keys = variable("UMS_JWKS_URL").is_some();
        let functions = FUNCTION_DEFAULTS
            .iter()
            .map(|(name, default)| {
                let default = if has_keys && *name == "JWT_SECRET_KEY" { "" } else { default };
                ((*name).to_owned(), variable(name).unwrap_or_else(|| default.to_owned()))
            })
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let api = number("API_PORT", API_PORT)?;
        let data = variable("LOCAL_DATA_DIR").unwrap_or_else(|| match api {
            API_PORT => ".local".into(),
            other => format!(".local/{other}"),
        });
        Ok(Self {
            root: root.to_owned(),
            data: root.join(data),
            ums,
            linkshub,
            ports: Ports {
                api,
                ums: number("UMS_PORT", 5000)?,
                linkshub: number("LINKSHUB_PORT", 5002)?,
                dynamodb: number("DYNAMODB_PORT", 8000)?,
                s3: number("S3_PORT", 8001)?,
                sqs: number("SQS_PORT", 8002)?,
                receiver: number("RECEIVER_PORT", 5003)?,
                realtime: number("REALTIME_PORT", 5004)?,
            },
            release: switch("RELEASE")?,
            watch,
            without_api: switch("WITHOUT_API")? || !arguments.is_empty(),
            concurrency,
            tools: root.join(".tools/venv/bin"),
            gateway_log: variable("RUST_LOG").unwrap_or_else(|| "cargo_lambda=warn".into()),
            functions,
            supervisor: None,
            path: variable("PATH").unwrap_or_default(),
        })
    }

    /// The value of a function's variable; empty if it is not set.
    pub fn function_variable(&self, name: &str) -> &str {
        let found = self.functions.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// The variables that cargo-lambda and the functions get in addition to the inherited ones, with the URLs of the other
    /// parts.
    pub fn child_environment(&self, urls: &Urls) -> Vec<(String, String)> {
        let mut environment = self.functions.clone();
        let path = format!("{}:{}", self.tools.display(), self.path);
        let realtime = format!("{}/{}", urls.realtime, realtime::STAGE);
        let socket = realtime.replacen("http", "ws", 1);
        for (name, value) in [
            ("STAGE", "dev"),
            ("AWS_ACCESS_KEY_ID", CREDENTIALS.0),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIALS.1),
            ("AWS_ENDPOINT_URL_DYNAMODB", urls.dynamodb.as_str()),
            ("AWS_ENDPOINT_URL_S3", &urls.s3),
            ("AWS_ENDPOINT_URL_SQS", &urls.sqs),
            ("WEBHOOK_QUEUE_URL", &urls.sqs),
            ("REALTIME_URL", &socket),
            ("REALTIME_ENDPOINT", &realtime),
            ("UMS_BASE_URL", &urls.ums),
            ("LINKSHUB_BASE_URL", &urls.linkshub),
            ("RUST_LOG", &self.gateway_log),
            ("PATH", &path),
        ] {
            environment.push((name.into(), value.into()));
        }
        environment
    }

    /// The names of the functions: the folders in functions/.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn function_names(&self) -> Result<Vec<String>> {
        let folder = self.root.join("functions");
        let entries =
            fs::read_dir(&folder).map_err(|error| Error::new(format!("{}: {error}", folder.display())))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok())
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], arguments: &[&str]) -> Result<Settings> {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        Settings::new(Path::new("/project"), &arguments, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_second_stack_has_its_own_data() {
        let second = settings(&[("API_PORT", "5101")], &[]).unwrap();
        assert_eq!(second.data, Path::new("/project/.local/5101"));
        let chosen = settings(&[("API_PORT", "5101"), ("LOCAL_DATA_DIR", "x")], &[]).unwrap();
        assert_eq!(chosen.data, Path::new("/project/x"));
    }

    #[test]
    fn real_services_take_the_place_of_the_stand_ins() {
        let real = [
            ("UMS_BASE_URL", "https://ums.example.com/"),
            ("UMS_JWKS_URL", "https://ums.example.com/jwks"),
            ("JWT_ISSUER", "https://ums.example.com"),
        ];
        let settings = settings(&real, &[]).unwrap();
        assert_eq!(settings.ums.as_deref(), Some("https://ums.example.com"));
        assert_eq!(settings.linkshub, None);
        assert_eq!(settings.function_variable("UMS_JWKS_URL"), "https://ums.example.com/jwks");
        assert_eq!(settings.function_variable("JWT_SECRET_KEY"), "");
    }

    #[test]
    fn an_empty_environment_gives_the_documented_defaults() {
        let settings = settings(&[("API_PORT", "")], &[]).unwrap();
        assert_eq!(
            settings.ports,
            Ports {
                api: 5001,
                ums: 5000,
                linkshub: 5002,
                dynamodb: 8000,
                s3: 8001,
                sqs: 8002,
                receiver: 5003,
                realtime: 5004
            }
        );
        assert_eq!(settings.data, Path::new("/project/.local"));
        assert!(!settings.release && !settings.watch && !settings.without_api);
        assert_eq!(settings.function_variable("TABLE_NAME"), "lhcms-dev");
        assert_eq!(settings.function_variable("UMS_API_KEY"), "");
        for secret in ["JWT_SECRET_KEY", "CURSOR_SECRET_KEY", "SEAL_KEYS"] {
            assert!(settings.function_variable(secret).len() >= 32, "{secret}");
        }
    }

    #[test]
    fn variables_and_arguments_change_the_defaults() {
        let variables =
            [("API_PORT", "0"), ("RELEASE", "1"), ("LOG_LEVEL", "debug"), ("LOCAL_DATA_DIR", "/data")];
        let settings = settings(&variables, &["--without-api"]).unwrap();
        assert_eq!(settings.ports.api, 0);
        assert!(settings.release && settings.without_api);
        assert_eq!(settings.function_variable("LOG_LEVEL"), "debug");
        assert_eq!(settings.data, Path::new("/data"));
    }

    #[test]
    fn an_invalid_setting_is_rejected_by_name() {
        for (variables, arguments, name) in [
            (&[("UMS_PORT", "70000")][..], &[][..], "UMS_PORT"),
            (&[("WATCH", "perhaps")], &[], "WATCH"),
            (&[], &["--port"], "--port"),
            (&[("JWT_ISSUER", "https://ums.example.com")], &[], "JWT_ISSUER needs UMS_BASE_URL"),
        ] {
            let error = settings(variables, arguments).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_functions_get_the_urls_of_the_parts() {
        let settings = settings(&[("PATH", "/bin")], &[]).unwrap();
        let url = |name: &str| format!("http://{name}");
        let urls = Urls {
            api: url("a"),
            ums: url("u"),
            linkshub: url("l"),
            dynamodb: url("d"),
            s3: url("s"),
            sqs: url("q"),
            receiver: url("r"),
            realtime: url("w"),
        };
        let environment = settings.child_environment(&urls);
        for expected in [
            ("UMS_BASE_URL", "http://u"),
            ("LINKSHUB_BASE_URL", "http://l"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://d"),
            ("AWS_ENDPOINT_URL_S3", "http://s"),
            ("AWS_ENDPOINT_URL_SQS", "http://q"),
            ("WEBHOOK_QUEUE_URL", "http://q"),
            ("REALTIME_URL", "ws://w/live"),
            ("REALTIME_ENDPOINT", "http://w/live"),
            ("STAGE", "dev"),
            ("PATH", "/project/.tools/venv/bin:/bin"),
        ] {
            assert!(environment.iter().any(|(name, value)| (name.as_str(), value.as_str()) == expected));
        }
    }

    #[test]
    fn the_example_file_has_the_variables_that_the_functions_get() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let example = fs::read_to_string(root.join(".env.example")).unwrap();
        let mut written: Vec<(String, String)> = example
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let settings = settings(&[], &[]).unwrap();
        let url = |port: u16| format!("http://localhost:{port}");
        let ports = settings.ports;
        let mut given = settings.child_environment(&Urls {
            api: url(ports.api),
            ums: url(ports.ums),
            linkshub: url(ports.linkshub),
            dynamodb: url(ports.dynamodb),
            s3: url(ports.s3),
            sqs: url(ports.sqs),
            receiver: url(ports.receiver),
            realtime: url(ports.realtime),
        });
        given.retain(|(name, _)| !["PATH", "RUST_LOG"].contains(&name.as_str()));
        written.sort();
        given.sort();
        assert_eq!(written, given);
        for (name, default) in FUNCTION_DEFAULTS {
            let line = if default.is_empty() { format!("# {name}=") } else { format!("{name}=") };
            assert!(example.contains(&format!("\n{line}")), "{name} is missing");
        }
    }
}
