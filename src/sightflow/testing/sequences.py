"""Images in a row for steps with a state: objects that walk, and lessons to learn from."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sightflow.records import (
    Classification,
    Detections,
    Faces,
    ImageRecord,
    LabelledObject,
    ObjectClasses,
    Tracks,
)
from sightflow.testing.builders import a_record, an_origin

__all__ = ["lessons", "walkers"]


def lessons(n_images: int) -> Iterator[ImageRecord]:
    """Yield labelled images with an object each, the last ones held out."""
    rng = np.random.default_rng(0)
    for i in range(n_images):
        label = "ab"[i % 2]
        brightness = 50 if label == "a" else 200
        right, best = rng.random() < 0.7, np.float32(rng.uniform(0.5, 1))
        classes = [i % 2, 1 - i % 2] if right else [1 - i % 2, i % 2]
        yield a_record(
            origin=an_origin(
                uri=f"{i}.jpg",
                sequence=i,
                event_time_ms=i * 100,
                label=None if i % 7 == 3 else label,
                held_out=i >= 35,
                awaits_label=i % 7 == 3,
                objects=None if i % 7 == 3 else (LabelledObject(label, (4, 4, 20, 20)),),
            ),
            detections=_found("ab"[classes[0]], best, shift=i % 4),
            features=rng.normal(brightness / 100, 0.2, 8).astype(np.float32),
            prepared=np.clip(rng.normal(brightness, 20, (8, 8, 3)), 0, 255).astype(np.uint8),
            classification=_said(classes, best),
            shadow=_said([i % 3 % 2, 1 - i % 3 % 2], np.float32(0.75)),
        )


def _said(classes: Sequence[int], best: np.float32) -> Classification:
    """Return what is said of an image of the classes `a` and `b`."""
    labels, scores = tuple("ab"[c] for c in classes), np.array([best, 1 - best], np.float32)
    return Classification(labels, np.array(classes, np.int32), scores)


def _found(label: str, score: np.float32, *, shift: int) -> Detections:
    """Return one object of 16 x 16 pixels, so many of them to the right of (4, 4)."""
    box = np.array([[4 + shift, 4, 20 + shift, 20]], np.float32)
    class_ids = np.array(["ab".index(label)], np.int32)
    return Detections(box, np.array([score]), class_ids, (label,))


def walkers(n_images: int, source_id: str = "photos") -> Iterator[ImageRecord]:
    """Yield images, ten a second, of two objects of 40 x 80 pixels that walk past each other."""
    ids, steps = np.array([1, 2]), np.array([10, -10], np.float32)
    half = np.array([20, 40], np.float32)
    for i in range(n_images):
        centres = np.array([[100, 200], [500, 230]], np.float32)
        centres[:, 0] += i * steps
        boxes = np.concatenate([centres - half, centres + half], axis=1)
        scores, classes = np.full(2, 0.9, np.float32), np.array([0, 1], np.int32)
        labels = ("person", "dog")
        velocities = np.stack([steps * 10, np.zeros(2, np.float32)], axis=1)
        ages, hits = np.full(2, i * 100, np.int64), np.full(2, i + 1, np.int32)
        yield a_record(
            origin=an_origin(source_id=source_id, sequence=i, event_time_ms=i * 100),
            width=640,
            height=480,
            detections=Detections(
                *(boxes, scores, classes, labels), (1, 2), _seen(i), _seen(i // 2)
            ),
            tracks=Tracks(ids, boxes, scores, classes, labels, velocities, ages, hits),
            faces=_faces_of(boxes, i),
        )


def _seen(number: int) -> ObjectClasses:
    """Return what one of two objects shows: red, later green, and unknown in some images."""
    label, class_id = ("red", 0) if number < 20 else ("green", 1)
    if number % 5 == 4:
        return ObjectClasses(("unknown", None), (None, None), np.array([0.3, 0], np.float32))
    return ObjectClasses((label, None), (class_id, None), np.array([0.8, 0], np.float32))


def _faces_of(boxes: npt.NDArray[np.float32], number: int) -> Faces:
    """Return the faces of two walkers, `ann` and `bob`, whom some images do not know."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.array([8, 10], np.float32)
    eyes = middles[:, None] + np.array([[-4, -3], [4, -3]], np.float32)
    return Faces(
        np.concatenate([middles - half, middles + half], axis=1),
        np.full(2, 0.9, np.float32),
        eyes,
        person_ids=(None if number % 3 == 0 else "ann", None if number % 4 == 0 else "bob"),
        similarities=np.array([0.7, 0.6], np.float32),
        track_ids=(1, 2),
    )
