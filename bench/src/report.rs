//! The report of a run: kept as JSON, and written as tables.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::{callgrind::Instructions, calls::Calls, cold::Times, machine::Machine, sizes::Sizes};

/// All figures of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) operations: Vec<Figures>,
}

/// The figures of an operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) instructions: Option<Instructions>,
    pub(crate) times: Option<Times>,
    pub(crate) calls: Option<Calls>,
    pub(crate) response: Option<ResponseSize>,
    pub(crate) sizes: Option<Sizes>,
}

/// The size of a response's body in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ResponseSize {
    pub(crate) plain: u64,
    /// For a client that accepts gzip; `None` if the function does not compress this body.
    pub(crate) gzip: Option<u64>,
}

impl Report {
    /// The tables, in Markdown, which is readable on a terminal as well.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        let mut section = |title: &str, table: String| {
            let _ = write!(text, "### {title}\n\n{table}\n");
        };
        section("Machine", self.machine.table());
        section("Instructions, in millions", self.instructions());
        section("Times, in milliseconds, and memory", self.times());
        section("Calls to DynamoDB for one request", self.calls());
        section("Sizes", self.sizes());
        text
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
            let milliseconds =
                [times.init_ms, times.first_ms, times.warm_p50_ms, times.warm_p99_ms, times.cpu_ms];
            let [init, first, p50, p99, cpu] = milliseconds.map(|time| format!("{time:.2}"));
            Some([
                figures.name.clone(),
                init,
                first,
                p50,
                p99,
                cpu,
                mib(times.peak_kib),
                mib(times.later_peak_kib),
            ])
        });
        table(
            [
                "operation",
                "init",
                "first request",
                "warm p50",
                "warm p99",
                "CPU",
                "peak MiB after 1,000",
                "after 3,000",
            ],
            &rows,
        )
    }

    fn calls(&self) -> String {
        let rows = self.rows(|figures| {
            let calls = figures.calls.as_ref()?;
            let names: Vec<String> =
                calls.calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
            let numbers = [calls.read_units, calls.write_units].map(|units| units.to_string());
            let [read, write] = numbers;
            let [sent, received] = [calls.bytes_sent, calls.bytes_received].map(thousands);
            Some([figures.name.clone(), names.join(", "), read, write, sent, received])
        });
        table(["operation", "calls", "read units", "write units", "bytes sent", "bytes received"], &rows)
    }

    fn sizes(&self) -> String {
        let rows = self.rows(|figures| {
            let (sizes, response) = (figures.sizes?, figures.response);
            let arm64 = sizes.zip_arm64.map_or_else(|| "-".to_owned(), thousands);
            let plain = response.map_or_else(|| "-".to_owned(), |size| thousands(size.plain));
            let gzip = response.and_then(|size| size.gzip).map_or_else(|| "-".to_owned(), thousands);
            let [binary, zip] = [sizes.binary, sizes.zip].map(thousands);
            Some([figures.name.clone(), binary, zip, arm64, plain, gzip])
        });
        table(["operation", "binary", "zip", "zip arm64", "response", "response gzip"], &rows)
    }
}

/// A table in Markdown with columns of equal width. The first column is text, the others are numbers or short.
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

/// Millions with three digits after the point.
pub(crate) fn millions(number: u64) -> String {
    format!("{:.3}", number as f64 / 1e6)
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

/// A number with a comma after each three digits.
pub(crate) fn thousands(number: u64) -> String {
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
    fn large_numbers_have_commas() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
