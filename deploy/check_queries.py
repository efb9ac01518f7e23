#!/usr/bin/env python3
"""Asks a running Prometheus every query of the dashboard and of the alert rules.

    deploy/check_queries.py --prometheus http://127.0.0.1:9090 [--dashboard FILE ...] [--wait SECONDS]

The Prometheus must scrape running chinwag processes of all four roles (or `chinwag up`) under jobs whose names begin with
"chinwag", and have alerts.yml loaded. For each query: every metric in it exists, with the labels that it names; every selector
finds a series; Prometheus evaluates it without error; and on the dashboard it returns something. Problems go to standard output,
one a line. Exit status: 0 none, 1 some, 2 Prometheus or its targets are not there. Python 3 and nothing else.
"""

import argparse
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

# Metrics that rightly do not exist until something happens, and what. Counters should not be here: they begin at zero.
ABSENT_UNTIL = {
    "ALERTS": "an alert fires; Prometheus makes it",
}
# Metrics that exist, but of whose two labels not every value is known before something happens, and what.
INCOMPLETE_UNTIL = {
    "chinwag_gateway_commands_total": "a command of that method ends like that",
    "chinwag_http_requests_total": "a request to that route is answered like that",
}

TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<number>0[xX][0-9a-fA-F]+|\d[\w.]*)
      | (?P<name>[A-Za-z_:][\w:]*)
      | (?P<sign>=~|!~|!=|==|<=|>=|.)""",
    re.VERBOSE,
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = GROUPING | {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "start", "end"}


def main():
    arguments = parse_arguments()
    prometheus = Prometheus(arguments.prometheus)
    try:
        prometheus.wait(arguments.wait)
        checks = Checks(prometheus)
        for path in arguments.dashboard:
            checks.dashboard(json.loads(path.read_text()), arguments.rate_interval)
        checks.rules()
    except (OSError, TimeoutError) as error:
        print(f"{arguments.prometheus}: {error}", file=sys.stderr)
        sys.exit(2)
    for problem in checks.problems:
        print(problem)
    print(f"{checks.queries} queries, {len(checks.selectors)} selectors, {len(checks.problems)} problems", file=sys.stderr)
    sys.exit(1 if checks.problems else 0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, help="its address, such as http://127.0.0.1:9090")
    default = Path(__file__).parent / "grafana" / "dashboards" / "chinwag.json"
    parser.add_argument("--dashboard", type=Path, nargs="+", default=[default], help="default: %(default)s")
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for three scrapes of each target (%(default)s)")
    parser.add_argument("--rate-interval", default="1m", help="what $__rate_interval becomes (%(default)s)")
    return parser.parse_args()


class Prometheus:
    def __init__(self, address):
        self.address = address.rstrip("/")

    def get(self, path, **parameters):
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            # A query that is wrong is answered with 400 and the reason, one that fails with 422.
            if refused.code in (400, 422):
                raise ValueError(json.load(refused)["error"]) from None
            raise

    def query(self, query):
        data = self.get("query", query=query)
        return data["result"] if data["resultType"] == "vector" else [data["result"]]

    def wait(self, seconds):
        """Until each target has been scraped three times: a rate needs two values."""
        deadline = time.monotonic() + seconds
        missing = "no answer"
        while time.monotonic() < deadline:
            try:
                targets = self.get("targets", state="active")["activeTargets"]
                targets = [target for target in targets if target["labels"]["job"].startswith("chinwag")]
                scraped = self.query('count_over_time(up{job=~"chinwag.*"}[10m]) >= 3')
                up = self.query('up{job=~"chinwag.*"} == 1')
                if targets and len(targets) == len(scraped) == len(up):
                    return
                missing = f"{len(targets)} targets, {len(up)} up, {len(scraped)} scraped three times"
            except (OSError, ValueError) as error:
                missing = str(error)
            time.sleep(0.5)
        raise TimeoutError(f"not ready after {seconds:g} s: {missing}")


class Checks:
    def __init__(self, prometheus):
        self.prometheus = prometheus
        self.names = set(prometheus.get("label/__name__/values"))
        self.queries = 0
        self.problems = []
        self.selectors = {}  # selector -> problem or None

    def dashboard(self, dashboard, rate_interval):
        variables = {variable["name"]: value(variable) for variable in dashboard["templating"]["list"]}
        variables |= {"__rate_interval": rate_interval, "__interval": rate_interval, "__range": "1h"}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                self.variable(variable, variables)
        for annotation in dashboard["annotations"]["list"]:
            self.query(f"annotation {annotation['name']}", fill(annotation["expr"], variables), must_return=False)
        for panel in panels(dashboard["panels"]):
            for target in panel.get("targets", []):
                place = f"panel {panel['title']} {target['refId']}"
                self.query(place, fill(target["expr"], variables), must_return=True)

    def variable(self, variable, variables):
        place = f"variable {variable['name']}"
        match = re.fullmatch(r"label_values\((.+),\s*(\w+)\)", variable["query"]["query"])
        if not match:
            self.problems.append(f"{place}: not label_values(selector, label)")
            return
        selector, label = fill(match[1], variables), match[2]
        self.query(place, f"count by ({label}) ({selector})", must_return=True)

    def rules(self):
        groups = self.prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        if not rules:
            self.problems.append("alert rules: Prometheus has none loaded")
        for rule in rules:
            place = f"rule {rule['name']}"
            if rule["health"] == "err":
                self.problems.append(f"{place}: {rule.get('lastError')}")
            # Most return nothing while all is well; that their selectors do is what counts.
            self.query(place, rule["query"], must_return=False)

    def query(self, place, query, must_return):
        self.queries += 1
        try:
            used = selectors(query)
            returned = self.prometheus.query(query)
        except ValueError as error:
            self.problems.append(f"{place}: {error}: {query}")
            return
        wrong = [problem for problem in map(self.selector, used) if problem]
        self.problems.extend(f"{place}: {problem}" for problem in wrong)
        excused = any(name in ABSENT_UNTIL | INCOMPLETE_UNTIL for name, _ in used)
        if must_return and not returned and not wrong and not excused:
            self.problems.append(f"{place}: returns nothing: {query}")

    def selector(self, selector):
        if selector not in self.selectors:
            self.selectors[selector] = self.ask(*selector)
        return self.selectors[selector]

    def ask(self, name, matchers):
        if name in ABSENT_UNTIL and name not in self.names:
            return None
        if name not in self.names:
            return f"there is no metric {name}"
        series = self.prometheus.query(name)
        labels = {label for one in series for label in one["metric"]}
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"(?:\\.|[^"\\])*"', '""', matchers)):
            if series and label not in labels:
                return f"{name} has no label {label}, only {', '.join(sorted(labels - {'__name__'}))}"
        if name not in ABSENT_UNTIL | INCOMPLETE_UNTIL and not self.prometheus.query(name + matchers):
            return f"no series for {name}{matchers}"
        return None


def value(variable):
    """What a variable stands for when a user has just opened the dashboard."""
    if variable.get("includeAll"):
        return variable.get("allValue") or ".*"
    current = variable.get("current", {}).get("value", "")
    return current if isinstance(current, str) else "|".join(current)


def fill(query, variables):
    def replace(match):
        name = match[1] or match[2]
        return variables.get(name, match[0])

    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})", replace, query)


def panels(listed):
    for panel in listed:
        yield panel
        yield from panels(panel.get("panels", []))


def selectors(query):
    """The (name, matchers) of every series that a query reads, in its order."""
    tokens = [match for match in TOKEN.finditer(query) if match.lastgroup != "space"]
    found, at = [], 0
    while at < len(tokens):
        text, kind = tokens[at][0], tokens[at].lastgroup
        following = tokens[at + 1][0] if at + 1 < len(tokens) else ""
        if text == "{":
            raise ValueError("a selector without a name")
        if kind == "name" and text.lower() in GROUPING and following == "(":
            at = closing(tokens, at + 1, ")")
        elif kind == "name" and following == "{":
            end = closing(tokens, at + 1, "}")
            found.append((text, query[tokens[at + 1].start() : tokens[end].end()]))
            at = end
        elif kind == "name" and following != "(" and text.lower() not in WORDS and not aggregates(following):
            found.append((text, ""))
        at += 1
    return found


def aggregates(following):
    return following.lower() in ("by", "without")


def closing(tokens, at, bracket):
    while at < len(tokens) and tokens[at][0] != bracket:
        at += 1
    if at == len(tokens):
        raise ValueError(f"no closing {bracket}")
    return at


if __name__ == "__main__":
    main()
