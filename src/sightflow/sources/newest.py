"""The newest image of a stream, and a count of the others: for results that stay current."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.errors import PipelineError
from sightflow.options import check_number
from sightflow.protocols import (
    Context,
    Metrics,
    Polled,
    Read,
    Stream,
    StreamSource,
    given_by,
    reader_of,
)
from sightflow.records import Skipped
from sightflow.records.state import StateCodec
from sightflow.sources.overtaken import Image, Overtaken

__all__ = ["Newest"]

_POLL_S = 0.1
_CLOSING_S = 1.0
"""How long closing waits for the thread; a stream that hangs is not waited for."""


@dataclass(frozen=True)
class Newest:
    """The images of a stream; of those that come faster than they are recognised, the newest.

    A thread reads the stream. Of each stream of images (`source_id`) one image waits at most: the
    next one takes its place, and it is counted as skipped.
    """

    source: StreamSource
    max_age_ms: float | None = None
    """Leave out, as well, images that were taken longer ago when their turn comes; None: of any
    age."""

    adjustable: ClassVar[tuple[str, ...]] = ("max_age_ms",)

    def __post_init__(self) -> None:
        """Refuse what is no stream, and labels, which belong to images that may be left out."""
        check_number(self, "max_age_ms", within="[0, inf)")
        if isinstance(self.source, type) or not isinstance(self.source, StreamSource):
            raise PipelineError(
                f"Newest: `source` is a stream, with a method `open_stream`; got {self.source!r}"
            )
        if getattr(self.source, "labels_come_later", False):
            raise PipelineError(
                f"Newest: {type(self.source).__name__} tells labels of images, which may be left "
                "out; put Newest into it: Joined(Newest(...), ...)"
            )

    @property
    def gives(self) -> tuple[str, ...] | None:
        """What its source gives."""
        return given_by(self.source)

    def open_stream(self, context: Context, position: str | None) -> "NewestStream":
        """Return the stream; what is left out behind a position is decided anew."""
        place = None if position is None else _POSITIONS.decode(position.encode())
        relayed = RelayedMetrics(context.metrics)
        inner = None if place is None else place.inner
        stream = self.source.open_stream(replace(context, metrics=relayed), inner)
        opened = NewestStream(stream, relayed, self.max_age_ms, place.owed if place else ())
        context.resources.callback(opened.close)
        opened.start()
        return opened

    def open(self, context: Context) -> Read:
        """Return the function that redeems claims, where the stream gives them."""
        return reader_of(self.source, context)


@dataclass(frozen=True)
class NewestPosition:
    """Where a stream stands whose images may be left out."""

    inner: str
    """Position of the stream that is read, behind all that was handed out or left out."""
    owed: tuple[Skipped, ...] = ()
    """Of what was left out, counts that were not told yet."""


_POSITIONS = StateCodec(NewestPosition, "place in a stream of newest images", version=1)


class NewestStream:
    """An open stream; a thread reads it, and `poll` hands out what was not overtaken."""

    def __init__(
        self,
        stream: Stream,
        metrics: "RelayedMetrics",
        max_age_ms: float | None,
        owed: tuple[Skipped, ...],
    ) -> None:
        """Take a stream and what it reports; `start` begins to read it."""
        self._stream, self._metrics, self._max_age_ms = stream, metrics, max_age_ms
        self._place = NewestPosition(stream.position(), owed)
        self._overtaken = Overtaken()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read the newest", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """End the reading."""
        self._stopping.set()
        self._thread.join(_CLOSING_S)

    def poll(self, timeout_s: float) -> Polled | None:
        """Return the newest image of its stream, what was left out before it, or None.

        Raises:
            SourceError: the stream cannot go on.
        """
        self._metrics.relay()
        if not self._place.owed:
            taken = self._overtaken.take(timeout_s, self._is_old)
            if taken is None:
                return None
            item, position = taken
            self._place = NewestPosition(position, item if isinstance(item, tuple) else ())
            if not isinstance(item, tuple):
                return item
        first, *rest = self._place.owed
        self._place = replace(self._place, owed=tuple(rest))
        return first

    def ended(self) -> bool:
        """Return whether nothing will come any more."""
        return not self._place.owed and self._overtaken.is_empty()

    def position(self) -> str:
        """Return from where to go on, with what is still to be told."""
        return _POSITIONS.encode(self._place).decode()

    def _is_old(self, image: Image) -> bool:
        age_ms = time.time() * 1000 - image.origin.event_time_ms
        return self._max_age_ms is not None and age_ms > self._max_age_ms

    def _run(self) -> None:
        try:
            while not (self._stopping.is_set() or self._stream.ended()):
                item = self._stream.poll(_POLL_S)
                if item is not None:
                    self._overtaken.put(item, self._stream.position())
                while self._overtaken.is_full() and not self._stopping.wait(_POLL_S):
                    pass
        except Exception as error:  # whoever polls must learn of it
            self._overtaken.close(error)
        self._overtaken.close()


class RelayedMetrics:
    """Keeps what another thread reports until the one that polls passes it on."""

    def __init__(self, metrics: Metrics) -> None:
        """Take where it goes."""
        self._metrics = metrics
        self._calls: deque[Callable[[], None]] = deque()

    def count(self, name: str, n: int = 1, /) -> None:
        """Add to a counter."""
        self._calls.append(lambda: self._metrics.count(name, n))

    def observe(self, name: str, value: float, /) -> None:
        """Add a value to a distribution."""
        self._calls.append(lambda: self._metrics.observe(name, value))

    def measure(self, name: str, value: float, /) -> None:
        """Say how large something is now."""
        self._calls.append(lambda: self._metrics.measure(name, value))

    def relay(self) -> None:
        """Pass everything on."""
        while self._calls:
            self._calls.popleft()()
