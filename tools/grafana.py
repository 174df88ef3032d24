"""Write the dashboard of Grafana, deploy/grafana/sightflow.json, from the list of its panels.

    python tools/grafana.py

Names of metrics, and what they mean: docs/how-to/metrics.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = ROOT / "deploy" / "grafana" / "sightflow.json"

OURS = "flink_taskmanager_job_task_operator_sightflow_"
TASK = "flink_taskmanager_job_task_"
JOB = "flink_jobmanager_job_"
JVM = "flink_taskmanager_Status_JVM_"
N_COLUMNS, HEIGHT = 24, 8


@dataclass(frozen=True)
class Panel:
    """Curves over time, or the last values of them."""

    title: str
    unit: str
    """As Grafana names it."""
    queries: dict[str, str]
    """PromQL by the legend, in which `{{label}}` is a label."""
    meaning: str
    kind: str = "timeseries"
    width: int = 8
    """Of 24."""
    shown: str = "value_and_name"
    """Of last values."""


@dataclass(frozen=True)
class Row:
    """Panels below one headline."""

    title: str
    panels: tuple[Panel, ...]


def ours(name: str, operator: str, more: str = "") -> str:
    """Return the selector of a metric of Sightflow, of one of its operators."""
    return f'{OURS}{name}{{job_name=~"$job",operator_name=~".*{operator}.*"{more}}}'


def flinks(name: str) -> str:
    """Return the selector of a metric of Flink that belongs to a job."""
    return f'{name}{{job_name=~"$job"}}'


def rate(selector: str, by: str = "job_name") -> str:
    """Return how much a counter grows in a second."""
    return f"sum by ({by}) (rate({selector}[$__rate_interval]))"


def worst(name: str, operator: str) -> dict[str, str]:
    """Return median and 99th percentile of a distribution in the worker that has the largest."""
    quantiles = ',quantile=~"0.5|0.99"'
    query = f"max by (job_name, quantile) ({ours(name, operator, quantiles)})"
    return {"{{job_name}} {{quantile}}": query}


def share(name: str) -> str:
    """Return a measure that Flink keeps in millionths."""
    return f"max by (job_name) ({ours(f'{name}_millionths', 'remember')}) / 1e6"


DELIVERED = {name: rate(ours(name, "deliver")) for name in ("recognised", "rejected", "skipped")}
LEDGER = {
    name: f"sum by (job_name) ({ours(name, 'deliver')})"
    for name in ("read", "recognised", "rejected", "skipped")
}
NEWEST = ours("source_id_newest_event_time_ms", "deliver")
REASONS = rate(ours("step_reason_rejected", "deliver"), "job_name, step, reason")
IN_USE = ours("step_model_version_in_use", "deliver")

ROWS = (
    Row(
        "Images",
        (
            Panel(
                "Images a second",
                "short",
                {f"{{{{job_name}}}} {name}": query for name, query in DELIVERED.items()},
                "What went to the sinks, and what was left out.",
            ),
            Panel(
                "Rejected by reason",
                "short",
                {"{{step}}: {{reason}}": REASONS},
                "Images a second that could not be recognised, by step and reason.",
            ),
            Panel(
                "Ledger",
                "short",
                {f"{{{{job_name}}}} {name}": query for name, query in LEDGER.items()},
                "Images since the job began: read = recognised + rejected + skipped.",
                "stat",
            ),
            Panel(
                "Latency",
                "µs",
                worst("latency_us", "deliver"),
                "From reading an image until its result went to the sinks.",
            ),
            Panel(
                "Age of the newest image",
                "s",
                {"{{source_id}}": f"time() - max by (job_name, source_id) ({NEWEST}) / 1000"},
                "Of each stream, among those whose results went to the sinks.",
            ),
            Panel(
                "Cameras that connect again",
                "short",
                {"{{job_name}}": rate(ours("reconnects", "read"))},
                "Lost connections a second.",
            ),
        ),
    ),
    Row(
        "Recognition",
        (
            Panel(
                "Queue",
                "µs",
                worst("queue_us", "recognise"),
                "From reading an image of a stream to its turn in a worker.",
                width=6,
            ),
            Panel("Decode", "µs", worst("decode_us", "recognise"), "Decoding one image.", width=6),
            Panel(
                "Inference",
                "µs",
                worst("inference_us", "recognise"),
                "One call of a model, with the wait for other workers where calls are merged.",
                width=6,
            ),
            Panel(
                "Batch size",
                "short",
                worst("batch_size", "recognise"),
                "Images in one call of the steps.",
                width=6,
            ),
        ),
    ),
    Row(
        "Models and learning",
        (
            Panel(
                "Models in use",
                "short",
                {"{{step}}: {{model}} {{version}}": f"sum by (step, model, version) ({IN_USE})"},
                "By which version each step made its newest result.",
                "stat",
                shown="name",
            ),
            Panel(
                "Accuracy",
                "percentunit",
                {
                    "{{job_name}} all": share("accuracy"),
                    "{{job_name}} window": share("window_accuracy"),
                },
                "Of images that were tested before they were learned from.",
            ),
            Panel(
                "Loss",
                "short",
                {
                    "{{job_name}} of training": share("loss"),
                    "{{job_name}} log loss of tests": share("log_loss"),
                },
                "As they are now.",
            ),
        ),
    ),
    Row(
        "Flink",
        (
            Panel(
                "Checkpoints",
                "ms",
                {"{{job_name}}": flinks(f"{JOB}lastCheckpointDuration")},
                "How long the last one took.",
            ),
            Panel(
                "Checkpoints that failed, and restarts",
                "short",
                {
                    "{{job_name}} failed": flinks(f"{JOB}numberOfFailedCheckpoints"),
                    "{{job_name}} restarts": flinks(f"{JOB}numRestarts"),
                },
                "Since the job began.",
            ),
            Panel(
                "Backpressure",
                "percentunit",
                {
                    "{{task_name}}": "max by (job_name, task_name) "
                    f"({flinks(f'{TASK}backPressuredTimeMsPerSecond')}) / 1000"
                },
                "Part of the time in which a task waits for those behind it.",
            ),
            Panel(
                "Memory of Java",
                "bytes",
                {
                    "heap {{tm_id}}": f"{JVM}Memory_Heap_Used",
                    "other {{tm_id}}": f"{JVM}Memory_NonHeap_Used",
                },
                "Without Python, its models and its pictures.",
                width=12,
            ),
            Panel(
                "Processor",
                "percentunit",
                {"{{tm_id}}": f"{JVM}CPU_Load"},
                "Part of all cores that the process uses, Python with it.",
                width=12,
            ),
        ),
    ),
)

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = [
    {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
    {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({JOB}uptime, job_name)", "refId": "jobs"},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    },
]


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "sightflow",
        "title": "Sightflow",
        "tags": ["sightflow", "flink"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "templating": {"list": VARIABLES},
        "panels": list(_placed()),
    }


def _placed() -> Iterator[dict[str, Any]]:
    """Yield headlines and panels, each with its number and place, from left to right."""
    number, y = 0, 0
    for row in ROWS:
        number += 1
        place = {"x": 0, "y": y, "w": N_COLUMNS, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "gridPos": place,
            "panels": [],
            "collapsed": False,
        }
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > N_COLUMNS:
                x, y = 0, y + HEIGHT
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
            yield {"id": number, "gridPos": place, **_drawn(panel)}
            x += panel.width
        y += HEIGHT


def _drawn(panel: Panel) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + i),
            "datasource": DATASOURCE,
            "expr": query,
            "legendFormat": legend,
        }
        for i, (legend, query) in enumerate(panel.queries.items())
    ]
    defaults = {"unit": panel.unit, "min": 0}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": targets,
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": panel.shown,
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def text() -> str:
    """Return the file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(text(), "utf-8")
