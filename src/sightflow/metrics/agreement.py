"""How far two results of the same image agree: its class, its objects, its faces."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.metrics.matching import overlaps
from sightflow.options import check_number
from sightflow.records import Row
from sightflow.records.rows import name_of

__all__ = [
    "ASPECTS",
    "MIN_MOVED_IOU",
    "Agreement",
    "Change",
    "ClassAgreement",
    "Comparer",
    "ImageAgreement",
    "Said",
    "ScoreChanges",
    "mcnemar",
]

Flags: TypeAlias = npt.NDArray[np.bool_]
Pair: TypeAlias = tuple[int, int]
Items: TypeAlias = Sequence[Row]

ASPECTS = ("classification", "detections", "tracks", "faces")
"""Fields of a result that are compared; where there are tracks, detections are not."""

MIN_MOVED_IOU = 0.1
"""An object that overlaps one of its label less than `min_iou`, but so much, has moved."""

_BINS = 20


@dataclass(frozen=True, slots=True)
class Said:
    """What a result says: the best class of an image, or an object or a face in it."""

    label: str
    score: float
    """In [0, 1]."""
    box_xyxy: Sequence[float] | None = None
    """In pixels of the image; None of a class."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an object, a face, or the best class, from the first result to the second."""

    kind: str
    """`kept`, `moved`, `relabelled`, `lost` or `gained`."""
    a: Said | None
    """In the first result; None where it is not there."""
    b: Said | None
    """In the second."""
    iou: float | None = None
    """Of the two boxes, in [0, 1]."""
    rank_b: int | None = None
    """Of a class: the place of the first result's best class in the second, from 1."""

    @property
    def is_of_class(self) -> bool:
        """Whether it is about the best class of the image."""
        return all(said is None or said.box_xyxy is None for said in (self.a, self.b))

    @property
    def weight(self) -> float:
        """How much of a difference it makes: score that is gone, or new, or changed its name."""
        if self.kind == "kept":
            return 0.0
        most = max(said.score for said in (self.a, self.b) if said is not None)
        return most * (1 - (self.iou or 0.0)) if self.kind == "moved" else most


@dataclass(frozen=True, slots=True)
class ImageAgreement:
    """How far two results of one image agree."""

    aspects: tuple[str, ...]
    """What of `ASPECTS` both have."""
    changes: tuple[Change, ...]
    """Of all objects, those that were kept as well, and of the best class."""
    is_resized: bool = False
    """Whether the image has another size now: another file is there."""

    @property
    def is_same(self) -> bool:
        """Whether all is kept; scores may differ."""
        return all(change.kind == "kept" for change in self.changes)

    @property
    def difference(self) -> float:
        """How much differs: the sum of the weights of all changes."""
        return sum(change.weight for change in self.changes)

    def counts(self) -> dict[str, int]:
        """Return how many changes of each kind there are."""
        return dict(Counter(change.kind for change in self.changes))


@dataclass(frozen=True)
class Comparer:
    """Compares two results of one image."""

    min_iou: float = 0.5
    """Boxes that overlap so much are at the same place, in (0, 1]."""

    def __post_init__(self) -> None:
        """Refuse what is no overlap."""
        check_number(self, "min_iou", within="(0, 1]")

    def compare(self, a: Row, b: Row) -> ImageAgreement:
        """Return how far two results of one image agree.

        Classes: the best one is the same or not. Objects and tracks: see `match`; ids of tracks are
        not compared. A light or a sign has the label of what it is said to show as well. Faces are
        matched as objects whose label is the person.
        """
        aspects = _aspects(a, b)
        changes: list[Change] = []
        for aspect in aspects:
            if aspect == "classification":
                changes.extend(_class_change(a[aspect], b[aspect]))
            else:
                changes.extend(self.match(a[aspect], b[aspect]))
        size_a, size_b = ((row.get("width"), row.get("height")) for row in (a, b))
        return ImageAgreement(aspects, tuple(changes), size_a != size_b)

    def match(self, a: Items, b: Items) -> list[Change]:
        """Match the objects of two results, each with at most one of the other; best overlap first.

        Kept: the same label at the same place, an overlap of `min_iou`. Then, of those that are
        left, relabelled: another label at the same place; moved: the same label with an overlap of
        `MIN_MOVED_IOU`. What is left of the first result is lost, of the second gained.
        """
        said = [_said(item) for item in a], [_said(item) for item in b]
        shares = _shares(*said)
        labels = [np.array([one.label for one in side], object) for side in said]
        is_same = np.equal.outer(*labels).astype(bool)
        rules = (
            ("kept", shares >= self.min_iou, is_same),
            ("relabelled", shares >= self.min_iou, ~is_same),
            ("moved", shares >= min(MIN_MOVED_IOU, self.min_iou), is_same),
        )
        free = np.ones(len(a), bool), np.ones(len(b), bool)
        changes = [
            Change(kind, said[0][i], said[1][j], float(shares[i, j]))
            for kind, fits, of_label in rules
            for i, j in _greedy(np.where(fits & of_label, shares, 0.0), free)
        ]
        changes.extend(Change("lost", said[0][i], None) for i in np.flatnonzero(free[0]))
        changes.extend(Change("gained", None, said[1][j]) for j in np.flatnonzero(free[1]))
        return changes


@dataclass
class ClassAgreement:
    """What became of the objects, faces or best classes with one label."""

    n_a: int = 0
    """In the first results."""
    n_b: int = 0
    kept: int = 0
    moved: int = 0
    lost: int = 0
    """Of the first results, those that the second do not have under any label."""
    gained: int = 0
    became: int = 0
    """Those that had another label in the first results."""
    was: int = 0
    """Those that have another label in the second."""


@dataclass
class ScoreChanges:
    """How scores of what was kept have changed: the second one less the first."""

    n: int = 0
    total: float = 0.0
    moved: float = 0.0
    """Sum without regard to the sign."""
    bins: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """int64 [20]: how many there are in each part of [-1, 1]."""

    def add(self, change: float) -> None:
        """Add a change, in [-1, 1]."""
        self.n += 1
        self.total += change
        self.moved += abs(change)
        self.bins[min(_BINS - 1, max(0, int((change + 1) / 2 * _BINS)))] += 1

    @property
    def mean(self) -> float:
        """How much a score has changed on average, in [-1, 1]; of none it is 0."""
        return self.total / max(1, self.n)

    @property
    def mean_moved(self) -> float:
        """The same without regard to the sign, in [0, 1]."""
        return self.moved / max(1, self.n)


@dataclass
class Agreement:
    """How far the results of many images agree, image by image.

    Examples:
        >>> agreement = Agreement()
        >>> a, b = {"classification": [{"label": "cat", "score": 0.9}]}, {"classification": []}
        >>> agreement.update(Comparer().compare(a, a))
        >>> agreement.update(Comparer().compare(a, b))
        >>> agreement.n, agreement.n_same, agreement.rate
        (2, 1, 0.5)
    """

    n: int = 0
    """Images of which both have a result."""
    n_same: int = 0
    n_resized: int = 0
    aspects: set[str] = field(default_factory=set)
    """What of `ASPECTS` was compared."""
    kinds: Counter[str] = field(default_factory=Counter)
    """How many objects, faces and best classes were `kept`, `moved` and so on."""
    classes: dict[str, ClassAgreement] = field(default_factory=dict)
    """By label."""
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many were relabelled from one label to another."""
    scores: ScoreChanges = field(default_factory=ScoreChanges)

    @property
    def rate(self) -> float:
        """Share of images whose results are the same, in [0, 1]; of none it is 0."""
        return self.n_same / max(1, self.n)

    def update(self, image: ImageAgreement) -> None:
        """Add an image."""
        self.n += 1
        self.n_same += image.is_same
        self.n_resized += image.is_resized
        self.aspects.update(image.aspects)
        for change in image.changes:
            self._add(change)

    def _add(self, change: Change) -> None:
        self.kinds[change.kind] += 1
        a, b = change.a, change.b
        if a is not None:
            self._count(a.label, "n_a", _OF_FIRST.get(change.kind))
        if b is not None:
            self._count(b.label, "n_b", _OF_SECOND.get(change.kind))
        if a is not None and b is not None and change.kind == "relabelled":
            self.transitions[a.label, b.label] += 1
        if a is not None and b is not None and change.kind == "kept":
            self.scores.add(b.score - a.score)

    def _count(self, label: str, *names: str | None) -> None:
        found = self.classes.setdefault(label, ClassAgreement())
        for name in names:
            if name is not None:
                setattr(found, name, getattr(found, name) + 1)


_OF_FIRST = {"kept": "kept", "moved": "moved", "lost": "lost", "relabelled": "was"}
_OF_SECOND = {"gained": "gained", "relabelled": "became"}


def mcnemar(n_first: int, n_second: int) -> float:
    """Return how likely such a difference is by chance, if both are equally often right.

    Args:
        n_first: images of which only the first result is right.
        n_second: those of which only the second is.

    Returns:
        The two-sided exact p-value, in [0, 1]; 1 where there are none.

    Source:
        McNemar, "Note on the sampling error of the difference between correlated proportions",
        1947, by the binomial distribution.

    Examples:
        >>> mcnemar(1, 5), mcnemar(3, 3)
        (0.21875, 1.0)
    """
    from scipy import stats

    n = n_first + n_second
    return float(stats.binomtest(n_first, n).pvalue) if n else 1.0


def _aspects(a: Row, b: Row) -> tuple[str, ...]:
    """Return what both results have."""
    both = [aspect for aspect in ASPECTS if aspect in a and aspect in b]
    return tuple(aspect for aspect in both if aspect != "detections" or "tracks" not in both)


def _class_change(a: Items, b: Items) -> Iterable[Change]:
    """Yield what became of the best class; nothing where none was named in either."""
    if not a and not b:
        return
    best = [_said(items[0]) if items else None for items in (a, b)]
    labels = [item["label"] for item in b]
    rank = labels.index(best[0].label) + 1 if best[0] and best[0].label in labels else None
    kind = "gained" if not a else "lost" if not b else "kept" if rank == 1 else "relabelled"
    yield Change(kind, best[0], best[1], rank_b=rank)


def _said(item: Row) -> Said:
    return Said(name_of(item), item["score"], item.get("box_xyxy"))


def _shares(a: Sequence[Said], b: Sequence[Said]) -> npt.NDArray[np.float64]:
    boxes = (np.array([said.box_xyxy for said in one], np.float64) for one in (a, b))
    first, second = (one.reshape(-1, 4) for one in boxes)
    return overlaps(first, second, np.zeros(len(second), bool))


def _greedy(shares: npt.NDArray[np.float64], free: tuple[Flags, Flags]) -> list[Pair]:
    """Return pairs of what is free, the best overlap first; of equal ones the first."""
    pairs = []
    order = np.argsort(-shares, axis=None, kind="stable")
    for place in order[: np.count_nonzero(shares)].tolist():
        i, j = divmod(place, shares.shape[1])
        if free[0][i] and free[1][j]:
            free[0][i] = free[1][j] = False
            pairs.append((i, j))
    return pairs
