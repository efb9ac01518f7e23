//! The parts of a report, as HTML.

use std::fmt::Write;

use super::page::{page, table};
use super::plot::{self, Band, Scale, Series, escape, number};
use super::{Run, Second, faults, milliseconds};
use crate::check::history::Injection;
use crate::check::verdict::{Check, Kind, Verdict};

/// One page that tells all of a run and needs nothing else: it loads nothing and runs no script.
#[must_use]
pub fn html(run: &Run) -> String {
    let mut body = format!("<h1>{}</h1>\n", escape(&run.title));
    body.push_str(&verdict(run));
    body.push_str(&figures(run));
    for note in &run.notes {
        let _ = writeln!(body, "<p class=\"soft\">{}</p>", escape(note));
    }
    body.push_str(&plots(run));
    body.push_str(&fault_table(run));
    if let Some(verdict) = &run.verdict {
        body.push_str(&checks(verdict));
    }
    body.push_str(&circumstances(run));
    page(&run.title, &body)
}

fn verdict(run: &Run) -> String {
    let Some(verdict) = &run.verdict else {
        return "<p class=\"verdict soft\">not checked</p>\n".to_owned();
    };
    let (class, words) = if verdict.is_clean() {
        ("good", "Nothing lost, doubled or out of order".to_owned())
    } else {
        ("bad", format!("{} violations", verdict.total()))
    };
    let kinds = Kind::ALL.map(|kind| format!("{} {}", kind.name(), verdict.of_kind(kind)));
    let kinds = kinds.join(" \u{b7} ");
    format!("<p class=\"verdict {class}\">{words}</p>\n<p class=\"soft\">{kinds}</p>\n")
}

fn figures(run: &Run) -> String {
    let sent: u64 = run.sent();
    let seconds = run.seconds.iter().filter(|second| second.sent > 0).count();
    let rate = |count: u64| count / u64::try_from(seconds.max(1)).unwrap_or(1);
    let connections = run.seconds.iter().map(|second| second.connections).max();
    let figures = [
        ("messages sent", sent.to_string()),
        ("messages a second", rate(sent).to_string()),
        ("deliveries a second", rate(run.delivered()).to_string()),
        ("connections", connections.unwrap_or(0).to_string()),
        ("answer, p50", milliseconds(run.acks.p50)),
        ("answer, p99", milliseconds(run.acks.p99)),
        ("delivery, p50", milliseconds(run.deliveries.p50)),
        ("delivery, p99", milliseconds(run.deliveries.p99)),
        ("delivery, longest", milliseconds(run.deliveries.max)),
    ];
    let cell =
        |(name, figure): (&str, String)| format!("<div><b>{figure}</b><span>{name}</span></div>");
    let cells: String = figures.map(cell).concat();
    format!("<div class=\"figures\">{cells}</div>\n")
}

fn plots(run: &Run) -> String {
    let series = |name, value: fn(&Second) -> u64| Series {
        name,
        points: run
            .seconds
            .iter()
            .map(|second| number(value(second)))
            .collect(),
    };
    let bands = bands(run);
    let counts = |series: &[Series<'_>]| plot::lines(series, &bands, Scale::FromZero, count);
    let times = |series: &[Series<'_>]| plot::lines(series, &bands, Scale::Powers, time);
    let rates = [
        series("sent", |second| second.sent),
        series("acked", |second| second.acked),
        series("refused", |second| second.refused),
    ];
    let latencies = [
        series("ack p50", |second| second.ack[0]),
        series("ack p99", |second| second.ack[1]),
        series("delivery p50", |second| second.delivery[0]),
        series("delivery p99", |second| second.delivery[1]),
    ];
    let delivered = [series("delivered", |second| second.delivered)];
    let connections = [series("connections", |second| second.connections)];
    let behind = [series("behind", |second| second.behind)];
    let column = |(until, count): &(u64, u64)| (milliseconds(*until), *count);
    let columns: Vec<_> = run.deliveries.histogram.iter().map(column).collect();
    let parts = [
        ("Messages a second", counts(&rates)),
        ("Deliveries a second", counts(&delivered)),
        ("Time from the schedule", times(&latencies)),
        ("How long deliveries took", plot::columns(&columns)),
        ("Connections", counts(&connections)),
        ("How late the load itself was", times(&behind)),
    ];
    let part = |(title, plot): (&str, String)| format!("<h2>{title}</h2>\n{plot}\n");
    parts.map(part).concat()
}

/// When something was wrong on purpose.
fn bands(run: &Run) -> Vec<Band> {
    let seconds = |at: u64| number(at) / 1_000_000.0;
    let band = |injection: &Injection| {
        let until = crate::check::over(injection);
        let what = format!("{}: {}", injection.fault, injection.target);
        (seconds(injection.at), seconds(until), what)
    };
    run.injections.iter().map(band).collect()
}

fn count(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        value => format!("{value:.0}"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mark's label"
)]
fn time(value: f64) -> String {
    milliseconds(value as u64)
}

fn fault_table(run: &Run) -> String {
    let faults = faults(run);
    if faults.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = faults
        .iter()
        .map(|fault| {
            let aim = fault.aim.map_or_else(String::new, milliseconds);
            let late = fault.aim.is_some_and(|aim| fault.p99 > aim) || fault.unrecovered > 0;
            let unrecovered = match fault.unrecovered {
                0 => String::new(),
                some => format!(", {some} not recovered"),
            };
            vec![
                escape(&fault.fault),
                format!("{}{unrecovered}", fault.injections),
                marked(fault.violations > 0, &fault.violations.to_string()),
                milliseconds(fault.p50),
                marked(late, &milliseconds(fault.p99)),
                milliseconds(fault.max),
                aim,
            ]
        })
        .collect();
    let head = [
        "fault",
        "injections",
        "violations",
        "recovery p50",
        "p99",
        "max",
        "aim",
    ];
    format!("<h2>Faults</h2>\n{}\n", table(&head, &rows))
}

fn marked(bad: bool, text: &str) -> String {
    let class = if bad { "bad" } else { "good" };
    format!("<span class=\"{class}\">{text}</span>")
}

fn checks(verdict: &Verdict) -> String {
    let row = |check: Check| {
        let violations = verdict.of(check);
        let promise = check.promise().to_owned();
        let count = marked(violations > 0, &violations.to_string());
        vec![format!("{check:?}"), promise, count]
    };
    let rows = Check::ALL.map(row);
    let mut part = format!(
        "<h2>Checks</h2>\n{}\n",
        table(&["", "promise", "violations"], &rows)
    );
    let told = verdict.to_string();
    let extent = told.lines().next().unwrap_or_default();
    let _ = writeln!(part, "<p class=\"soft\">{}</p>", escape(extent));
    for finding in &verdict.findings {
        let _ = write!(
            part,
            "<p><b>{:?}</b> {}</p>",
            finding.check,
            escape(&finding.problem)
        );
        let records = finding
            .records
            .iter()
            .filter_map(|record| serde_json::to_string(record).ok());
        let records: Vec<String> = records.map(|record| escape(&record)).collect();
        if !records.is_empty() {
            let _ = writeln!(part, "<pre>{}</pre>", records.join("\n"));
        }
    }
    part
}

fn circumstances(run: &Run) -> String {
    let row = |name: &str, value: &str| vec![escape(name), escape(value)];
    let mut rows: Vec<_> = run
        .parameters
        .iter()
        .map(|(name, value)| row(name, value))
        .collect();
    let machine = &run.machine;
    let processor = format!("{} \u{d7} {}", machine.processors, machine.processor);
    rows.push(row("processors", &processor));
    rows.push(row("memory", &format!("{} MiB", machine.memory)));
    rows.push(row("system", &machine.system));
    format!("<h2>Circumstances</h2>\n{}\n", table(&[], &rows))
}
