"""Options of commands have the defaults and the choices of the parts that they belong to."""

import sys
import types
from dataclasses import dataclass, field
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from sightflow.cli.fields import FieldChoice, FieldOption, given


@dataclass(frozen=True)
class Part:
    size_ms: int = 1500
    colour: Literal["red", "green"] = "green"
    made: str = field(default_factory=lambda: "in the factory")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> click.Command:
    monkeypatch.setitem(sys.modules, "a_part", types.SimpleNamespace(Part=Part))

    @click.command()
    @click.option("--size", cls=FieldOption, field="a_part:Part.size_ms", shown=lambda n: n / 1000)
    @click.option(
        "--colour",
        cls=FieldOption,
        field="a_part:Part.colour",
        type=FieldChoice("a_part:Part.colour"),
    )
    @click.option("--made", cls=FieldOption, field="a_part:Part.made")
    def command(**options: Any) -> None:
        click.echo(given(options, "size", "colour", "made"))

    return command


def test_the_help_shows_the_defaults_and_choices_of_the_part(command: click.Command) -> None:
    said = CliRunner().invoke(command, ["--help"]).output
    assert "[default: 1.5]" in said
    assert "[red|green]" in said
    assert "[default: green]" in said
    assert "[default: in the factory]" in said


def test_what_a_call_does_not_say_is_left_out(command: click.Command) -> None:
    assert CliRunner().invoke(command, []).output == "{}\n"
    assert CliRunner().invoke(command, ["--colour", "red"]).output == "{'colour': 'red'}\n"


def test_a_word_that_the_part_does_not_know_is_refused(command: click.Command) -> None:
    called = CliRunner().invoke(command, ["--colour", "blue"])
    assert called.exit_code == 2
    assert "'blue' is not one of 'red', 'green'" in called.output
