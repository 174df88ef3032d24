"""What delivered results tell in metrics with labels: why rejected, by which model, how new."""

from collections.abc import Collection, Iterable
from typing import TypeVar

from sightflow.flink.metrics import FlinkMetrics
from sightflow.records import Row
from sightflow.records.rows import uses_in

__all__ = ["DeliveredMetrics"]

_Key = TypeVar("_Key")
_MAX_LABELS = 100
"""Different streams, and reasons, that are told apart; each takes memory wherever it is stored."""
_OTHER = "other"
"""The label of all beyond."""


class DeliveredMetrics:
    """Metrics of what went to the sinks, from when this worker began."""

    def __init__(self, metrics: FlinkMetrics, *, tells_times: bool) -> None:
        """Take the group that they are shown in, and whether the times of images are those of now.

        Files of a list may be years old.
        """
        self._metrics = metrics
        self._tells_times = tells_times
        self._reasons: dict[tuple[str, str], FlinkMetrics] = {}
        self._newest: dict[str, tuple[int, FlinkMetrics]] = {}
        self._models: dict[tuple[str, str], tuple[str, FlinkMetrics]] = {}

    def see(self, rows: Iterable[Row], rejected: Iterable[Row]) -> None:
        """Take the rows of a chunk."""
        for row in rejected:
            self._rejected(row["step"], row["reason"])
        for row in rows:
            for use in uses_in(row):
                self._used(use["step"], use["model"], use["model_version"])
            if self._tells_times:
                self._came(row["source_id"], row["event_time_ms"])

    def _rejected(self, step: str, reason: str) -> None:
        key = _bounded((step, reason), self._reasons, (_OTHER, _OTHER))
        if key not in self._reasons:
            self._reasons[key] = self._metrics.at(step=key[0], reason=key[1])
        self._reasons[key].count("rejected")

    def _used(self, step: str, model: str, version: str) -> None:
        """Show the version of a model that made the newest result; an older one goes."""
        known = self._models.get((step, model))
        if known is not None and known[0] == version:
            return
        if known is not None:
            known[1].close()
        elif len(self._models) >= _MAX_LABELS:
            return
        shown = self._metrics.at(step=step, model=model, version=version)
        shown.show("in_use", 1)
        self._models[step, model] = version, shown

    def _came(self, source_id: str, time_ms: int) -> None:
        """Show when the newest image of a stream was taken: its age then grows by itself."""
        key = _bounded(source_id, self._newest, _OTHER)
        newest, shown = self._newest.get(key) or (-1, self._metrics.at(source_id=key))
        if time_ms > newest:
            shown.show("newest_event_time_ms", time_ms)
            self._newest[key] = time_ms, shown


def _bounded(key: _Key, known: Collection[_Key], other: _Key) -> _Key:
    """Return a key, or the one of all others where there are too many."""
    return key if key in known or len(known) < _MAX_LABELS else other
