"""Several cameras at once, which may be added and removed while they are read."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar
from urllib.parse import quote

from sightflow.errors import PipelineError, SourceError
from sightflow.options import with_options
from sightflow.protocols import Context
from sightflow.records import EncodedImage, Rejected, Skipped, SourceEnd
from sightflow.records.state import StateCodec
from sightflow.sources.live import Live, LiveStream

__all__ = ["Cameras", "camera"]

_LOGGER = logging.getLogger("sightflow.sources.cameras")

_LOOK_EVERY_S = 0.005
"""While none has a picture, all are looked at so often."""
_CHANGES_EVERY_S = 0.1


@dataclass(frozen=True)
class Cameras:
    """Pictures of several cameras or live streams, as they come; each as `Live` gives them.

    A job with a control adds and removes them while it runs. One that was removed has ended: what
    keyed steps know of its stream is forgotten. One that a message added and that cannot be opened
    has ended too; of those that are there from the start it is an error.
    """

    cameras: tuple[Live, ...] = ()
    """From the start; each with a `source_id`, its name."""

    gives: ClassVar[tuple[str, ...]] = ()
    takes_cameras: ClassVar[bool] = True
    adjustable: ClassVar[tuple[str, ...]] = ("cameras",)

    def __post_init__(self) -> None:
        """Refuse cameras without a name of their own."""
        names = [live.source_id for live in self.cameras]
        if not all(names) or len(set(names)) < len(names):
            raise PipelineError(
                f"Cameras: each has a `source_id` of its own, its name; got {names}"
            )

    def open_stream(self, context: Context, position: str | None) -> "CamerasStream":
        """Return the pictures of all; numbers go on at the position."""
        places = _Places() if position is None else _PLACES.decode(position.encode())
        stream = CamerasStream(self, context, places)
        context.resources.callback(stream.close)
        return stream


def camera(name: str, options: Mapping[str, Any]) -> Live:
    """Return a camera of this name with these options of `Live`, as they come from a message.

    Raises:
        PipelineError: `Live` has no such option, or of another type.
    """
    known = {one.name for one in fields(Live)} - {"source_id"}
    if not set(options) <= known or "url" not in options:
        raise PipelineError(
            f"camera {name!r} needs `url` and may have options of Live; got {sorted(options)}"
        )
    live: Live = with_options(f"camera {name!r}", Live("?", source_id=name), options)
    return live


@dataclass(frozen=True)
class _Places:
    """Where all cameras stand, those that have ended included: numbers never begin anew."""

    places: dict[str, str] = field(default_factory=dict)
    """Position by name."""
    over: dict[str, str] = field(default_factory=dict)
    """Of those whose end was told, what they were; empty where somebody removed them."""


_PLACES = StateCodec(_Places, "places of cameras", version=1)


@dataclass(frozen=True, eq=False)
class _Open:
    """A camera that is read."""

    live: Live
    stream: LiveStream


class CamerasStream:
    """The cameras that there are now, read by turns; each has a thread of its own."""

    def __init__(self, source: Cameras, context: Context, places: _Places) -> None:
        """Begin where they stand; they are opened at the first look."""
        self._source, self._context = source, context
        self._places, self._over = dict(places.places), dict(places.over)
        self._open: dict[str, _Open] = {}
        self._ends: dict[str, str] = {}
        """Ends that are to be told, and what ended as in `over`."""
        self._looked_at = -float("inf")

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | Skipped | SourceEnd | None:
        """Return the next picture of any camera, what was left out, the end of one, or None."""
        until = time.monotonic() + timeout_s
        while True:
            self._follow_changes()
            for name in list(self._ends):
                self._over[name] = self._ends.pop(name)
                return SourceEnd(name)
            for name in list(self._open):
                if (item := self._polled(name)) is not None:
                    return item
            left_s = until - time.monotonic()
            if left_s <= 0 or self.ended():
                return None
            time.sleep(min(_LOOK_EVERY_S, left_s))

    def ended(self) -> bool:
        """Return whether nothing will come any more; where cameras may be added it never has."""
        if self._context.settings is not None or self._looked_at < 0:
            return False
        return not self._open and not self._ends

    def position(self) -> str:
        """Return where all cameras stand."""
        now = {name: one.stream.position() for name, one in self._open.items()}
        return _PLACES.encode(_Places({**self._places, **now}, self._over)).decode()

    def close(self) -> None:
        """End the reading of all."""
        for one in self._open.values():
            one.stream.stop()
        for one in self._open.values():
            one.stream.close()

    def _polled(self, name: str) -> EncodedImage | Rejected | Skipped | None:
        """Return what a camera gives at once; it is the last to be asked again."""
        one = self._open.pop(name)
        try:
            item = one.stream.poll(0.0)
            has_ended = item is None and one.stream.ended()
        except SourceError as error:
            if one.live in self._source.cameras:
                raise
            _LOGGER.error("%s; its stream ends, and the others go on", error)
            item, has_ended = None, True
        self._open[name] = one
        if has_ended:
            self._end(name, _mark(one.live))
        return None if item is None else _named(item, name)

    def _follow_changes(self) -> None:
        """Open what was added, and end what was removed."""
        if time.monotonic() - self._looked_at < _CHANGES_EVERY_S:
            return
        self._looked_at = time.monotonic()
        wanted = self._wanted()
        for name in [*self._places, *self._open]:
            is_told = name in self._over or name in self._ends
            if name not in wanted and (name in self._open or not is_told):
                self._end(name, "")
        for name, live in wanted.items():
            is_over = _mark(live) in (self._over.get(name), self._ends.get(name))
            if not is_over and name not in self._ends:
                self._begin(name, live)

    def _wanted(self) -> dict[str, Live]:
        """Return the cameras that there should be now."""
        wanted = {str(live.source_id): live for live in self._source.cameras}
        settings = self._context.settings
        for name, options in ({} if settings is None else settings().cameras).items():
            wanted.pop(name, None)
            if options:
                wanted[name] = camera(name, options)
        return wanted

    def _begin(self, name: str, live: Live) -> None:
        """Open a camera, unless it is open as it should be."""
        if name in self._open:
            if self._open[name].live == live:
                return
            self._stop(name)
        self._over.pop(name, None)
        stream = live.open_stream(self._context, self._places.get(name))
        self._places.setdefault(name, stream.position())
        self._open[name] = _Open(live, stream)

    def _stop(self, name: str) -> None:
        """Read a camera no more; its thread ends when it is done waiting."""
        one = self._open.pop(name)
        self._places[name] = one.stream.position()
        one.stream.stop()

    def _end(self, name: str, mark: str) -> None:
        """Let the end of a camera be told."""
        if name in self._open:
            self._stop(name)
        self._ends[name] = mark


def _named(
    item: EncodedImage | Rejected | Skipped, camera: str
) -> EncodedImage | Rejected | Skipped:
    """Return a picture whose name is unique among all cameras."""
    folder = quote(camera, safe="") if camera.strip(".") else "%2E" * len(camera)
    name = f"{folder}/{item.origin.name}"
    return replace(item, origin=replace(item.origin, name=name))


def _mark(live: Live) -> str:
    """Return what tells a camera from the same one with other options, and does not tell them."""
    options = [getattr(live, one.name) for one in fields(live)]
    return hashlib.sha256(repr(options).encode()).hexdigest()[:16]
