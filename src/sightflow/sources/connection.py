"""A connection to a camera or a stream, made with PyAV: its pictures, until it breaks or ends."""

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

import av
import simplejpeg
from av.stream import Discard

from sightflow.errors import DecodeError, SourceError
from sightflow.sources.addresses import as_device, has_no_such_host
from sightflow.storage.videos import upright

__all__ = ["Connection", "LostError", "Picture", "encode", "open_connection"]

_OPTIONS = {"rtsp_transport": "tcp", "allowed_media_types": "video", "fpsprobesize": "0"}
"""Sound would hide that pictures no longer come. FFmpeg need not measure the rate before the first
picture. Other protocols pass over what is for RTSP."""

_COMES_IN_PIECES = ("hls", "dash")
"""Formats whose pictures come by the file, many at once."""

_ENDLESS = (*_COMES_IN_PIECES, "mpjpeg")
"""Formats whose size is not that of the pictures."""

_MAX_MISSING_S = 1.0
"""A recording in pieces whose pictures end earlier than this before its end was cut short."""

_HUFFMAN_TABLE = b"\xff\xc4"


class LostError(SourceError):
    """A camera could not be connected to, or the connection broke."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        """Keep what happened; what to do is told only where waiting cannot help."""
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as it came."""

    content: Any
    """A decoded `av.VideoFrame`, a JPEG as bytes, or a `DecodeError`."""
    time_s: float | None
    """By the clock of the stream; None where it has none."""


def open_connection(
    url: str | int, options: Mapping[str, str], *, timeout_s: float, resources: ExitStack
) -> "Connection":
    """Connect; `resources` closes the connection.

    Raises:
        LostError: it does not come about.
    """
    device = as_device(url)
    address = device or str(url)
    container = _translated(
        address,
        lambda: av.open(
            address,
            format="v4l2" if device else None,
            options={**_OPTIONS, **options},
            timeout=timeout_s,
            metadata_errors="replace",
        ),
    )
    resources.callback(container.close)
    if not container.streams.video:
        raise LostError("there are no pictures in this stream", "give the address of a video")
    return Connection(address, container)


class Connection:
    """An open stream of pictures."""

    def __init__(self, address: str, container: Any) -> None:
        """Take the best video of the streams; the others are not fetched."""
        self._address = address
        self._container = container
        self._stream = container.streams.best("video")
        self._comes_in_pieces = container.format.name in _COMES_IN_PIECES
        for stream in container.streams:
            if stream is not self._stream:
                stream.discard = Discard.all

    @property
    def is_recorded(self) -> bool:
        """Whether it has an end that is known now: a file, or a playlist that is complete."""
        if self._container.duration:
            return True
        return self._container.format.name not in _ENDLESS and self._container.size > 0

    @property
    def comes_in_bursts(self) -> bool:
        """Whether pictures come faster than they were taken."""
        return self._comes_in_pieces or self.is_recorded

    def pictures(self, n_threads: int) -> Iterator[Picture]:
        """Yield the pictures from the first key frame on; those before it cannot be decoded.

        Raises:
            LostError: the connection broke.
        """
        self._stream.codec_context.thread_count = n_threads
        packets = self._container.demux(self._stream)
        packets = dropwhile(lambda packet: not packet.is_keyframe, packets)
        last_s = 0.0
        while True:
            packet = _translated(self._address, lambda: next(packets, None))
            if packet is None:
                self._check_end(last_s)
                return
            last_s = max(last_s, _seconds(packet) or 0.0)
            yield from self._decoded(packet)

    def _check_end(self, last_s: float) -> None:
        """Raise `LostError` if a recording in pieces ended long before its end.

        FFmpeg passes over pieces that cannot be had, without a word.
        """
        if self._comes_in_pieces and self._container.duration:
            begins_s = (self._container.start_time or 0) / av.time_base
            missing_s = begins_s + self._container.duration / av.time_base - last_s
            if missing_s > _MAX_MISSING_S:
                raise LostError(f"the last {missing_s:.1f} s of it did not come")

    def _decoded(self, packet: Any) -> Iterator[Picture]:
        if self._is_jpeg(packet):
            yield Picture(bytes(packet), _seconds(packet))
            return
        try:
            frames = packet.decode()
        except EOFError:  # of a decoder that was emptied
            return
        except av.FFmpegError as error:
            yield Picture(DecodeError("corrupt", error.strerror), _seconds(packet))
            return
        for frame in frames:
            damaged = DecodeError("corrupt", "parts of the picture are missing")
            yield Picture(damaged if frame.is_corrupt else frame, frame.time)

    def _is_jpeg(self, packet: Any) -> bool:
        """Return whether a packet is a whole JPEG, with tables, which some cameras leave out."""
        if self._stream.codec_context.name != "mjpeg" or self.is_recorded or not packet.size:
            return False
        data = memoryview(packet)
        return bytes(data[:2]) == b"\xff\xd8" and _HUFFMAN_TABLE in bytes(data[:2048])


def encode(content: Any, quality: int) -> bytes:
    """Return the content of a picture as a JPEG.

    Raises:
        DecodeError: there is no picture.
    """
    if isinstance(content, DecodeError):
        raise content
    if isinstance(content, bytes):
        return content
    try:
        jpeg: bytes = simplejpeg.encode_jpeg(
            upright(content), quality, colorspace="RGB", colorsubsampling="420"
        )
    except (av.FFmpegError, ValueError) as error:
        raise DecodeError("unsupported", str(error)) from error
    return jpeg


def _seconds(packet: Any) -> float | None:
    return None if packet.pts is None else float(packet.pts * packet.time_base)


def _translated(address: str, call: Callable[[], Any]) -> Any:
    """Return what a call of FFmpeg returns, or raise what it fails with in words of ours.

    The error itself is not chained: it shows the address, with its password.
    """
    try:
        return call()
    except av.FFmpegError as error:
        lost = _lost(address, error)
    raise lost


def _lost(address: str, error: Any) -> LostError:
    is_local = "://" not in address
    if isinstance(error, av.error.ExitError):
        return LostError("nothing came in time")
    if isinstance(error, av.error.ProtocolNotFoundError):
        return LostError("unknown protocol", "use rtsp://, http:// or https://")
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return LostError(
            "name and password are refused", "write them as rtsp://NAME:PASSWORD@HOST/PATH"
        )
    if isinstance(error, av.error.HTTPNotFoundError):
        return LostError("nothing is at this path", "look it up in the settings of the camera")
    if is_local and error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTTY):
        return LostError("no such camera or file", "`ls /dev/video*` lists the cameras")
    if is_local and error.errno in (errno.EACCES, errno.EPERM):
        return LostError("it may not be read", "for a camera, join the group `video`")
    if isinstance(error, av.InvalidDataError) and not address.startswith("rtsp"):
        return LostError("what comes is no video", "give the address of the stream, not of a page")
    if not is_local and has_no_such_host(address):
        return LostError("no such host", "check the name; an address such as 10.0.0.7 works too")
    return LostError(error.strerror.lower())
