"""Many pictures of one person each become embeddings: the pipeline that all commands share."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sightflow.models import ModelFile
from sightflow.pipeline import Pipeline
from sightflow.protocols import Source
from sightflow.records import Row
from sightflow.records.ledger import Ledger
from sightflow.runners import run
from sightflow.settings import RunSettings
from sightflow.sinks.results import JsonLines
from sightflow.storage.jsonlines import read_rows
from sightflow.tasks.align_faces import AlignFaces
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.tasks.main_face import MainFace

__all__ = ["DescribedFace", "FaceModels", "by_reason", "describe"]

OnProgress = Callable[[Ledger, int | None], None]


@dataclass(frozen=True)
class FaceModels:
    """The models that find faces, place landmarks on them, and describe them."""

    detector: ModelFile = field(default_factory=lambda: DetectFaces().model)
    aligner: ModelFile | None = field(default_factory=lambda: AlignFaces().model)
    """None: the landmarks of the detector are those that the embedder knows."""
    embedder: ModelFile = field(default_factory=lambda: EmbedFaces().model)

    def apply(self, pipeline: Pipeline, *between: tuple[str, Any], **options: Any) -> Pipeline:
        """Add the steps `detect`, others, `align` and `embed` to a pipeline.

        Args:
            pipeline: with a source.
            between: steps behind the detector, with their names.
            options: of `DetectFaces`.
        """
        pipeline = pipeline.apply("detect", DetectFaces(self.detector, **options))
        for name, operator in between:
            pipeline = pipeline.apply(name, operator)
        if self.aligner is not None:
            pipeline = pipeline.apply("align", AlignFaces(self.aligner))
        return pipeline.apply("embed", EmbedFaces(self.embedder))


@dataclass(frozen=True, eq=False)
class DescribedFace:
    """The main face of a picture."""

    uri: str
    source_id: str
    """The path by which the picture was asked for."""
    label: str | None
    """What its source says that the picture shows."""
    embedding: npt.NDArray[np.float32] = field(repr=False)
    """float32 [D], of unit length."""
    box_xyxy: tuple[float, ...]
    """In pixels of the picture."""
    n_faces: int
    """How many faces the picture has."""

    @classmethod
    def of(cls, row: Row) -> "DescribedFace":
        """Return what a result says."""
        (face,) = row["faces"]
        (n_faces,) = (m["value"] for m in row["measures"] if m["name"] == "n_faces")
        return cls(
            row["uri"],
            row["source_id"],
            row.get("label"),
            np.array(face["embedding"], np.float32),
            tuple(face["box_xyxy"]),
            int(n_faces),
        )


def describe(
    source: Source,
    models: FaceModels,
    settings: RunSettings,
    *,
    several: Literal["take", "reject"] = "take",
    on_progress: OnProgress = lambda ledger, n_images: None,
) -> tuple[list[DescribedFace], list[Row]]:
    """Describe the main face of each picture of a source.

    Args:
        source: of the pictures.
        models: that do it.
        settings: of the run.
        several: see `MainFace`.
        on_progress: told the ledger so far and how many pictures there are, now and then.

    Returns:
        The faces, in the order of the source, and a row for each picture that was rejected, with
        `uri`, `reason` and `message`.
    """
    # The folder can be read by nobody else, and is gone behind the call.
    with tempfile.TemporaryDirectory(prefix="sightflow-faces-") as folder:
        path = Path(folder, "faces.jsonl")
        pipeline = models.apply(
            Pipeline(source, name="sightflow faces"), ("choose", MainFace(several))
        )
        run(pipeline.write("faces", JsonLines(str(path))), settings, on_progress=on_progress)
        rejected = list(read_rows(path.with_suffix(".rejected.jsonl")))
        return [DescribedFace.of(row) for row in read_rows(path)], rejected


def by_reason(rejected: Sequence[Row]) -> dict[str, int]:
    """Return how many pictures were rejected for each reason."""
    reasons = [row["reason"] for row in rejected]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}
