"""Every registered source of messages keeps its promises. A new one needs an example here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.protocols import ControlSource
from sightflow.sources.jsoncontrol import JsonControl, add_message
from sightflow.testing import a_context

MESSAGES = [b'{"set": "a.b", "value": 1}', b"no message", b'{"reset": "a.b"}']


def some_lines(folder: Path) -> JsonControl:
    for message in MESSAGES:
        add_message(folder / "control.jsonl", message)
    return JsonControl(str(folder / "control.jsonl"))


EXAMPLES: dict[str, Callable[[Path], ControlSource]] = {"JsonControl": some_lines}


def test_the_controls_were_found_and_each_has_an_example() -> None:
    assert len(EXAMPLES) >= 1
    assert set(known_kinds("controls")) == set(EXAMPLES)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_all_messages_come_in_order_and_again_from_each_position(kind: str, tmp_path: Path) -> None:
    source = EXAMPLES[kind](tmp_path)
    assert type(source) is resolve_kind("controls", kind)
    source.check()
    found, positions = read(source, None)
    assert [message.strip() for _, message in found] == MESSAGES
    assert len({where for where, _ in found}) == len(MESSAGES)
    for n_read, position in enumerate(positions, 1):
        assert read(source, position)[0] == found[n_read:]


def read(source: ControlSource, position: str | None) -> tuple[list[tuple[str, bytes]], list[str]]:
    messages = source.open_messages(a_context(), position)
    found, positions = list[tuple[str, bytes]](), list[str]()
    while not messages.is_caught_up():
        if (message := messages.poll(0.01)) is not None:
            found.append(message)
            positions.append(messages.position())
    assert messages.poll(0.0) is None
    return found, positions
