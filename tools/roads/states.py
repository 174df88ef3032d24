"""How often a step says what lights in photos show, given their boxes."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightflow.models.finding import find_model
from sightflow.records import Detections
from sightflow.tasks.classify_objects import ClassifyTrafficLight
from sightflow.testing import a_context, a_record
from tools.roads.lights import ANNOTATIONS, STATE_OF, around
from tools.roads.photos import Box, Photo, read_photos

__all__ = ["measure_states"]

LABEL = "traffic light"
N_SHIFTED = 10


def measure_states(folder: Path, model: str, *, seed: int = 0) -> dict[str, Any]:
    """Run `ClassifyTrafficLight` with the annotated boxes as what a detector found.

    Args:
        folder: Photos, with `images` and their annotations.
        model: A model that ships, a path, or the address of a published one.
        seed: Of the boxes that are moved.

    Returns:
        For `held_out` photos, for these with each box moved in ten ways as a detector might
        (`held_out_moved`), and for `all` photos: how many `lights` there are, how many are `right`,
        and of each state [right, lights], and what was said wrongly, with counts.

    Raises:
        RoadsError: annotations or photos are not what they must be.
    """
    photos = [one for one in read_photos(folder, ANNOTATIONS) if _lights(one)]
    held_out = [one for one in photos if one.is_held_out]
    process = ClassifyTrafficLight(find_model(model)).open(a_context("state"))
    rng = np.random.default_rng(seed)

    def moved(box: Box) -> list[Box]:
        return [around(box, rng) for _ in range(N_SHIFTED)]

    return {
        "held_out": _figures(process, held_out, lambda box: [box]),
        "held_out_moved": _figures(process, held_out, moved),
        "all": _figures(process, photos, lambda box: [box]),
    }


def _lights(photo: Photo) -> list[Box]:
    return [box for box in photo.boxes if box.label in STATE_OF]


def _figures(
    process: Any, photos: Sequence[Photo], seen: Callable[[Box], list[Box]]
) -> dict[str, Any]:
    """Return how often a step is right about the lights in some photos."""
    counts: Counter[tuple[str, str]] = Counter()
    for photo in photos:
        boxes = [box for light in _lights(photo) for box in seen(light)]
        pixels = photo.pixels()
        height, width = pixels.shape[:2]
        record = a_record(pixels, width=width, height=height, detections=_found(boxes))
        (outcome,) = process([record])
        told = outcome.detections.states.labels
        counts.update((STATE_OF[box.label], said) for box, said in zip(boxes, told, strict=True))
    n_of: Counter[str] = Counter()
    for (state, _), n in counts.items():
        n_of[state] += n
    return {
        "lights": counts.total(),
        "right": sum(counts[state, state] for state in n_of),
        "by_state": {state: [counts[state, state], n] for state, n in sorted(n_of.items())},
        "confused": [[a, b, n] for (a, b), n in sorted(counts.items()) if a != b],
    }


def _found(boxes: Sequence[Box]) -> Detections:
    """Return lights that a detector is sure of."""
    n = len(boxes)
    sides = [(one.left, one.top, one.right, one.bottom) for one in boxes]
    labels = (LABEL,) * n
    return Detections(
        np.array(sides, np.float32), np.ones(n, np.float32), np.zeros(n, np.int32), labels
    )
