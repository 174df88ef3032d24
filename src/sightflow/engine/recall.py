"""Recall: images that were listed are read again, and pass the stateless steps once more."""

from collections.abc import Callable, Sequence

from sightflow.engine.chunks import Chunk
from sightflow.engine.recognition import open_reader, open_recogniser
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Place, Recall
from sightflow.records import Outcome
from sightflow.settings import RunSettings

__all__ = ["open_recall"]


def open_recall(
    pipeline: Pipeline, settings: RunSettings, context: Context, chunk_of: Callable[[int], Chunk]
) -> Recall:
    """Return a function that reads images again; it opens the steps when it is first needed.

    A whole chunk is recognised again for one of its images: a network gives the same numbers, to
    the last bit, only for the same batch.
    """
    opened: list[Callable[[Chunk], list[Outcome]]] = []

    def recognised(chunk: Chunk) -> list[Outcome]:
        if not opened:
            redeem = open_reader(pipeline, context)
            recognise = open_recogniser(pipeline, settings, context)
            opened.append(lambda chunk: list(recognise(redeem(chunk.claims))))
        return opened[0](chunk)

    def recall(places: Sequence[Place]) -> list[Outcome]:
        found: dict[Place, Outcome] = {}
        for number in sorted({number for number, _ in places}):
            rows = {row for place_number, row in places if place_number == number}
            outcomes = recognised(chunk_of(number))
            found.update(((number, row), outcomes[row]) for row in rows)
        return [found[place] for place in places]

    return recall
