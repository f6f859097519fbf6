//! The trace of a request (W3C Trace Context). This service records no spans: it gives each request a trace id for its log
//! line, and passes it on, so that the logs of all services about one request can be found together.

use std::fmt;

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    /// The flags of the sender. The lowest bit says that spans are recorded.
    flags: u8,
}

impl Trace {
    /// The trace of the client's `traceparent`, or that of Lambda (`Root=…;Parent=…;Sampled=…`), or a new one.
    pub(crate) fn of(traceparent: Option<&str>, lambda: Option<&str>) -> Self {
        traceparent.and_then(Self::parse).or_else(|| Self::of_lambda(lambda?)).unwrap_or_default()
    }

    /// Reads a `traceparent`: version, trace id, span id, flags. A later version may add fields.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| hexadecimal(fields.next()?, digits);
        let (version, id, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let is_complete = version != 0 || fields.next().is_none();
        (version != 0xff && id != 0 && span != 0 && is_complete).then_some(Self { id, flags: flags as u8 })
    }

    /// X-Ray writes the same 128 bits in two parts, the first of which is a time.
    fn of_lambda(text: &str) -> Option<Self> {
        let value = |name: &str| text.split(';').find_map(|field| field.trim().strip_prefix(name));
        let (time, rest) = value("Root=1-")?.split_once('-')?;
        let id = hexadecimal(time, 8)? << 96 | hexadecimal(rest, 24)?;
        (id != 0).then_some(Self { id, flags: u8::from(value("Sampled=") == Some("1")) })
    }

    /// The `traceparent` of a call to another service, as a span of its own.
    pub(super) fn of_call(&self) -> String {
        format!("00-{self}-{:016x}-{:02x}", fastrand::u64(1..), self.flags)
    }
}

/// A new trace, which nobody records.
impl Default for Trace {
    fn default() -> Self {
        Self { id: fastrand::u128(1..), flags: 0 }
    }
}

/// The trace id in 32 hexadecimal digits.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

/// Reads a number of exactly so many hexadecimal digits in lower case.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_digit)).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_valid_traceparent_is_passed_on_with_a_new_span() {
        for (given, flags) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), "01"),
            (format!("00-{ID}-00f067aa0ba902b7-00"), "00"),
            (format!("cc-{ID}-00f067aa0ba902b7-01-more"), "01"),
        ] {
            let trace = Trace::of(Some(&given), None);
            assert_eq!(trace.to_string(), ID);
            let (one, other) = (trace.of_call(), trace.of_call());
            assert!(one.starts_with(&format!("00-{ID}-")) && one.ends_with(&format!("-{flags}")), "{one}");
            assert!(Trace::parse(&one) == Some(trace) && one != other && !one.contains("00f067aa0ba902b7"));
        }
    }

    #[test]
    fn an_invalid_traceparent_is_ignored() {
        let upper = ID.to_uppercase();
        for invalid in [
            "",
            "00",
            &format!("00-{ID}-00f067aa0ba902b7"),
            &format!("00-{ID}-00f067aa0ba902b7-01-more"),
            &format!("ff-{ID}-00f067aa0ba902b7-01"),
            &format!("00-{upper}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{ID}-0000000000000000-01"),
            &format!("00-{ID}-00f067aa0ba902b7-1"),
            &format!("00-+{}-00f067aa0ba902b7-01", &ID[1..]),
            "00-Jane Roe-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn without_a_client_the_trace_is_that_of_lambda_or_a_new_one() {
        let lambda = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let trace = Trace::of(Some("nonsense"), Some(lambda));
        assert_eq!((trace.to_string().as_str(), trace.flags), ("5759e988bd862e3fe1be46a994272793", 1));
        let (one, other) = (Trace::of(None, None), Trace::of(None, Some("Root=1-x-y")));
        assert!(one != other && one.flags == 0);
    }
}
