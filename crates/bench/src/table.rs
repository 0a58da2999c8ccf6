//! The table that is printed, in Markdown, so that it can be put into a document as it is.

use crate::stats::Spread;

/// One figure beside its ceiling.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) measured: String,
    pub(crate) ceiling: String,
    pub(crate) ratio: Option<Spread>,
    pub(crate) target: &'static str,
    /// Microseconds of the processor for each message or page.
    pub(crate) server_cpu: Option<f64>,
    pub(crate) database_cpu: Option<f64>,
    /// For each message.
    pub(crate) syncs: Option<f64>,
    pub(crate) statements: Option<f64>,
}

const HEADS: [&str; 9] = [
    "figure",
    "measured",
    "ceiling",
    "ratio: median (range)",
    "target",
    "CPU-µs, server",
    "CPU-µs, database",
    "fsyncs",
    "statements",
];

/// All rows below each other.
pub(crate) fn render(rows: &[Row]) -> String {
    let body = rows.iter().map(cells);
    let lines: Vec<[String; 9]> = std::iter::once(HEADS.map(str::to_owned)).chain(body).collect();
    let mut widths = [0; 9];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (width, cell) in widths.iter().zip(line) {
            text.extend(["| ", cell, &" ".repeat(width - cell.chars().count()), " "]);
        }
        text.push_str("|\n");
        if index == 0 {
            text.extend(widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}

fn cells(row: &Row) -> [String; 9] {
    let ratio = row
        .ratio
        .map(|ratio| format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most));
    let micros = |value: Option<f64>| value.map(|value| format!("{value:.1}"));
    let small = |value: Option<f64>| value.map(|value| format!("{value:.4}"));
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        row.figure.clone(),
        row.measured.clone(),
        row.ceiling.clone(),
        or_dash(ratio),
        row.target.to_owned(),
        or_dash(micros(row.server_cpu)),
        or_dash(micros(row.database_cpu)),
        or_dash(small(row.syncs)),
        or_dash(small(row.statements)),
    ]
}

/// `28,123`: so many in a second.
pub(crate) fn per_second(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + "/s"
}

/// `1.25 ms` out of microseconds.
pub(crate) fn millis(micros: f64) -> String {
    format!("{:.2} ms", micros / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_all_its_cells_below_the_heads() {
        let row = Row {
            figure: "a figure".to_owned(),
            ratio: Some(Spread { median: 1.0, least: 0.9, most: 1.25 }),
            server_cpu: Some(12.34),
            syncs: Some(1.0 / 256.0),
            ..Row::default()
        };
        let text = render(&[row, Row::default()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width), "{text}");
        assert!(lines.iter().all(|line| line.matches('|').count() == 10), "{text}");
        assert!(lines[2].contains("1.00 (0.90 to 1.25)") && lines[2].contains("0.0039"), "{text}");
        assert!(lines[2].contains(" 12.3 "), "{text}");
    }

    #[test]
    fn numbers_are_written_to_be_read() {
        assert_eq!(per_second(28_123.4), "28,123/s");
        assert_eq!(per_second(999.0), "999/s");
        assert_eq!(per_second(1_234_567.0), "1,234,567/s");
        assert_eq!(millis(1_250.0), "1.25 ms");
    }
}
