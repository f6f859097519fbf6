//! The figures of a report by name, and what they may be: the budgets, and the references that CI holds with some headroom.

use std::{collections::BTreeMap, fs, path::Path};

use local::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    report::{Figures, Report, number, table},
    scale::Row,
};

/// The file with the budgets and the references.
const FILE: &str = "bench/budgets.json";

/// The budgets, and the figures of the last recorded run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Budgets {
    /// By how many percent a figure may be above its reference.
    headroom_percent: f64,
    figures: BTreeMap<String, Limits>,
}

/// The limits of a figure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Limits {
    /// The goal. It is reported, and does not fail a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<f64>,
    /// The figure of the last recorded run.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<f64>,
    /// Its own headroom, for a figure that varies more: the warm-up does what it can in a fixed time.
    #[serde(skip_serializing_if = "Option::is_none")]
    headroom_percent: Option<f64>,
}

impl Budgets {
    /// Reads the file in the project's folder.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(root.join(FILE)).map_err(|error| Error::new(format!("{FILE}: {error}")))?;
        serde_json::from_str(&text).map_err(|error| Error::new(format!("{FILE}: {error}")))
    }

    /// The budget of a figure.
    pub(crate) fn budget(&self, figure: &str) -> Option<f64> {
        self.figures.get(figure)?.budget
    }

    /// Makes the counts of a report the references.
    pub(crate) fn record(mut self, root: &Path, report: &Report) -> Result<()> {
        for (name, value) in counts(report) {
            self.figures.entry(name).or_default().reference = Some(value);
        }
        let text =
            serde_json::to_string_pretty(&self).map_err(|error| Error::new(format!("{FILE}: {error}")))?;
        fs::write(root.join(FILE), text + "\n").map_err(|error| Error::new(format!("{FILE}: {error}")))
    }

    /// Each count of a report that is further above its reference than allowed, with by how much; and each one without a
    /// reference.
    pub(crate) fn violations(&self, report: &Report) -> Vec<String> {
        let compare = |(name, value): (String, f64)| {
            let Some(reference) = self.figures.get(&name).and_then(|limits| limits.reference) else {
                return Some(format!("{name}: {} has no reference in {FILE}", number(value)));
            };
            let allowed = self.headroom_of(&name);
            // A figure that was 0 has no percentage.
            let above = if reference == 0.0 { value * 100.0 } else { (value / reference - 1.0) * 100.0 };
            let (value, reference) = (number(value), number(reference));
            (above > allowed).then(|| {
                format!("{name}: {value} is {above:.1} % above {reference} ({allowed} % are allowed)")
            })
        };
        counts(report).into_iter().filter_map(compare).collect()
    }

    fn headroom_of(&self, figure: &str) -> f64 {
        self.figures.get(figure).and_then(|limits| limits.headroom_percent).unwrap_or(self.headroom_percent)
    }

    /// The counts that have become smaller by more than the headroom, so that their references should be recorded again.
    pub(crate) fn improvements(&self, report: &Report) -> Vec<String> {
        let compare = |(name, value): (String, f64)| {
            let reference = self.figures.get(&name)?.reference?;
            let below = (1.0 - value / reference) * 100.0;
            (below > self.headroom_of(&name))
                .then(|| format!("{name}: {} is {below:.1} % below {}", number(value), number(reference)))
        };
        counts(report).into_iter().filter_map(compare).collect()
    }

    /// The figures with a budget, as a table.
    pub(crate) fn table(&self, report: &Report) -> String {
        let measured: BTreeMap<String, f64> = counts(report).into_iter().chain(others(report)).collect();
        let rows: Vec<[String; 4]> = self
            .figures
            .iter()
            .filter_map(|(name, limits)| {
                let (budget, value) = (limits.budget?, *measured.get(name)?);
                let verdict =
                    if value <= budget { "met".to_owned() } else { format!("{:.2}x", value / budget) };
                Some([name.clone(), number(value), number(budget), verdict])
            })
            .collect();
        table(["figure", "measured", "budget", ""], &rows)
    }
}

/// What can be counted, and is nearly the same in each run.
fn counts(report: &Report) -> Vec<(String, f64)> {
    report.operations.iter().flat_map(counts_of).collect()
}

fn counts_of(figures: &Figures) -> Vec<(String, f64)> {
    let mut counts = Vec::new();
    let mut add = |what: &str, value: f64| counts.push((format!("{}: {what}", figures.name), value));
    if let Some(instructions) = figures.instructions {
        add("instructions", instructions.warm as f64);
        add("instructions of init", instructions.init as f64);
    }
    if let Some(calls) = &figures.calls {
        add("calls to DynamoDB", calls.count() as f64);
        add("read units", calls.read_units);
        add("write units", calls.write_units);
    }
    if let Some(response) = figures.response {
        add("bytes of the response", response.plain as f64);
        if let Some(gzip) = response.gzip {
            add("bytes of the response with gzip", gzip as f64);
        }
    }
    if let Some(sizes) = figures.sizes {
        add("bytes of the zip", sizes.zip as f64);
    }
    counts
}

/// What depends on the machine, or is measured only by `make bench`. It has budgets, and no references.
fn others(report: &Report) -> Vec<(String, f64)> {
    let mut others = Vec::new();
    let floor = report.operations.iter().find(|figures| figures.name == crate::run::FLOOR);
    let floor_init = floor.and_then(|figures| figures.times.as_ref()).map(|times| times.init_ms);
    for figures in &report.operations {
        let mut add = |what: &str, value: f64| others.push((format!("{}: {what}", figures.name), value));
        if let Some(times) = &figures.times {
            add("CPU in milliseconds", times.cpu_ms);
            add("peak memory in KiB", times.peak_kib as f64);
            if let Some(floor_init) = floor_init {
                add("time of init against the floor", times.init_ms / floor_init);
            }
        }
        if let Some(slow) = &figures.slow_network {
            add("first request against a warm one", slow.first_ms / slow.warm_p50_ms);
        }
        if let Some(arm64) = figures.sizes.and_then(|sizes| sizes.zip_arm64) {
            add("bytes of the zip for arm64", arm64 as f64);
        }
    }
    others.extend(report.scale.iter().flat_map(scale_of));
    others
}

/// The units in the largest lab, and how they compare with those in the smallest.
fn scale_of(row: &Row) -> Vec<(String, f64)> {
    let (Some(small), Some(large)) = (row.labs.first(), row.labs.last()) else { return Vec::new() };
    let is_success = |status: u16| (200..300).contains(&status);
    if !is_success(small.status) || !is_success(large.status) {
        return Vec::new();
    }
    let name = &row.request;
    vec![
        (format!("{name}: units at 100,000 cases"), large.calls.units()),
        (format!("{name}: units at 100,000 cases against 1,000"), large.calls.units() / small.calls.units()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callgrind::Instructions;

    fn report(init: u64, warm: u64) -> Report {
        let figures = Figures {
            name: "get".into(),
            instructions: Some(Instructions { init, warm }),
            ..Figures::default()
        };
        Report { operations: vec![figures], ..Report::default() }
    }

    fn budgets(init: Option<f64>) -> Budgets {
        let limits = |reference| Limits { budget: Some(1_200_000.0), reference, headroom_percent: None };
        let figures = [
            ("get: instructions".to_owned(), limits(Some(1_000_000.0))),
            (
                "get: instructions of init".to_owned(),
                Limits { budget: None, reference: init, headroom_percent: None },
            ),
        ];
        Budgets { headroom_percent: 5.0, figures: figures.into() }
    }

    #[test]
    fn a_figure_within_the_headroom_of_its_reference_passes() {
        assert_eq!(budgets(Some(2.0)).violations(&report(2, 1_049_000)), [""; 0]);
    }

    #[test]
    fn a_figure_that_grew_is_named_with_by_how_much() {
        let expected = ["get: instructions: 1,060,000 is 6.0 % above 1,000,000 (5 % are allowed)"];
        assert_eq!(budgets(Some(2.0)).violations(&report(2, 1_060_000)), expected);
    }

    #[test]
    fn a_figure_without_a_reference_is_a_violation() {
        let expected = ["get: instructions of init: 2 has no reference in bench/budgets.json"];
        assert_eq!(budgets(None).violations(&report(2, 1_000_000)), expected);
    }

    #[test]
    fn a_figure_that_shrank_should_be_recorded_again() {
        let expected = ["get: instructions: 900,000 is 10.0 % below 1,000,000"];
        assert_eq!(budgets(Some(2.0)).improvements(&report(2, 900_000)), expected);
    }

    #[test]
    fn a_budget_is_met_or_missed_by_a_factor() {
        let table = budgets(Some(2.0)).table(&report(2, 2_400_000));
        assert!(table.contains("| get: instructions | 2,400,000 | 1,200,000 | 2.00x |"), "{table}");
        assert!(budgets(Some(2.0)).table(&report(2, 900_000)).contains("| met |"));
    }
}
