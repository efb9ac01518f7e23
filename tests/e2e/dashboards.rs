//! Every query of the dashboard and of the alerts, asked of a real Prometheus that has scraped
//! the real processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chinwag_tests::cluster::{Cluster, eventually};
use chinwag_tests::http;
use chinwag_tests::process::Process;

use crate::user::User;

/// A Prometheus that ends with this value.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_and_the_alerts_finds_what_it_asks_for() {
    let cluster = Cluster::new().unwrap();
    // As deploy/redis.conf does; without a limit there is no share of it to show.
    let mut redis = cluster.redis.connection().unwrap();
    let limit = ["set", "maxmemory", "1gb"];
    redis::cmd("CONFIG")
        .arg(&limit)
        .query::<String>(&mut redis)
        .unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let mut processes = cluster.workers().unwrap();
    let (ann, mut bob) = (
        User::join(&gateway, "ann").await,
        User::join(&gateway, "bob").await,
    );
    let room = ann.make_room("General", &["bob"]).await;
    bob.sees_room(&room).await;
    ann.says(&room, "hello").await;
    bob.hears(&room).await;
    processes.push(gateway);
    let folder = tempfile::tempdir().unwrap();
    let (_prometheus, url) = prometheus(folder.path(), &processes);
    let output = Command::new("python3")
        .arg(deploy().join("check_queries.py"))
        .args(["--prometheus", &url, "--wait", "60"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let erred = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{erred}");
}

#[test]
fn the_alerts_fire_when_they_should_and_the_files_of_deploy_are_sound() {
    let output = Command::new("python3")
        .arg(deploy().join("check_files.py"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let erred = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{erred}");
}

/// Starts Debian's Prometheus on these processes, with the shipped alerts.
fn prometheus(folder: &Path, processes: &[Process]) -> (Prometheus, String) {
    let targets: Vec<String> = processes
        .iter()
        .map(|process| format!("\"{}\"", process.admin.trim_start_matches("http://")))
        .collect();
    let rules = deploy()
        .join("prometheus/alerts.yml")
        .canonicalize()
        .unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         rule_files: [ \"{}\" ]\n\
         scrape_configs:\n  - job_name: chinwag\n    static_configs: [ {{ targets: [ {} ] }} ]\n",
        rules.display(),
        targets.join(", ")
    );
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("install prometheus: apt-get install prometheus");
    let prometheus = Prometheus(child);
    eventually("Prometheus is ready", Duration::from_secs(30), || {
        let (status, _) = http::text(&format!("{url}/-/ready")).ok()?;
        (status == 200).then_some(())
    })
    .unwrap();
    (prometheus, url)
}
