"""Waiting in tests: bounded, and as short as can be."""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

_T = TypeVar("_T")


def until(condition: Callable[[], _T], timeout_s: float = 20.0) -> _T:
    """Return what a condition says once that is true; fail after so many seconds."""
    deadline = time.monotonic() + timeout_s
    while not (told := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s"
        time.sleep(0.02)
    return told
