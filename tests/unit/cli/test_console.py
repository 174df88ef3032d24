"""What a person sees while a job runs."""

import io
from typing import Any

from sightflow.cli.console import progress
from sightflow.records.ledger import Ledger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def an_event(kind: str, **figures: float | None) -> dict[str, Any]:
    return {"kind": kind, "figures": figures}


EVENTS = [
    an_event("crossed"),
    an_event("trained", step=50, loss=0.25),
    an_event("evaluated", n=900, accuracy=0.5, window_n=100, window_accuracy=0.75),
    an_event("tested", n=40, accuracy=0.95),
    an_event("published", version=3, serves=1.0),
]


def shown(*events: dict[str, Any]) -> str:
    """Return what stands in a terminal at the end."""
    terminal = Terminal()
    with progress("scenes", stderr=terminal, quiet=False) as (on_progress, on_event):
        assert on_event is not None
        for event in events:
            on_event(event)
        on_progress(Ledger(read=8, recognised=7, rejected=1), 16)
    return terminal.getvalue()


def test_progress_shows_images_and_what_was_learned(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    text = shown(*EVENTS)
    assert "8/16" in text
    assert "1 rejected" in text
    assert (
        "step 50, loss 0.25, 75.0 % of 100 right in the window, test 95.0 % of 40 right, "
        "version 3 serves"
    ) in text


def test_without_learning_there_is_no_second_line(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = shown()
    assert "8/16" in text
    assert "step" not in text


def test_a_loss_that_is_no_number_and_a_stream_without_window_are_shown(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    events = an_event("trained", step=1, loss=None), an_event("evaluated", n=4, accuracy=0.5)
    assert "step 1, loss -, 50.0 % of 4 right in the stream" in shown(*events)


def test_nothing_is_shown_without_a_terminal() -> None:
    stream = io.StringIO()
    with progress("scenes", stderr=stream, quiet=False) as (on_progress, on_event):
        on_progress(Ledger(read=8), 16)
    assert on_event is None
    assert stream.getvalue() == ""
