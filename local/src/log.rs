//! The functions' log for people at a terminal: a line for each request with its time, method, route, status and duration.
//! Everything that is no JSON line of a function stays as it is, and so does everything that goes to a file or another program.

use std::{env, io, io::IsTerminal};

use serde_json::Value;

/// How lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With the colours of a terminal.
    pub is_coloured: bool,
}

impl Style {
    /// The style of a terminal; `None` if standard error is none. `NO_COLOR` turns colours off (<https://no-color.org>).
    pub fn of_standard_error() -> Option<Self> {
        let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        io::stderr().is_terminal().then_some(Self { is_coloured: !is_refused })
    }

    fn paint(self, colour: u8, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const GREY: u8 = 90;

/// The line for people; `None` for a line that is shown as it is.
pub fn readable(line: &str, style: Style) -> Option<String> {
    let parsed: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| parsed.get(name).and_then(Value::as_str);
    let (level, message) = (text("level")?, text("message")?);
    // The time of day, to the millisecond.
    let time = style.paint(GREY, text("timestamp")?.get(11..23)?);
    if message == "request" {
        return Some(format!("{time} {}", request(&parsed, style)?));
    }
    let colour = match level {
        "ERROR" => RED,
        "WARN" => YELLOW,
        _ => GREY,
    };
    let members = parsed.as_object()?.iter().filter(|(name, value)| is_shown(name, value));
    let members: String = members.map(|(name, value)| format!(" {name}={value}")).collect();
    Some(format!("{time} {} {message}{members}", style.paint(colour, &format!("{level:<5}"))))
}

/// Whether a member is neither shown elsewhere nor the same in all lines, nor part of a metric.
fn is_shown(name: &str, value: &Value) -> bool {
    let is_metric = value.is_number() && name.starts_with(|first: char| first.is_ascii_uppercase());
    !is_metric && !["timestamp", "level", "message", "commit", "stage", "_aws"].contains(&name)
}

/// Method, route, status and duration, then the cause of a failure and the id to search for.
fn request(line: &Value, style: Style) -> Option<String> {
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    let status = line.get("response.status")?.as_u64()?;
    let colour = match status {
        500.. => RED,
        400.. => YELLOW,
        _ => GREEN,
    };
    // The route of the fallback function has no method.
    let route = text("request.route")?;
    let (method, path) = route.split_once(' ').unwrap_or((text("request.method")?, route));
    let took = line.get("took_ms")?.as_f64()?;
    let mut shown =
        format!("{method:<6} {path:<36} {} {took:>8.1} ms", style.paint(colour, &status.to_string()));
    if line.get("cold_start").and_then(Value::as_bool) == Some(true) {
        shown += " cold";
    }
    for name in ["error.code", "error.cause"] {
        shown += &text(name).map(|value| format!(" {name}={value:?}")).unwrap_or_default();
    }
    Some(shown + &style.paint(GREY, &format!(" {}", text("request.id")?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Style = Style { is_coloured: false };
    const COLOURED: Style = Style { is_coloured: true };

    fn line(status: u16, more: Value) -> String {
        let mut line = json!({
            "timestamp": "2026-11-24T09:30:00.123Z", "level": "INFO", "message": "request", "stage": "dev",
            "request.id": "id-1", "request.method": "GET", "request.route": "GET /api/v1/cases/{id}",
            "response.status": status, "took_ms": 3.24, "cold_start": false, "Requests": 1, "_aws": {},
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line.to_string()
    }

    #[test]
    fn a_request_is_a_line_with_time_method_route_status_and_duration() {
        assert_eq!(
            readable(&line(200, json!({})), PLAIN).unwrap(),
            "09:30:00.123 GET    /api/v1/cases/{id}                   200      3.2 ms id-1"
        );
        let failed =
            json!({"error.code": "service_unavailable", "error.cause": "time-out", "cold_start": true});
        let shown = readable(&line(503, failed), PLAIN).unwrap();
        let end = "503      3.2 ms cold error.code=\"service_unavailable\" error.cause=\"time-out\" id-1";
        assert!(shown.ends_with(end), "{shown}");
        let fallback = json!({"request.route": "$default", "request.method": "POST"});
        let shown = readable(&line(404, fallback), PLAIN).unwrap();
        assert!(shown.starts_with("09:30:00.123 POST   $default "), "{shown}");
    }

    #[test]
    fn the_colour_shows_the_class_of_the_status() {
        for (status, colour) in [(200, 32), (304, 32), (404, 33), (503, 31)] {
            let shown = readable(&line(status, json!({})), COLOURED).unwrap();
            assert!(shown.contains(&format!("\x1b[{colour}m{status}\x1b[0m")), "{shown:?}");
        }
    }

    #[test]
    fn another_line_of_a_function_shows_its_level_and_its_members() {
        let event = json!({
            "timestamp": "2026-11-24T09:30:00.123Z", "level": "WARN", "message": "security event", "stage": "dev",
            "event": "forbidden", "user.id": "3", "SecurityEvents": 1, "_aws": {},
        });
        let shown = readable(&event.to_string(), PLAIN).unwrap();
        assert!(shown.starts_with("09:30:00.123 WARN  security event"), "{shown}");
        assert!(shown.contains(" event=\"forbidden\"") && shown.contains(" user.id=\"3\""), "{shown}");
        assert!(!shown.contains("_aws") && !shown.contains("SecurityEvents"), "{shown}");
    }

    #[test]
    fn any_other_output_stays_as_it_is() {
        for text in ["", "   Compiling shared", "{\"message\": \"no level\"}", "[1]", "ERROR command exited"]
        {
            assert_eq!(readable(text, PLAIN), None, "{text}");
        }
    }
}
