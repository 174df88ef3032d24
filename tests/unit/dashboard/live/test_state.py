"""What the page is told."""

from typing import Any

import pytest

from sightflow.dashboard.live.run import LiveRun
from sightflow.dashboard.live.state import state_of


def a_run(**changes: Any) -> LiveRun:
    return LiveRun(**{"name": "job", "runner": "flink", "workers": 2, "started": 5.0, **changes})


def facts(**changes: Any) -> dict[str, Any]:
    ledger = {"read": 3, "recognised": 2, "rejected": 1, "skipped": 0}
    return {"ledger": ledger, "is_open": True, "n_begun": 1, **changes}


def test_before_the_run_shows_anything_it_is_starting() -> None:
    state = state_of(a_run(), None)
    assert state["run"]["status"] == "starting"
    assert state["ledger"] == {
        "read": 0,
        "recognised": 0,
        "rejected": 0,
        "skipped": 0,
        "total": None,
    }
    assert state["learning"] is None
    assert state["recognitions"] == []


@pytest.mark.parametrize(
    ("run", "shown", "status"),
    [
        (a_run(), facts(), "running"),
        (a_run(can_restart=True), facts(is_open=False), "restarting"),
        (a_run(), facts(is_open=False), "stopping"),
        (a_run(total=3), facts(is_open=False), "running"),  # all is read, and output appears
        (a_run(status="ended"), facts(is_open=False), "ended"),
        (a_run(status="failed", message="no"), None, "failed"),
        (a_run(status="stopped"), facts(), "stopped"),
    ],
)
def test_the_state_of_a_run_is_told(run: LiveRun, shown: Any, status: str) -> None:
    told = state_of(run, shown)["run"]
    assert (told["status"], told["message"]) == (status, run.message)


def test_restarts_are_counted() -> None:
    assert state_of(a_run(), facts(n_begun=3))["run"]["restarts"] == 2


def test_reasons_are_told_with_their_meaning_where_that_is_known() -> None:
    reasons = [
        {"step": "decode", "reason": "corrupt", "n": 2},
        {"step": "mine", "reason": "boring", "n": 1},
    ]
    told = state_of(a_run(), facts(reasons=reasons))["rejected"]["reasons"]
    assert [one["meaning"] for one in told] == ["The file is damaged or cut short.", ""]


def test_how_learning_goes_is_told_as_figures_charts_versions_and_alarms() -> None:
    def event(kind: str, **figures: float) -> dict[str, Any]:
        place = {"source_id": "s", "sequence": 0, "event_time_ms": 0}
        return {"kind": kind, "step": "train", **place, "figures": figures}

    course = [
        event("trained", step=1, n_samples=8, loss=0.5, rate=0.1),
        event("evaluated", n=8, accuracy=0.5, window_n=8, window_accuracy=0.75),
        {**event("published", step=1, version=1, serves=1), "uri": "m@1", "reason": "better"},
        event("drifted", n=8, before=0.9, after=0.5),
    ]
    learning = state_of(a_run(), facts(course=course))["learning"]
    assert {"name": "window", "value": "75.0 %", "note": "of 8 images right"} in learning["tiles"]
    assert [chart["title"] for chart in learning["charts"]] == [
        "Accuracy",
        "Loss and learning rate",
    ]
    assert [event["uri"] for event in learning["published"]] == ["m@1"]
    assert len(learning["alarms"]) == 1
