#!/usr/bin/env python3
"""Writes dashboards/chinwag.json from the rows in panels.py.

    python3 deploy/grafana/generate.py            write it
    python3 deploy/grafana/generate.py --check    fail if it is not what would be written

Edit panels.py, not the JSON. A panel's id comes from its row and title, so links to a panel survive when others move.
Python 3 and nothing else.
"""

import json
import sys
import zlib
from pathlib import Path

from panels import ROWS

TARGET = Path(__file__).parent / "dashboards" / "chinwag.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24  # Grafana's grid
OPEN_ROWS = 3


def main():
    text = json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit(f"{TARGET} is stale: run python3 deploy/grafana/generate.py")
        return
    TARGET.write_text(text)


def dashboard():
    return {
        "uid": "chinwag",
        "title": "chinwag",
        "description": "Everything chinwag exports, from the users' view down to the process.",
        "tags": ["chinwag"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one crosshair for all panels
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "links": [],
        "annotations": {"list": [restarts()]},
        "templating": {"list": variables()},
        "panels": layout(),
    }


def restarts():
    return {
        "name": "Restarts",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "orange",
        "expr": 'resets(chinwag_process_uptime_seconds{job=~"$job", instance=~"$instance"}[1m]) > 0',
        "titleFormat": "restart",
        "textFormat": "{{job}} {{instance}}",
    }


def variables():
    everything = {"text": ["All"], "value": ["$__all"], "selected": True}
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "hide": 0,
            "refresh": 1,
        },
        labels("job", "Job", "label_values(chinwag_build_info, job)", everything),
        labels("instance", "Instance", 'label_values(chinwag_build_info{job=~"$job"}, instance)', everything),
        {
            "name": "quantile",
            "label": "Quantile",
            "type": "custom",
            "query": "0.5,0.9,0.95,0.99,0.999",
            "options": [
                {"text": value, "value": value, "selected": value == "0.99"}
                for value in ("0.5", "0.9", "0.95", "0.99", "0.999")
            ],
            "current": {"text": "0.99", "value": "0.99", "selected": True},
            "hide": 0,
        },
    ]


def labels(name, label, query, current):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,  # at each change of the time range: instances come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": current,
        "hide": 0,
    }


def layout():
    panels, y, used = [], 0, {}
    for number, (title, contents) in enumerate(ROWS):
        collapsed = number >= OPEN_ROWS
        row = {
            "id": identity(used, title, ""),
            "type": "row",
            "title": title,
            "collapsed": collapsed,
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            "panels": [],
        }
        panels.append(row)
        y += 1
        placed, below = place(used, title, contents, y)
        (row["panels"] if collapsed else panels).extend(placed)
        # A collapsed row takes one line until it is opened.
        y = y if collapsed else below
    return panels


def place(used, row, contents, y):
    """Left to right, and on to the next line where one does not fit."""
    x, height, placed = 0, 0, []
    for panel in contents:
        if x + panel["width"] > WIDTH:
            x, y, height = 0, y + height, 0
        position = {"x": x, "y": y, "w": panel["width"], "h": panel["height"]}
        placed.append(build(identity(used, row, panel["title"]), panel, position))
        x, height = x + panel["width"], max(height, panel["height"])
    return placed, y + height


def identity(used, row, title):
    number = zlib.crc32(f"{row}/{title}".encode()) % 1_000_000 + 1
    assert number not in used, f"{row}/{title} has the id of {used[number]}: rename one"
    used[number] = f"{row}/{title}"
    return number


def build(number, panel, position):
    assert panel["description"], panel["title"]
    return {
        "id": number,
        "type": panel["type"],
        "title": panel["title"],
        "description": panel["description"],
        "datasource": SOURCE,
        "gridPos": position,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend,
                "range": panel["type"] != "table",
                "instant": panel["type"] == "table",
                "format": panel["format"],
            }
            for index, (expression, legend) in enumerate(panel["queries"])
        ],
        "fieldConfig": {"defaults": panel["defaults"], "overrides": []},
        "options": panel["options"],
        "transformations": panel["transformations"],
    }


if __name__ == "__main__":
    main()
