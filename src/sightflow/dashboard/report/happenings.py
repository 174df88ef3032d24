"""What the events of a run tell of objects, zones and lines, added up event by event."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

from sightflow.dashboard.report.findings import Times
from sightflow.records import Row

__all__ = ["Happenings", "Lasted", "Place"]

_N_LISTED = 300
_PASSED = ("crossed", "entered", "exited")
_NOT_LISTED = ("counted",)


@dataclass
class Lasted:
    """Durations of something."""

    n: int = 0
    total_ms: int = 0
    longest_ms: int = 0

    def note(self, duration_ms: int) -> None:
        """Add one."""
        self.n += 1
        self.total_ms += duration_ms
        self.longest_ms = max(self.longest_ms, duration_ms)

    @property
    def mean_ms(self) -> float:
        """Mean duration; 0 of none."""
        return self.total_ms / max(1, self.n)


class Place:
    """What passed a zone or a line."""

    def __init__(self, times: Times) -> None:
        """Start with nothing."""
        self.passed: Counter[str] = Counter()
        """By `in` and `out` of a line, `entered` and `exited` of a zone."""
        self.by_class: Counter[tuple[str, str]] = Counter()
        """The same by class."""
        self.stayed = Lasted()
        """How long those were inside who have exited."""
        self.over_time = {way: times.counters() for way in ("in", "out", "entered", "exited")}

    def note(self, event: Row, way: str, place: tuple[int, int]) -> None:
        """Take an event of it."""
        self.passed[way] += 1
        self.by_class[event.get("label") or "", way] += 1
        counts = self.over_time[way][place[0]]
        counts[place[1]] = counts.get(place[1], 0) + 1
        if event["kind"] == "exited" and "duration_ms" in event:
            self.stayed.note(event["duration_ms"])


@dataclass
class Happenings:
    """What happened."""

    times: Times
    """Those of the results, whose events these are."""
    n_of_others: int = 0
    """Events of streams that have no results."""
    n_of_these: int = 0
    """Events of streams that have results."""
    kinds: "Counter[str]" = field(default_factory=Counter)
    places: dict[str, Place] = field(default_factory=dict)
    """By the name of the zone or line."""
    seen: dict[str, Lasted] = field(default_factory=dict)
    """By class, how long objects were seen that have left."""
    appeared: "Counter[str]" = field(default_factory=Counter)
    """By class."""
    listed: list[Row] = field(default_factory=list)
    """The first events, without the counts of windows."""

    @property
    def n(self) -> int:
        """How many events there are."""
        return self.kinds.total()

    @property
    def are_of_others(self) -> bool:
        """Whether these are the events of another run: none is of a stream that has results."""
        return self.n_of_others > 0 and not self.n_of_these

    @property
    def n_not_listed(self) -> int:
        """How many events are not in `listed`, apart from the counts of windows."""
        return self.n - len(self.listed) - sum(self.kinds[kind] for kind in _NOT_LISTED)

    def add(self, event: Row, sources: Container[str] | None) -> None:
        """Add an event, if it is of one of these sources, or of none; None: of whichever."""
        source_id = event["source_id"]
        if source_id and sources is not None and source_id not in sources:
            self.n_of_others += 1
            return
        self.n_of_these += bool(source_id)
        kind, label = event["kind"], event.get("label") or ""
        self.kinds[kind] += 1
        if sources is None and source_id:
            self.times.place(event["event_time_ms"])
        if kind in _PASSED and "zone" in event:
            if event["zone"] not in self.places:
                self.places[event["zone"]] = Place(self.times)
            way = event.get("direction") or kind
            self.places[event["zone"]].note(event, way, self.times.place(event["event_time_ms"]))
        elif kind == "appeared":
            self.appeared[label] += 1
        elif kind == "left" and "duration_ms" in event:
            self.seen.setdefault(label, Lasted()).note(event["duration_ms"])
        if len(self.listed) < _N_LISTED and kind not in _NOT_LISTED:
            self.listed.append(event)
