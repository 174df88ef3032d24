"""What travels: claim checks, encoded images, decoded records, rejected ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError
from sightflow.records.classification import Classification, Scene
from sightflow.records.detections import Detections
from sightflow.records.faces import Faces
from sightflow.records.measures import Measures
from sightflow.records.tracks import Tracks

__all__ = [
    "REASONS",
    "Claim",
    "EncodedImage",
    "ImageRecord",
    "Label",
    "LabelledObject",
    "ModelUse",
    "Origin",
    "Outcome",
    "Rejected",
    "Skipped",
    "SourceEnd",
]

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "unreadable": "The storage failed",
        "empty": "The file has no bytes.",
        "not_an_image": "The bytes are in no known format.",
        "corrupt": "The file is damaged or cut short.",
        "too_large": "Width x height is above `max_pixels`.",
        "unsupported": "A known format in a variant that cannot be shown",
        "late": "A step that remembers was beyond its time",
        "unknown_label": "Its label is none of the classes that a network learns",
        "no_face": "No face was found where one was asked for.",
        "several_faces": "It is not clear which face is meant",
        "no_time": "Its name should tell when it was taken",
        "bad_label": "A line of a file of labels cannot be read",
    }
)
"""Why an image was rejected: the word, and what it means."""


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """An object that is in an image, as told by somebody who knows."""

    label: str
    box_xyxy: tuple[float, float, float, float]
    """In pixels of the original image; origin top left; x2, y2 exclusive."""
    ignored: bool = False
    """Whether it is neither right nor wrong to find it: a crowd, or too small to tell."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one image comes from, and when it was taken."""

    uri: str
    source_id: str
    """The stream that the image belongs to: a folder, a video, a camera."""
    sequence: int
    """Position in the stream, from 0; for a video the number of the frame."""
    event_time_ms: int
    """When it was taken: milliseconds since 1970, UTC."""
    name: str
    """Relative path for files derived from this image; unique in a run."""
    label: str | None = None
    """What it shows, as told by somebody who knows; None where nobody has."""
    held_out: bool = False
    """Whether networks are tested with it and never learn from it."""
    awaits_label: bool = False
    """Whether it is remembered until its label comes."""
    objects: tuple[LabelledObject, ...] | None = None
    """All objects that are in it, as told by somebody who knows; None where nobody has."""
    metadata: tuple[tuple[str, str], ...] = ()
    """What else came with it, as pairs of name and text, such as the headers of a message; each
    name once."""


@dataclass(frozen=True, slots=True)
class Label:
    """What an image shows, told when the image itself is gone by."""

    source_id: str
    sequence: int
    """Of the image."""
    label: str | None
    """None: nobody will ever tell."""
    event_time_ms: int | None = None
    """Of the image, where that is told: a camera that is opened anew may give a number again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim check: it says where one or more images are, and carries none of them."""

    origin: Origin
    """Of the first image."""
    frames: tuple[tuple[int, int, int], ...] = ()
    """For a part of a video: (frame number, presentation timestamp in ticks of the stream,
    `event_time_ms`); empty when the claim is for a single image."""
    source: tuple[int, ...] = ()
    """Which of united sources it belongs to, outermost first."""
    labels: tuple[Label, ...] = ()
    """Of earlier images, known by the time that these are there."""

    @property
    def n_images(self) -> int:
        """How many images this claim is for."""
        return len(self.frames) or 1


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImage:
    """An image as its bytes: JPEG, PNG or another format that `ops.decode` reads."""

    origin: Origin
    data: bytes


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Which model a step used on a record."""

    step: str
    model: str
    version: str


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """A decoded image and what has been recognised in it so far."""

    origin: Origin
    width: int
    """Pixels of the original image, upright (after its EXIF orientation)."""
    height: int
    pixels: npt.NDArray[np.uint8]
    """uint8 [H, W, 3] RGB, upright; may be smaller than `height` x `width` (reduced decoding)."""
    models: tuple[ModelUse, ...] = ()
    classification: Classification | None = None
    """Present once a step has classified the image."""
    shadow: Classification | None = None
    """Present once a classifier on trial has looked at the image."""
    scene: Scene | None = None
    """Present once a step has named the scene."""
    detections: Detections | None = None
    """Present once a step has looked for objects."""
    tracks: Tracks | None = None
    """Present once a step has followed the objects through the stream."""
    faces: Faces | None = None
    """Present once a step has looked for faces."""
    measures: Measures | None = None
    """Present once a step has measured something that has no field of its own."""
    prepared: npt.NDArray[Any] | None = None
    """Present once a step has prepared the image: uint8 [H, W, 3] RGB or float32 [3, H, W]."""
    features: npt.NDArray[np.float32] | None = None
    """float32 [D]; present once a network has described the image."""

    def __post_init__(self) -> None:
        """Check the pixels at the door."""
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ShapeError(
                f"{self.origin.uri}: `pixels` must be uint8 [H, W, 3]; "
                f"got {pixels.dtype} {list(pixels.shape)}"
            )


@dataclass(frozen=True, slots=True)
class Rejected:
    """An image that could not be recognised, with the step that gave up and why."""

    origin: Origin
    step: str
    reason: str
    """One of `REASONS`, or a word of the step's own."""
    message: str


Outcome: TypeAlias = ImageRecord | Rejected
"""What becomes of an image."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Images of a live stream that were left out because newer ones were there."""

    origin: Origin
    """Of the first of them."""
    n_images: int


@dataclass(frozen=True, slots=True)
class SourceEnd:
    """Says that a stream has ended: what keyed steps know of it is forgotten.

    It may begin again; then its numbers go on.
    """

    source_id: str
