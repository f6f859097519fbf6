//! What the functions talk to: an embedded DynamoDB, UMS and LinksHub, in a process of their own, so that their work is not
//! counted as the functions'.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use local::{
    Error, Result,
    config::Settings,
    dynamodb::{self, Storage},
    linkshub::{self, LinksHub},
    seed,
    server::{Server, listen},
    stack::Urls,
    table::{self, Definition},
    ums::{self, Directory, Lab, Membership, Ums, User},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

/// The argument with which this program runs the parts.
pub(crate) const PARTS: &str = "parts";

/// The first lab of the benchmark. All ids have six digits, so that every lab's requests have the same length.
pub(crate) const FIRST_LAB: i64 = 555_001;
/// The labs of the benchmark that have a user.
pub(crate) const LABS: i64 = 1_010;
/// The labs from which the others are copied.
pub(crate) const SOURCE_LABS: [i64; 2] = [777_001, 777_002];

/// The user who is the admin of a lab. Each lab has one of its own.
fn user_of(lab: i64) -> i64 {
    lab - 400_000
}

/// The running parts. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Stack {
    _child: Child,
    urls: Urls,
    settings: Settings,
}

impl Stack {
    /// Starts the parts for the project in `root`.
    pub(crate) async fn start(root: &Path) -> Result<Self> {
        let program = env::current_exe().map_err(|error| Error::new(format!("its own path: {error}")))?;
        let mut child = Command::new(program)
            .arg(PARTS)
            .current_dir(root)
            // Its end ends the parts, even if this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::new(format!("the parts do not start: {error}")))?;
        let output = child.stdout.take().ok_or_else(|| Error::new("the parts have no output"))?;
        let line = BufReader::new(output).lines().next_line().await.ok().flatten().unwrap_or_default();
        let urls: Value = serde_json::from_str(&line).map_err(|_| Error::new("the parts did not start"))?;
        let url = |name: &str| urls[name].as_str().unwrap_or_default().to_owned();
        let urls = Urls {
            ums: url("ums"),
            linkshub: url("linkshub"),
            dynamodb: url("dynamodb"),
            // No measured function uses the archive.
            s3: "http://127.0.0.1:9".into(),
            // Nor the WebSocket API.
            realtime: "http://127.0.0.1:9".into(),
            ..Urls::default()
        };
        Ok(Self { _child: child, urls, settings: settings(root)? })
    }

    /// The address of DynamoDB.
    pub(crate) fn dynamodb(&self) -> &str {
        &self.urls.dynamodb
    }

    /// The name of the table of cases.
    pub(crate) fn table(&self) -> &str {
        self.settings.function_variable("TABLE_NAME")
    }

    /// The environment of a function, with these changes. It is the same in every shell.
    pub(crate) fn environment(&self, function: &str, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut environment = self.settings.child_environment(&self.urls);
        environment.retain(|(name, _)| name != "PATH" && name != "RUST_LOG");
        let of_lambda = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
        ];
        for (name, value) in of_lambda.iter().chain(changes) {
            environment.retain(|(other, _)| other != name);
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        environment
    }

    /// The `Authorization` header of a lab's admin.
    pub(crate) fn authorization(&self, lab: i64) -> String {
        let secret = self.settings.function_variable("JWT_SECRET_KEY");
        format!("Bearer {}", ums::access_token(secret, user_of(lab)))
    }
}

/// The settings of the local stack, whatever the shell has set. The limits of requests are counted, but never reached.
fn settings(root: &Path) -> Result<Settings> {
    Settings::new(root, &[], |name| name.starts_with("RATE_LIMIT_").then(|| "100000000".to_owned()))
}

/// Runs the parts until standard input ends. Prints their addresses as one line of JSON.
pub(crate) async fn run_parts(root: PathBuf) -> Result<()> {
    let settings = settings(&root)?;
    let listener = async || listen("a part", "a port", 0).await;
    let (dynamodb, _expiry) = dynamodb::serve(listener().await?, &Storage::Memory)?;
    for (resource, variable) in table::TABLES {
        let definition = Definition::read(&root.join("template.yaml"), resource)?;
        table::create(dynamodb.url(), settings.function_variable(variable), &definition).await?;
    }
    let ums = Ums::new(directory(), settings.function_variable("JWT_SECRET_KEY"));
    let ums = Server::start("UMS", listener().await?, ums::router(ums))?;
    let linkshub = linkshub::router(LinksHub::new(seed::catalogue()));
    let linkshub = Server::start("LinksHub", listener().await?, linkshub)?;
    println!("{}", json!({"dynamodb": dynamodb.url(), "ums": ums.url(), "linkshub": linkshub.url()}));
    let mut nothing = Vec::new();
    // An error is an end as well.
    let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    Ok(())
}

/// The labs, each with its admin.
fn directory() -> Directory {
    let labs = (FIRST_LAB..FIRST_LAB + LABS).chain(SOURCE_LABS);
    let mut directory = Directory::default();
    for lab in labs {
        let (user, name) = (user_of(lab), format!("user{}", user_of(lab)));
        directory.labs.push(Lab::new(lab, &format!("LAB{lab}"), &format!("Lab {lab}")));
        directory.users.push(User::new(user, &name, &name));
        directory.memberships.push(Membership::new(user, lab, "admin"));
    }
    directory
}
