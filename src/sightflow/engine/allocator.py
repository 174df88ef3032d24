"""The C library's memory: what one picture gave back serves the next."""

import ctypes
import functools
from contextlib import suppress

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20
"""So much of the free memory at the end of an arena, of which threads have several, is kept."""
_LARGEST_BYTES = 32 << 20
"""An array larger than this is mapped by itself; older versions of glibc allow no more."""


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library of this process keep some freed memory instead of handing it back.

    Handed back, the memory of a picture is cleared by the kernel, page by page, for the next one:
    for 768 x 576 pixels that costs half as much as decoding them. Only glibc is asked; others have
    no such call, and keep what they like.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        if mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES):  # either of them stops the adapting of both
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
