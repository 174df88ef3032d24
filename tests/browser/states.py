"""States of a run, as the live page gets them, with what does not matter filled in."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "a_detection",
    "a_face",
    "a_learning",
    "a_row",
    "a_source",
    "a_state",
    "an_event",
    "counts_of",
]

START_MS = 1_795_534_794_820
State = dict[str, Any]


def a_state(*, status: str = "running", message: str | None = None, **parts: Any) -> State:
    """Return a state; `run` and `ledger` name only what is different, other parts are as given."""
    run = {
        "id": "1",
        "name": "sightflow track",
        "status": status,
        "message": message,
        "stage": None,
        "runner": "flink",
        "workers": 2,
        "started_ms": START_MS,
        "now_ms": START_MS + 65_000,
        "restarts": 0,
    }
    ledger = {"read": 0, "recognised": 0, "rejected": 0, "skipped": 0, "total": None}
    state = {
        "rejected": {"reasons": [], "last": []},
        "speed": {"now": None, "times_ms": [], "images_per_s": []},
        "latency": None,
        "models": [],
        "sources": [],
        "n_sources": len(parts.get("sources", ())),
        "recognitions": [],
        "events": [],
        "counts": counts_of({}),
        "learning": None,
    }
    given = {"run": run | parts.pop("run", {}), "ledger": ledger | parts.pop("ledger", {})}
    return state | parts | given


def a_row(sequence: int = 0, **fields: Any) -> State:
    """Return a row of results."""
    where = {"uri": "street.mp4", "source_id": "street.mp4", "sequence": sequence}
    return {**where, "event_time_ms": 40 * sequence, "width": 1280, "height": 720, **fields}


def a_detection(label: str = "car", score: float = 0.91, **fields: Any) -> State:
    """Return an object that was found."""
    box = [100.0, 100.0, 300.0, 200.0]
    return {"label": label, "class_id": 2, "score": score, "box_xyxy": box, **fields}


def a_face(**fields: Any) -> State:
    """Return a face."""
    points = [[620.0, 110.0], [660.0, 110.0]]
    return {
        "score": 0.99,
        "box_xyxy": [600.0, 80.0, 680.0, 180.0],
        "landmarks_xy": points,
        **fields,
    }


def a_source(version: int = 1, *, slot: int = 0, row: Mapping[str, Any] | None = None) -> State:
    """Return a source with its newest picture."""
    row = a_row() if row is None else row
    sizes = {"width": row["width"], "height": row["height"]}
    return {"slot": slot, "source_id": row["source_id"], "version": version, **sizes, "row": row}


def an_event(kind: str = "appeared", sequence: int = 0, **fields: Any) -> State:
    """Return an event."""
    where = {"step": "track", "source_id": "street.mp4", "sequence": sequence}
    return {"kind": kind, **where, "event_time_ms": 40 * sequence, **fields}


def counts_of(numbers: Mapping[str, Sequence[int]], *, start_ms: int = 0) -> State:
    """Return how many there were of each class in each second."""
    n = max(map(len, numbers.values()), default=0)
    labels = [{"label": label, "n": [*of], "total": sum(of)} for label, of in numbers.items()]
    return {
        "bucket_ms": 1000,
        "starts_ms": [start_ms + 1000 * i for i in range(n)],
        "labels": labels,
        "n_labels": len(labels),
        "what": "objects",
    }


def a_learning(**parts: Any) -> State:
    """Return what is told of a network that learns."""
    window = {"label": "window", "x": [8, 16, 24], "y": [0.5, None, 0.75]}
    loss = {"label": "loss", "x": [8, 16, 24], "y": [1.5, 1.25, 0.5]}
    charts = [
        {
            "title": "Accuracy",
            "curves": [{**window, "scale": "share", "colour": "--first", "points": False}],
            "marks": [{"x": 16, "kind": "drifted"}],
        },
        {
            "title": "Loss and learning rate",
            "curves": [{**loss, "scale": "loss", "colour": "--second", "points": False}],
            "marks": [{"x": 20, "kind": "published"}],
        },
    ]
    figures = {"version": 2, "step": 3, "serves": 1, "accuracy": 0.75}
    published = [an_event("published", figures=figures, reason="better on the same images")]
    tiles = [{"name": "window", "value": "75.0 %", "note": "of 500 images right"}]
    learning = {"tiles": tiles, "charts": charts, "published": published, "alarms": []}
    return learning | parts
