//! The whole stack: the parts, the functions under `cargo lambda watch`, and what it tells the person who started it.

use std::{fmt::Write, future::pending, time::Duration};

use axum::http::StatusCode;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

use crate::{
    Error, Result,
    client::Client,
    config::{Settings, WITHHELD},
    dynamodb::{self, Storage},
    linkshub::{self, LinksHub},
    process::{self, Supervised},
    seed::{self, Person},
    server::{Server, listen},
    table::{self, Definition},
    ums::{self, Ums},
};

/// How long cargo-lambda may take to listen, and a function to answer its first request.
const START: Duration = Duration::from_secs(60);

/// What cargo-lambda logs when a function's process ends with an error. It never starts it again.
const FUNCTION_ENDED: &str = "command exited";

/// The running stack. Whatever has been started by [`start`](Self::start), even if that was broken off, is ended by
/// [`stop`](Self::stop).
#[derive(Debug, Default)]
pub struct Stack {
    servers: Vec<Server>,
    api: Option<Supervised>,
    urls: Urls,
}

/// Where the parts listen, for example `http://127.0.0.1:5001`.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    /// The API, whether or not the stack runs it.
    pub api: String,
    /// The stand-in UMS.
    pub ums: String,
    /// The stand-in LinksHub.
    pub linkshub: String,
    /// DynamoDB.
    pub dynamodb: String,
}

impl Stack {
    /// Starts everything and returns when all of it answers.
    ///
    /// # Errors
    /// When a port is in use, or a part does not start. What has been started then still wants to be stopped.
    pub async fn start(&mut self, settings: &Settings) -> Result<()> {
        let functions = settings.function_names()?;
        let definition = Definition::read(&settings.root.join("template.yaml"))?;

        // All ports first, so that a port in use is told before anything has begun.
        let ports = settings.ports;
        let api_port = free_port(ports.api).await?;
        let dynamodb_listener = listen("DynamoDB", "DYNAMODB_PORT", ports.dynamodb).await?;
        let ums_listener = listen("the stand-in UMS", "UMS_PORT", ports.ums).await?;
        let linkshub_listener = listen("the stand-in LinksHub", "LINKSHUB_PORT", ports.linkshub).await?;

        let storage = Storage::File(settings.data.join("dynamodb.sqlite"));
        let dynamodb = dynamodb::serve(dynamodb_listener, &storage)?;
        self.urls.api = format!("http://127.0.0.1:{api_port}");
        self.urls.dynamodb = self.keep(dynamodb);
        table::create(&self.urls.dynamodb, settings.function_variable("TABLE_NAME"), &definition).await?;
        self.urls.ums = self.keep(serve_ums(ums_listener, settings)?);
        let linkshub = linkshub::router(LinksHub::new(seed::catalogue()));
        self.urls.linkshub = self.keep(Server::start("LinksHub", linkshub_listener, linkshub)?);

        if !settings.without_api {
            let api = start_functions(settings, &self.urls, api_port)?;
            let function_ended = api.said();
            let api = self.api.insert(api);
            let urls = &self.urls;
            tokio::select! {
                how = api.ended() => return Err(Error::new(format!("cargo lambda watch {how}; see above"))),
                () = function_ended.notified() => {
                    return Err(Error::new("a function ended as it started; what it said stands above"));
                }
                awake = wake_functions(&urls.api, &functions) => awake?,
            }
        }
        Ok(())
    }

    /// Where the parts listen.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Resolves when a part has ended by itself, with the reason.
    pub async fn failed(&mut self) -> Error {
        let api = async {
            match &mut self.api {
                Some(api) => Error::new(format!("cargo lambda watch {}; see above", api.ended().await)),
                None => pending().await,
            }
        };
        let [dynamodb, ums, linkshub] = &mut self.servers[..] else {
            return Error::new("the stack does not run");
        };
        tokio::select! {
            error = api => error,
            error = dynamodb.failed() => error,
            error = ums.failed() => error,
            error = linkshub.failed() => error,
        }
    }

    /// Stops everything, the functions first so that none of them sees the others go.
    pub async fn stop(mut self) {
        if let Some(api) = self.api.take() {
            api.stop().await;
        }
        while let Some(server) = self.servers.pop() {
            server.stop().await;
        }
    }

    fn keep(&mut self, server: Server) -> String {
        let url = server.url().to_owned();
        self.servers.push(server);
        url
    }
}

fn serve_ums(listener: TcpListener, settings: &Settings) -> Result<Server> {
    let mut directory = seed::directory();
    let key = settings.function_variable("UMS_API_KEY");
    directory.api_key = Some(key.to_owned()).filter(|key| !key.is_empty());
    let ums = Ums::new(directory, settings.function_variable("JWT_SECRET_KEY"));
    Server::start("UMS", listener, ums::router(ums))
}

/// The port for cargo-lambda, which listens itself: `wanted` if it is free, or a free one for 0.
async fn free_port(wanted: u16) -> Result<u16> {
    let listener = listen("the API", "API_PORT", wanted).await?;
    let address = listener.local_addr().map_err(|error| Error::new(format!("the API's port: {error}")))?;
    Ok(address.port())
}

fn start_functions(settings: &Settings, urls: &Urls, port: u16) -> Result<Supervised> {
    let program = settings.tools.join("cargo-lambda");
    if !program.is_file() {
        return Err(Error::new(format!("{} is missing; `make dev` installs it", program.display())));
    }
    process::start(&program, settings.supervisor.as_deref(), FUNCTION_ENDED, |command| {
        // No --timeout: it would also end the functions' own waiting for the next request, and with it each function
        // that has nothing to do for that long (cargo-lambda 1.9.2).
        command.args(["lambda", "watch", "--quiet", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &port.to_string()]);
        command.args(["--concurrency", &settings.concurrency.to_string()]);
        if settings.release {
            command.arg("--release");
        }
        if !settings.watch {
            command.arg("--ignore-changes");
        }
        command.current_dir(&settings.root);
        for name in WITHHELD {
            command.env_remove(name);
        }
        command.envs(settings.child_environment(&urls.ums, &urls.linkshub, &urls.dynamodb));
    })
}

/// Waits for the gateway and sends each function a first request, which starts it. One after the other: each start
/// runs cargo, and several of them would only wait for each other's lock.
async fn wake_functions(api: &str, functions: &[String]) -> Result<()> {
    let gateway = api.trim_start_matches("http://");
    let deadline = Instant::now() + START;
    while let Err(error) = TcpStream::connect(gateway).await {
        if Instant::now() > deadline {
            return Err(Error::new(format!("cargo lambda watch does not listen on {gateway}: {error}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let client = Client::new(START);
    for function in functions {
        // This path of cargo-lambda goes to the function of that name. Without a token and on a path that no function
        // has, it changes nothing; any answer of the function's own will do.
        let answer = client.get(&format!("{api}/lambda-url/{function}/first-request")).await;
        let why = match answer {
            Ok(answer) if answer.status != StatusCode::INTERNAL_SERVER_ERROR => continue,
            Ok(answer) => format!("answers {}", answer.status),
            Err(_) => format!("did not answer its first request in {} s", START.as_secs()),
        };
        return Err(Error::new(format!("the function {function} {why}; what it said stands above")));
    }
    // Once through the router as well, as everybody else will.
    let health = client.get(&format!("{api}/health")).await?;
    match health.status {
        StatusCode::OK => Ok(()),
        status => {
            let body = String::from_utf8_lossy(&health.body);
            Err(Error::new(format!("the API is not healthy: GET {api}/health answers {status} {body}")))
        }
    }
}

/// What to tell the person at the terminal once everything answers.
pub fn greeting(settings: &Settings, urls: &Urls) -> String {
    let local = |url: &str| url.replace("127.0.0.1", "localhost");
    let (api, ums) = (local(&urls.api), local(&urls.ums));
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{arguments}");
    };
    line(format_args!("\nLHCMS is running. Ctrl-C stops it.\n"));
    if settings.without_api {
        line(format_args!("  API        not started; run it with .env.example (its first lines say how)"));
    } else {
        line(format_args!("  API        {api}/api/v1/cases"));
        line(format_args!("  Docs       {api}/docs"));
    }
    line(format_args!("  UMS        {ums} (stand-in)"));
    line(format_args!("  LinksHub   {} (stand-in)", local(&urls.linkshub)));
    line(format_args!(
        "  DynamoDB   {}, table {}, kept in {}",
        local(&urls.dynamodb),
        settings.function_variable("TABLE_NAME"),
        settings.data.display()
    ));

    let labs = seed::directory().labs;
    let labs: Vec<String> = labs.iter().map(|lab| format!("{} {}", lab.id, lab.name)).collect();
    line(format_args!("  Labs       {}", labs.join(", ")));
    line(format_args!("\n  {:<12} {:<15} is", "user", "password"));
    for Person { username, password, memberships, .. } in seed::PEOPLE {
        let labs: Vec<String> = memberships.iter().map(|(lab, role)| format!("{role} of {lab}")).collect();
        let may = match username {
            "sysadmin" => "system administrator, of no lab".to_owned(),
            "inactive" => "deactivated: cannot log in".to_owned(),
            _ => labs.join(", "),
        };
        line(format_args!("  {username:<12} {password:<15} {may}"));
    }
    line(format_args!(
        r#"
Log in and create a case:

  TOKEN=$(curl -s {ums}/api/auth/login -H 'Content-Type: application/json' \
    -d '{{"username":"admin","password":"admin123"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i {api}/api/v1/cases -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"patient_name":"John Doe","procedure_type":"Crown","status":"in_progress","notes":"Upper left molar"}}'
"#
    ));
    text
}

#[cfg(test)]
mod tests;
