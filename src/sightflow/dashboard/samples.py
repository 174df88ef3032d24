"""Pictures of results, found again where they were read, with what was found in them drawn in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import av

from sightflow.dashboard.drawing import as_data_uri, draw_row
from sightflow.errors import DecodeError
from sightflow.ops.decode import MAX_PIXELS, decode
from sightflow.ops.draw import Pixels
from sightflow.records import Row
from sightflow.sources.addresses import is_live
from sightflow.sources.frames import Decoder
from sightflow.storage.files import Reader, can_be_opened
from sightflow.storage.naming import VIDEO_SUFFIXES
from sightflow.storage.videos import list_frames, upright

__all__ = ["Picture", "Pictures", "is_video", "pictures_of"]

_SIZE = (360, 270)
_SIZE_WITH_BOXES = (480, 360)
"""Texts at boxes need room."""
_MAX_BYTES = 2_800_000
"""Of all pictures of a page; as text they are a third longer."""
_N_THREADS = 2


@dataclass(frozen=True)
class Picture:
    """A picture of a page, or why there is none."""

    uri: str | None
    """A JPEG as a `data:` URI; None: it cannot be shown."""
    why: str = ""
    """Why it cannot be shown."""


def is_video(uri: str) -> bool:
    """Return whether there are many pictures at a place that are frames."""
    return uri.lower().endswith(VIDEO_SUFFIXES)


class Pictures:
    """Pictures by place; those of one video share what is known of it."""

    def __init__(self, resources: ExitStack) -> None:
        """Start with nothing open; `resources` closes what is open at the end."""
        self._reader = Reader()
        self._decoder = Decoder(self._reader, _N_THREADS, resources)
        self._video, self._times = "", list[int]()

    def pixels_of(self, row: Row) -> tuple[Pixels, int]:
        """Return the picture of a row, in any scale, and the width that it was recognised in.

        Returns:
            uint8 [H, W, 3] RGB, upright; the width in pixels.

        Raises:
            DecodeError: it is no picture, or not the one that was recognised.
            OSError: it cannot be read.
            av.FFmpegError: the video is damaged.
        """
        uri = row["uri"]
        if is_live(uri) or not can_be_opened(uri):
            raise DecodeError("gone", "a stream keeps no pictures")
        if is_video(uri):
            pixels = self._frame(uri, row["sequence"])
            height, width = pixels.shape[:2]
        else:
            n_pixels = row.get("width", 0) * row.get("height", 0)
            decoded = decode(
                self._reader.read(uri), max_pixels=max(n_pixels, MAX_PIXELS), scale_for=_scale
            )
            pixels, width, height = decoded.pixels, decoded.width, decoded.height
        known = row.get("width", width), row.get("height", height)
        if known != (width, height):
            raise DecodeError(
                "changed", f"has {width} x {height} pixels now; it had {known[0]} x {known[1]}"
            )
        return pixels, width

    def _frame(self, uri: str, number: int) -> Pixels:
        if uri != self._video:
            self._times = [pts for pts, _ in list_frames(self._reader, uri).frames]
            self._video = uri
        if number < len(self._times):
            for frame in self._decoder.decode(uri, [(number, self._times[number], 0)]):
                if frame is not None:
                    return upright(frame)
        raise DecodeError("gone", f"the video has no frame {number} any more")


def pictures_of(
    rows: Sequence[Row],
    on_done: Callable[[int, int], None] = lambda done, total: None,
    *,
    max_bytes: int = _MAX_BYTES,
) -> dict[tuple[str, int], Picture]:
    """Return pictures of rows by `uri` and `sequence`, with boxes drawn in.

    Args:
        rows: results. Those of a video are read in the order of their frames.
        on_done: told how many are done, of how many.
        max_bytes: of all pictures; the first rows come first.
    """
    wanted = {(row["uri"], row["sequence"]): row for row in reversed(rows)}
    rank = {key: place for place, key in enumerate(dict.fromkeys(_keys(rows)))}
    made: dict[tuple[str, int], bytes | str] = {}
    with ExitStack() as resources:
        pictures = Pictures(resources)
        for key in sorted(wanted):
            made[key] = _made(pictures, wanted[key])
            on_done(len(made), len(wanted))
    return dict(_fitted(made, sorted(wanted, key=rank.__getitem__), max_bytes))


def _keys(rows: Sequence[Row]) -> Iterator[tuple[str, int]]:
    return ((row["uri"], row["sequence"]) for row in rows)


def _made(pictures: Pictures, row: Row) -> bytes | str:
    """Return the JPEG of a row, or why there is none."""
    try:
        pixels, width = pictures.pixels_of(row)
        size = _SIZE_WITH_BOXES if _has_boxes(row) else _SIZE
        return draw_row(pixels, {**row, "width": width}, size=size, captions=False)
    except DecodeError as error:
        return error.message
    except av.FFmpegError as error:
        return f"the video is damaged: {error}"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _fitted(
    made: dict[tuple[str, int], bytes | str], order: Sequence[tuple[str, int]], max_bytes: int
) -> Iterator[tuple[tuple[str, int], Picture]]:
    """Yield as many pictures as there is room for, in this order."""
    n_bytes = 0
    for key in order:
        one: Any = made[key]
        if isinstance(one, str):
            yield key, Picture(None, one)
            continue
        n_bytes += len(one)
        fits = n_bytes <= max_bytes
        yield key, Picture(as_data_uri(one)) if fits else Picture(None, "the page is full")


def _has_boxes(row: Row) -> bool:
    return any(row.get(name) for name in ("tracks", "detections", "faces"))


def _scale(width: int, height: int) -> float:
    return min(1.0, max(_SIZE_WITH_BOXES[0] / width, _SIZE_WITH_BOXES[1] / height))
