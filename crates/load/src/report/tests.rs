//! Reports are whole, and tell what is wrong.

use super::*;
use crate::check::verdict::{Check, Finding, Kind};

fn injection(at: u64, fault: &str, recovered: Option<u64>) -> Injection {
    Injection {
        at,
        until: at + 1_000_000,
        fault: fault.to_owned(),
        target: "<redis>".to_owned(),
        takes_back: false,
        recovered,
    }
}

fn run() -> Run {
    let mut verdict = Verdict {
        after_injection: vec![0, 3, 0],
        ..Verdict::default()
    };
    verdict.violations.insert(Check::C1, 3);
    verdict.kinds.insert(Kind::Lost, 3);
    verdict.findings.push(Finding {
        check: Check::C1,
        kind: Kind::Lost,
        count: 3,
        at: Some(7),
        problem: "message 4 <of> client 2".to_owned(),
        records: Vec::new(),
    });
    let second = |at| Second {
        at,
        sent: 10 * at,
        delivery: [900, 20_000],
        ..Second::default()
    };
    Run {
        title: "chaos & all".to_owned(),
        seconds: (1..=60).map(second).collect(),
        injections: vec![
            injection(5_000_000, "kill gateway", Some(400_000)),
            injection(15_000_000, "cut log", Some(2_000_000)),
            injection(30_000_000, "cut log", None),
        ],
        aims: BTreeMap::from([("cut log".to_owned(), 1_000_000)]),
        verdict: Some(verdict),
        ..Run::default()
    }
}

#[test]
fn faults_stand_by_kind_with_what_followed_them() {
    let faults = faults(&run());
    let names: Vec<_> = faults.iter().map(|fault| fault.fault.as_str()).collect();
    assert_eq!(names, ["cut log", "kill gateway"]);
    let cut = &faults[0];
    assert_eq!((cut.injections, cut.unrecovered, cut.violations), (2, 1, 3));
    assert_eq!(
        (cut.p50, cut.max, cut.aim),
        (1_000_000, 1_000_000, Some(1_000_000)),
        "counted from the end of the fault"
    );
    assert_eq!(faults[1].violations, 0);
}

#[test]
fn the_page_needs_nothing_else_and_shows_what_is_wrong() {
    let page = html(&run());
    for absent in [
        "<script", "http://", "https://", "src=", "@import", "<redis>", "<of>",
    ] {
        assert!(!page.contains(absent), "{absent}");
    }
    for present in [
        "3 violations",
        "chaos &amp; all",
        "&lt;redis&gt;",
        "class=\"band\"",
        "1.0 s",
    ] {
        assert!(page.contains(present), "{present}");
    }
    for tag in ["svg", "table", "div", "p", "main"] {
        let open = page.matches(&format!("<{tag}")).count();
        let shut = page.matches(&format!("</{tag}>")).count();
        // Lines of plots and the paragraph share a beginning.
        let lines = if tag == "p" {
            page.matches("<pre").count() + page.matches("<polyline").count()
        } else {
            0
        };
        assert_eq!(open - lines, shut, "{tag}");
    }
}

#[test]
fn an_empty_run_has_a_page_too() {
    let page = html(&Run::default());
    assert!(page.contains("not checked"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn times_keep_their_quantiles() {
    let mut times = times().unwrap();
    for millisecond in 1..=1000 {
        note(&mut times, std::time::Duration::from_millis(millisecond));
    }
    let summary = Summary::from(&times);
    assert_eq!(summary.count, 1000);
    assert!(
        (499_000..=501_500).contains(&summary.p50),
        "{}",
        summary.p50
    );
    assert!(
        (989_000..=991_500).contains(&summary.p99),
        "{}",
        summary.p99
    );
    let counted: u64 = summary.histogram.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 1000);
    assert_eq!(milliseconds(1_234), "1.23 ms");
    assert_eq!(milliseconds(56_789), "57 ms");
    assert_eq!(milliseconds(5_600_000), "5.6 s");
}
