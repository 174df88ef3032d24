"""Where messages come from that change a job while it runs."""

from typing import Protocol, runtime_checkable

from sightflow.protocols.context import Context

__all__ = ["ControlMessages", "ControlSource"]


class ControlMessages(Protocol):
    """The opened messages, in order. One thread uses it."""

    def poll(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return where the next message is, for people, and the message; None: none came.

        Raises:
            SourceError: it cannot go on; the job ends.
        """

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when it was opened.

        No image is looked at before.
        """

    def position(self) -> str:
        """Return from where to go on: behind the last message that `poll` gave."""


@runtime_checkable
class ControlSource(Protocol):
    """Messages for a job: a file of lines, a topic. What one says is no matter of the source."""

    def check(self) -> None:
        """Raise an error if this cannot work; called while the job is built."""

    def open_messages(self, context: Context, position: str | None) -> ControlMessages:
        """Return the messages, from the first or from a position that was given before."""
