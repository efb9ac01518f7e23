//! The benchmark plays its shapes against a system of its own, and sees what it gave.

use std::process::Command;

use chinwag_tests::process::binary;
use serde_json::Value;

/// Plays shapes, small and short; what came of each.
fn play(shapes: &str, more: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("outcomes.json");
    let output = Command::new(binary().unwrap())
        .args(["load", "--shape", shapes, "--start", "--unpinned"])
        .args(["--seconds", "1", "--warm-up", "0.2", "--json"])
        .arg(&json)
        .arg("--folder")
        .arg(folder.path())
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{output:?}");
    let outcomes = std::fs::read_to_string(&json).unwrap();
    let outcomes = outcomes.lines().map(serde_json::from_str);
    let outcomes: Vec<Value> = outcomes.collect::<Result<_, _>>().unwrap();
    for outcome in &outcomes {
        for bad in [
            "lost",
            "incomplete",
            "doubled",
            "disordered",
            "holes",
            "refused",
            "errors",
            "late",
        ] {
            assert_eq!(outcome[bad], 0, "{bad}: {outcome}");
        }
    }
    // Nothing is left of the systems.
    let left: Vec<_> = folder.path().read_dir().unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    outcomes
}

#[test]
fn every_delivery_of_a_shape_is_counted_and_none_is_missing() {
    let size = ["--rooms", "3", "--members", "4"];
    let outcomes = play("s1,s2o", &size);
    let [closed, open] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    for outcome in [closed, open] {
        let rate = |name: &str| outcome[name].as_f64().unwrap();
        let (acked, delivered) = (rate("acked_per_second"), rate("deliveries_per_second"));
        assert!(acked > 50.0, "{outcome}");
        // Four for each message, but for those at the edges of the second.
        assert!((3.5..4.5).contains(&(delivered / acked)), "{outcome}");
        for process in ["gateway", "fanout", "presence", "archiver", "redis"] {
            assert!(outcome["cpu_per_million"][process].is_number(), "{outcome}");
        }
        assert!(outcome["resident_mib"]["gateway"].as_f64().unwrap() > 1.0);
        let times = &outcome["delivery"];
        assert!(times["p50"].as_u64() > Some(0) && times["p50"].as_u64() <= times["max"].as_u64());
    }
    // It sends by its schedule, whatever the servers do.
    let rate = open["acked_per_second"].as_f64().unwrap();
    assert!((700.0..1300.0).contains(&rate), "{open}");
}
