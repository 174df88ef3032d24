"""Ctrl-C while a run goes on: the end of a stream, or of the run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupts", "noticing_interrupts"]


class Interrupts:
    """How often Ctrl-C came, and how often it is only noted."""

    def __init__(self, patience: int) -> None:
        """Note the first so many; those behind them raise `KeyboardInterrupt`."""
        self._patience = patience
        self._n = 0

    @property
    def came(self) -> bool:
        """Whether there was one."""
        return self._n > 0

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if there were more than are only noted.

        Python raises it wherever the main thread is. In a finalizer it is lost, and py4j has many:
        each object of Java that is no longer needed is told to Java.
        """
        if self._n > self._patience:
            raise KeyboardInterrupt

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self._n += 1
        self.check()


@contextmanager
def noticing_interrupts(*, patience: int = 0) -> Iterator[Interrupts]:
    """Notice Ctrl-C here; a handler of the caller's own stays, and decides what it means."""
    interrupts = Interrupts(patience)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts.handle)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
