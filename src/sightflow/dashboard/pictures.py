"""Mistakes as small pictures within a page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from sightflow.dashboard.drawing import as_data_uri
from sightflow.errors import DecodeError
from sightflow.ops.decode import decode
from sightflow.records import Row
from sightflow.sources.addresses import is_live
from sightflow.storage.files import Reader
from sightflow.storage.naming import VIDEO_SUFFIXES

__all__ = ["Album", "Mistake"]

_SIZE = (256, 192)
_QUALITY = 78


@dataclass(frozen=True)
class Mistake:
    """An image that was classified wrongly, as a card of the page."""

    uri: str
    label: str
    predicted: str
    score: float
    score_of_label: float
    times: int
    """How often the same mistake was made with this image."""
    picture: str | None
    """A JPEG as a `data:` URI; None: it cannot be shown."""
    why: str
    """Why it cannot be shown."""


class Album:
    """Makes pictures of mistakes; each file is read once."""

    def __init__(self) -> None:
        """Start with no picture."""
        self._reader = Reader()
        self._made: dict[str, tuple[str | None, str]] = {}

    def of(self, mistaken: Sequence[Row], *, at_most: int) -> list[Mistake]:
        """Return cards of the first mistakes; the same one of another pass is only counted."""
        cards: dict[tuple[str, ...], Mistake] = {}
        for event in mistaken:
            uri, predicted = event.get("uri") or "", event.get("predicted") or "nothing"
            place = f"{uri}, picture {event['sequence']}" if _has_many(uri) else uri
            key = place, event["label"], predicted
            if key in cards:
                cards[key] = replace(cards[key], times=cards[key].times + 1)
            elif len(cards) < at_most:
                figures, (picture, why) = event["figures"], self._picture(uri)
                scores = figures["score"], figures["score_of_label"]
                cards[key] = Mistake(*key, *scores, 1, picture, why)
        return list(cards.values())

    def _picture(self, uri: str) -> tuple[str | None, str]:
        if uri not in self._made:
            self._made[uri] = self._make(uri)
        return self._made[uri]

    def _make(self, uri: str) -> tuple[str | None, str]:
        """Return the picture of an image, or None and why there is none."""
        if uri.lower().endswith(VIDEO_SUFFIXES):
            return None, "a frame of a video"
        try:
            small = _thumbnail(self._reader.read(uri))
        except DecodeError as error:
            return None, str(error)
        except OSError as error:
            return None, f"cannot be read: {error}"
        return as_data_uri(small), ""


def _has_many(uri: str) -> bool:
    """Return whether there are many pictures at a place: a video, a stream."""
    return uri.lower().endswith(VIDEO_SUFFIXES) or is_live(uri)


def _thumbnail(data: bytes) -> bytes:
    """Return a picture as a small JPEG."""
    pixels = decode(data, scale_for=_scale).pixels
    image = Image.fromarray(pixels)
    image.thumbnail(_SIZE)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def _scale(width: int, height: int) -> float:
    return min(1.0, _SIZE[0] / width, _SIZE[1] / height)
