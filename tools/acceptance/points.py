"""What is to be shown, and the runs that make the figures: as the files in `points` have it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

__all__ = ["Goal", "Plan", "Point", "Run", "Subject", "read_plan"]

T = TypeVar("T")

POINTS = Path(__file__).with_name("points")

GOALS = {
    "at least": "at least N",
    "at most": "at most N",
    "is": "is N",
    "above each": "above each of the others",
    "below each": "below each of the others",
    "at least each": "at least each of the others",
    "measured": "measured",
    "pass": "pass",
}
"""How a goal begins, and how it is written."""


class Goal(msgspec.Struct, frozen=True):
    """What a figure must be."""

    kind: str
    """One of `GOALS`."""
    number: float | None
    """Of the goals that have one."""

    @classmethod
    def read(cls, text: str) -> "Goal":
        """Read a goal in words.

        Raises:
            ValueError: the words are no goal.
        """
        for kind, form in GOALS.items():
            if text == form or (form.endswith(" N") and re.fullmatch(rf"{kind} -?[\d.]+", text)):
                return cls(kind, float(text.split()[-1]) if form.endswith(" N") else None)
        raise ValueError(f"a goal is one of: {'; '.join(GOALS.values())}; got {text!r}")


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command that makes figures."""

    command: str
    """`make ...`; DATA in it is the folder of data sets."""
    writes: str
    """Its file in `benchmarks/results`."""
    minutes: float
    """How long it takes, about."""
    kind: Literal["benchmark", "command", "tests"] = "benchmark"
    """A benchmark writes its file itself; of a command the exit status is kept, of tests what each
    gave."""
    short: bool = False
    """It belongs to what runs when nothing is named: it takes minutes and needs no data."""
    torch: bool = False
    """It needs PyTorch."""

    @property
    def needs_data(self) -> bool:
        """Say whether it needs data sets that are not part of the project."""
        return re.search(r"\bDATA\b", self.command) is not None


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to be shown."""

    what: str
    goal: str
    run: str
    """Name of the run that makes its figure."""
    figure: str = ""
    """Path of the figure in the file of the run; `find` knows the form."""
    over: str = ""
    """Path of what the figure is divided by."""
    minus: str = ""
    """Path of what is taken from the figure."""
    others: str = ""
    """Path of what the figure is compared with."""
    take: Literal["", "median", "count", "most", "least"] = ""
    """What becomes of several values; `count` counts what is in their lists."""
    times: float = 1
    digits: int | None = None
    """Digits behind the point: a figure is compared as it is shown."""
    unit: str = ""
    tests: tuple[str, ...] = ()
    """Tests that must pass, by file and function, or whole files."""
    reason: str = ""
    """Why the goal is missed, where it is: a name in the plan."""


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Points that belong together."""

    subject: str
    points: tuple[Point, ...]


class Shared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `plan.yaml` has."""

    words: Mapping[str, str]
    """How names in the reports are shown."""
    runs: Mapping[str, Run]
    reasons: Mapping[str, str]
    """Why goals are missed, by name."""
    subjects: tuple[str, ...]
    """Files of the subjects, without `.yaml`."""
    by_people: tuple[str, ...]
    """What no command can show."""


@dataclass(frozen=True)
class Plan:
    """All runs and all points."""

    shared: Shared
    subjects: tuple[Subject, ...]

    def points(self) -> Iterator[Point]:
        """Yield the points of all subjects."""
        return (point for subject in self.subjects for point in subject.points)

    def tests(self) -> list[str]:
        """Return all tests that a point names, each once."""
        return list(dict.fromkeys(test for point in self.points() for test in point.tests))


def read_plan(folder: Path = POINTS) -> Plan:
    """Read and check the plan.

    Raises:
        ValueError: a file has not the form, or names what there is not.
    """
    shared = _read(folder / "plan.yaml", Shared)
    subjects = tuple(_read(folder / f"{name}.yaml", Subject) for name in shared.subjects)
    for name, subject in zip(shared.subjects, subjects, strict=True):
        for point in subject.points:
            _check(point, shared, f"{name}.yaml, {point.what!r}")
    return Plan(shared, subjects)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.yaml.decode(path.read_text("utf-8"), type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _check(point: Point, shared: Shared, where: str) -> None:
    """Refuse a point that cannot be judged."""
    try:
        Goal.read(point.goal)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if point.run not in shared.runs:
        raise ValueError(f"{where}: `run` must be one of plan.yaml; got {point.run!r}")
    if point.reason and point.reason not in shared.reasons:
        raise ValueError(f"{where}: `reason` must be one of plan.yaml; got {point.reason!r}")
    if bool(point.tests) == bool(point.figure):
        raise ValueError(f"{where}: needs either `figure` or `tests`")
