"""What a page shows: what is known of a run from outside, and what it shows of itself."""

import time
from typing import Any, Literal

from sightflow.dashboard.charts import curves_of
from sightflow.dashboard.learning import learning_of
from sightflow.dashboard.live.run import LiveRun
from sightflow.dashboard.training import tiles_of
from sightflow.records import REASONS, Row

__all__ = ["state_of"]

_N_EVENTS = 20

Status = Literal["starting", "running", "restarting", "stopping", "ended", "stopped", "failed"]


def state_of(run: LiveRun, facts: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the page shows, as plain values.

    Args:
        run: what is known of it from outside.
        facts: what it has written (`engine.showing`); None: nothing yet.
    """
    facts = facts or {}
    ledger = facts.get("ledger") or dict.fromkeys(("read", "recognised", "rejected", "skipped"), 0)
    return {
        "run": {
            "id": str(round(run.started * 1e3)),
            "name": run.name,
            "status": _status(run, facts),
            "stage": None,
            "message": run.message,
            "runner": run.runner,
            "workers": run.workers,
            "started_ms": round(run.started * 1e3),
            "now_ms": round(time.time() * 1e3),
            "restarts": max(0, facts.get("n_begun", 0) - 1),
        },
        "ledger": {**ledger, "total": run.total},
        "rejected": {
            "reasons": [
                {**one, "meaning": REASONS.get(one["reason"], "")}
                for one in facts.get("reasons", ())
            ],
            "last": facts.get("rejected", []),
        },
        "speed": facts.get("speed") or {"now": None, "times_ms": [], "images_per_s": []},
        "counts": facts.get("counts") or _NOTHING_COUNTED,
        "n_sources": facts.get("n_sources", 0),
        "latency": facts.get("latency"),
        **{name: facts.get(name, []) for name in ("models", "sources", "recognitions", "events")},
        "learning": _learning(facts.get("course") or []),
    }


_NOTHING_COUNTED: dict[str, Any] = {
    "bucket_ms": 1000,
    "starts_ms": [],
    "labels": [],
    "n_labels": 0,
    "what": "pictures",
}


def _status(run: LiveRun, facts: dict[str, Any]) -> Status:
    if run.is_over:
        return run.status
    if not facts:
        return "starting"
    is_read = run.total is not None and facts["ledger"]["read"] == run.total
    if facts["is_open"] or is_read:
        return "running"
    return "restarting" if run.can_restart else "stopping"


def _learning(course: list[Row]) -> dict[str, Any] | None:
    """Return how learning goes; None where nothing learns."""
    if not course:
        return None
    learning = learning_of(course)
    newest = [one.event for one in reversed(learning.course)]
    published = [event for event in newest if event["kind"] == "published"]
    alarms = [event for event in newest if event["kind"] == "drifted"]
    return {
        "tiles": tiles_of(learning),
        "charts": [chart.as_dict() for chart in curves_of(learning)],
        "published": published[:_N_EVENTS],
        "alarms": alarms[:_N_EVENTS],
    }
