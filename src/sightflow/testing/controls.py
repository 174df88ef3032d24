"""Checks of where messages to a running job come from."""

from collections.abc import Sequence

from sightflow.protocols import ControlSource
from sightflow.testing.builders import a_context
from sightflow.testing.descriptions import sent

__all__ = ["check_control"]


def check_control(source: ControlSource) -> Sequence[bytes]:
    """Raise AssertionError unless a source of messages keeps the promises of its protocol.

    All messages that are there come in order, and the rest of them again from each position.

    Args:
        source: with at least two messages.

    Returns:
        The messages.
    """
    source.check()
    found, positions = _read(source, None)
    assert len(found) > 1, f"at least two messages must be there; got {len(found)}"
    assert len({place for place, _ in found}) == len(found), "each message has a place of its own"
    for n_read, position in enumerate(positions, 1):
        again, _ = _read(source, position)
        assert again == found[n_read:], f"behind {position!r} come the others; got {again}"
    return [message for _, message in found]


def _read(source: ControlSource, position: str | None) -> tuple[list[tuple[str, bytes]], list[str]]:
    context = a_context()
    with context.resources:
        messages = sent(source).open_messages(context, position)
        found, positions = list[tuple[str, bytes]](), list[str]()
        while not messages.is_caught_up():
            if (message := messages.poll(0.01)) is not None:
                found.append(message)
                positions.append(messages.position())
        assert messages.poll(0.0) is None, "nothing more comes than was there"
    return found, positions
