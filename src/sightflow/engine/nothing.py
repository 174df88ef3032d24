"""Steps that let all images pass, where a run had steps with a state and has none any more.

Images that waited for their turn there still come out through them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sightflow.protocols import Context, Fold, Learner, Operator, Place
from sightflow.records import Event, ImageRecord

__all__ = ["LearnNothing", "RememberNothing"]


@dataclass(frozen=True)
class RememberNothing:
    """A keyed step that does nothing."""

    max_out_of_order_ms: int = 0

    gives: ClassVar[tuple[str, ...]] = ()

    def check(self) -> None:
        """Accept everything."""

    def open_fold(self, context: Context) -> Fold[None]:
        """Return a fold without a state."""
        return Fold(
            initial=lambda: None,
            step=lambda state, record: (state, record, ()),
            end=lambda state: (),
            encode=lambda state: b"",
            decode=lambda data: None,
        )


@dataclass(frozen=True)
class LearnNothing:
    """A learning step that does nothing."""

    preparation: ClassVar[Operator | None] = None
    takes: ClassVar[tuple[str, ...]] = ()
    gives: ClassVar[tuple[str, ...]] = ()

    def check(self) -> None:
        """Accept everything."""

    def open_learner(self, context: Context, snapshot: bytes | None) -> Learner:
        """Return a learner without a state."""
        return _Nobody()


class _Nobody:
    """Learns nothing."""

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[Sequence[ImageRecord], Sequence[tuple[int, Event]]]:
        return records, ()

    def take_labels(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> Sequence[tuple[int, Event]]:
        return ()

    def end_chunk(self, index: int) -> None:
        pass

    def end(self) -> Sequence[Event]:
        return ()

    def snapshot(self) -> bytes:
        return b""
