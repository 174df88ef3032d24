"""Where two results of the same images differ: in figures, line by line, and the greatest ones."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sightflow.metrics.agreement import (
    ASPECTS,
    Agreement,
    Change,
    Comparer,
    ImageAgreement,
    Said,
    mcnemar,
)
from sightflow.records import Row
from sightflow.replay.pairs import Reasons, pairs
from sightflow.replay.survey import Survey
from sightflow.sources.recorded import Recorded
from sightflow.storage.naming import VIDEO_SUFFIXES
from sightflow.storage.resultfiles import read_results

__all__ = ["Compared", "Course", "Difference", "Greatest", "Verdict", "compared"]

_MAX_PARTS = 64
_SCENE_MS = 2_000
"""Of a video one frame in such a time is enough to see what differs."""


@dataclass(frozen=True)
class Compared:
    """One image, and what both results say of it."""

    a: Row | None
    """The first result; None where it was rejected."""
    b: Row | None
    agreement: ImageAgreement | None = None
    """None where one of them has none."""
    rejected: Mapping[str, Any] | None = None
    """Step, reason and message where one was rejected, if they are known."""

    @property
    def row(self) -> Row:
        """One of the rows, for what both have."""
        row = self.b if self.a is None else self.a
        assert row is not None
        return row

    @property
    def kind(self) -> str:
        """`same`, `differed`, `only_a` or `only_b`."""
        if self.agreement is None:
            return "only_a" if self.b is None else "only_b"
        return "same" if self.agreement.is_same else "differed"

    def as_row(self) -> dict[str, Any]:
        """Return it as a line of the file of differences."""
        names = "uri", "source_id", "sequence", "event_time_ms", "label"
        line = {name: self.row[name] for name in names if name in self.row}
        line |= {"kind": self.kind, "a": _found(self.a), "b": _found(self.b)}
        if self.agreement is not None:
            line["difference"] = round(self.agreement.difference, 6)
            line["counts"] = self.agreement.counts()
            line["changes"] = [_change(one) for one in self.agreement.changes if one.kind != "kept"]
            if self.agreement.is_resized:
                line["sizes"] = [[r["width"], r["height"]] for r in (self.a, self.b) if r]
        if self.rejected is not None:
            line["rejected"] = dict(self.rejected)
        return line


def compared(recorded: Recorded, results: str, comparer: Comparer) -> Iterator[Compared]:
    """Yield all images that were recognised at least once, in the order of the first results.

    Args:
        recorded: the first results.
        results: the second ones, of the same images.
        comparer: what decides whether they are the same.

    Raises:
        SourceError: results cannot be read.
    """
    by_a, by_b = Reasons(recorded.path), Reasons(results)
    for a, b in pairs(lambda: recorded.inputs().rows(), lambda: read_results(results)):
        if a is not None and b is not None:
            yield Compared(a, b, comparer.compare(a, b))
        elif a is not None:
            yield Compared(a, None, rejected=by_b.of(a["uri"]))
        elif b is not None:
            yield Compared(None, b, rejected=by_a.of(b["uri"]))


@dataclass
class Verdict:
    """Who is right about the class of images whose label is known."""

    both: int = 0
    only_a: int = 0
    only_b: int = 0
    neither: int = 0

    @property
    def n(self) -> int:
        """How many images."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def p_value(self) -> float:
        """How likely such a difference is by chance; see `mcnemar`."""
        return mcnemar(self.only_a, self.only_b)

    def add(self, label: str, a: Row, b: Row) -> None:
        """Add an image."""
        is_right = [bool(row["classification"]) and _best(row) == label for row in (a, b)]
        self.both += all(is_right)
        self.only_a += is_right == [True, False]
        self.only_b += is_right == [False, True]
        self.neither += not any(is_right)


@dataclass
class Course:
    """How much agrees along the input: parts of it, in order, as large as each other.

    There are never more than 64: then two are made one, and all that follow are twice as large.
    """

    parts: list[tuple[int, int]] = field(default_factory=list)
    """Images of each part, and how many of them are the same; the last one may have fewer."""
    _size: int = 1

    def add(self, *, is_same: bool) -> None:
        """Add the next image."""
        if not self.parts or self.parts[-1][0] == self._size:
            if len(self.parts) == _MAX_PARTS:
                halves = self.parts[::2], self.parts[1::2]
                self.parts = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(*halves, strict=True)]
                self._size *= 2
            self.parts.append((0, 0))
        n, n_same = self.parts[-1]
        self.parts[-1] = n + 1, n_same + is_same


class Greatest:
    """The images that differ most, so many of them; of a video not one frame after the other."""

    def __init__(self, n: int) -> None:
        """Begin with none."""
        self._n = n
        self._found: dict[Any, tuple[float, int, Compared]] = {}
        self._n_seen = 0

    def add(self, one: Compared) -> None:
        """Take an image, unless one of its scene differs more."""
        if one.agreement is None or not self._n:
            return
        self._n_seen += 1
        entry = one.agreement.difference, -self._n_seen, one
        scene = _scene(one.row)
        if scene not in self._found or self._found[scene][:2] < entry[:2]:
            self._found[scene] = entry
        if len(self._found) > 4 * self._n:
            self._found = dict(self._best())

    def images(self) -> list[Compared]:
        """Return them, the greatest difference first; of equal ones in their order."""
        return [one for _, (_, _, one) in self._best()]

    def _best(self) -> list[tuple[Any, tuple[float, int, Compared]]]:
        ranked = sorted(self._found.items(), key=lambda item: item[1][:2], reverse=True)
        return ranked[: self._n]


@dataclass
class Difference:
    """What two results of the same images have in common, and what not."""

    course: Course
    greatest: Greatest
    agreement: Agreement = field(default_factory=Agreement)
    verdict: Verdict = field(default_factory=Verdict)
    only_a: list[Compared] = field(default_factory=list)
    """Of the images that the second run rejected the first ones."""
    only_b: list[Compared] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("same", "differed", "only_a", "only_b"), 0)
    )
    b: Survey = field(default_factory=Survey)
    """What the second results hold."""

    def add(self, one: Compared, label_of: Callable[[Row], str | None]) -> None:
        """Add an image, whose label `label_of` knows, or not."""
        self.counts[one.kind] += 1
        self.course.add(is_same=one.kind == "same")
        if one.b is not None:
            self.b.add(one.b)
        if one.agreement is None or one.a is None or one.b is None:
            shown = self.only_a if one.b is None else self.only_b
            if len(shown) < _MAX_SHOWN:
                shown.append(one)
            return
        self.agreement.update(one.agreement)
        label = label_of(one.a)
        if label is not None and "classification" in one.agreement.aspects:
            self.verdict.add(label, one.a, one.b)
        if not one.agreement.is_same:
            self.greatest.add(one)


_MAX_SHOWN = 20


def _best(row: Row) -> str:
    label: str = row["classification"][0]["label"]
    return label


def _scene(row: Row) -> Any:
    if row["uri"].lower().endswith(VIDEO_SUFFIXES):
        return row["uri"], row["event_time_ms"] // _SCENE_MS
    return row["source_id"], row["sequence"]


def _found(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in ASPECTS if name in row}


def _change(change: Change) -> dict[str, Any]:
    line: dict[str, Any] = {"kind": change.kind, "a": _said(change.a), "b": _said(change.b)}
    if change.iou is not None:
        line["iou"] = round(change.iou, 6)
    if change.rank_b is not None:
        line["rank_b"] = change.rank_b
    return line


def _said(said: Said | None) -> dict[str, Any] | None:
    if said is None:
        return None
    box = {} if said.box_xyxy is None else {"box_xyxy": list(said.box_xyxy)}
    return {"label": said.label, "score": said.score, **box}
