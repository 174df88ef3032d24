"""Addresses of cameras: what to open, and how to name it without its password."""

import os
import re
import socket
from urllib.parse import urlsplit

__all__ = ["as_device", "has_no_such_host", "is_live", "without_password"]

_SECRET = re.compile(
    r"([?&;][^=&;]*(?:pass|pwd|pas|token|secret|key|auth|sig)[^=&;]*=)[^&;#]*", re.I
)
_LOGIN = re.compile(r"(://[^/?#:]*):[^/?#]*@")
_ODD_LOGIN = re.compile(r"(://[^/?#:@]*):(?!\d*(?:[/?#]|$)).*@")
"""A password with a character that should have been written as `%2F`, `%3F` or `%23`."""
_LIVE = re.compile(
    r"(rtsps?|rtmps?|rtp|udp|srt)://.*|https?://[^?#]*\.m3u8([?#].*)?|\d+|/dev/video\d+", re.I
)


def is_live(path: str) -> bool:
    """Return whether a path names a camera or a live stream, and no file.

    Examples:
        >>> [is_live(p) for p in ("rtsp://cam/1", "https://tv/news.m3u8?a=1", "0", "0.mp4")]
        [True, True, True, False]
    """
    return _LIVE.fullmatch(path) is not None and not os.path.isfile(path)


def without_password(url: str) -> str:
    """Return an address that may be shown.

    Examples:
        >>> without_password("rtsp://me:secret@camera:554/live?channel=2&token=abc")
        'rtsp://me@camera:554/live?channel=2&token=***'
    """
    shown = _LOGIN.sub(r"\1@", url)
    if shown == url:
        shown = _ODD_LOGIN.sub(r"\1@", url)
    return _SECRET.sub(r"\1***", shown)


def as_device(url: str | int) -> str | None:
    """Return the device file of a camera of this machine; None for any other address.

    Examples:
        >>> as_device("0"), as_device("/dev/video2"), as_device("rtsp://camera/live")
        ('/dev/video0', '/dev/video2', None)
    """
    text = str(url)
    if text.isdigit():
        return f"/dev/video{text}"
    return text if text.startswith("/dev/video") else None


def has_no_such_host(url: str) -> bool:
    """Return whether an address names a host that is known not to exist.

    A name server that does not answer says nothing: the network may be down.
    """
    try:
        host = urlsplit(url).hostname
        if host:
            socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        return error.errno == socket.EAI_NONAME
    except ValueError:  # of names that cannot be written for a name server
        return True
    return False
