"""H.264 in MP4, written with PyAV: a file that plays in a browser while it loads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from sightflow.errors import OutputError, SetupError
from sightflow.ops.draw import Pixels

__all__ = ["Encoder", "VideoShape", "encoding", "find_encoder"]

_ENCODERS: dict[str, Callable[[int], dict[str, str]]] = {
    "libopenh264": lambda quality: {
        "rc_mode": "quality",
        "qmin": str(quality),
        "qmax": str(quality),
    },
    "libx264": lambda quality: {"preset": "veryfast", "crf": str(quality)},
}
"""Names in FFmpeg, the first that is there is taken; their options for a quality."""

_BT709 = 1
_KEY_FRAME_EVERY_S = 2
"""So far apart are the places from which a player can start."""


def find_encoder() -> str:
    """Return the name of the H.264 encoder to use.

    Raises:
        SetupError: PyAV's FFmpeg has none.
    """
    for name in _ENCODERS:
        with suppress(av.codec.codec.UnknownCodecError):
            return str(av.Codec(name, "w").name)
    raise SetupError(
        f"PyAV's FFmpeg has none of the H.264 encoders {', '.join(_ENCODERS)}; "
        "`pip install --force-reinstall av` installs one that has"
    )


@dataclass(frozen=True)
class VideoShape:
    """What all frames of a video have in common."""

    width: int
    """Of the frames, in pixels; the video has one more where this is odd."""
    height: int
    rate: Fraction
    """Frames a second on average; the time of each frame is its own."""
    time_base: Fraction
    """Seconds of a tick."""
    aspect: Fraction = Fraction(1)
    """Width of a pixel as it is shown, for a height of 1."""


class Encoder:
    """A video under construction."""

    def __init__(self, container: Any, shape: VideoShape, quality: int) -> None:
        """Add the stream of pictures to a container that is empty."""
        name = find_encoder()
        stream = container.add_stream(name, rate=shape.rate, options=_ENCODERS[name](quality))
        stream.width, stream.height = shape.width + shape.width % 2, shape.height + shape.height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = shape.time_base
        codec = stream.codec_context
        codec.gop_size = max(1, round(_KEY_FRAME_EVERY_S * shape.rate))
        codec.sample_aspect_ratio = shape.aspect
        codec.color_range = ColorRange.MPEG
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        self._container, self._stream, self._shape = container, stream, shape
        self._reformatter = VideoReformatter()
        self._last_tick, self._duration = -1, round(1 / (shape.rate * shape.time_base))

    def write(self, pixels: Pixels, tick: int) -> None:
        """Append a frame.

        Args:
            pixels: uint8 [H, W, 3] RGB of the video's shape.
            tick: when it is shown; a tick after the one before if that is later.
        """
        tick = max(tick, self._last_tick + 1)
        if self._last_tick >= 0:
            self._duration = tick - self._last_tick
        self._last_tick = tick
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(_even(pixels), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = tick, self._shape.time_base
        frame.duration = self._duration  # as long as the one before; it matters for the last
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


@contextmanager
def encoding(path: Path, shape: VideoShape, quality: int) -> Iterator[Encoder]:
    """Give the encoder of a new video; the file is complete when all went well.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        options = {"movflags": "+faststart"}
        with av.open(f"file:{path}", "w", format="mp4", options=options) as container:
            encoder = Encoder(container, shape, quality)
            yield encoder
            encoder.finish()
    except av.FFmpegError as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error


def _even(pixels: Pixels) -> Pixels:
    """Return the picture with its last row and column doubled where their number is odd."""
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return pixels
