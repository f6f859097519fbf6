//! The report of a run: kept as JSON, and written as tables.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::{
    callgrind::Instructions,
    calls::Calls,
    chart::{self, Bar},
    cold::{SlowNetworkTimes, Times},
    cost::Cost,
    load::Load,
    machine::Machine,
    scale::{ManyLabs, Row},
    sizes::Sizes,
};

/// The processor time of a request in the service that this one replaces, in milliseconds, as once measured there: a get, the
/// first page of a list of 20,000 cases, a create. The other operations were not measured.
const REPLACED_SERVICE_MS: [(&str, f64); 3] = [("get", 5.6), ("list of 20", 23.5), ("create", 14.0)];

/// All figures of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) operations: Vec<Figures>,
    pub(crate) scale: Vec<Row>,
    pub(crate) many_labs: Vec<ManyLabs>,
    pub(crate) load: Vec<Load>,
}

/// The figures of an operation. A part that was not measured is missing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) instructions: Option<Instructions>,
    pub(crate) times: Option<Times>,
    pub(crate) slow_network: Option<SlowNetworkTimes>,
    pub(crate) calls: Option<Calls>,
    pub(crate) response: Option<ResponseSize>,
    pub(crate) sizes: Option<Sizes>,
    /// The bytes that a request adds to the log.
    pub(crate) log_bytes: Option<u64>,
    /// The cost of a million requests, in US dollars.
    pub(crate) cost: Option<Cost>,
}

/// The size of a response's body in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ResponseSize {
    pub(crate) plain: u64,
    /// For a client that accepts gzip; `None` if the function does not compress this body.
    pub(crate) gzip: Option<u64>,
}

impl Report {
    /// The tables, in Markdown, which is readable on a terminal as well. Tables without rows are left out.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        for (title, table) in [
            ("Machine", self.machine.table()),
            ("Instructions, in millions", self.instructions()),
            ("Times, in milliseconds, and memory", self.times()),
            ("With TLS and a round trip of 5 ms to DynamoDB, in milliseconds", self.slow_network()),
            ("Processor time against the service that this one replaces", self.against_replaced_service()),
            ("Calls to DynamoDB for one request", self.calls()),
            ("Sizes, in bytes", self.sizes()),
            ("A million requests, in US dollars", self.cost()),
            ("Units of DynamoDB, and the time in milliseconds, in labs of three sizes", self.scale()),
            ("A get, with one lab and with many", self.many_labs()),
            ("A closed loop", self.load()),
        ] {
            // A head and a rule.
            if table.lines().count() > 2 {
                let _ = write!(text, "### {title}\n\n{table}\n");
            }
        }
        text
    }

    /// The chart of the instructions, with budgets as marks.
    pub(crate) fn chart(&self, budget: impl Fn(&str) -> Option<f64>) -> String {
        let bars: Vec<Bar> = self
            .operations
            .iter()
            .filter_map(|figures| {
                let value = figures.instructions?.warm as f64 / 1e6;
                let mark = budget(&format!("{}: instructions", figures.name)).map(|budget| budget / 1e6);
                Some(Bar { name: figures.name.clone(), value, mark })
            })
            .collect();
        chart::draw("Instructions of a warm request, in millions (red: budget)", &bars)
    }

    fn rows<const N: usize>(&self, row: impl Fn(&Figures) -> Option<[String; N]>) -> Vec<[String; N]> {
        self.operations.iter().filter_map(row).collect()
    }

    fn instructions(&self) -> String {
        let rows = self.rows(|figures| {
            let Instructions { init, warm } = figures.instructions?;
            Some([figures.name.clone(), millions(init), millions(warm)])
        });
        table(["operation", "init", "warm request"], &rows)
    }

    fn times(&self) -> String {
        let rows = self.rows(|figures| {
            let times = figures.times.as_ref()?;
            let [init, first, p50, p99, cpu] =
                [times.init_ms, times.first_ms, times.warm_p50_ms, times.warm_p99_ms, times.cpu_ms]
                    .map(hundredths);
            let [peak, later] = [times.peak_kib, times.later_peak_kib].map(mib);
            Some([figures.name.clone(), init, first, p50, p99, cpu, peak, later])
        });
        let head = [
            "operation",
            "init",
            "first request",
            "warm p50",
            "warm p99",
            "CPU",
            "peak MiB at 1,000",
            "at 2,000",
        ];
        table(head, &rows)
    }

    fn slow_network(&self) -> String {
        let rows = self.rows(|figures| {
            let times = figures.slow_network.as_ref()?;
            let ratio = format!("{:.2}x", times.first_ms / times.warm_p50_ms);
            let [init, first, p50] = [times.init_ms, times.first_ms, times.warm_p50_ms].map(hundredths);
            Some([figures.name.clone(), init, first, p50, ratio])
        });
        table(["operation", "init", "first request", "warm p50", "first against warm"], &rows)
    }

    fn against_replaced_service(&self) -> String {
        let rows = self.rows(|figures| {
            let cpu = figures.times.as_ref()?.cpu_ms;
            let (_, replaced) = REPLACED_SERVICE_MS.into_iter().find(|(name, _)| *name == figures.name)?;
            Some([
                figures.name.clone(),
                hundredths(replaced),
                hundredths(cpu),
                format!("{:.0}x", replaced / cpu),
            ])
        });
        table(["operation", "replaced service, ms", "this service, ms", "ratio"], &rows)
    }

    fn calls(&self) -> String {
        let rows = self.rows(|figures| {
            let calls = figures.calls.as_ref()?;
            let names: Vec<String> =
                calls.calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
            let [read, write] = [calls.read_units, calls.write_units].map(number);
            let [sent, received] = [calls.bytes_sent, calls.bytes_received].map(thousands);
            Some([figures.name.clone(), names.join(", "), read, write, sent, received])
        });
        table(["operation", "calls", "read units", "write units", "bytes sent", "bytes received"], &rows)
    }

    fn sizes(&self) -> String {
        let rows = self.rows(|figures| {
            let (sizes, response) = (figures.sizes?, figures.response);
            let [binary, zip] = [sizes.binary, sizes.zip].map(thousands);
            let optional = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), thousands);
            let plain = optional(response.map(|size| size.plain));
            let gzip = optional(response.and_then(|size| size.gzip));
            Some([figures.name.clone(), binary, zip, optional(sizes.zip_arm64), plain, gzip])
        });
        table(["operation", "binary", "zip", "zip for arm64", "response", "response with gzip"], &rows)
    }

    fn cost(&self) -> String {
        let rows = self.rows(|figures| {
            let cost = figures.cost.as_ref()?;
            let parts =
                [cost.lambda, cost.gateway, cost.reads, cost.writes, cost.egress, cost.logs, cost.total()];
            let [lambda, gateway, reads, writes, egress, logs, total] = parts.map(hundredths);
            Some([figures.name.clone(), lambda, gateway, reads, writes, egress, logs, total])
        });
        table(["operation", "Lambda", "gateway", "reads", "writes", "egress", "logs", "total"], &rows)
    }

    fn scale(&self) -> String {
        let cell = |row: &Row, index: usize| match row.labs.get(index) {
            Some(cost) if (200..300).contains(&cost.status) => {
                format!("{} ({} ms)", number(cost.calls.units()), hundredths(cost.p50_ms))
            }
            Some(cost) => format!("answers {}", cost.status),
            None => "-".to_owned(),
        };
        let rows: Vec<[String; 4]> = self
            .scale
            .iter()
            .map(|row| [row.request.clone(), cell(row, 0), cell(row, 1), cell(row, 2)])
            .collect();
        table(["request", "1,000 cases", "20,000 cases", "100,000 cases"], &rows)
    }

    fn many_labs(&self) -> String {
        let rows: Vec<[String; 4]> = self
            .many_labs
            .iter()
            .map(|row| {
                let [p50, p99, cpu] = [row.p50_ms, row.p99_ms, row.cpu_ms].map(hundredths);
                [thousands(row.labs as u64), p50, p99, cpu]
            })
            .collect();
        table(["labs", "p50 ms", "p99 ms", "CPU ms"], &rows)
    }

    fn load(&self) -> String {
        let rows: Vec<[String; 6]> = self
            .load
            .iter()
            .map(|load| {
                let [p50, p99, cpu] = [load.p50_ms, load.p99_ms, load.cpu_ms].map(hundredths);
                let per_second = format!("{:.0}", load.per_second);
                [load.operation.clone(), load.environments.to_string(), per_second, p50, p99, cpu]
            })
            .collect();
        table(["operation", "environments", "requests per second", "p50 ms", "p99 ms", "CPU ms"], &rows)
    }
}

/// A table in Markdown with columns of equal width.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    line(head);
    let rule = widths.map(|width| "-".repeat(width));
    line(std::array::from_fn(|index| rule[index].as_str()));
    for row in rows {
        line(std::array::from_fn(|index| row[index].as_str()));
    }
    text
}

fn millions(count: u64) -> String {
    format!("{:.3}", count as f64 / 1e6)
}

fn hundredths(value: f64) -> String {
    format!("{value:.2}")
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

/// A number with commas, and with as many digits after the point as it needs, two at most.
pub(crate) fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    let fraction = (rounded.fract() * 100.0).round() as u64;
    let whole = thousands(rounded.trunc() as u64);
    match fraction {
        0 => whole,
        tenths if tenths.is_multiple_of(10) => format!("{whole}.{}", tenths / 10),
        _ => format!("{whole}.{fraction:02}"),
    }
}

/// A number with a comma after each three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_of_equal_width() {
        let rows = [["get".to_owned(), "1.5".to_owned()], ["list of 20".to_owned(), "7.668".to_owned()]];
        let expected = "\
| operation  | warm  |
| ---------- | ----- |
| get        | 1.5   |
| list of 20 | 7.668 |
";
        assert_eq!(table(["operation", "warm"], &rows), expected);
    }

    #[test]
    fn large_numbers_have_commas_and_fractions_two_digits_at_most() {
        let numbers = [0.0, 999.0, 1_000.0, 1_234_567.0, 4.5, 12.25, 0.999].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567", "4.5", "12.25", "1"]);
    }

    #[test]
    fn what_was_not_measured_has_no_table() {
        assert!(!Report::default().tables().contains("closed loop"));
    }
}
