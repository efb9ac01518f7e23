#!/usr/bin/env python3
"""Checks what deploy/ says of itself, without anything running.

    deploy/check_files.py

The dashboard is what its generator writes, every panel has a description and a unit, and every metric of chinwag's table is on it,
and no other. Every alert has a severity, a summary, a
description, a unit test in which it keeps quiet and one in which it fires, and a section in runbook.md that its runbook_url
names; and there is no section without an alert. Settings that files and texts name exist. Variables of compose.yaml are in .env.example and the other way round, and
none of the secrets has a default. promtool, where it is installed, checks rules, their tests, and both scrape configurations.
Problems go to standard output, one a line. Exit status: 0 none, 1 some. Python 3 and nothing else.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SEVERITIES = {"critical", "warning", "info"}


def main():
    problems = [*dashboard(), *alerts(), *runbook(), *settings(), *environment(), *promtool()]
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def read(path):
    return (HERE / path).read_text()


def run(*command):
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"{' '.join(command)}: {(done.stdout + done.stderr).strip()}"]


def dashboard():
    yield from run(sys.executable, "-B", "grafana/generate.py", "--check")
    for panel in panels(json.loads(read("grafana/dashboards/chinwag.json"))["panels"]):
        if panel["type"] != "row":
            if not panel["description"].endswith("."):
                yield f"panel {panel['title']}: its description is not a sentence"
            if not panel["fieldConfig"]["defaults"].get("unit"):
                yield f"panel {panel['title']}: has no unit"


    yield from metrics()


def metrics():
    """Whether what is asked for exists is for check_queries.py to see; this is quicker, and sees what nobody asks for."""
    described = set(re.findall(r'"(chinwag_\w+)"', (HERE.parent / "crates/runtime/src/metrics/table.rs").read_text()))
    for path in ("grafana/dashboards/chinwag.json", "prometheus/alerts.yml"):
        asked = {series(name, described) for name in re.findall(r"\bchinwag_\w+", read(path))}
        for name in sorted(asked - described):
            yield f"{path}: there is no metric {name}"
        if path.endswith(".json"):
            for name in sorted(described - asked):
                yield f"{path}: {name} is on no panel"


def series(name, described):
    """The metric that a series belongs to: a histogram makes three."""
    return name if name in described else re.sub(r"_(bucket|sum|count)$", "", name)


def panels(listed):
    for panel in listed:
        yield panel
        yield from panels(panel.get("panels", []))


def alert_texts():
    """Each alert's name with the lines that describe it."""
    parts = re.split(r"^ +- alert: (\w+)$", read("prometheus/alerts.yml"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def alerts():
    tests = read("prometheus/alerts.test.yml")
    for name, text in alert_texts().items():
        severity = re.search(r"severity: (\w+)", text)
        if not severity or severity[1] not in SEVERITIES:
            yield f"{name}: severity is not one of {', '.join(sorted(SEVERITIES))}"
        if f"runbook_url: runbook.md#{name.lower()}\n" not in text:
            yield f"{name}: runbook_url is not runbook.md#{name.lower()}"
        for annotation in ("summary", "description"):
            if f"{annotation}: " not in text:
                yield f"{name}: has no {annotation}"
        asked = re.escape(f'- expr: ALERTS{{alertname="{name}", alertstate="firing"}}') + r"\n +eval_time: \w+\n +exp_samples:"
        if not re.search(asked + r" \[\]", tests):
            yield f"{name}: no test in which it keeps quiet"
        if not re.search(asked + r"\n", tests):
            yield f"{name}: no test in which it fires"


def runbook():
    sections = re.split(r"^## (\w+)$", read("runbook.md"), flags=re.MULTILINE)
    texts = dict(zip(sections[1::2], sections[2::2]))
    if list(texts) != list(alert_texts()):
        odd = sorted(set(texts) ^ set(alert_texts()))
        yield f"runbook.md: its sections are not the alerts in their order: {', '.join(odd) or 'order differs'}"
    for name, text in texts.items():
        for part in ("**Means.**", "**Users notice.**", "**Do.**"):
            if part not in text:
                yield f"runbook.md: {name} lacks {part}"
    titles = {panel["title"] for panel in panels(json.loads(read("grafana/dashboards/chinwag.json"))["panels"])}
    for named in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", "".join(sections)):
        if named not in titles:
            yield f"runbook.md: there is no panel {named}"
    for named in re.findall(r'(?<!summary: )"([A-Z][\w ]+)"', "".join(alert_texts().values())):
        if named not in titles:
            yield f"alerts.yml: there is no panel {named}"
    anchors = {name.lower() for name in texts}
    for link in re.findall(r"\]\(#([\w-]+)\)", "".join(texts.values())):
        if link not in anchors:
            yield f"runbook.md: there is no section #{link}"


def settings():
    """By the reference page that the binary writes."""
    reference = (HERE.parent / "crates/server/SETTINGS.md").read_text()
    keys = set(re.findall(r"^\| `([\w.]+)`", reference, flags=re.MULTILINE))
    sections = {key.split(".")[0] for key in keys}
    for path in sorted(path for path in HERE.rglob("*") if path.is_file() and path.suffix not in (".json", ".py", ".pyc")):
        text = path.read_text()
        for name in re.findall(r"\bCHINWAG_[A-Z_]+\b", text):
            if f"`{name}`" not in reference:
                yield f"{path.name}: there is no setting {name}"
        for key in re.findall(r"\b(\w+\.\w+)\b", text):
            # A host or a file may look like a key; those with a key's section and an underscore do not.
            if key.split(".")[0] in sections and "_" in key and key not in keys:
                yield f"{path.name}: there is no setting {key}"


def environment():
    compose = re.sub(r"^\s*#.*$", "", read("compose.yaml"), flags=re.MULTILINE)
    example = re.findall(r"^(\w+)=(.*)$", read(".env.example"), flags=re.MULTILINE)
    used = re.findall(r"(?<!\$)\$\{(\w+)(:[?-])?", compose)
    for name in sorted({name for name, _ in used} ^ {name for name, _ in example}):
        yield f"{name}: must be in both compose.yaml and .env.example"
    for name, operator in used:
        if re.search("PASSWORD|SECRET|KEY", name) and operator != ":?":
            yield f"compose.yaml: {name} must be ${{{name}:?...}}, so that there is no default"
    for name, value in example:
        if re.search("PASSWORD|SECRET|KEY", name) and value:
            yield f".env.example: {name} must be empty"


def promtool():
    if not shutil.which("promtool"):
        return
    yield from run("promtool", "check", "rules", "prometheus/alerts.yml")
    yield from run("promtool", "test", "rules", "prometheus/alerts.test.yml")
    yield from run("promtool", "check", "config", "prometheus/prometheus.yml")
    yield from run("promtool", "check", "config", "prometheus/hosts.yml")


if __name__ == "__main__":
    main()
