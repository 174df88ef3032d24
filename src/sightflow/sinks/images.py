"""Pictures written for each image: with what was recognised drawn in, or prepared for a model."""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightflow.errors import OutputExistsError, PipelineError
from sightflow.ops.blur import blur_boxes
from sightflow.ops.draw import draw_classification, draw_detections, draw_faces, enlarged
from sightflow.options import check_choices, check_count, check_share
from sightflow.protocols import Context
from sightflow.records import Faces, ImageRecord
from sightflow.storage.drafts import check_folder, replacing

__all__ = ["AnnotatedImages", "ImageFolder"]


@dataclass(frozen=True)
class AnnotatedImages:
    """A JPEG of each image with boxes, labels and scores drawn in, under its name in a folder."""

    directory: str
    min_score: float = 0.0
    """What scores less is not drawn, in [0, 1]."""
    quality: int = 90
    """Of the JPEG, 1 to 100."""
    blur_unknown: bool = False
    """Blur the faces of everyone whom no step knows."""
    overwrite: bool = False
    """Write into a folder that is not empty."""

    def __post_init__(self) -> None:
        """Refuse a quality or a score that is none."""
        check_count(self, "quality", at_least=1, at_most=100)
        check_share(self, "min_score")

    @property
    def needs(self) -> tuple[str, ...]:
        """What a step before it must have found."""
        return ("faces",) if self.blur_unknown else ()

    def check(self) -> None:
        """Refuse a folder that is not empty or cannot be written."""
        check_folder(Path(self.directory), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the folder."""
        return (self.directory,)

    def scale_for(self, width: int, height: int) -> float:
        """Return 1: people look at the whole picture."""
        return 1.0

    def open_images(self, context: Context) -> Callable[[ImageRecord], None]:
        """Return a function that draws and writes one picture."""

        def write(record: ImageRecord) -> None:
            pixels, factor = enlarged(record.pixels)
            if self.blur_unknown:
                pixels = pixels.copy()
                blur_boxes(pixels, _unknown(record.faces, context.step) * factor)
            if record.detections is not None:
                pixels = draw_detections(
                    pixels, record.detections, scale=factor, min_score=self.min_score
                )
            if record.faces is not None:
                pixels = draw_faces(pixels, record.faces, scale=factor, min_score=self.min_score)
            if record.classification is not None:
                pixels = draw_classification(pixels, record.classification)
            path = Path(self.directory, _with_suffix(record.origin.name, ".jpg"))
            _write(path, _encode(pixels, "jpeg", self.quality), record.origin.uri)

        return write


@dataclass(frozen=True)
class ImageFolder:
    """Each image, prepared if a step prepared it, as a file of its own under its name."""

    directory: str
    format: Literal["jpeg", "png", "npy"] = "jpeg"
    """`npy` takes any array; the others take uint8 [H, W, 3] RGB."""
    quality: int = 95
    """Of a JPEG, 1 to 100."""
    overwrite: bool = False
    """Write into a folder that is not empty."""

    def __post_init__(self) -> None:
        """Refuse a format or a quality that is none."""
        check_choices(self)
        check_count(self, "quality", at_least=1, at_most=100)

    def check(self) -> None:
        """Refuse a folder that is not empty or cannot be written."""
        check_folder(Path(self.directory), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the folder."""
        return (self.directory,)

    def scale_for(self, width: int, height: int) -> float:
        """Return almost 0: what is written is what earlier steps asked for."""
        return 1e-9

    def open_images(self, context: Context) -> Callable[[ImageRecord], None]:
        """Return a function that writes one picture."""
        suffix = {"jpeg": ".jpg", "png": ".png", "npy": ".npy"}[self.format]

        def write(record: ImageRecord) -> None:
            array = record.pixels if record.prepared is None else record.prepared
            if self.format != "npy" and array.dtype != np.uint8:
                raise PipelineError(
                    f"step {context.step!r}: `format: {self.format}` needs uint8 pixels; the "
                    "images are normalised to float32; use `format: npy`"
                )
            path = Path(self.directory, _with_suffix(record.origin.name, suffix))
            _write(path, _encode(array, self.format, self.quality), record.origin.uri)

        return write


def _unknown(faces: Faces | None, step: str) -> npt.NDArray[np.float32]:
    """Return the boxes of the faces that are nobody's, float32 [N, 4]."""
    if faces is None:
        raise PipelineError(
            f"step {step!r}: `blur_unknown` blurs the faces that an earlier step has found; add "
            "one, such as DetectFaces"
        )
    return faces.strangers_xyxy


def _with_suffix(name: str, suffix: str) -> str:
    """Return a file name that ends in `suffix` and tells files apart that differ in theirs.

    Examples:
        >>> _with_suffix("a/cat.jpg", ".jpg"), _with_suffix("a/cat.png", ".jpg")
        ('a/cat.jpg', 'a/cat.png.jpg')
        >>> _with_suffix("a/cat.png.jpg", ".jpg")
        'a/cat.png.jpg.jpg'
    """
    stem, ending = os.path.splitext(name)
    single = ending.lower() == suffix and not os.path.splitext(stem)[1]
    return name if single else name + suffix


def _encode(array: npt.NDArray[Any], format: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    if format == "npy":
        np.save(buffer, array)
    elif format == "png":
        Image.fromarray(array).save(buffer, "PNG", compress_level=3)
    else:
        Image.fromarray(array).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _write(path: Path, data: bytes, uri: str) -> None:
    if path.exists() and os.path.exists(uri) and os.path.samefile(path, uri):
        raise OutputExistsError(f"{path}: is the picture that is read; choose another folder")
    with replacing(path) as draft:
        draft.write_bytes(data)
