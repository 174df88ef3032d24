"""Commands about models: which ship, their int8 forms, and the versions in a registry."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldOption, given

if TYPE_CHECKING:
    from sightflow.models.finding import Address

__all__ = ["models"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As lines of JSON.")
@click.pass_context
def models(context: click.Context, *, as_json: bool) -> None:
    """List the models that ship: task, input, licence, sha256, accuracy as measured."""
    if context.invoked_subcommand:
        return
    _list_those_that_ship(as_json=as_json)


@models.command("list")
@click.argument("registry", required=False)
@click.option("--json", "as_json", is_flag=True, help="As lines of JSON.")
def list_registry(registry: str | None, *, as_json: bool) -> None:
    """List the versions in a REGISTRY: which one serves, metrics, origin; or the models that ship.

    REGISTRY is a folder, or a URL such as s3://bucket/models.
    """
    if registry is None:
        _list_those_that_ship(as_json=as_json)
        return
    from sightflow.cli import console
    from sightflow.models.listing import VERSION_COLUMNS, as_text, list_versions

    rows = list_versions(registry)
    if as_json:
        _print_lines(rows)
        return
    console.print_table(VERSION_COLUMNS, map(as_text, rows))


def _list_those_that_ship(*, as_json: bool) -> None:
    from sightflow.cli import console
    from sightflow.models.listing import COLUMNS, list_models

    rows = list_models()
    if as_json:
        _print_lines(rows)
        return
    console.print_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


def _print_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    import json

    for row in rows:
        click.echo(json.dumps(row))


@models.command("promote")
@click.argument("model", metavar="REGISTRY/NAME@VERSION")
@click.option("--reason", default="by hand", show_default=True, help="Kept in the history.")
def promote(model: str, *, reason: str) -> None:
    """Let a published version serve: REGISTRY/NAME then means this one."""
    address = _address(model, versioned=True)
    pointer = address.registry.promote(address.name, address.resolve(), reason=reason)
    click.echo(f"{address.registry.url}/{address.name}: version {pointer.number} serves")


@models.command("rollback")
@click.argument("model", metavar="REGISTRY/NAME")
@click.option("--reason", default="by hand", show_default=True, help="Kept in the history.")
def rollback(model: str, *, reason: str) -> None:
    """Take the last promotion back: the version before it serves again."""
    address = _address(model, versioned=False)
    pointer = address.registry.rollback(address.name, reason=reason)
    click.echo(f"{address.registry.url}/{address.name}: version {pointer.number} serves")


@models.command("diff")
@click.argument("first", metavar="REGISTRY/NAME@A")
@click.argument("second", metavar="REGISTRY/NAME@B")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def diff(first: str, second: str, *, as_json: bool) -> None:
    """Show what differs in two published versions: metrics, labels, card, weights.

    Without @VERSION it is the version that serves.
    """
    from sightflow.models.comparison import COLUMNS, compare
    from sightflow.models.finding import parse_address

    found = compare(parse_address(first), parse_address(second))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found))
        return
    from sightflow.cli import console

    console.print_table([COLUMNS[0], first, second, COLUMNS[-1]], found.rows())


def _address(model: str, *, versioned: bool) -> "Address":
    """Return what a reference means; it has a version, or must not have one."""
    from sightflow.models.finding import parse_address

    address = parse_address(model)
    if versioned and address.number is None:
        raise click.UsageError(f"{model} needs the version that is to serve: {model}@VERSION")
    if not versioned and address.number is not None:
        raise click.UsageError(
            f"{model}: a rollback finds the version itself; leave out @{address.number}, or "
            "promote a version"
        )
    return address


@models.command("quantize")
@click.argument("model")
@click.option("--data", required=True, metavar="DIR", help="Pictures like those to recognise.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A file, .onnx.")
@click.option(
    "--images",
    "n_images",
    cls=FieldOption,
    field="sightflow.quantizer:quantize.n_images",
    type=click.IntRange(1),
    help="How many pictures to calibrate on; as many others are compared on.",
)
@click.option(
    "--per-channel/--no-per-channel",
    cls=FieldOption,
    field="sightflow.quantizer:quantize.per_channel",
    default=None,
    help="A scale for each channel of a layer, or one for the layer.",
)
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier call.")
def quantize_model(model: str, **options: Any) -> None:
    """Write an int8 form of a classifier, and measure what it costs and gains.

    MODEL is a name (see `sightflow models`), an .onnx file with its card, or REGISTRY/NAME@VERSION.
    """
    from sightflow.cli import console
    from sightflow.models import find_model
    from sightflow.quantizer import COLUMNS, quantize

    with console.without_native_noise() as stderr, console.stages(stderr=stderr) as on_progress:
        report = quantize(find_model(model), on_progress=on_progress, **given(options, *options))
    console.print_table(COLUMNS, report.rows())
    print(report.summary(), file=sys.stderr)
