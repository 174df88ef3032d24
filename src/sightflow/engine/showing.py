"""What a run shows of itself while it goes on, for a page that people look at.

It is bounded, whatever runs and however long, and nothing waits for it: those who look read files,
which a thread of its own replaces a few times a second.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from sightflow.engine.chunks import ChunkResult
from sightflow.engine.course import COURSE_KINDS, Course
from sightflow.engine.overtime import OverTime
from sightflow.engine.viewfiles import ViewFiles
from sightflow.engine.viewfinder import Viewfinder
from sightflow.pipeline import Pipeline
from sightflow.records import ImageRecord, Row
from sightflow.records.ledger import Ledger
from sightflow.records.rows import counted_in, for_viewers, uses_in

__all__ = ["Showing", "showing_in", "shown_pictures"]

_LOG = logging.getLogger("sightflow")
_WRITE_EVERY_S = 0.25
_POINT_EVERY_S = 1.0
_N_POINTS, _N_LATENCIES = 300, 1_000
_SPEED_OVER = 10
"""Points over which the speed now is told."""
_N_ROWS, _N_EVENTS, _N_REJECTED, _N_MODELS, _N_LABELS = 30, 50, 20, 10, 8
_N_ITEMS = 50
"""Objects of a row that is listed."""
_MAX_TRACKS = _MAX_SOURCES = 10_000
_OLDEST_MS = 10 * 365 * 86_400_000
"""Times before are those within a video, and are counted apart."""
_DETAILS = ("scored", "confused", "calibrated", "mistaken")


class Showing:
    """Collects what there is to show, and writes it into a folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which is there; nothing is shown before `begin`."""
        self._files = ViewFiles(folder)
        self.pictures = Viewfinder(self._files.is_watched)
        self._lock = threading.Lock()
        self._n_begun = 0
        self._facts = _Facts(Ledger())
        self._stop = threading.Event()
        self._writer: threading.Thread | None = None

    def begin(self, ledger: Ledger) -> None:
        """Begin to show: what comes from now on, beside the ledger so far.

        After a restart of the job results come again, so counts begin anew.
        """
        self.end()
        self._n_begun += 1
        self._facts = _Facts(ledger)
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._keep_writing, name="view", daemon=True)
        self._writer.start()

    def deliver(self, result: ChunkResult, ledger: Ledger) -> None:
        """Take what was delivered, and the ledger behind it."""
        self.pictures.join(result.rows)
        with self._lock:
            self._facts.add(result, ledger)

    def end(self) -> None:
        """Write for the last time, unless it begins again; may be called twice."""
        if self._writer is not None:
            self._stop.set()
            self._writer.join()
            self._writer = None

    def _keep_writing(self) -> None:
        is_over = can_write = False
        while not is_over:
            is_over = self._stop.wait(_WRITE_EVERY_S)
            try:
                self._write(is_open=not is_over)
                can_write = True
            except Exception as error:  # a page that cannot be shown must not stop a job
                if can_write:
                    _LOG.warning("the live page stands still: %s", error)
                can_write = False

    def _write(self, *, is_open: bool) -> None:
        sources = self.pictures.write(self._files, is_last=not is_open)
        with self._lock:
            facts = self._facts.as_dict()
        facts |= {"sources": sources, "n_begun": self._n_begun, "is_open": is_open}
        self._files.write(facts)


class _Facts:
    """What has come since the job began, or began again."""

    def __init__(self, ledger: Ledger) -> None:
        """Begin with the ledger so far."""
        self._ledger = ledger
        self._points = deque([(time.time(), ledger.read)], maxlen=_N_POINTS)
        self._latencies = deque[float](maxlen=_N_LATENCIES)
        self._reasons = Counter[tuple[str, str]]()
        self._rejected = deque[Row](maxlen=_N_REJECTED)
        self._rows = deque[Row](maxlen=_N_ROWS)
        self._events = deque[Row](maxlen=_N_EVENTS)
        self._models = deque[dict[str, Any]](maxlen=_N_MODELS)
        self._versions: dict[str, tuple[Any, Any]] = {}
        self._sources: set[str] = set()
        self._tracks: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._within, self._taken, self._what = OverTime(), OverTime(), "pictures"
        self._counts = self._taken
        self._course = Course()

    def add(self, result: ChunkResult, ledger: Ledger) -> None:
        """Take what was delivered, and the ledger behind it."""
        self._ledger = ledger
        if (age_ms := result.age_ms) is not None:
            self._latencies.extend([age_ms] * min(result.n_read, _N_LATENCIES))
        self._reasons.update((row["step"], row["reason"]) for row in result.rejected)
        self._rejected.extend(result.rejected)
        self._rows.extend(for_viewers(row, _N_ITEMS) for row in result.rows[-_N_ROWS:])
        for row in result.rows:
            self._count(row)
            self._note_models(row)
        for event in result.events:
            if event["kind"] in COURSE_KINDS:
                self._course.add(event)
            if event["kind"] not in (*_DETAILS, "trained", "evaluated"):
                self._events.append(event)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values; what is listed is newest first."""
        return {
            "ledger": asdict(self._ledger),
            "reasons": [
                {"step": step, "reason": reason, "n": n}
                for (step, reason), n in self._reasons.most_common()
            ],
            "rejected": list(reversed(self._rejected)),
            "speed": self._speed(),
            "latency": self._latency(),
            "models": list(reversed(self._models)),
            "n_sources": len(self._sources),
            "recognitions": list(reversed(self._rows)),
            "events": list(reversed(self._events)),
            "counts": {**self._counts.as_dict(_N_LABELS), "what": self._what},
            "course": self._course.events(),
        }

    def _count(self, row: Row) -> None:
        source_id = row["source_id"]
        if len(self._sources) < _MAX_SOURCES:
            self._sources.add(source_id)
        self._what, found = counted_in(row)
        self._counts = self._within if row["event_time_ms"] < _OLDEST_MS else self._taken
        for label, track_id in found:
            if track_id is None or self._is_new(source_id, track_id):
                self._counts.add(row["event_time_ms"], label)

    def _is_new(self, source_id: str, track_id: int) -> bool:
        """Return whether a track was not counted yet."""
        key = source_id, track_id
        is_new = key not in self._tracks
        self._tracks[key] = None
        self._tracks.move_to_end(key)
        if len(self._tracks) > _MAX_TRACKS:
            self._tracks.popitem(last=False)
        return is_new

    def _note_models(self, row: Row) -> None:
        """Note which versions of models are in use, once each time that one changes."""
        for use in uses_in(row):
            version = use["model"], use["model_version"]
            if self._versions.get(use["step"]) != version:
                self._versions[use["step"]] = version
                names = {name: use[name] for name in ("step", "model")}
                since_ms = round(time.time() * 1e3)
                self._models.append({**names, "version": version[1], "since_ms": since_ms})

    def _speed(self) -> dict[str, Any]:
        """Return how many images were read a second: in the last seconds, and in each."""
        now = time.time(), self._ledger.read
        if now[0] - self._points[-1][0] >= _POINT_EVERY_S:
            self._points.append(now)
        pairs = zip(self._points, islice(self._points, 1, None), strict=False)
        rates = [(after[0], _rate(before, after)) for before, after in pairs]
        first = self._points[max(0, len(self._points) - 1 - _SPEED_OVER)]
        return {
            "now": _rate(first, now) if len(self._points) > 1 else None,
            "times_ms": [round(at * 1e3) for at, _ in rates],
            "images_per_s": [rate for _, rate in rates],
        }

    def _latency(self) -> dict[str, float] | None:
        """Return what half of the images, and all but one in a hundred, did not take longer."""
        ordered = sorted(self._latencies)
        if not ordered:
            return None
        p50, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
        return {"p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "n": len(ordered)}


def _rate(before: tuple[float, int], after: tuple[float, int]) -> float:
    """Return images a second between two moments."""
    return round((after[1] - before[1]) / max(1e-3, after[0] - before[0]), 2)


_SHOWINGS: dict[Path, tuple[str, Showing]] = {}
_MAKING = threading.Lock()


def showing_in(folder: str | None) -> Showing | None:
    """Return what shows in a folder, the same for all workers of a run; None for no folder.

    The folder has been prepared for the run (`ViewFiles.prepare`).
    """
    if folder is None:
        return None
    path = Path(folder)
    with _MAKING:
        for ended in [other for other in _SHOWINGS if not other.exists()]:
            del _SHOWINGS[ended]
        run = ViewFiles(path).run.read_text()
        if path not in _SHOWINGS or _SHOWINGS[path][0] != run:
            _SHOWINGS[path] = run, Showing(path)
        return _SHOWINGS[path][1]


def shown_pictures(
    pipeline: Pipeline, folder: str | None
) -> Iterator[Callable[[ImageRecord], None]]:
    """Yield the function that takes pictures of a run, if it shows any."""
    showing = showing_in(folder)
    if showing is None:
        return
    pictures = showing.pictures
    hides_unknown = any(getattr(named.sink, "blur_unknown", False) for named in pipeline.sinks)
    failed = threading.Event()

    def see(record: ImageRecord) -> None:
        if failed.is_set():
            return
        try:
            pictures.see(record, hides_unknown=hides_unknown)
        except Exception:  # whatever it is, the job goes on
            failed.set()
            _LOG.warning("the live page has no more pictures", exc_info=True)

    yield see
