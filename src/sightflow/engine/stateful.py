"""Steps with a state, whichever they are: both runners call them and keep what they remember.

Keyed steps remember something of each stream (`source_id`). Learning steps look alike: theirs is
the stream of all images.
"""

from typing import Any, Protocol

from sightflow.engine.chunks import ChunkResult, Recognised
from sightflow.engine.folds import open_keyed
from sightflow.engine.learning import LearningChain
from sightflow.engine.upgrade import NEW_RUN, History
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context

__all__ = ["StatefulChain", "open_stateful"]


class StatefulChain(Protocol):
    """Steps with a state, opened; what they remember of a stream has a `next_index`."""

    def initial(self, source_id: str, /) -> Any:
        """Return what is remembered of a stream of which nothing has come."""

    def take(self, memory: Any, chunk: Recognised, /) -> tuple[Any, ChunkResult]:
        """Take the next chunk of a stream; return what to remember, and what comes out."""

    def encode(self, memory: Any, /) -> bytes:
        """Return what is remembered as bytes."""

    def decode(self, data: bytes) -> Any:
        """Return what `encode` made."""


def open_stateful(
    pipeline: Pipeline, context: Context, history: History = NEW_RUN
) -> StatefulChain:
    """Open the steps with a state: those of each stream, or those that learn from all.

    The history says what checkpoints may have.
    """
    if pipeline.learning:
        return LearningChain(pipeline, context, history)
    return open_keyed(pipeline, context, history)
