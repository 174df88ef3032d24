"""What the results of a run say, added up row by row: counts, scores, times, some samples."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sightflow.dashboard.report.timegrid import TimeGrid, is_of_clock
from sightflow.records import Row
from sightflow.records.rows import name_of, tracks_in, uses_in

__all__ = [
    "N_BINS",
    "ClassFound",
    "Findings",
    "KindFound",
    "Measured",
    "SourceRead",
    "Times",
    "found_in",
    "score_of",
]

N_BINS = 20
"""Of a histogram of scores."""
_N_UNSURE = 12
_FEWEST_BINS, _IMAGES_IN_BIN = 12, 3
"""Of time, when all is added; so many images are in one on average."""
_BEST_ONLY = ("classification", "scene")
"""Of these the first item, the best one, is what an image is counted as."""
_KINDS = ("classification", "tracks", "detections", "faces", "scene")
_KEPT = ("uri", "source_id", "sequence", "event_time_ms", "label", "width", "height", *_KINDS)
_UNSEEN = ("embedding", "landmarks_xy")
"""What is not kept of a sample."""


class Times:
    """The times of a run: those of a clock, and those within videos, which are told apart."""

    def __init__(self) -> None:
        """Start without any time."""
        self.grids = (TimeGrid(), TimeGrid())
        """Within videos; of a clock."""

    def place(self, time_ms: int) -> tuple[int, int]:
        """Return which grid has a time, and the number of its bin there."""
        which = int(is_of_clock(time_ms))
        return which, self.grids[which].place(time_ms)

    def counters(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return counts by bin for each grid."""
        return self.grids[0].counter(), self.grids[1].counter()


class ClassFound:
    """How often one class was found, how surely, when, and some rows with it."""

    def __init__(self, name: str, times: Times, n_samples: int) -> None:
        """Start with nothing found."""
        self.name = name
        self.n_images = self.n = 0
        self.score_sum = 0.0
        self.bins = [0] * N_BINS
        """How often it was found by score: equal parts of [0, 1]; less than 0 is in the first."""
        self.over_time = times.counters()
        """How often it was found in each bin of the grids of `Times`."""
        self.ids: set[tuple[str, int]] = set()
        """Source and number of each object that was followed."""
        self.samples: list[Row] = []
        self._n_samples = n_samples

    @property
    def mean_score(self) -> float:
        """Mean score, in [0, 1]; of similarities in [-1, 1]."""
        return self.score_sum / max(1, self.n)

    def note(self, score: float) -> None:
        """Count one more."""
        self.n += 1
        self.score_sum += score
        self.bins[min(N_BINS - 1, max(0, int(score * N_BINS)))] += 1

    def note_image(self, row: Row, place: tuple[int, int], n: int, random: Random) -> None:
        """Count an image in which `n` were found; each image has the same chance to be a sample."""
        self.n_images += 1
        counts = self.over_time[place[0]]
        counts[place[1]] = counts.get(place[1], 0) + n
        if len(self.samples) < self._n_samples:
            self.samples.append(_sample(row))
        elif (taken := int(random.random() * self.n_images)) < self._n_samples:
            self.samples[taken] = _sample(row)


class KindFound:
    """What was found of one kind: classes of images, objects, faces, scenes."""

    def __init__(self, name: str, times: Times, n_samples: int) -> None:
        """Start with nothing found."""
        self.name = name
        self.n_images = self.n_empty = self.n = 0
        """Images that were looked at; those in which nothing was found; what was found."""
        self.over_time = times.counters()
        """Images that were looked at, by bin."""
        self._classes: dict[str, ClassFound] = {}
        self._times, self._n_samples = times, n_samples
        self._random = Random(0)

    @property
    def is_of_objects(self) -> bool:
        """Whether an image may hold several, with boxes."""
        return self.name not in _BEST_ONLY

    @property
    def classes(self) -> list[ClassFound]:
        """The classes, those in most images first."""
        return sorted(self._classes.values(), key=lambda one: (-one.n_images, one.name))

    def add(self, row: Row, items: Sequence[Row], place: tuple[int, int]) -> None:
        """Add what was found in an image."""
        self.n_images += 1
        self.n_empty += not items
        counts = self.over_time[place[0]]
        counts[place[1]] = counts.get(place[1], 0) + 1
        found: dict[str, int] = {}
        for item in items if self.is_of_objects else items[:1]:
            name = name_of(item)
            one = self._class(name)
            one.note(score_of(item))
            found[name] = found.get(name, 0) + 1
            if (track_id := item.get("track_id")) is not None:
                one.ids.add((row["source_id"], track_id))
        for name, n in found.items():
            self.n += n
            self._classes[name].note_image(row, place, n, self._random)

    def _class(self, name: str) -> ClassFound:
        one = self._classes.get(name)
        if one is None:
            one = self._classes[name] = ClassFound(name, self._times, self._n_samples)
        return one


@dataclass
class SourceRead:
    """How many images of a source were recognised, and when they were taken."""

    n: int = 0
    first_ms: int = 1 << 62
    last_ms: int = -(1 << 62)


@dataclass
class Measured:
    """A number that was measured in images."""

    n: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")


@dataclass
class Findings:
    """What all rows say. It is as large as classes, sources and objects are many, not rows."""

    n_samples: int = 6
    """Rows that are kept of each class."""
    n: int = 0
    """Rows."""
    times: Times = field(default_factory=Times)
    sources: dict[str, SourceRead] = field(default_factory=dict)
    models: "Counter[tuple[str, str, str]]" = field(default_factory=Counter)
    """Images by step, model and version."""
    measured: dict[str, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with nothing found."""
        self.over_time = self.times.counters()
        self._kinds: dict[str, KindFound] = {}
        self._unsure: list[tuple[float, int, Row]] = []

    @property
    def kinds(self) -> list[KindFound]:
        """What was looked for, in the order of results."""
        return [self._kinds[name] for name in _KINDS if name in self._kinds]

    @property
    def n_videos(self) -> int:
        """How many sources have times since their start, not those of a clock."""
        return sum(not is_of_clock(source.first_ms) for source in self.sources.values())

    @property
    def unsure(self) -> list[Row]:
        """Rows of the images whose best class has the lowest scores, these first."""
        return [row for _, _, row in sorted(self._unsure, reverse=True)]

    def add(self, row: Row) -> None:
        """Add a row of results."""
        self.n += 1
        time_ms = row["event_time_ms"]
        which, number = place = self.times.place(time_ms)
        counts = self.over_time[which]
        counts[number] = counts.get(number, 0) + 1
        self._note_source(row["source_id"], time_ms)
        self._note_models(row)
        for name, items in found_in(row):
            kind = self._kinds.get(name)
            if kind is None:
                kind = self._kinds[name] = KindFound(name, self.times, self.n_samples)
            kind.add(row, items, place)
        if best := row.get("classification"):
            self._note_score(best[0]["score"], row)
        for measure in row.get("measures") or ():
            self._note_measure(measure)

    def settle(self) -> None:
        """Make bins of time so wide that most have images: call it when all is added."""
        for grid, counts in zip(self.times.grids, self.over_time, strict=True):
            if n_images := sum(counts.values()):
                grid.coarsen(max(_FEWEST_BINS, n_images // _IMAGES_IN_BIN))

    def _note_source(self, source_id: str, time_ms: int) -> None:
        source = self.sources.get(source_id)
        if source is None:
            source = self.sources[source_id] = SourceRead()
        source.n += 1
        source.first_ms = min(source.first_ms, time_ms)
        source.last_ms = max(source.last_ms, time_ms)

    def _note_models(self, row: Row) -> None:
        for use in uses_in(row):
            self.models[use["step"], use["model"], use["model_version"]] += 1

    def _note_score(self, score: float, row: Row) -> None:
        is_full = len(self._unsure) >= min(self.n_samples, 1) * _N_UNSURE
        if is_full and not (self._unsure and -score > self._unsure[0][0]):
            return
        entry = -score, -self.n, _sample(row)
        (heapq.heapreplace if is_full else heapq.heappush)(self._unsure, entry)

    def _note_measure(self, measure: Row) -> None:
        one, value = self.measured.setdefault(measure["name"], Measured()), measure["value"]
        if value is not None:
            one.n += 1
            one.total += value
            one.least, one.most = min(one.least, value), max(one.most, value)


def found_in(row: Row) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield what was looked for in an image, and what was found; of what is followed the tracks."""
    for name in _KINDS:
        items = row.get(name)
        if items is None or (name == "detections" and row.get("tracks") is not None):
            continue
        yield name, list(tracks_in(row)) if name == "tracks" else items


def score_of(item: Row) -> float:
    """Return how sure an item is, in [0, 1]; of a face that was looked up its similarity.

    That is in [-1, 1].
    """
    score: float = item["similarity"] if "similarity" in item else item["score"]
    return score


def _sample(row: Row) -> Row:
    """Return of a row what can be shown."""
    return {name: _shown(row[name]) for name in _KEPT if name in row}


def _shown(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [{k: v for k, v in item.items() if k not in _UNSEEN} for item in value]
