"""Ctrl-C and SIGTERM while a run goes on: the end of a stream, or of the run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupts", "noticing_interrupts", "take_sigterm"]


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


def take_sigterm() -> None:
    """Take SIGTERM as Ctrl-C from now on, also where that is ignored.

    A shell that starts a process in the background of a script lets it ignore Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def noticing_interrupts(*, patience: int = 0) -> Iterator[Interrupts]:
    """Notice Ctrl-C, and SIGTERM where it is taken as that.

    A handler of the caller's own stays, and decides what it means.
    """
    interrupts = Interrupts(patience)
    in_main = threading.current_thread() is threading.main_thread()
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _interrupt}
    taken = {n: handler for n, handler in usual.items() if signal.getsignal(n) is handler}
    for number in taken if in_main else ():
        signal.signal(number, interrupts.handle)
    try:
        yield interrupts
    finally:
        for number, handler in taken.items() if in_main else ():
            signal.signal(number, handler)
