"""Lines that are crossed and zones that are entered: events and counts of what is tracked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from sightflow.errors import PipelineError
from sightflow.ops.geometry import crosses, distance_to_line, distance_to_polygon
from sightflow.options import check_choices, check_count, check_number
from sightflow.protocols import Context, Fold
from sightflow.records import Event, ImageRecord
from sightflow.records.state import StateCodec
from sightflow.tasks.sides import Border, Box, Change, Point, Sighting, forget, look

__all__ = ["CountLine", "Zone"]


@dataclass(frozen=True)
class Tally:
    """What was counted of one class in a window; objects by their ids, so that each counts once."""

    class_id: int = 0
    went_in: tuple[int, ...] = ()
    went_out: tuple[int, ...] = ()
    n_stays: int = 0
    """How many stays ended."""
    stayed_ms: int = 0
    """How long they were in all."""


@dataclass(frozen=True)
class CountState:
    """What a counting step knows of one stream."""

    sightings: dict[int, Sighting] = field(default_factory=dict)
    """By track id."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    """Of the present window, by label."""
    source_id: str = ""
    sequence: int = 0
    time_ms: int | None = None
    """Of the last image; None before the first."""


_STATES = StateCodec(CountState, "counts", version=2)


@dataclass(frozen=True, kw_only=True)
class _Counting:
    """What counting steps have in common."""

    anchor: Literal["bottom", "center"] = "bottom"
    """The point of a box that stands for the object: the middle of its lower edge, where it touches
    the ground, or its centre."""
    margin: float = 0.05
    """How far beyond the border an object must be to have changed sides, as a share of the height
    of its box, from 0; so one that trembles on the border counts once."""
    max_age_ms: int = 2_000
    """How long an object that is not seen is waited for, in ms, from 0; after that it is gone."""
    window_ms: int | None = None
    """Length of the windows of event time for which `counted` is told; None: it is not."""
    source_id: str = ""
    """Count in this stream only; empty: in each."""
    max_out_of_order_ms: int = 0
    """As in `Track`; the largest among the steps holds for all."""

    needs: ClassVar[tuple[str, ...]] = ("tracks",)
    gives: ClassVar[tuple[str, ...]] = ()
    word_options: ClassVar[tuple[str, ...]] = ("source_id",)
    adjustable: ClassVar[tuple[str, ...]] = ("anchor", "margin", "max_age_ms")

    def check(self) -> None:
        """Refuse numbers that cannot be."""
        check_choices(self)
        check_number(self, "margin", within="[0, inf)")
        check_count(self, "max_age_ms", "max_out_of_order_ms")
        check_count(self, "window_ms", at_least=1)

    def open_fold(self, context: Context) -> Fold[CountState]:
        """Return the counter as a fold."""
        border, name = self._border(), context.step

        def step(
            state: CountState, record: ImageRecord
        ) -> tuple[CountState, ImageRecord, list[Event]]:
            origin = record.origin
            if self.source_id and origin.source_id != self.source_id:
                return state, record, []
            if record.tracks is None:
                raise PipelineError(f"step {name!r} counts what is tracked; apply Track before it")
            state, events = self._close_window(state, name, origin.event_time_ms)
            state = replace(
                state,
                source_id=origin.source_id,
                sequence=origin.sequence,
                time_ms=origin.event_time_ms,
            )
            state, gone = self._forget(state, name, origin.event_time_ms - self.max_age_ms)
            sightings, changes = look(state.sightings, record.tracks, origin.event_time_ms, border)
            state = replace(state, sightings=sightings)
            state, news = self._note(state, name, changes)
            return state, record, [*events, *gone, *news]

        def end(state: CountState) -> list[Event]:
            return [*self._counts(state, name)]  # who is still inside has not gone out

        return Fold(CountState, step, end, _STATES.encode, _STATES.decode)

    _has_inside: ClassVar[bool]
    """Whether objects stay inside, so that it can be told how many and how long."""

    def _border(self) -> Border:
        raise NotImplementedError

    def _event(self, change: Change) -> dict[str, Any] | None:
        """Return the fields of the event that a change of sides is, or None if it is none."""
        raise NotImplementedError

    def _anchor_of(self, box: Box) -> Point:
        x1, y1, x2, y2 = box
        return (x1 + x2) / 2, y2 if self.anchor == "bottom" else (y1 + y2) / 2

    def _forget(
        self, state: CountState, name: str, before_ms: int
    ) -> tuple[CountState, list[Event]]:
        """Let objects go that were not seen since a time; those inside have left by then."""
        kept, gone = forget(state.sightings, before_ms)
        changes = [
            Change(track_id, replace(seen, inside=False, met=False), seen)
            for track_id, seen in gone.items()
            if seen.inside
        ]
        return self._note(replace(state, sightings=kept), name, changes)

    def _note(
        self, state: CountState, name: str, changes: list[Change]
    ) -> tuple[CountState, list[Event]]:
        """Enter changes of sides into the tallies and make them events."""
        events, tallies = list[Event](), dict(state.tallies)
        for change in changes:
            fields = self._event(change)
            if fields is None:
                continue
            now = change.now
            if self.window_ms is not None:
                tallies[now.label] = _with(tallies.get(now.label, Tally(now.class_id)), change)
            events.append(
                Event(
                    step=name,
                    zone=name,
                    source_id=state.source_id,
                    sequence=state.sequence,
                    event_time_ms=state.time_ms or 0,
                    track_id=change.track_id,
                    class_id=now.class_id,
                    label=now.label,
                    box_xyxy=now.box_xyxy,
                    **fields,
                )
            )
        return replace(state, tallies=tallies), events

    def _close_window(
        self, state: CountState, name: str, time_ms: int
    ) -> tuple[CountState, list[Event]]:
        """Tell the counts of the window of the last image, if the next one is in another."""
        window_ms, last_ms = self.window_ms, state.time_ms
        if window_ms is None or last_ms is None or time_ms // window_ms == last_ms // window_ms:
            return state, []
        return replace(state, tallies={}), [*self._counts(state, name)]

    def _counts(self, state: CountState, name: str) -> Iterator[Event]:
        """Yield what was counted in the window of the last image: of each class, and of all."""
        if self.window_ms is None or state.time_ms is None:
            return
        start_ms = state.time_ms // self.window_ms * self.window_ms
        inside = [seen for seen in state.sightings.values() if seen.inside]
        labels = {**{s.label: Tally(s.class_id) for s in inside}, **state.tallies}
        rows = [(label, tally) for label, tally in sorted(labels.items())]
        for label, tally in [*rows, (None, _sum(tally for _, tally in rows))]:
            n_inside = sum(label in (None, seen.label) for seen in inside)
            mean_ms = round(tally.stayed_ms / tally.n_stays) if tally.n_stays else None
            yield Event(
                "counted",
                name,
                state.source_id,
                state.sequence,
                start_ms + self.window_ms,
                class_id=None if label is None else tally.class_id,
                label=label,
                zone=name,
                duration_ms=mean_ms if self._has_inside else None,
                n_in=len(tally.went_in),
                n_out=len(tally.went_out),
                n_inside=n_inside if self._has_inside else None,
                window_start_ms=start_ms,
            )


def _with(tally: Tally, change: Change) -> Tally:
    """Return a tally with a change of sides entered."""
    if change.now.inside:
        return replace(tally, went_in=_including(tally.went_in, change.track_id))
    return replace(
        tally,
        went_out=_including(tally.went_out, change.track_id),
        n_stays=tally.n_stays + 1,
        stayed_ms=tally.stayed_ms + change.stayed_ms,
    )


def _including(ids: tuple[int, ...], track_id: int) -> tuple[int, ...]:
    return ids if track_id in ids else (*ids, track_id)


def _sum(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of all classes; an object whose class changed counts once."""
    total = Tally()
    for tally in tallies:
        total = Tally(
            0,
            tuple(dict.fromkeys((*total.went_in, *tally.went_in))),
            tuple(dict.fromkeys((*total.went_out, *tally.went_out))),
            total.n_stays + tally.n_stays,
            total.stayed_ms + tally.stayed_ms,
        )
    return total


@dataclass(frozen=True)
class CountLine(_Counting):
    """Count the objects that cross a line, by direction.

    Walking from `start` to `end`, an object that comes from the left goes `in`.
    """

    start: Point
    """x, y in pixels of the original image."""
    end: Point

    adjustable: ClassVar[tuple[str, ...]] = (*_Counting.adjustable, "start", "end")
    _has_inside = False

    def check(self) -> None:
        """Refuse a line without length and numbers that cannot be."""
        super().check()
        if not np.hypot(*np.subtract(self.end, self.start)) > 0:
            raise PipelineError(
                f"CountLine: `start` and `end` are two points; got {self.start} and {self.end}"
            )

    def _border(self) -> Border:
        return Border(
            lambda points: distance_to_line(_array(points), self.start, self.end).tolist(),
            lambda before, after: crosses(before, after, self.start, self.end),
            self._anchor_of,
            self.margin,
        )

    def _event(self, change: Change) -> dict[str, Any] | None:
        if change.before is None or not change.now.met:
            return None
        return {"kind": "crossed", "direction": "in" if change.now.inside else "out"}


@dataclass(frozen=True)
class Zone(_Counting):
    """Tell who enters and exits a polygon, how long each stays, and how many are inside."""

    corners: tuple[Point, ...]
    """x, y of three or more, in order, in pixels of the original image."""

    adjustable: ClassVar[tuple[str, ...]] = (*_Counting.adjustable, "corners")
    _has_inside = True

    def check(self) -> None:
        """Refuse a polygon without an inside and numbers that cannot be."""
        super().check()
        x, y = np.array(self.corners, np.float64).reshape(-1, 2).T
        area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
        if len(self.corners) < 3 or not area > 0:
            raise PipelineError(
                f"Zone: `corners` are three or more points around an area; got {list(self.corners)}"
            )

    def _border(self) -> Border:
        return Border(
            lambda points: distance_to_polygon(_array(points), self.corners).tolist(),
            lambda before, after: True,
            self._anchor_of,
            self.margin,
        )

    def _event(self, change: Change) -> dict[str, Any] | None:
        if change.now.inside:
            return {"kind": "entered"}
        if change.before is None:
            return None
        return {"kind": "exited", "duration_ms": change.stayed_ms}


def _array(points: list[Point]) -> Any:
    return np.array(points, np.float64).reshape(-1, 2)
