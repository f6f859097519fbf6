//! The greeting at the terminal: addresses, ids, and a first request that can be copied.

use std::fmt::{Display, Write};

use super::Urls;
use crate::{
    config::Settings,
    linkshub::{Catalogue, Doctor, Product},
    realtime::STAGE,
    seed::{self, Person},
};

/// The lines of the greeting.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: impl Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn named(&mut self, name: &str, value: impl Display) {
        self.add(format_args!("  {name:<10} {value}"));
    }

    fn table<const N: usize>(&mut self, rows: impl IntoIterator<Item = [String; N]>) {
        for row in rows {
            let mut line = String::from(" ");
            for (cell, width) in row.iter().zip([5, 27, 15, 15]) {
                let _ = write!(line, " {cell:<width$}");
            }
            self.add(line.trim_end());
        }
    }
}

/// The text to print when everything answers.
pub fn greeting(settings: &Settings, urls: &Urls) -> String {
    let (api, ums) = (local(&urls.api), local(&urls.ums));
    let mut lines = Lines::default();
    lines.add("\nLHCMS is running. Ctrl-C stops it.\n");
    if settings.without_api {
        lines.named("API", "not started; run it with .env.example (its first lines say how)");
    } else {
        lines.named("API", format_args!("{api}/api/v1/cases"));
        lines.named("Docs", format_args!("{api}/docs"));
    }
    lines.named("UMS", part(&urls.ums, settings.ums.is_some()));
    lines.named("LinksHub", part(&urls.linkshub, settings.linkshub.is_some()));
    let [table, audit] = ["TABLE_NAME", "AUDIT_TABLE_NAME"].map(|name| settings.function_variable(name));
    let (dynamodb, data) = (local(&urls.dynamodb), settings.data.display());
    lines.named("DynamoDB", format_args!("{dynamodb}, tables {table} and {audit}, kept in {data}"));
    let [archive, files] =
        ["ARCHIVE_BUCKET_NAME", "FILES_BUCKET_NAME"].map(|name| settings.function_variable(name));
    lines.named("S3", format_args!("{}, buckets {archive} and {files}", local(&urls.s3)));
    lines.named("SQS", format_args!("{}, keeps its messages in memory", local(&urls.sqs)));
    if !settings.without_api {
        let socket = local(&urls.realtime).replacen("http", "ws", 1);
        lines.named(
            "WebSocket",
            format_args!("{socket}/{STAGE}, with a ticket of POST {api}/api/v1/realtime/tickets"),
        );
    }
    lines.named("Receiver", format_args!("{}, prints the webhooks of lab 123", local(&urls.receiver)));

    if settings.ums.is_none() {
        people(&mut lines);
    }
    if settings.linkshub.is_none() {
        doctors_and_products(&mut lines, &seed::catalogue());
    }
    if settings.ums.is_none() {
        lines.add("\nLog in and create a case:\n");
        lines.add(format_args!(
            r#"  TOKEN=$(curl -s {ums}/api/auth/login -H 'Content-Type: application/json' \
    -d '{{"username":"admin","password":"admin123"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')"#
        ));
    } else {
        lines.add("\nTokens are checked with JWT_SECRET_KEY or UMS_JWKS_URL. With one of your UMS, create a case:\n");
        lines.add("  TOKEN=...");
    }
    lines.add(format_args!(
        r#"  curl -i {api}/api/v1/cases -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"patient_name":"John Doe","procedure_type":"Crown","status":"in_progress","notes":"Upper left molar"}}'
"#
    ));
    lines.0
}

fn local(url: &str) -> String {
    url.replace("127.0.0.1", "localhost")
}

fn part(url: &str, is_real: bool) -> String {
    if is_real { url.to_owned() } else { format!("{} (stand-in)", local(url)) }
}

fn people(lines: &mut Lines) {
    let directory = seed::directory();
    lines.add("\n  lab   name                        code");
    lines.table(directory.labs.iter().map(|lab| [lab.id.to_string(), lab.name.clone(), lab.code.clone()]));
    lines.add("\n  user  log in as                   password        role");
    lines.table(seed::PEOPLE.iter().map(|Person { id, username, password, memberships }| {
        let roles: Vec<String> = memberships.iter().map(|(lab, role)| format!("{role} of {lab}")).collect();
        let role = match *username {
            "sysadmin" => {
                "system administrator; reads a lab with X-Break-Glass: support; <the reason>".to_owned()
            }
            "inactive" => "deactivated: cannot log in".to_owned(),
            _ => roles.join(", "),
        };
        [id.to_string(), (*username).to_owned(), (*password).to_owned(), role]
    }));
}

fn doctors_and_products(lines: &mut Lines, catalogue: &Catalogue) {
    lines.add("\n  doctors and products");
    for Doctor { doctor_id, first_name, last_name, .. } in &catalogue.doctors {
        let labs: Vec<String> = catalogue
            .relations
            .iter()
            .filter(|relation| relation.doctor_id == *doctor_id && relation.is_active)
            .map(|relation| relation.lab_id.to_string())
            .collect();
        let labs = labs.join(", ");
        lines.add(format_args!("  {doctor_id:<33} {first_name} {last_name}, works with {labs}"));
    }
    for Product { product_id, name, is_active } in &catalogue.products {
        let state = if *is_active { "" } else { " (inactive)" };
        lines.add(format_args!("  {product_id:<33} {name}{state}"));
    }
}
