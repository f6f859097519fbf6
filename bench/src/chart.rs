//! The chart of a report: a bar for each operation, as SVG.

use std::fmt::Write;

/// A bar: its name, its value, and a mark on its line.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The budget.
    pub(crate) mark: Option<f64>,
}

const NAMES: f64 = 130.0;
const BARS: f64 = 480.0;
const LINE: f64 = 26.0;
const TOP: f64 = 40.0;

/// Draws the bars under a title. The longest value or mark takes the whole width.
pub(crate) fn draw(title: &str, bars: &[Bar]) -> String {
    let longest =
        bars.iter().flat_map(|bar| [bar.value, bar.mark.unwrap_or(0.0)]).fold(f64::MIN_POSITIVE, f64::max);
    let (width, height) = (NAMES + BARS + 90.0, TOP + LINE * bars.len() as f64 + 12.0);
    let mut svg = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(svg, "{text}");
    };
    line(format_args!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">"##
    ));
    line(format_args!(r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##));
    line(format_args!(r##"<text x="8" y="22" font-size="15" fill="#111111">{title}</text>"##));
    for (index, bar) in bars.iter().enumerate() {
        let top = TOP + LINE * index as f64;
        let (length, middle) = (BARS * bar.value / longest, top + 14.0);
        let (name, value, after) = (&bar.name, bar.value, NAMES + length + 6.0);
        line(format_args!(
            r##"<text x="{}" y="{middle}" text-anchor="end" fill="#111111">{name}</text>"##,
            NAMES - 8.0
        ));
        line(format_args!(
            r##"<rect x="{NAMES}" y="{top}" width="{length:.1}" height="18" fill="#4878a8"/>"##
        ));
        line(format_args!(r##"<text x="{after:.1}" y="{middle}" fill="#111111">{value:.2}</text>"##));
        if let Some(mark) = bar.mark {
            let (at, top, bottom) = (NAMES + BARS * mark / longest, top - 2.0, top + 20.0);
            line(format_args!(
                r##"<line x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{bottom}" stroke="#c03020" stroke-width="2"/>"##
            ));
        }
    }
    line(format_args!("</svg>"));
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_takes_the_whole_width_and_a_budget_is_a_line() {
        let bars = [
            Bar { name: "get".into(), value: 1.0, mark: Some(0.5) },
            Bar { name: "list of 20".into(), value: 4.0, mark: None },
        ];
        let svg = draw("Instructions", &bars);
        assert!(
            svg.contains(r#"width="120.0" height="18""#) && svg.contains(r#"width="480.0" height="18""#),
            "{svg}"
        );
        assert_eq!(svg.matches("<line").count(), 1);
        assert!(svg.contains(r#"x1="190.0""#), "{svg}");
    }
}
