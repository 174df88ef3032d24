"""What the events of a run tell of training and of tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.storage.jsonlines import read_rows

__all__ = ["Details", "Learning", "Placed", "learning_of", "read_learning", "tells_of_learning"]

_COURSE = ("trained", "published", "evaluated", "tested", "drifted")
_DETAILS = ("scored", "confused", "calibrated", "mistaken")
_N_MIXED_UP = 12
_KNOWN = (*_COURSE, *_DETAILS, "joined")


@dataclass(frozen=True)
class Placed:
    """An event, and how many images had been learned from, or tested, when it happened."""

    n_images: float
    event: Row

    @property
    def kind(self) -> str:
        """One word, such as `trained`."""
        return str(self.event["kind"])

    @property
    def step(self) -> str:
        """Name of the step that told it."""
        return str(self.event["step"])

    @property
    def figures(self) -> Mapping[str, Any]:
        """Numbers by name; None for one that is none, such as the loss of a training that broke."""
        return _figures(self.event)

    @property
    def is_of_objects(self) -> bool:
        """Whether it tells how well objects were found."""
        return "map_50" in self.figures


@dataclass(frozen=True)
class Details:
    """What one step tells at the end of the images that it tested."""

    step: str
    held_out: bool
    """Whether these are the images of the last test, or all others."""
    scored: Sequence[Row]
    """A class each, in the order of the classes; all are events, as they are in the file."""
    confused: Sequence[Row]
    calibrated: Sequence[Row]
    mistaken: Sequence[Row]

    @property
    def n(self) -> int:
        """How many images; or objects, where it is told how well these were found."""
        return sum(int(_figures(event)["n"]) for event in self.scored)

    @property
    def mixed_up(self) -> list[Row]:
        """Pairs of classes that were mixed up more than once, the most frequent first."""
        wrong = [e for e in self.confused if e["label"] != e.get("predicted")]
        often = [e for e in wrong if _figures(e)["n"] > 1]
        return sorted(often, key=lambda e: -_figures(e)["n"])[:_N_MIXED_UP]

    @property
    def is_of_objects(self) -> bool:
        """Whether they tell how well objects were found."""
        return any("n_false" in _figures(event) for event in self.scored)


@dataclass(frozen=True)
class Learning:
    """What a run tells of training and of tests; without such steps it is empty."""

    course: Sequence[Placed]
    """What happened on the way, in order."""
    details: Sequence[Details]
    """Held-out images first."""
    joined: Mapping[str, float] = field(default_factory=dict)
    """What became of labels that came later, and of their images; empty without such."""

    def of(self, kind: str) -> list[Placed]:
        """Return what happened of one kind."""
        return [placed for placed in self.course if placed.kind == kind]

    def last(self, kind: str) -> Placed | None:
        """Return what happened last of one kind; None: nothing did."""
        return next((placed for placed in reversed(self.course) if placed.kind == kind), None)

    @property
    def of_classes(self) -> "Learning":
        """The same without what tells how well objects were found."""
        return self._part(of_objects=False)

    @property
    def of_objects(self) -> "Learning":
        """What tells how well objects were found, alone."""
        return self._part(of_objects=True)

    def _part(self, *, of_objects: bool) -> "Learning":
        course = tuple(one for one in self.course if one.is_of_objects == of_objects)
        details = tuple(part for part in self.details if part.is_of_objects == of_objects)
        return replace(self, course=course, details=details)

    @property
    def labels_later(self) -> str:
        """What became of labels that came later, in words; empty without such."""
        counts = self.joined.items()
        return ", ".join(
            f"{n:.0f} {name.removeprefix('n_').replace('_', ' ')}" for name, n in counts
        )

    @property
    def serving(self) -> Placed | None:
        """The event of the last version of this run that began to serve; None: none did."""
        serves = [one for one in self.of("published") if one.figures.get("serves")]
        return serves[-1] if serves else None

    @property
    def labels(self) -> list[str]:
        """The classes that occur."""
        found = {e["class_id"]: e["label"] for part in self.details for e in part.scored}
        return [found[class_id] for class_id in sorted(found)]

    def as_dict(self) -> dict[str, Any]:
        """Return the results as plain values: without pictures, and without the way to them."""
        evaluated = self.last("evaluated")
        return {
            "all": {} if evaluated is None else dict(evaluated.figures),
            "tests": [dict(test.figures) for test in self.of("tested")],
            "published": [
                {"uri": one.event.get("uri"), "reason": one.event.get("reason"), **one.figures}
                for one in self.of("published")
            ],
            "details": [_plain(part) for part in self.details],
        }


def tells_of_learning(path: Path) -> bool:
    """Return whether a file of `JsonEvents` tells of training or of tests.

    Raises:
        SourceError: the file cannot be read, or is no file of events.
    """
    with _reading(path):
        return any(row["kind"] in _KNOWN for row in read_rows(path))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SourceError(
            f"{path}: must be a file of events, one in JSON a line, as JsonEvents writes it: "
            f"{f'a line lacks `{error.args[0]}`' if isinstance(error, KeyError) else why}"
        ) from error


def read_learning(path: Path) -> Learning:
    """Read what a file of `JsonEvents` tells of training and of tests.

    Raises:
        SourceError: the file cannot be read, or is no file of events.
    """
    with _reading(path):
        rows = [row for row in read_rows(path) if row["kind"] in _KNOWN]
    return learning_of(rows)


def learning_of(events: Sequence[Row]) -> Learning:
    """Return what events of a run, in order, tell of training and of tests."""
    rows = [row for row in events if row["kind"] in _KNOWN]
    course = [row for row in rows if row["kind"] in _COURSE]
    joined = [_figures(row) for row in rows if row["kind"] == "joined"]
    return Learning(tuple(_placed(course)), tuple(_details(rows)), joined[-1] if joined else {})


def _figures(event: Row) -> Mapping[str, Any]:
    figures: Mapping[str, Any] = event.get("figures") or {}
    return figures


def _placed(course: Sequence[Row]) -> Iterator[Placed]:
    """Yield the events with the number of images until then."""
    counts = [_count(row) for row in course]
    known = np.maximum.accumulate([0.0, *(count or 0.0 for count in counts)])
    for number, row in enumerate(course):
        count = counts[number]
        if row["kind"] == "published":
            count = _count_at(float(_figures(row).get("step") or 0), row["step"], course)
        if row["kind"] == "tested" and _is_end(course[number + 1 :]):
            count = float(known[-1])
        yield Placed(float(known[number]) if count is None else count, row)


def _count(row: Row) -> float | None:
    """Return how many images an event tells of that were learned from, or tested."""
    names = {"trained": "n_samples", "evaluated": "n", "drifted": "n"}
    value = _figures(row).get(names.get(row["kind"], ""))
    return None if value is None else float(value)


def _is_end(rest: Sequence[Row]) -> bool:
    """Return whether a test that is followed by these was the end of the run."""
    kinds = [row["kind"] for row in rest[:3] if row["kind"] in ("trained", "evaluated")]
    return len(rest) < 3 and kinds in ([], ["evaluated"])


def _count_at(step: float, name: str, course: Iterable[Row]) -> float | None:
    """Return after how many images a training made a step."""
    of = [_figures(row) for row in course if (row["kind"], row["step"]) == ("trained", name)]
    if not of:
        return None
    steps = [0.0, *(float(figures["step"]) for figures in of)]
    return float(np.interp(step, steps, [0.0, *(float(figures["n_samples"]) for figures in of)]))


def _details(rows: Sequence[Row]) -> Iterator[Details]:
    """Yield the details, by step; those of held-out images first."""
    told = [row for row in rows if row["kind"] in _DETAILS]
    groups = dict.fromkeys((row["step"], bool(_figures(row).get("held_out"))) for row in told)
    for step, held_out in sorted(groups, key=lambda group: not group[1]):
        mine = [
            row
            for row in told
            if row["step"] == step and bool(_figures(row).get("held_out")) == held_out
        ]
        scored, *others = ([row for row in mine if row["kind"] == kind] for kind in _DETAILS)
        yield Details(step, held_out, sorted(scored, key=lambda e: e["class_id"]), *others)


def _plain(part: Details) -> dict[str, Any]:
    """Return the details as plain values."""
    columns = "precision", "recall", "f1", "ap_50", "ap", "n", "n_false"
    return {
        "step": part.step,
        "held_out": part.held_out,
        "n": part.n,
        "classes": {
            e["label"]: {c: _figures(e)[c] for c in columns if c in _figures(e)}
            for e in part.scored
        },
        "confused": [
            {"label": e["label"], "predicted": e.get("predicted"), "n": _figures(e)["n"]}
            for e in part.confused
        ],
    }
