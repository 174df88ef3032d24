"""What functions of SQL see in bytes: the steps of pipelines, and the form of their answers.

Nothing here knows Flink. Bytes go through the same recognition as the images of a pipeline.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from sightflow.engine.recognition import open_recogniser
from sightflow.errors import PipelineError
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Inference
from sightflow.records import EncodedImage, ImageRecord, Origin, Outcome, Rejected
from sightflow.settings import RunSettings
from sightflow.sources.directory import Directory
from sightflow.storage.files import Reader
from sightflow.tasks.align_faces import AlignFaces
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.tasks.main_face import MainFace

__all__ = ["FaceSteps", "Look", "best_class", "objects", "open_look", "place_of", "size"]

Answer: TypeAlias = Any
"""A plain value, a dict for a row, pairs for a map, or None."""
Look: TypeAlias = Callable[[Sequence[bytes | None]], list[Outcome | None]]


@dataclass(frozen=True)
class FaceSteps:
    """The steps that describe the main face of a picture."""

    detect: DetectFaces = field(default_factory=DetectFaces)
    align: AlignFaces | None = field(default_factory=AlignFaces)
    """None: the landmarks of the detector are those that the embedder knows."""
    embed: EmbedFaces = field(default_factory=EmbedFaces)

    @property
    def named(self) -> tuple[tuple[str, Any], ...]:
        """The steps with their names, in order."""
        align = () if self.align is None else (("align", self.align),)
        choose = ("choose", MainFace())
        return (("detect", self.detect), choose, *align, ("embed", self.embed))


def pipeline_of(steps: Sequence[tuple[str, Any]]) -> Pipeline:
    """Return the pipeline whose steps look at bytes; its source is never asked."""
    pipeline = Pipeline(Directory(()), name="sightflow sql")
    for name, operator in steps:
        pipeline = pipeline.apply(name, operator)
    return pipeline


def open_look(
    steps: Sequence[tuple[str, Any]], settings: RunSettings, inference: Inference, context: Context
) -> Look:
    """Open steps in this worker; return a function from bytes to outcomes, None for None."""
    recognise = open_recogniser(pipeline_of(steps), settings, context)

    def look(pictures: Sequence[bytes | None]) -> list[Outcome | None]:
        outcomes: list[Outcome | None] = [None] * len(pictures)
        places = [i for i, data in enumerate(pictures) if data is not None]
        images = [EncodedImage(_ORIGIN, data) for data in pictures if data is not None]
        for place, outcome in zip(places, recognise(images), strict=True):
            outcomes[place] = outcome
        return outcomes

    return look


_ORIGIN = Origin("a picture of SQL", "sql", 0, 0, "picture")


def best_class(outcome: Outcome | None) -> Answer:
    """Return the best class of a picture, and all that the step kept; None of a broken picture."""
    if not isinstance(outcome, ImageRecord) or outcome.classification is None:
        return None
    found = outcome.classification
    scores = found.scores.tolist()
    first: dict[str, Any] = {"label": None, "class_id": None, "score": None}
    if scores:
        first = {"label": found.labels[0], "class_id": int(found.class_ids[0]), "score": scores[0]}
    return {**first, "top_labels": list(found.labels), "top_scores": scores}


def objects(outcome: Outcome | None) -> Answer:
    """Return the objects of a picture by their numbers from 1, best first; None of a broken one."""
    if not isinstance(outcome, ImageRecord) or outcome.detections is None:
        return None
    found = outcome.detections
    rows = zip(
        found.labels,
        found.class_ids.tolist(),
        found.scores.tolist(),
        *found.boxes_xyxy.T.tolist(),
        strict=True,
    )
    names = ("label", "class_id", "score", "x1", "y1", "x2", "y2")
    return [(number, dict(zip(names, row, strict=True))) for number, row in enumerate(rows, 1)]


def embedding(outcome: Outcome | None) -> Answer:
    """Return the embedding of the face that was chosen, float32 [D]; None without a face."""
    if not isinstance(outcome, ImageRecord) or outcome.faces is None:
        return None
    return None if outcome.faces.embeddings is None else outcome.faces.embeddings[0]


def size(outcome: Outcome | None) -> Answer:
    """Return width and height of a picture, upright, in pixels; None of a broken one."""
    if not isinstance(outcome, ImageRecord):
        return None
    return {"width": outcome.width, "height": outcome.height}


def problem(outcome: Outcome | None) -> Answer:
    """Return why a picture cannot be shown; None of one that can."""
    if not isinstance(outcome, Rejected):
        return None
    return {"reason": outcome.reason, "message": outcome.message}


def similarity(a: Any, b: Any) -> Answer:
    """Return the cosine of two embeddings, in [-1, 1]; None where one is missing or has no length.

    Raises:
        PipelineError: they are of different length.
    """
    if a is None or b is None:
        return None
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if one.shape != other.shape:
        raise PipelineError(
            "FACE_SIMILARITY: both embeddings must be of one model; got "
            f"{len(one)} and {len(other)} numbers"
        )
    length = float(np.sqrt((one @ one) * (other @ other)))
    return max(-1.0, min(1.0, float(one @ other) / length)) if length else None


def place_of(uri: str) -> str:
    r"""Return what `READ_IMAGE` opens for a URI: the URI, or JSON of a name that is no UTF-8.

    Examples:
        >>> place_of("photos/a.jpg"), place_of("\udcff.jpg")
        ('photos/a.jpg', '"\\udcff.jpg"')
    """
    return json.dumps(uri) if any("\ud800" <= c <= "\udfff" for c in uri) else uri


def read_places(reader: Reader, places: Sequence[str | None]) -> list[bytes | OSError | None]:
    """Read files; return the bytes of each, or why it cannot be read, None for None."""
    return [None if place is None else _read(reader, place) for place in places]


def _read(reader: Reader, place: str) -> bytes | OSError:
    try:
        return reader.read(json.loads(place) if place.startswith('"') else place)
    except (OSError, ValueError) as error:  # a text that is no place: nothing is there
        return error if isinstance(error, OSError) else OSError(str(error))
